/* Floor 3: sums and optimiser updates over threads. */
#include "runtime/cpu.h"
#include "fastdrop.h"
#include "runtime/parallel.h"

#include <math.h>

enum {
    GRAIN = 16384,
    BLOCK = 65536 /* elements of one partial sum: fixed, so that threads do not change the result */
};

typedef struct {
    const fd_table *k;
    float *p, *a, *b; /* parameter (or output) and states */
    const float *g;   /* gradient (or input) */
    ptrdiff_t rows, n;
    float f[8];
    int i[2];
} update_work;

static int over_threads(fd_task task, update_work *w, ptrdiff_t work, ptrdiff_t pieces) {
    w->k = fd_kernels();
    fd_region region;
    int status = fd_begin(&region, fd_min(fd_worth(work, GRAIN), fd_max(1, pieces)), 0);
    if (status != FD_OK) return status;
    fd_run(&region, task, w, 1);
    fd_end(&region);
    return FD_OK;
}

/* The part [at, at + n) of a flat array that is this thread's. */
#define MY_PART(total)                                                                             \
    const ptrdiff_t at = fd_cut(total, region->threads, thread, 64),                               \
                    n = fd_cut(total, region->threads, thread + 1, 64) - at;                       \
    if (n <= 0) return;

static void col_sum_task(const fd_region *region, int thread, void *context) {
    const update_work *w = context;
    MY_PART(w->n)
    memset(w->p + at, 0, (size_t)n * sizeof(float));
    w->k->col_sum(w->p + at, w->g + at, w->rows, n, w->n);
}

int fd_col_sum(float *out, const float *x, ptrdiff_t rows, ptrdiff_t cols) {
    update_work w = {.p = out, .g = x, .rows = rows, .n = cols};
    return over_threads(col_sum_task, &w, rows * cols, fd_ceil_div(cols, 64));
}

static void sumsq_task(const fd_region *region, int thread, void *context) {
    const update_work *w = context;
    double *partial = (double *)region->workspace; /* shared: thread 0's stretch holds all blocks */
    const ptrdiff_t blocks = fd_ceil_div(w->n, BLOCK),
                    end = fd_cut(blocks, region->threads, thread + 1, 1);
    for (ptrdiff_t b = fd_cut(blocks, region->threads, thread, 1); b < end; b++)
        partial[b] = w->k->sumsq(w->g + b * BLOCK, fd_min(BLOCK, w->n - b * BLOCK));
}

int fd_sumsq(double *out, const float *x, ptrdiff_t n) {
    update_work w = {.k = fd_kernels(), .g = x, .n = n};
    const ptrdiff_t blocks = fd_ceil_div(n, BLOCK);
    *out = 0.0;
    if (n == 0) return FD_OK;
    fd_region region;
    int status = fd_begin(&region, fd_min(fd_worth(n, GRAIN), blocks),
                          (size_t)blocks * sizeof(double));
    if (status != FD_OK) return status;
    fd_run(&region, sumsq_task, &w, 1);
    for (ptrdiff_t b = 0; b < blocks; b++) *out += ((const double *)region.workspace)[b];
    fd_end(&region);
    return FD_OK;
}

static void max_norm_task(const fd_region *region, int thread, void *context) {
    const update_work *w = context;
    const ptrdiff_t end = fd_cut(w->rows, region->threads, thread + 1, 1);
    for (ptrdiff_t r = fd_cut(w->rows, region->threads, thread, 1); r < end; r++) {
        float *row = w->p + r * w->n;
        const double norm = sqrt(w->k->sumsq(row, w->n));
        if (norm > w->f[0]) w->k->scale(row, row, w->n, (float)(w->f[0] / norm), 0);
    }
}

int fd_max_norm_rows(float *p, ptrdiff_t rows, ptrdiff_t cols, float c) {
    update_work w = {.p = p, .rows = rows, .n = cols, .f = {c}};
    return over_threads(max_norm_task, &w, rows * cols, rows);
}

static void sgd_task(const fd_region *region, int thread, void *context) {
    const update_work *w = context;
    MY_PART(w->n)
    w->k->sgd(w->p + at, w->g + at, w->a ? w->a + at : NULL, n, w->f[0], w->f[1], w->f[2], w->f[3],
              w->i[0], w->i[1]);
}

int fd_sgd(float *p, const float *g, float *buf, ptrdiff_t n, float lr, float momentum,
           float dampening, float weight_decay, int nesterov, int first) {
    update_work w = {.p = p,
                     .g = g,
                     .a = buf,
                     .n = n,
                     .f = {lr, momentum, dampening, weight_decay},
                     .i = {nesterov, first}};
    return over_threads(sgd_task, &w, n, n);
}

static void adam_task(const fd_region *region, int thread, void *context) {
    const update_work *w = context;
    MY_PART(w->n)
    w->k->adam(w->p + at, w->g + at, w->a + at, w->b + at, n, w->f[0], w->f[1], w->f[2], w->f[3],
               w->f[4], w->f[5], w->f[6], w->f[7]);
}

int fd_adam(float *p, const float *g, float *m, float *v, ptrdiff_t n, float step_size,
            double beta1, double beta2, float eps, float l2, float shrink, float v_scale) {
    update_work w = {.p = p,
                     .g = g,
                     .a = m,
                     .b = v,
                     .n = n,
                     .f = {step_size, (float)(1.0 - beta1), (float)beta2, (float)(1.0 - beta2), eps,
                           l2, shrink, v_scale}};
    return over_threads(adam_task, &w, n, n);
}

static void rmsprop_task(const fd_region *region, int thread, void *context) {
    const update_work *w = context;
    MY_PART(w->n)
    w->k->rmsprop(w->p + at, w->g + at, w->a + at, w->b ? w->b + at : NULL, n, w->f[0], w->f[1],
                  w->f[2], w->f[3], w->f[4], w->f[5]);
}

int fd_rmsprop(float *p, const float *g, float *v, float *buf, ptrdiff_t n, float lr, double alpha,
               float eps, float weight_decay, float momentum) {
    update_work w = {.p = p,
                     .g = g,
                     .a = v,
                     .b = buf,
                     .n = n,
                     .f = {lr, (float)alpha, (float)(1.0 - alpha), eps, weight_decay, momentum}};
    return over_threads(rmsprop_task, &w, n, n);
}
