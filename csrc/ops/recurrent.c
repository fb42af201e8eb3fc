/* What the forward and the backward call of a recurrent layer share; recurrent.h has the contracts.
 */
#include "ops/recurrent.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

enum { LINE = FD_CACHE_LINE / sizeof(float) };

static int drops(const fd_drop *d) { return d->stream != NULL; }

ptrdiff_t fd_gate_slot(int cell, ptrdiff_t gate) { return cell == FD_GRU ? (gate + 1) % 3 : gate; }

ptrdiff_t fd_recurrence_start(fd_recurrence *r, const fd_recurrent_layer *layer, float *workspace,
                              int flipped) {
    const fd_table *k = fd_kernels();
    const int gated = layer->cell >= FD_GRU;
    *r = (fd_recurrence){.k = k,
                         .layer = layer,
                         .batch = layer->steps ? layer->rows[0] : 0,
                         .gates = layer->cell == FD_LSTM ? 4
                                  : gated                ? 3
                                                         : 1,
                         .slots = gated ? 4 : 1,
                         .outs = layer->w_hr ? layer->outs : layer->units,
                         .flipped = flipped};
    r->blocks = fd_ceil_div(layer->units, k->tile_n);
    r->out_blocks = fd_ceil_div(r->outs, k->tile_n);
    r->words = fd_ceil_div(layer->units, FD_GROUP) * FD_GROUP_WORDS;
    r->out_words = fd_ceil_div(r->outs, FD_GROUP) * FD_GROUP_WORDS;
    r->depth = flipped ? layer->units : r->outs;
    r->piece = fd_piece(r->depth, FD_PIECE_OF_STEP);
    r->projection_depth = flipped ? r->outs : layer->units;
    r->projection_piece = fd_piece(r->projection_depth, FD_PIECE_OF_STEP);
    r->copies = layer->masks.per_gate && drops(&layer->masks.hidden) ? r->gates : 1;
    for (ptrdiff_t t = 0; t < layer->steps; t++) r->total += layer->rows[t];
    ptrdiff_t used = 0;
    const ptrdiff_t bits = r->batch * r->words + FD_BITS_PAD,
                    out_bits = r->batch * r->out_words + FD_BITS_PAD,
                    state = r->batch * r->outs + FD_TILE_N_MOST, width = k->tile_n,
                    blocks = flipped ? r->out_blocks : r->blocks,
                    projected = flipped ? r->blocks : r->out_blocks;
#define PIECE(field, type, count)                                                                  \
    if (workspace) (field) = (type *)(void *)(workspace + used);                                   \
    used += fd_round_up((ptrdiff_t)(count), LINE);
    PIECE(r->at, ptrdiff_t, (layer->steps + 1) * (ptrdiff_t)(sizeof(ptrdiff_t) / sizeof(float)))
    PIECE(r->panels, float, blocks * width * r->gates * r->depth + FD_TILE_N_MOST)
    if (layer->w_hr) {
        PIECE(r->projection, float, projected * width * r->projection_depth + FD_TILE_N_MOST)
    }
    PIECE(r->bias, float, r->gates * layer->units)
    for (int phase = 0; phase < 2; phase++)
        for (ptrdiff_t g = 0; g < r->copies; g++) {
            PIECE(r->seen[phase][g], float, state)
        }
    for (ptrdiff_t g = 0; g < r->copies && drops(&layer->masks.hidden); g++) {
        PIECE(r->hidden[g], uint32_t, out_bits)
    }
    if (drops(&layer->masks.update) && !layer->masks.update_per_step) {
        PIECE(r->update, uint32_t, bits)
    }
#undef PIECE
    if (workspace) {
        ptrdiff_t at = 0;
        for (ptrdiff_t t = 0; t < layer->steps; at += layer->rows[t++]) r->at[t] = at;
        r->at[layer->steps] = at;
    }
    return used;
}

size_t fd_recurrence_carve(fd_recurrence_room *to, char *from, const fd_recurrence *r) {
    const fd_recurrent_masks *m = &r->layer->masks;
    const ptrdiff_t width = r->k->tile_n, bits = r->batch * r->words + FD_BITS_PAD,
                    out_bits = r->batch * r->out_words + FD_BITS_PAD;
    ptrdiff_t used = 0;
#define PIECE(field, type, wanted, count)                                                          \
    if (to)                                                                                        \
        to->field = (wanted) ? (type *)(void *)(from + used * (ptrdiff_t)sizeof(float)) : NULL;    \
    if (wanted) used += fd_round_up(count, LINE);
    PIECE(sums, float, r->flipped, r->copies * r->batch * width + FD_TILE_N_MOST)
    PIECE(update, uint32_t, drops(&m->update) && m->update_per_step, bits)
    PIECE(zone_c, uint32_t, drops(&m->zone_c), bits)
    PIECE(zone_h, uint32_t, drops(&m->zone_h), out_bits)
    PIECE(stage, float, drops(&m->weights),
          (r->flipped ? r->piece : width) * r->outs + FD_TILE_N_MOST)
#undef PIECE
    return (size_t)used * sizeof(float);
}

