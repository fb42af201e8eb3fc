/* A recurrent layer, forward: fd_recurrent. Products of x come first, a chunk of steps at a time.
   Then each step multiplies what it sees of h by a block of w_hh, and computes the block's cells
   while its sums are in the first cache. With a projection h comes of a second product. */
#include "ops/recurrent.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

typedef struct {
    fd_recurrence r;
    const fd_recurrent_args *a;
    ptrdiff_t chunk;      /* steps of a chunk */
    ptrdiff_t begin, end; /* those of a chunk, in the order of their computation */
    ptrdiff_t number;     /* by units: of the step */
    ptrdiff_t kept;       /* the row that `gates` and `cells` begin with: 0, or that of the chunk */
    float *gates, *cells; /* args', or in the workspace those of a chunk */
    float *w_ih;          /* its panels, or NULL */
} forward_work;

static ptrdiff_t step_of(const fd_recurrent_layer *l, ptrdiff_t number) {
    return l->reverse ? l->steps - 1 - number : number;
}

/* Sequences [row, row + rows) of a step. */
typedef struct {
    ptrdiff_t row, rows, at; /* at: their first row of the rows of all steps */
    ptrdiff_t phase;
} part_of_step;

static part_of_step rows_of_step(const forward_work *w, ptrdiff_t number, ptrdiff_t row,
                                 ptrdiff_t end) {
    const fd_recurrence *r = &w->r;
    const ptrdiff_t t = step_of(r->layer, number);
    return (part_of_step){.row = row,
                          .rows = fd_min(end, (ptrdiff_t)r->layer->rows[t]) - row,
                          .at = r->at[t] + row,
                          .phase = number & 1};
}

/* Where a block of what becomes of h goes. */
static void outputs_of_block(const forward_work *w, const part_of_step *s, ptrdiff_t first,
                             fd_cells *c) {
    const fd_recurrence *r = &w->r;
    c->h = w->a->h + s->row * r->outs + first;
    c->y = w->a->y + s->at * r->outs + first;
    for (ptrdiff_t g = 0; g < r->copies; g++)
        c->seen[g] = r->seen[1 - s->phase][g] + s->row * r->outs + first;
}

/* Blocks [block, last) of the cells, with all that follows where there is no projection. */
static void cells_of_step(const forward_work *w, const fd_recurrence_room *room,
                          const part_of_step *s, ptrdiff_t block, ptrdiff_t last) {
    const fd_recurrence *r = &w->r;
    const fd_recurrent_layer *l = r->layer;
    const ptrdiff_t units = l->units, width = r->k->tile_n, ld = r->slots * units;
    fd_cells c = {.rows = s->rows,
                  .gates_ld = ld,
                  .gate = units,
                  .ld = units,
                  .out_ld = units,
                  .cell = l->cell};
    for (; block < last; block++) {
        const ptrdiff_t first = block * width, n = fd_min(width, units - first);
        const float *panel = r->panels + block * r->gates * r->depth * width;
        float *gates = w->gates + (s->at - w->kept) * ld + first;
        for (ptrdiff_t pc = 0; pc < r->depth; pc += r->piece) {
            const ptrdiff_t depth = fd_min(r->piece, r->depth - pc);
            for (ptrdiff_t g = 0; g < r->gates; g++, panel += depth * width) {
                const ptrdiff_t slot = fd_gate_slot(l->cell, g);
                const float *seen = r->seen[s->phase][r->copies > 1 ? g : 0] + s->row * r->outs +
                                    pc;
                /* nothing was put into a GRU's slot 0 */
                fd_rows_times_panel(r->k, gates + slot * units, ld, seen, r->outs, panel, depth,
                                    s->rows, n, pc > 0 || l->cell != FD_GRU || slot > 0);
            }
        }
        c.units = n;
        c.gates = gates;
        if (r->projection) c.h = c.y = w->cells + (s->at - w->kept) * units + first;
        else outputs_of_block(w, s, first, &c);
        if (l->cell == FD_LSTM) {
            c.c = w->a->c + s->row * units + first;
            c.states = w->a->states ? w->a->states + s->at * units + first : c.c;
        }
        if (l->cell == FD_GRU && w->a->b_hh) c.bias_n = w->a->b_hh + 2 * units + first;
        c.masks = fd_step_masks(r, room, s->row, first, fd_parts(r));
        r->k->cells(&c);
    }
}

