/* Normalisation. Sums are made in blocks of rows, in float32, and the blocks are added in float64
   in order, so results do not depend on the threads. */
#include "fastdrop.h"
#include "kernels/table.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

#include <stdlib.h>

typedef struct norm_work {
    /* Rows [row, row + rows) of a set; sums: of this block, 2 x channels. */
    void (*block)(const struct norm_work *w, float *sums, ptrdiff_t set, ptrdiff_t row,
                  ptrdiff_t rows);
    const fd_table *k;
    const void *args; /* of the call */
    fd_norm_shape shape;
    int uncached;
    float *partial;       /* blocks of a chunk x 2 x channels, where there are sums */
    ptrdiff_t begin, end; /* the chunk, in blocks counted over all sets */
} norm_work;

static ptrdiff_t blocks_of(const fd_norm_shape *s) { return fd_ceil_div(s->rows, FD_NORM_ROWS); }

static void norm_task(const fd_region *region, int thread, void *context) {
    const norm_work *w = context;
    const ptrdiff_t blocks = blocks_of(&w->shape), n = w->end - w->begin,
                    end = w->begin + fd_cut(n, region->threads, thread + 1, 1);
    for (ptrdiff_t b = w->begin + fd_cut(n, region->threads, thread, 1); b < end; b++) {
        const ptrdiff_t row = b % blocks * FD_NORM_ROWS;
        w->block(w, w->partial ? w->partial + (b - w->begin) * 2 * w->shape.channels : NULL,
                 b / blocks, row, fd_min(FD_NORM_ROWS, w->shape.rows - row));
    }
    if (w->uncached) w->k->uncached_end();
}

