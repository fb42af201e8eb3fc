/* A recurrent layer, backward: fd_recurrent_backward. From the last computed step to the first: the
   gradient of a block of h is that of the step's output, plus the gradients of the next step's
   gates times w_hh, plus what passes the next step's cells by. With a projection that gradient goes
   through w_hr to the cells. */
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
                    n = fd_min(width, r->outs - block * width);
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
    const ptrdiff_t outs = r->outs, width = r->k->tile_n, first = block * width,
                    n = fd_min(width, outs - first);
    float *sums[FD_GATES_MOST];
    set_sums(r, room, sums);
    sums_of_block(r, w->a->gates, r->at[t] + row, rows, block, sums);
    for (ptrdiff_t b = 0; b < rows; b++)
        for (ptrdiff_t g = 0; g < r->copies; g++) {
            float *dh = w->a->dh + (row + b) * outs + first, *sum = sums[g] + b * width;
            if (r->hidden[g])
                r->k->apply_bits(sum, sum, r->hidden[g] + (row + b) * r->out_words, first, n,
                                 &r->layer->masks.hidden, 0);
            for (ptrdiff_t j = 0; j < n; j++) dh[j] += sum[j];
        }
}

/* Some sequences of a step. */
typedef struct {
    ptrdiff_t t, row, rows;
    ptrdiff_t next;   /* the step that was computed after it, or -1 */
    ptrdiff_t before; /* where the state before it stands, in y and states, or -1: the first */
} part_of_step;

/* Of an LSTM: the gradient and the state before the step of a block of c. */
static void states_of_block(const backward_work *w, const part_of_step *s, ptrdiff_t first,
                            fd_cells_backward *c) {
    const ptrdiff_t units = w->r.layer->units;
    c->dc = w->a->dc + s->row * units + first;
    c->c_old = s->before < 0 ? w->a->c0 + s->row * units + first
                             : w->a->states + s->before * units + first;
}

/* Blocks [block, last) of h; of the cells too where there is no projection. */
static void outputs_backward(const backward_work *w, const fd_recurrence_room *room,
                             const part_of_step *s, ptrdiff_t block, ptrdiff_t last) {
    const fd_recurrence *r = &w->r;
    const fd_recurrent_layer *l = r->layer;
    const fd_recurrent_masks *m = &l->masks;
    const fd_recurrent_backward_args *a = w->a;
    const ptrdiff_t outs = r->outs, width = r->k->tile_n, at = r->at[s->t] + s->row,
                    ld = r->projection ? outs : r->slots * outs;
    const int cell = r->projection ? FD_IDENTITY : l->cell;
    /* a part of dh passes by the cells: with zoneout, in a GRU, and from the last state */
    const int passes = m->zone_h.stream || m->fresh_h != 1.0f || cell == FD_GRU || s->next < 0;
    fd_cells_backward c = {.rows = s->rows,
                           .gates_ld = ld,
                           .gate = outs,
                           .ld = outs,
                           .sums_count = s->next < 0 ? 0 : (int)r->copies,
                           .sums_ld = width,
                           .out_ld = outs,
                           .old_ld = outs,
                           .cell = cell};
    float *sums[FD_GATES_MOST];
    set_sums(r, room, sums);
    for (; block < last; block++) {
        const ptrdiff_t first = block * width;
        if (s->next >= 0) sums_of_block(r, a->gates, r->at[s->next] + s->row, s->rows, block, sums);
        c.units = fd_min(width, outs - first);
        c.gates = (r->projection ? a->projected : a->gates) + at * ld + first;
        c.dh = passes ? a->dh + s->row * outs + first : NULL;
        for (ptrdiff_t g = 0; g < c.sums_count; g++) c.sums[g] = sums[g];
        c.dy = a->dy + at * outs + first;
        c.h_old = s->before < 0 ? a->h0 + s->row * outs + first : a->y + s->before * outs + first;
        if (cell == FD_LSTM) states_of_block(w, s, first, &c);
        c.masks = fd_step_masks(r, room, s->row, first,
                                r->projection ? FD_OF_OUTPUTS : fd_parts(r));
        r->k->cells_backward(&c);
        for (ptrdiff_t g = 0; g < r->copies; g++)
            for (ptrdiff_t b = 0; b < s->rows; b++) {
                float *to = a->previous + (g * r->total + at + b) * outs + first;
                const float *h = c.h_old + b * outs;
                if (r->hidden[g])
                    r->k->apply_bits(to, h, r->hidden[g] + (s->row + b) * r->out_words, first,
                                     c.units, &m->hidden, 0);
                else memcpy(to, h, (size_t)c.units * sizeof(float));
            }
    }
}

