/* A recurrent layer, backward: fd_recurrent_backward. From the last computed step to the first: the
   gradient of a block of h is that of the step's output, plus the gradients of the next step's
   gates times w_hh, plus what passes the next step's cells by. */
#include "ops/recurrent.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

typedef struct {
    fd_recurrence r;
    const fd_recurrent_backward_args *a;
    ptrdiff_t begin, end; /* steps of the chunk, counted backward from the last computed one */
    ptrdiff_t number;     /* by units: of the step */
} backward_work;

/* The gradients of what the gates of rows [at, at + rows) of the steps read of a block of h. */
static void sums_of_block(const fd_recurrence *r, const float *gates, ptrdiff_t at, ptrdiff_t rows,
                          ptrdiff_t block, float *sums[FD_GATES_MOST]) {
    const fd_recurrent_layer *l = r->layer;
    const ptrdiff_t units = l->units, width = r->k->tile_n, ld = r->slots * units,
                    n = fd_min(width, units - block * width);
    const float *panel = r->panels + block * r->gates * units * width;
    for (ptrdiff_t g = 0; g < r->gates; g++)
        for (ptrdiff_t pc = 0; pc < units; pc += r->piece) {
            const ptrdiff_t depth = fd_min(r->piece, units - pc);
            fd_rows_times_panel(r->k, sums[r->copies > 1 ? g : 0], width,
                                gates + at * ld + fd_gate_slot(l->cell, g) * units + pc, ld, panel,
                                depth, rows, n, pc > 0 || (g > 0 && r->copies == 1));
            panel += depth * width;
        }
}

static void set_sums(const fd_recurrence *r, const fd_recurrence_room *room,
                     float *sums[FD_GATES_MOST]) {
    for (ptrdiff_t g = 0; g < r->copies; g++) sums[g] = room->sums + g * r->batch * r->k->tile_n;
}

/* dh of the first state of sequences [row, row + rows), whose first computed step is t. */
static void first_states(const backward_work *w, const fd_recurrence_room *room, ptrdiff_t t,
                         ptrdiff_t row, ptrdiff_t rows, ptrdiff_t block) {
    const fd_recurrence *r = &w->r;
    const ptrdiff_t units = r->layer->units, width = r->k->tile_n, first = block * width,
                    n = fd_min(width, units - first);
    float *sums[FD_GATES_MOST];
    set_sums(r, room, sums);
    sums_of_block(r, w->a->gates, r->at[t] + row, rows, block, sums);
    for (ptrdiff_t b = 0; b < rows; b++)
        for (ptrdiff_t g = 0; g < r->copies; g++) {
            float *dh = w->a->dh + (row + b) * units + first, *sum = sums[g] + b * width;
            if (r->hidden[g])
                r->k->apply_bits(sum, sum, r->hidden[g] + (row + b) * r->words, first, n,
                                 &r->layer->masks.hidden, 0);
            for (ptrdiff_t j = 0; j < n; j++) dh[j] += sum[j];
        }
}

/* Blocks [block, last) of sequences [row, row + rows) of step t. next: the step that was computed
   after it, or -1; before: where the state before it stands, in y and states, or -1: the first. */
static void backward_rows(const backward_work *w, const fd_recurrence_room *room, ptrdiff_t t,
                          ptrdiff_t next, ptrdiff_t before, ptrdiff_t row, ptrdiff_t rows,
                          ptrdiff_t block, ptrdiff_t last) {
    const fd_recurrence *r = &w->r;
    const fd_recurrent_layer *l = r->layer;
    const fd_recurrent_masks *m = &l->masks;
    const fd_recurrent_backward_args *a = w->a;
    if (rows <= 0) return;
    const ptrdiff_t units = l->units, width = r->k->tile_n, ld = r->slots * units,
                    at = r->at[t] + row;
    /* a part of dh passes by the cells: with zoneout, in a GRU, and from the last state */
    const int passes = m->zone_h.stream || m->fresh_h != 1.0f || l->cell == FD_GRU || next < 0;
    fd_cells_backward c = {.rows = rows,
                           .gates_ld = ld,
                           .gate = units,
                           .ld = units,
                           .sums_count = next < 0 ? 0 : (int)r->copies,
                           .sums_ld = width,
                           .out_ld = units,
                           .old_ld = units,
                           .cell = l->cell};
    float *sums[FD_GATES_MOST];
    set_sums(r, room, sums);
    for (; block < last; block++) {
        const ptrdiff_t first = block * width;
        if (next >= 0) sums_of_block(r, a->gates, r->at[next] + row, rows, block, sums);
        c.units = fd_min(width, units - first);
        c.gates = a->gates + at * ld + first;
        c.dh = passes ? a->dh + row * units + first : NULL;
        for (ptrdiff_t g = 0; g < c.sums_count; g++) c.sums[g] = sums[g];
        c.dy = a->dy + at * units + first;
        c.h_old = before < 0 ? a->h0 + row * units + first : a->y + before * units + first;
        if (l->cell == FD_LSTM) {
            c.dc = a->dc + row * units + first;
            c.c_old = before < 0 ? a->c0 + row * units + first : a->states + before * units + first;
        }
        c.masks = fd_step_masks(r, room, row, first);
        r->k->cells_backward(&c);
        for (ptrdiff_t g = 0; g < r->copies; g++)
            for (ptrdiff_t b = 0; b < rows; b++) {
                float *to = a->previous + (g * r->total + at + b) * units + first;
                const float *h = c.h_old + b * units;
                if (r->hidden[g])
                    r->k->apply_bits(to, h, r->hidden[g] + (row + b) * r->words, first, c.units,
                                     &m->hidden, 0);
                else memcpy(to, h, (size_t)c.units * sizeof(float));
            }
    }
}

