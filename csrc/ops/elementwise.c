/* Floor 3: dropout, noise, activations and their backward. */
#include "runtime/chunks.h"

static void dropout_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                          ptrdiff_t units) {
    const ptrdiff_t at = row * w->units + unit0;
    w->k->dropout((float *)w->y + at, w->units, w->x + at, w->units, &w->drop, row, rows, unit0,
                  units, w->nt);
}

int fd_dropout(float *y, const float *x, ptrdiff_t rows, ptrdiff_t units, fd_drop drop) {
    if (!drop.stream) return fd_scale(y, x, rows * units, 1.0f);
    if (drop.q == 0) { /* zeros whatever x holds */
        memset(y, 0, (size_t)(rows * units) * sizeof(float));
        return FD_OK;
    }
    if (drop.q >= FD_KEEP_ALL) return fd_scale(y, x, rows * units, drop.scale);
    piece_work w = {.piece = dropout_piece,
                    .y = y,
                    .x = x,
                    .units = units,
                    .drop = drop,
                    .nt = y != x && fd_past_caches(rows * units)};
    return fd_for_pieces(&w, rows, 0);
}

static void scale_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                        ptrdiff_t units) {
    (void)row, (void)rows;
    w->k->scale((float *)w->y + unit0, w->x + unit0, units, w->scale, w->nt);
}

int fd_scale(float *y, const float *x, ptrdiff_t n, float s) {
    piece_work w = {
        .piece = scale_piece, .y = y, .x = x, .scale = s, .nt = y != x && fd_past_caches(n)};
    return fd_for_flat(&w, n, 0);
}

enum {
    SLICE = 2048
}; /* elements that activation and dropout do one after the other in the first cache */

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

int fd_act(float *y, const float *z, ptrdiff_t n, int kind, float alpha) {
    piece_work w = {.piece = act_piece, .y = y, .x = z, .kind = kind, .alpha = alpha};
    return fd_for_flat(&w, n, 1);
}

int fd_act_dropout(float *y, const float *z, ptrdiff_t rows, ptrdiff_t units, int kind, float alpha,
                   fd_drop drop) {
    if (drop.stream && drop.q == 0) return fd_dropout(y, z, rows, units, drop);
    if (drop.q >= FD_KEEP_ALL) drop.stream = NULL;
    piece_work w = {.piece = act_piece,
                    .y = y,
                    .x = z,
                    .units = units,
                    .kind = kind,
                    .alpha = alpha,
                    .drop = drop};
    return fd_for_pieces(&w, rows, 1);
}

/* ---- backward of activation and dropout, with the bias gradient ---- */

typedef struct {
    const fd_table *k;
    float *dz, *db;
    const float *dy, *saved;
    ptrdiff_t cols, per_sample;       /* of the array; its rows in one sample of the mask */
    ptrdiff_t row0, row1, col0, col1; /* the chunk */
    int kind;
    float alpha;
    fd_drop drop;
} backward_work;

/* Columns are cut over threads where db is wanted (each sum is one thread's, rows in order), rows
 * otherwise. */
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