fd_recurrence_room fd_room_of(const fd_recurrence *r, const fd_region *region, int thread) {
    fd_recurrence_room room;
    fd_recurrence_carve(&room, region->workspace + (size_t)thread * region->stride, r);
    return room;
}

/* Rows [row, row + rows) of w_hh, dropped out in the stage where they have a mask. */
static const float *rows_of_weights(const fd_recurrence *r, const fd_recurrence_room *room,
                                    ptrdiff_t row, ptrdiff_t rows) {
    const ptrdiff_t outs = r->outs;
    const fd_drop *d = &r->layer->masks.weights;
    const float *from = r->layer->w_hh + row * outs;
    if (!drops(d) || d->q == FD_KEEP_ALL) return from;
    if (d->q == 0) memset(room->stage, 0, (size_t)(rows * outs) * sizeof(float));
    else r->k->dropout(room->stage, outs, from, outs, d, row, rows, 0, outs, 0);
    return room->stage;
}

/* Panels of w_hh^T. Block after block: pieces of k, of each all gates. */
static void pack_block(const fd_recurrence *r, const fd_recurrence_room *room, ptrdiff_t block) {
    const ptrdiff_t width = r->k->tile_n, units = r->layer->units, first = block * width,
                    n = fd_min(width, units - first);
    float *to = r->panels + block * r->gates * r->depth * width;
    for (ptrdiff_t g = 0; g < r->gates; g++) {
        const float *w = rows_of_weights(r, room, g * units + first, n);
        for (ptrdiff_t pc = 0; pc < r->depth; pc += r->piece) {
            const ptrdiff_t depth = fd_min(r->piece, r->depth - pc);
            r->k->pack_panels_t(to + (pc * r->gates + g * depth) * width, depth * width, w + pc,
                                r->depth, depth, n);
        }
    }
}

/* A panel of w_hr^T: piece after piece of k. */
static void pack_projection(const fd_recurrence *r, ptrdiff_t block) {
    const ptrdiff_t width = r->k->tile_n, all = r->projection_depth, first = block * width;
    float *to = r->projection + block * all * width;
    for (ptrdiff_t pc = 0; pc < all; pc += r->projection_piece) {
        const ptrdiff_t depth = fd_min(r->projection_piece, all - pc);
        r->k->pack_panels_t(to + pc * width, depth * width, r->layer->w_hr + first * all + pc, all,
                            depth, fd_min(width, r->outs - first));
    }
}

/* Panels of w_hh, of all blocks for one piece of the rows of a gate. Block after block: gates, of
   each all pieces. */
static void pack_flipped(const fd_recurrence *r, const fd_recurrence_room *room, ptrdiff_t g,
                         ptrdiff_t pc) {
    const ptrdiff_t width = r->k->tile_n, all = r->depth, depth = fd_min(r->piece, all - pc);
    r->k->pack_panels(r->panels + (g * all + pc) * width, width, r->gates * all * width,
                      rows_of_weights(r, room, g * all + pc, depth), r->outs, depth, r->outs);
}

/* Panels of w_hr, of all blocks for one piece of its rows. */
static void pack_flipped_projection(const fd_recurrence *r, ptrdiff_t pc) {
    const ptrdiff_t width = r->k->tile_n, units = r->layer->units;
    r->k->pack_panels(r->projection + pc * width, width, r->outs * width,
                      r->layer->w_hr + pc * units, units, fd_min(r->projection_piece, r->outs - pc),
                      units);
}

static void draw(const fd_recurrence *r, uint32_t *bits, const fd_drop *d, ptrdiff_t sub,
                 ptrdiff_t words, ptrdiff_t row, ptrdiff_t rows) {
    fd_stream s = *d->stream;
    s.sub = (uint32_t)sub;
    fd_any_keep_bits(r->k, bits + row * words, &s, row, rows, 0, words / FD_GROUP_WORDS, d->q);
}