/* Blocks [block, last) of the cells below a projection. */
static void cells_backward(const backward_work *w, const fd_recurrence_room *room,
                           const part_of_step *s, ptrdiff_t block, ptrdiff_t last) {
    const fd_recurrence *r = &w->r;
    const ptrdiff_t units = r->layer->units, width = r->k->tile_n, ld = r->slots * units,
                    at = r->at[s->t] + s->row;
    fd_cells_backward c = {.rows = s->rows,
                           .gates_ld = ld,
                           .gate = units,
                           .ld = units,
                           .dy = room->sums,
                           .out_ld = width,
                           .old_ld = units,
                           .cell = FD_LSTM};
    for (; block < last; block++) {
        const ptrdiff_t first = block * width;
        c.units = fd_min(width, units - first);
        for (ptrdiff_t pc = 0; pc < r->outs; pc += r->projection_piece)
            fd_rows_times_panel(r->k, room->sums, width, w->a->projected + at * r->outs + pc,
                                r->outs, r->projection + (block * r->outs + pc) * width,
                                fd_min(r->projection_piece, r->outs - pc), s->rows, c.units,
                                pc > 0);
        c.gates = w->a->gates + at * ld + first;
        states_of_block(w, s, first, &c);
        c.masks = fd_step_masks(r, room, s->row, first, FD_OF_CELLS);
        r->k->cells_backward(&c);
    }
}

/* The parts of sequences [row, end) of a step, whose rows [row, now) it has: at most three, as one
   of those that the next and the last step have is all of them. Returns their number. */
static int parts_of_step(const backward_work *w, ptrdiff_t number, ptrdiff_t row, ptrdiff_t end,
                         part_of_step parts[3]) {
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
    const ptrdiff_t cut[4] = {row, fd_min(later, earlier), fd_max(later, earlier), now};
    int count = 0;
    for (int i = 0; i < 3; i++)
        if (cut[i + 1] > cut[i])
            parts[count++] = (part_of_step){t, cut[i], cut[i + 1] - cut[i],
                                            cut[i] < later ? next : -1,
                                            cut[i] < earlier ? r->at[before] + cut[i] : -1};
    return count;
}

/* The masks of all parts. */
static void draw_parts(const backward_work *w, const fd_recurrence_room *room,
                       const part_of_step *parts, int count) {
    const part_of_step *last = parts + count - 1;
    if (count) fd_draw_step(&w->r, room, parts->t, parts->row, last->row + last->rows - parts->row);
}

static void prepare_task(const fd_region *region, int thread, void *context) {
    const backward_work *w = context;
    const fd_recurrence_room room = fd_room_of(&w->r, region, thread);
    fd_recurrence_prepare(&w->r, thread, region->threads, &room);
}

static void sequences_task(const fd_region *region, int thread, void *context) {
    const backward_work *w = context;
    const fd_recurrence *r = &w->r;
    const fd_recurrence_room room = fd_room_of(r, region, thread);
    for (ptrdiff_t number = w->begin; number < w->end; number++) {
        part_of_step parts[3];
        const int count = parts_of_step(w, number, fd_cut(r->batch, region->threads, thread, 1),
                                        fd_cut(r->batch, region->threads, thread + 1, 1), parts);
        draw_parts(w, &room, parts, count);
        for (int i = 0; i < count; i++) {
            outputs_backward(w, &room, &parts[i], 0, r->out_blocks);
            if (r->projection) cells_backward(w, &room, &parts[i], 0, r->blocks);
        }
    }
}

