/* Activations, activation followed by dropout, and the backward pass of both. */
#include "runtime/chunks.h"

/* Elements for which activation and dropout run one after the other, so that they stay in the first
   cache. */
enum { SLICE = 2048 };

static void act_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                      ptrdiff_t units) {
    for (ptrdiff_t r = row; r < row + rows; r++)
        for (ptrdiff_t u = unit0; u < unit0 + units; u += SLICE) {
            const ptrdiff_t n = fd_min(SLICE, unit0 + units - u), at = r * w->units + u;
            float *y = (float *)w->y + at;
            w->k->act(y, w->x + at, n, w->kind, w->alpha);
            if (w->drop.stream) w->k->dropout(y, n, y, n, &w->drop, r, 1, u, n, 0);
        }
}

int fd_act(const fd_act_args *args) {
    piece_work w = {
        .piece = act_piece, .y = args->y, .x = args->z, .kind = args->kind, .alpha = args->alpha};
    return fd_for_flat(&w, args->n, 1);
}

int fd_act_dropout(const fd_act_dropout_args *args) {
    fd_drop drop = args->drop;
    if (drop.stream && drop.q == 0) { /* zeros, even where z is infinite or NaN */
        memset(args->y, 0, (size_t)(args->rows * args->units) * sizeof(float));
        return FD_OK;
    }
    if (drop.q >= FD_KEEP_ALL) drop.stream = NULL;
    piece_work w = {.piece = act_piece,
                    .y = args->y,
                    .x = args->z,
                    .units = args->units,
                    .kind = args->kind,
                    .alpha = args->alpha,
                    .drop = drop};
    return fd_for_pieces(&w, args->rows, 1);
}

/* ---- backward ---- */

typedef struct {
    const fd_table *k;
    float *dz, *db;
    const float *dy, *saved;
    ptrdiff_t cols, per_sample;       /* columns of the array; its rows in one sample of the mask */
    ptrdiff_t row0, row1, col0, col1; /* the chunk */
    int kind;
    float alpha;
    fd_drop drop;
} backward_work;

/* Threads take columns if db is wanted, so that one thread adds a column, rows in order; else they
   take rows. */
static void backward_task(const fd_region *region, int thread, void *context) {
    const backward_work *w = context;
    ptrdiff_t r0 = w->row0, r1 = w->row1, c0 = w->col0, c1 = w->col1;
    if (w->db || r1 - r0 == 1) {
        c0 += fd_cut(w->col1 - w->col0, region->threads, thread, FD_GROUP);
        c1 = w->col0 + fd_cut(w->col1 - w->col0, region->threads, thread + 1, FD_GROUP);
    } else {
        r0 += fd_cut(w->row1 - w->row0, region->threads, thread, 1);
        r1 = w->row0 + fd_cut(w->row1 - w->row0, region->threads, thread + 1, 1);
    }
    if (c0 >= c1 || r0 >= r1) return;
    if (w->db && r0 == 0) memset(w->db + c0, 0, (size_t)(c1 - c0) * sizeof(float));
    const fd_stream *s = w->drop.q < FD_KEEP_ALL ? w->drop.stream : NULL;
    const ptrdiff_t step = s ? (w->per_sample == 1 ? r1 - r0 : 1) : r1 - r0;
    for (ptrdiff_t r = r0; r < r1; r += step) {
        const ptrdiff_t at = r * w->cols + c0, unit0 = r % w->per_sample * w->cols + c0;
        w->k->act_backward(w->dz + at, w->db ? w->db + c0 : NULL, w->dy + at, w->saved + at, step,
                           c1 - c0, w->cols, w->kind, w->alpha, s, r / w->per_sample, unit0,
                           w->drop.q, w->drop.scale);
    }
}

int fd_act_backward(const fd_act_backward_args *args) {
    const ptrdiff_t rows = args->rows, cols = args->cols;
    fd_drop drop = args->drop;
    if (rows == 0 || cols == 0 || (drop.stream && drop.q == 0)) {
        memset(args->dz, 0, (size_t)(rows * cols) * sizeof(float));
        if (args->db) memset(args->db, 0, (size_t)cols * sizeof(float));
        return FD_OK;
    }
    /* zeros of ReLU's output are the mask */
    if (args->kind == FD_RELU && drop.q < FD_KEEP_ALL) drop.stream = NULL;
    backward_work w = {.k = fd_kernels(),
                       .dz = args->dz,
                       .db = args->db,
                       .dy = args->dy,
                       .saved = args->saved,
                       .cols = cols,
                       .per_sample = rows / args->samples,
                       .kind = args->kind,
                       .alpha = args->alpha,
                       .drop = drop};
    const ptrdiff_t wide = fd_min(cols, FD_CHUNK), high = fd_max(1, FD_CHUNK / wide);
    for (w.col0 = 0; w.col0 < cols; w.col0 = w.col1) {
        w.col1 = fd_min(cols, w.col0 + wide);
        for (w.row0 = 0; w.row0 < rows; w.row0 = w.row1) {
            w.row1 = fd_min(rows, w.row0 + high);
            const int by_column = w.db || w.row1 - w.row0 == 1;
            const ptrdiff_t most = by_column ? fd_ceil_div(wide, FD_GROUP) : w.row1 - w.row0;
            const ptrdiff_t worth = fd_worth((w.row1 - w.row0) * wide, FD_GRAIN);
            fd_region region;
            int status = fd_begin(&region, fd_min(worth, most), 0);
            if (status != FD_OK) return status;
            fd_run(&region, backward_task, &w, 1);
            fd_end(&region);
            if ((w.row1 < rows || w.col1 < cols) && fd_interrupted()) return FD_INTERRUPTED;
        }
    }
    return FD_OK;
}