/* Blocks [block, last) of the projection of the step's cells, and what becomes of it. */
static void project_step(const forward_work *w, const fd_recurrence_room *room,
                         const part_of_step *s, ptrdiff_t block, ptrdiff_t last) {
    const fd_recurrence *r = &w->r;
    const ptrdiff_t units = r->layer->units, width = r->k->tile_n;
    fd_cells c = {.rows = s->rows,
                  .gates_ld = r->outs,
                  .ld = r->outs,
                  .out_ld = r->outs,
                  .cell = FD_IDENTITY};
    for (; block < last; block++) {
        const ptrdiff_t first = block * width;
        c.units = fd_min(width, r->outs - first);
        outputs_of_block(w, s, first, &c);
        c.gates = c.y;
        for (ptrdiff_t pc = 0; pc < units; pc += r->projection_piece)
            fd_rows_times_panel(r->k, c.y, r->outs, w->cells + (s->at - w->kept) * units + pc,
                                units, r->projection + (block * units + pc) * width,
                                fd_min(r->projection_piece, units - pc), s->rows, c.units, pc > 0);
        c.masks = fd_step_masks(r, room, s->row, first, FD_OF_OUTPUTS);
        r->k->cells(&c);
    }
}

static void prepare_task(const fd_region *region, int thread, void *context) {
    const forward_work *w = context;
    const fd_recurrence *r = &w->r;
    const fd_recurrence_room room = fd_room_of(r, region, thread);
    const ptrdiff_t outs = r->outs;
    fd_recurrence_prepare(r, thread, region->threads, &room);
    for (ptrdiff_t b = fd_cut(r->batch, region->threads, thread, 1);
         b < fd_cut(r->batch, region->threads, thread + 1, 1); b++)
        for (ptrdiff_t g = 0; g < r->copies; g++) {
            float *seen = r->seen[0][g] + b * outs;
            const float *h = w->a->h + b * outs;
            if (r->hidden[g])
                r->k->apply_bits(seen, h, r->hidden[g] + b * r->out_words, 0, outs,
                                 &r->layer->masks.hidden, 0);
            else memcpy(seen, h, (size_t)outs * sizeof(float));
            memcpy(r->seen[1][g] + b * outs, seen, (size_t)outs * sizeof(float));
        }
}

static void sequences_task(const fd_region *region, int thread, void *context) {
    const forward_work *w = context;
    const fd_recurrence *r = &w->r;
    const fd_recurrence_room room = fd_room_of(r, region, thread);
    for (ptrdiff_t number = w->begin; number < w->end; number++) {
        const part_of_step s = rows_of_step(w, number, fd_cut(r->batch, region->threads, thread, 1),
                                            fd_cut(r->batch, region->threads, thread + 1, 1));
        if (s.rows <= 0) continue;
        fd_draw_step(r, &room, step_of(r->layer, number), s.row, s.rows);
        cells_of_step(w, &room, &s, 0, r->blocks);
        if (r->projection) project_step(w, &room, &s, 0, r->out_blocks);
    }
}

static void units_task(const fd_region *region, int thread, void *context) {
    const forward_work *w = context;
    const fd_recurrence *r = &w->r;
    const fd_recurrence_room room = fd_room_of(r, region, thread);
    const part_of_step s = rows_of_step(w, w->number, 0, r->batch);
    fd_draw_step(r, &room, step_of(r->layer, w->number), s.row, s.rows);
    cells_of_step(w, &room, &s, fd_cut(r->blocks, region->threads, thread, 1),
                  fd_cut(r->blocks, region->threads, thread + 1, 1));
}

/* The second half of a step by units: its masks are in the rooms. */
static void projection_task(const fd_region *region, int thread, void *context) {
    const forward_work *w = context;
    const fd_recurrence *r = &w->r;
    const fd_recurrence_room room = fd_room_of(r, region, thread);
    const part_of_step s = rows_of_step(w, w->number, 0, r->batch);
    project_step(w, &room, &s, fd_cut(r->out_blocks, region->threads, thread, 1),
                 fd_cut(r->out_blocks, region->threads, thread + 1, 1));
}

/* W_ih x + the biases for rows [row, row + rows) of x, into the gates. */
static int project(const forward_work *w, ptrdiff_t row, ptrdiff_t rows) {
    const fd_recurrence *r = &w->r;
    const fd_recurrent_layer *l = r->layer;
    const fd_drop *d = &l->masks.input;
    const ptrdiff_t units = l->units, ld = r->slots * units,
                    products = l->masks.per_gate && d->stream ? r->gates : 1,
                    n = r->gates / products * units;
    fd_stream s;
    fd_product p = {.m = rows,
                    .n = n,
                    .k = l->inputs,
                    .a = w->a->x + row * l->inputs,
                    .lda = l->inputs,
                    .ldb = l->inputs,
                    .ldc = ld,
                    .tb = 1,
                    .repeat = 1};
    if (d->stream) {
        s = fd_rows_from(d->stream, row);
        p.a_drop = *d;
        p.a_drop.stream = &s;
    }
    for (ptrdiff_t g = 0; g < products; g++) {
        if (products > 1) s.sub = (uint32_t)g;
        p.c = w->gates + (row - w->kept) * ld + (l->cell == FD_GRU ? units : 0) + g * units;
        p.b = l->w_ih + g * units * l->inputs;
        p.panels = w->w_ih;
        p.bias = w->a->b_ih ? r->bias + g * units : NULL;
        const int status = fd_gemm(&p);
        if (status != FD_OK) return status;
    }
    return FD_OK;
}