static void units_task(const fd_region *region, int thread, void *context) {
    const backward_work *w = context;
    const fd_recurrence *r = &w->r;
    const fd_recurrence_room room = fd_room_of(r, region, thread);
    part_of_step parts[3];
    const int count = parts_of_step(w, w->number, 0, r->batch, parts);
    draw_parts(w, &room, parts, count);
    for (int i = 0; i < count; i++)
        outputs_backward(w, &room, &parts[i], fd_cut(r->out_blocks, region->threads, thread, 1),
                         fd_cut(r->out_blocks, region->threads, thread + 1, 1));
}

/* The second half of a step by units: its masks are in the rooms. */
static void cells_task(const fd_region *region, int thread, void *context) {
    const backward_work *w = context;
    const fd_recurrence *r = &w->r;
    const fd_recurrence_room room = fd_room_of(r, region, thread);
    part_of_step parts[3];
    const int count = parts_of_step(w, w->number, 0, r->batch, parts);
    for (int i = 0; i < count; i++)
        cells_backward(w, &room, &parts[i], fd_cut(r->blocks, region->threads, thread, 1),
                       fd_cut(r->blocks, region->threads, thread + 1, 1));
}

/* After the last step: the first states' gradients. */
static void states_task(const fd_region *region, int thread, void *context) {
    const backward_work *w = context;
    const fd_recurrence *r = &w->r;
    const fd_recurrent_layer *l = r->layer;
    const fd_recurrence_room room = fd_room_of(r, region, thread);
    for (ptrdiff_t block = fd_cut(r->out_blocks, region->threads, thread, 1);
         block < fd_cut(r->out_blocks, region->threads, thread + 1, 1); block++) {
        if (!l->reverse) first_states(w, &room, 0, 0, r->batch, block);
        else
            for (ptrdiff_t t = 0; t < l->steps; t++) {
                const ptrdiff_t after = t + 1 < l->steps ? (ptrdiff_t)l->rows[t + 1] : 0;
                if (after < l->rows[t])
                    first_states(w, &room, t, after, (ptrdiff_t)l->rows[t] - after, block);
            }
    }
}

ptrdiff_t fd_recurrent_backward_workspace(const fd_recurrent_layer *layer) {
    fd_recurrence r;
    return fd_recurrence_start(&r, layer, NULL, 1);
}

int fd_recurrent_backward(const fd_recurrent_backward_args *args) {
    backward_work w = {.a = args};
    const fd_recurrent_layer *l = &args->layer;
    fd_recurrence_start(&w.r, l, args->workspace, 1);
    if (w.r.total == 0 || l->units == 0) return FD_OK;
    const ptrdiff_t chunk = fd_recurrence_chunk(&w.r, 0);
    for (w.begin = 0; w.begin < l->steps; w.begin = w.end) {
        w.end = fd_min(l->steps, w.begin + chunk);
        fd_region region;
        const int status = fd_begin(&region,
                                    fd_recurrence_threads(&w.r, (w.end - w.begin) * w.r.batch),
                                    fd_recurrence_carve(NULL, NULL, &w.r));
        if (status != FD_OK) return status;
        if (w.begin == 0) fd_run(&region, prepare_task, &w, 1);
        if (fd_by_units(&w.r, region.threads)) {
            for (w.number = w.begin; w.number < w.end; w.number++) {
                fd_run(&region, units_task, &w, 1);
                if (w.r.projection) fd_run(&region, cells_task, &w, 1);
            }
        } else fd_run(&region, sequences_task, &w, 1);
        if (w.end == l->steps) fd_run(&region, states_task, &w, 1);
        fd_end(&region);
        if (w.end < l->steps && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}