int fd_act_backward(float *dz, float *db, const float *dy, const float *saved, ptrdiff_t rows,
                    ptrdiff_t cols, ptrdiff_t samples, int kind, float alpha, fd_drop drop) {
    if (rows == 0 || cols == 0 || (drop.stream && drop.q == 0)) {
        memset(dz, 0, (size_t)(rows * cols) * sizeof(float));
        if (db) memset(db, 0, (size_t)cols * sizeof(float));
        return FD_OK;
    }
    if (kind == FD_RELU && drop.q < FD_KEEP_ALL) drop.stream = NULL; /* its zeros are the mask */
    backward_work w = {.k = fd_kernels(),
                       .dz = dz,
                       .db = db,
                       .dy = dy,
                       .saved = saved,
                       .cols = cols,
                       .per_sample = rows / samples,
                       .kind = kind,
                       .alpha = alpha,
                       .drop = drop};
    const ptrdiff_t wide = fd_min(cols, FD_CHUNK), high = fd_max(1, FD_CHUNK / wide);
    for (w.col0 = 0; w.col0 < cols; w.col0 = w.col1) {
        w.col1 = fd_min(cols, w.col0 + wide);
        for (w.row0 = 0; w.row0 < rows; w.row0 = w.row1) {
            w.row1 = fd_min(rows, w.row0 + high);
            const ptrdiff_t most = db || w.row1 - w.row0 == 1 ? fd_ceil_div(wide, FD_GROUP)
                                                              : w.row1 - w.row0;
            fd_region region;
            int status = fd_begin(&region,
                                  fd_min(fd_worth((w.row1 - w.row0) * wide, FD_GRAIN), most), 0);
            if (status != FD_OK) return status;
            fd_run(&region, backward_task, &w, 1);
            fd_end(&region);
            if ((w.row1 < rows || w.col1 < cols) && fd_interrupted()) return FD_INTERRUPTED;
        }
    }
    return FD_OK;
}

/* ---- noise, and rates that are learned ---- */

static void noise_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                        ptrdiff_t units) {
    const ptrdiff_t at = row * w->units + unit0;
    w->k->noise((float *)w->y + at, w->x + at, w->s, row, rows, unit0, units, w->alpha, w->kind);
}

int fd_noise(float *y, const float *x, const fd_stream *s, ptrdiff_t rows, ptrdiff_t units,
             float sigma, int relative) {
    piece_work w = {.piece = noise_piece,
                    .y = y,
                    .x = x,
                    .s = s,
                    .units = units,
                    .alpha = sigma,
                    .kind = relative};
    return fd_for_pieces(&w, rows, 0);
}

static void concrete_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                           ptrdiff_t units) {
    for (ptrdiff_t r = row; r < row + rows; r++) {
        const ptrdiff_t at = r * w->units + unit0;
        w->k->concrete((float *)w->y + at, w->x + at, w->s, r, unit0, units, &w->concrete);
    }
}

int fd_concrete_forward(float *y, const float *x, const fd_stream *s, ptrdiff_t rows,
                        ptrdiff_t units, fd_concrete c) {
    piece_work w = {.piece = concrete_piece, .y = y, .x = x, .s = s, .units = units, .concrete = c};
    return fd_for_pieces(&w, rows, 0);
}

/* Rows are cut over threads, so that each row's sum is one thread's. */
static void concrete_backward_task(const fd_region *region, int thread, void *context) {
    const piece_work *w = context;
    const ptrdiff_t r1 = w->begin + fd_cut(w->end - w->begin, region->threads, thread + 1, 1);
    for (ptrdiff_t r = w->begin + fd_cut(w->end - w->begin, region->threads, thread, 1); r < r1;
         r++) {
        const ptrdiff_t at = r * w->units;
        w->sums[r] = w->k->concrete_backward((float *)w->y + at, w->x + at, w->saved + at, w->s, r,
                                             0, w->units, &w->concrete);
    }
}

int fd_concrete_backward(float *dx, double *dlogit, const float *dy, const float *x,
                         const fd_stream *s, ptrdiff_t rows, ptrdiff_t units, fd_concrete c) {
    piece_work w = {.k = fd_kernels(),
                    .y = dx,
                    .x = dy,
                    .saved = x,
                    .s = s,
                    .units = units,
                    .sums = dlogit,
                    .concrete = c};
    const ptrdiff_t chunk = fd_max(1, FD_CHUNK / fd_max(1, units));
    for (w.begin = 0; w.begin < rows; w.begin = w.end) {
        w.end = fd_min(rows, w.begin + chunk);
        fd_region region;
        int status = fd_begin(
            &region, fd_min(fd_worth((w.end - w.begin) * units, FD_GRAIN), w.end - w.begin), 0);
        if (status != FD_OK) return status;
        fd_run(&region, concrete_backward_task, &w, 0);
        fd_end(&region);
        if (w.end < rows && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}