/* Sequences [row, end) and blocks [block, last). */
static void backward_step(const backward_work *w, const fd_recurrence_room *room, ptrdiff_t number,
                          ptrdiff_t row, ptrdiff_t end, ptrdiff_t block, ptrdiff_t last) {
    const fd_recurrence *r = &w->r;
    const fd_recurrent_layer *l = r->layer;
    const ptrdiff_t t = l->reverse ? number : l->steps - 1 - number;
    const ptrdiff_t next = l->reverse ? t - 1 : t + 1, before = l->reverse ? t + 1 : t - 1;
    /* rows of each step, as far as they are in [row, end) */
    const ptrdiff_t now = fd_max(row, fd_min(end, (ptrdiff_t)l->rows[t])),
                    later = next < 0 || next == l->steps
                                ? row
                                : fd_max(row, fd_min(now, (ptrdiff_t)l->rows[next])),
                    earlier = before < 0 || before == l->steps
                                  ? row
                                  : fd_max(row, fd_min(now, (ptrdiff_t)l->rows[before]));
    fd_draw_step(r, room, t, row, now - row);
    /* at most three ranges: one of `later` and `earlier` is `now`, or both are */
    const ptrdiff_t cut[4] = {row, fd_min(later, earlier), fd_max(later, earlier), now};
    for (int i = 0; i < 3; i++)
        backward_rows(w, room, t, cut[i] < later ? next : -1,
                      cut[i] < earlier ? r->at[before] + cut[i] : -1, cut[i], cut[i + 1] - cut[i],
                      block, last);
}

static void prepare_task(const fd_region *region, int thread, void *context) {
    const backward_work *w = context;
    const fd_recurrence_room room = fd_room_of(&w->r, region, thread);
    fd_recurrence_prepare(&w->r, thread, region->threads, &room);
}

static void sequences_task(const fd_region *region, int thread, void *context) {
    const backward_work *w = context;
    const fd_recurrence_room room = fd_room_of(&w->r, region, thread);
    for (ptrdiff_t number = w->begin; number < w->end; number++)
        backward_step(w, &room, number, fd_cut(w->r.batch, region->threads, thread, 1),
                      fd_cut(w->r.batch, region->threads, thread + 1, 1), 0, w->r.blocks);
}

static void units_task(const fd_region *region, int thread, void *context) {
    const backward_work *w = context;
    const fd_recurrence_room room = fd_room_of(&w->r, region, thread);
    backward_step(w, &room, w->number, 0, w->r.batch,
                  fd_cut(w->r.blocks, region->threads, thread, 1),
                  fd_cut(w->r.blocks, region->threads, thread + 1, 1));
}

/* After the last step: the first states' gradients. */
static void states_task(const fd_region *region, int thread, void *context) {
    const backward_work *w = context;
    const fd_recurrence *r = &w->r;
    const fd_recurrent_layer *l = r->layer;
    const fd_recurrence_room room = fd_room_of(r, region, thread);
    for (ptrdiff_t block = fd_cut(r->blocks, region->threads, thread, 1);
         block < fd_cut(r->blocks, region->threads, thread + 1, 1); block++) {
        if (!l->reverse) first_states(w, &room, 0, 0, r->batch, block);
        else
            for (ptrdiff_t t = 0; t < l->steps; t++) {
                const ptrdiff_t after = t + 1 < l->steps ? (ptrdiff_t)l->rows[t + 1] : 0;
                if (after < l->rows[t])
                    first_states(w, &room, t, after, (ptrdiff_t)l->rows[t] - after, block);
            }
    }
}

int fd_recurrent_backward(const fd_recurrent_backward_args *args) {
    backward_work w = {.a = args};
    const fd_recurrent_layer *l = &args->layer;
    fd_recurrence_start(&w.r, l, args->workspace, 1);
    if (w.r.total == 0 || l->units == 0) return FD_OK;
    const ptrdiff_t chunk = fd_recurrence_chunk(&w.r, l->units);
    for (w.begin = 0; w.begin < l->steps; w.begin = w.end) {
        w.end = fd_min(l->steps, w.begin + chunk);
        fd_region region;
        const int status = fd_begin(&region,
                                    fd_recurrence_threads(&w.r, (w.end - w.begin) * w.r.batch),
                                    fd_recurrence_carve(NULL, NULL, &w.r));
        if (status != FD_OK) return status;
        if (w.begin == 0) fd_run(&region, prepare_task, &w, 1);
        if (fd_by_units(&w.r, region.threads)) {
            for (w.number = w.begin; w.number < w.end; w.number++)
                fd_run(&region, units_task, &w, 1);
        } else fd_run(&region, sequences_task, &w, 1);
        if (w.end == l->steps) fd_run(&region, states_task, &w, 1);
        fd_end(&region);
        if (w.end < l->steps && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}