void fd_recurrence_prepare(const fd_recurrence *r, int thread, int threads,
                           const fd_recurrence_room *room) {
    const fd_recurrent_masks *m = &r->layer->masks;
    const ptrdiff_t pieces = fd_ceil_div(r->depth, r->piece),
                    jobs = r->flipped ? r->gates * pieces : r->blocks,
                    projection = !r->projection ? 0
                                 : r->flipped   ? fd_ceil_div(r->outs, r->projection_piece)
                                                : r->out_blocks,
                    end = fd_cut(jobs + projection, threads, thread + 1, 1);
    for (ptrdiff_t j = fd_cut(jobs + projection, threads, thread, 1); j < end; j++) {
        if (j < jobs && r->flipped) pack_flipped(r, room, j / pieces, j % pieces * r->piece);
        else if (j < jobs) pack_block(r, room, j);
        else if (r->flipped) pack_flipped_projection(r, (j - jobs) * r->projection_piece);
        else pack_projection(r, j - jobs);
    }
    const ptrdiff_t row = fd_cut(r->batch, threads, thread, 1),
                    rows = fd_cut(r->batch, threads, thread + 1, 1) - row;
    for (ptrdiff_t g = 0; g < r->copies && r->hidden[g]; g++)
        draw(r, r->hidden[g], &m->hidden, g, r->out_words, row, rows);
    if (r->update) draw(r, r->update, &m->update, 0, r->words, row, rows);
}

void fd_draw_step(const fd_recurrence *r, const fd_recurrence_room *room, ptrdiff_t step,
                  ptrdiff_t row, ptrdiff_t rows) {
    const fd_recurrent_masks *m = &r->layer->masks;
    step += m->first_step;
    if (room->update) draw(r, room->update, &m->update, step, r->words, row, rows);
    if (room->zone_c) draw(r, room->zone_c, &m->zone_c, step, r->words, row, rows);
    if (room->zone_h) draw(r, room->zone_h, &m->zone_h, step, r->out_words, row, rows);
}

int fd_parts(const fd_recurrence *r) {
    return r->projection ? FD_OF_CELLS : FD_OF_CELLS | FD_OF_OUTPUTS;
}

fd_cell_masks fd_step_masks(const fd_recurrence *r, const fd_recurrence_room *room, ptrdiff_t row,
                            ptrdiff_t unit0, int parts) {
    const fd_recurrent_masks *m = &r->layer->masks;
    fd_cell_masks masks = {.bit0 = unit0, .fresh_c = 1.0f, .fresh_h = 1.0f};
    if (parts & FD_OF_CELLS) {
        const uint32_t *update = room->update ? room->update : r->update;
        masks.ld = r->words;
        masks.update_scale = m->update.scale;
        masks.fresh_c = m->fresh_c;
        if (update) masks.update = update + row * r->words;
        if (room->zone_c) masks.zone_c = room->zone_c + row * r->words;
    }
    if (parts & FD_OF_OUTPUTS) {
        masks.ld = r->out_words;
        masks.seen_scale = m->hidden.scale;
        masks.seen_count = (int)r->copies;
        masks.fresh_h = m->fresh_h;
        for (ptrdiff_t g = 0; g < r->copies; g++)
            if (r->hidden[g]) masks.seen[g] = r->hidden[g] + row * r->out_words;
        if (room->zone_h) masks.zone_h = room->zone_h + row * r->out_words;
    }
    return masks;
}

void fd_rows_times_panel(const fd_table *k, float *c, ptrdiff_t ldc, const float *a, ptrdiff_t lda,
                         const float *panel, ptrdiff_t depth, ptrdiff_t rows, ptrdiff_t n,
                         int add) {
    const ptrdiff_t tiles = fd_ceil_div(rows, k->tile_m);
    fd_tile t = {.n = n, .k = depth, .lda = lda, .a_rows = 1, .b = panel, .ldc = ldc, .add = add};
    for (ptrdiff_t i = 0; i < tiles; i++) {
        const ptrdiff_t row = fd_cut(rows, tiles, i, 1);
        t.mr = fd_cut(rows, tiles, i + 1, 1) - row;
        t.a = a + row * lda;
        t.c = c + row * ldc;
        k->gemm_tile(&t);
    }
}

/* Multiplications of a row in a step. */
static double work_of(const fd_recurrence *r) {
    const double products = (double)r->gates + (r->projection ? 1.0 : 0.0);
    return products * (double)r->layer->units * (double)r->outs;
}

ptrdiff_t fd_recurrence_threads(const fd_recurrence *r, ptrdiff_t rows) {
    return (ptrdiff_t)((double)rows * work_of(r) / FD_PRODUCT_GRAIN) + 1;
}

ptrdiff_t fd_recurrence_chunk(const fd_recurrence *r, ptrdiff_t inputs) {
    const double units = (double)r->gates * (double)r->layer->units,
                 work = (double)r->batch * (work_of(r) + units * (double)inputs);
    return fd_max(1, (ptrdiff_t)(FD_PRODUCT_CHUNK / (work > 1.0 ? work : 1.0)));
}

int fd_by_units(const fd_recurrence *r, int threads) {
    return threads > 1 && r->batch < (ptrdiff_t)threads * FD_STEP_ROWS &&
           work_of(r) > (double)FD_STEP_WEIGHTS;
}