/* total: NULL, or sets x 2 x channels, the sums of all blocks. */
static int run(norm_work *w, double *total) {
    const fd_norm_shape *s = &w->shape;
    const ptrdiff_t blocks = blocks_of(s), all = s->sets * blocks, width = 2 * s->channels,
                    elements = FD_NORM_ROWS * s->channels, chunk = fd_max(1, FD_CHUNK / elements);
    w->k = fd_kernels();
    for (w->begin = 0; w->begin < all; w->begin = w->end) {
        w->end = fd_min(all, w->begin + chunk);
        const ptrdiff_t n = w->end - w->begin;
        fd_region region;
        int status = fd_begin(&region, fd_min(n, fd_worth(n * elements, FD_GRAIN)),
                              total ? (size_t)(n * width) * sizeof(float) : 0);
        if (status != FD_OK) return status;
        w->partial = total ? (float *)(void *)region.workspace : NULL;
        fd_run(&region, norm_task, w, 1);
        for (ptrdiff_t b = 0; total && b < n; b++)
            for (ptrdiff_t i = 0; i < width; i++)
                total[(w->begin + b) / blocks * width + i] += (double)w->partial[b * width + i];
        fd_end(&region);
        if (w->end < all && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}

static int is_empty(const fd_norm_shape *s) {
    return s->sets == 0 || s->rows == 0 || s->channels == 0;
}

static void block_of_moments(const norm_work *w, float *sums, ptrdiff_t set, ptrdiff_t row,
                             ptrdiff_t rows) {
    const fd_moments_args *a = w->args;
    const ptrdiff_t channels = w->shape.channels;
    const float *x = a->x + (set * w->shape.rows + row) * channels;
    w->k->moments(sums, sums + channels, x, a->mean + set * channels, rows, channels);
}

/* The means of the first rows of a set, as the origin of its sums: squares of numbers that are far
   from 0 would lose their digits, and so would those of distances from one row that is far off. */
static void set_origin(const fd_moments_args *a, ptrdiff_t set) {
    enum { FIRST = 16 };
    const ptrdiff_t channels = a->shape.channels, rows = fd_min(FIRST, a->shape.rows);
    const float *x = a->x + set * a->shape.rows * channels;
    for (ptrdiff_t c = 0; c < channels; c++) {
        double sum = 0.0;
        for (ptrdiff_t r = 0; r < rows; r++) sum += (double)x[r * channels + c];
        a->mean[set * channels + c] = (float)(sum / (double)rows);
    }
}

int fd_moments(const fd_moments_args *a) {
    const fd_norm_shape *s = &a->shape;
    if (is_empty(s)) return FD_OK;
    double *total = calloc((size_t)(s->sets * 2 * s->channels), sizeof(double));
    if (!total) return FD_NO_MEMORY;
    norm_work w = {.block = block_of_moments, .args = a, .shape = *s};
    for (ptrdiff_t set = 0; set < s->sets; set++) set_origin(a, set);
    const int status = run(&w, total);
    for (ptrdiff_t set = 0; set < s->sets && status == FD_OK; set++) {
        const double *sum = total + set * 2 * s->channels, *square = sum + s->channels;
        for (ptrdiff_t c = 0; c < s->channels; c++) {
            const double mean = sum[c] / (double)s->rows,
                         variance = square[c] / (double)s->rows - mean * mean;
            const ptrdiff_t at = set * s->channels + c;
            a->mean[at] = (float)((double)a->mean[at] + mean);
            a->variance[at] = variance < 0.0 ? 0.0f : (float)variance;
        }
    }
    free(total);
    return status;
}

static void block_of_normalize(const norm_work *w, float *sums, ptrdiff_t set, ptrdiff_t row,
                               ptrdiff_t rows) {
    (void)sums;
    w->k->normalize(w->args, set, row, rows, w->uncached);
}

/* Whether whole vectors go past the caches: y is aligned with its rows. */
static int is_uncached(const float *y, const fd_norm_shape *s) {
    return fd_exceeds_caches(s->sets * s->rows * s->channels) &&
           s->channels % (FD_CACHE_LINE / (ptrdiff_t)sizeof(float)) == 0 &&
           (uintptr_t)y % FD_CACHE_LINE == 0;
}

int fd_normalize(const fd_normalize_args *a) {
    if (is_empty(&a->shape)) return FD_OK;
    norm_work w = {.block = block_of_normalize,
                   .args = a,
                   .shape = a->shape,
                   .uncached = a->y != a->x && is_uncached(a->y, &a->shape)};
    return run(&w, NULL);
}

static void block_of_sums(const norm_work *w, float *sums, ptrdiff_t set, ptrdiff_t row,
                          ptrdiff_t rows) {
    w->k->normalize_sums(w->args, sums, sums + w->shape.channels, set, row, rows);
}

int fd_normalize_sums(const fd_normalize_sums_args *a) {
    const fd_norm_shape *s = &a->shape;
    const ptrdiff_t n = s->sets * s->channels;
    if (n == 0) return FD_OK;
    double *total = calloc((size_t)(2 * n), sizeof(double));
    if (!total) return FD_NO_MEMORY;
    norm_work w = {.block = block_of_sums, .args = a, .shape = *s};
    const int status = s->rows ? run(&w, total) : FD_OK;
    for (ptrdiff_t i = 0; i < n && status == FD_OK; i++) {
        const double *sums = total + i / s->channels * 2 * s->channels + i % s->channels;
        a->sum[i] = (float)sums[0];
        a->sum_x[i] = (float)sums[s->channels];
    }
    free(total);
    return status;
}

static void block_of_dx(const norm_work *w, float *sums, ptrdiff_t set, ptrdiff_t row,
                        ptrdiff_t rows) {
    (void)sums;
    w->k->normalize_dx(w->args, set, row, rows, w->uncached);
}

int fd_normalize_dx(const fd_normalize_dx_args *a) {
    if (is_empty(&a->shape)) return FD_OK;
    norm_work w = {.block = block_of_dx,
                   .args = a,
                   .shape = a->shape,
                   .uncached = a->dx != a->dy && a->dx != a->x && is_uncached(a->dx, &a->shape)};
    return run(&w, NULL);
}

/* ---- rows ---- */

static void block_of_rows(const norm_work *w, float *sums, ptrdiff_t set, ptrdiff_t row,
                          ptrdiff_t rows) {
    (void)sums, (void)set;
    w->k->row_norm(w->args, row, rows);
}

int fd_row_norm(const fd_row_norm_args *a) {
    norm_work w = {.block = block_of_rows, .args = a, .shape = {1, a->rows, a->n}};
    return is_empty(&w.shape) ? FD_OK : run(&w, NULL);
}

static void block_of_rows_backward(const norm_work *w, float *sums, ptrdiff_t set, ptrdiff_t row,
                                   ptrdiff_t rows) {
    const ptrdiff_t n = w->shape.channels;
    (void)set;
    if (sums) memset(sums, 0, (size_t)(2 * n) * sizeof(float));
    w->k->row_norm_backward(w->args, sums, sums ? sums + n : NULL, row, rows);
}

int fd_row_norm_backward(const fd_row_norm_backward_args *a) {
    norm_work w = {.block = block_of_rows_backward, .args = a, .shape = {1, a->rows, a->n}};
    if (!a->dweight) return is_empty(&w.shape) ? FD_OK : run(&w, NULL);
    double *total = calloc((size_t)(2 * a->n) + 1, sizeof(double));
    if (!total) return FD_NO_MEMORY;
    const int status = is_empty(&w.shape) ? FD_OK : run(&w, total);
    for (ptrdiff_t i = 0; i < a->n && status == FD_OK; i++) {
        a->dweight[i] = (float)total[i];
        a->dbias[i] = (float)total[a->n + i];
    }
    free(total);
    return status;
}