static void set_bias(const forward_work *w) {
    const ptrdiff_t units = w->r.layer->units;
    for (ptrdiff_t i = 0; w->a->b_ih && i < w->r.gates * units; i++) {
        const int apart = w->r.layer->cell == FD_GRU &&
                          i >= 2 * units; /* that is multiplied by r */
        w->r.bias[i] = w->a->b_ih[i] + (apart ? 0.0f : w->a->b_hh[i]);
    }
}

/* Steps of a chunk: what a small w_ih gave waits in a cache, and so do gates that are not kept. */
static ptrdiff_t chunk_of(const fd_recurrence *r, int keep) {
    const fd_recurrent_layer *l = r->layer;
    const ptrdiff_t most = fd_recurrence_chunk(r, l->inputs);
    if (keep && r->gates * l->units * l->inputs > FD_SMALL_PROJECTION) return most;
    return fd_min(most, fd_ceil_div(FD_PROJECTED_ROWS, fd_max(1, r->batch)));
}

/* workspace NULL: only the floats that it needs. */
static ptrdiff_t start(forward_work *w, const fd_recurrent_layer *l, float *workspace, int keep) {
    fd_recurrence *r = &w->r;
    ptrdiff_t used = fd_recurrence_start(r, l, workspace, 0);
    w->chunk = chunk_of(r, keep);
    const ptrdiff_t rows = r->batch * fd_min(l->steps, w->chunk);
#define PIECE(field, wanted, count)                                                                \
    if (wanted) {                                                                                  \
        if (workspace) (field) = workspace + used;                                                 \
        used += fd_round_up((ptrdiff_t)(count), FD_CACHE_LINE / sizeof(float));                    \
    }
    /* masks of a gate's own need products of its own */
    PIECE(w->w_ih, w->chunk < l->steps && !(l->masks.per_gate && l->masks.input.stream),
          fd_panels_length(r->gates * l->units, l->inputs))
    PIECE(w->gates, !keep, rows * r->slots * l->units + FD_TILE_N_MOST)
    PIECE(w->cells, !keep && l->w_hr, rows * l->units + FD_TILE_N_MOST)
#undef PIECE
    return used;
}

ptrdiff_t fd_recurrent_workspace(const fd_recurrent_layer *layer, int keep) {
    forward_work w = {0};
    return start(&w, layer, NULL, keep);
}

static int pack_inputs(const forward_work *w) {
    const fd_recurrent_layer *l = w->r.layer;
    if (!w->w_ih) return FD_OK;
    return fd_pack(&(fd_pack_args){.panels = w->w_ih,
                                   .w = l->w_ih,
                                   .n = w->r.gates * l->units,
                                   .k = l->inputs,
                                   .units = l->inputs,
                                   .scale = 1.0f});
}

int fd_recurrent(const fd_recurrent_args *args) {
    forward_work w = {.a = args, .gates = args->gates, .cells = args->cells};
    const fd_recurrent_layer *l = &args->layer;
    const int keep = args->gates != NULL;
    start(&w, l, args->workspace, keep);
    if (w.r.total == 0 || l->units == 0) return FD_OK;
    set_bias(&w);
    int status = pack_inputs(&w);
    if (status != FD_OK) return status;
    for (w.begin = 0; w.begin < l->steps; w.begin = w.end) {
        w.end = fd_min(l->steps, w.begin + w.chunk);
        const ptrdiff_t first = l->reverse ? step_of(l, w.end - 1) : w.begin, row = w.r.at[first],
                        rows = w.r.at[first + w.end - w.begin] - row;
        w.kept = keep ? 0 : row;
        status = project(&w, row, rows);
        if (status != FD_OK) return status;
        fd_region region;
        status = fd_begin(&region, fd_recurrence_threads(&w.r, rows),
                          fd_recurrence_carve(NULL, NULL, &w.r));
        if (status != FD_OK) return status;
        if (w.begin == 0) fd_run(&region, prepare_task, &w, 1);
        if (fd_by_units(&w.r, region.threads)) {
            for (w.number = w.begin; w.number < w.end; w.number++) {
                fd_run(&region, units_task, &w, 1);
                if (w.r.projection) fd_run(&region, projection_task, &w, 1);
            }
        } else fd_run(&region, sequences_task, &w, 1);
        fd_end(&region);
        if (w.end < l->steps && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}
