/* Steps of the optimisers, and the limit on the norm of rows. */
#include "fastdrop.h"
#include "product/dense.h"
#include "product/thinned_matrix.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

#include <math.h>

typedef struct {
    const fd_table *k;
    const void *args; /* of the call */
} update_work;

/* `work` elements in `pieces` pieces that threads can take. */
static int over_threads(fd_task task, const void *args, ptrdiff_t work, ptrdiff_t pieces) {
    update_work w = {fd_kernels(), args};
    fd_region region;
    int status = fd_begin(&region, fd_min(fd_worth(work, FD_GRAIN), fd_max(1, pieces)), 0);
    if (status != FD_OK) return status;
    fd_run(&region, task, &w, 1);
    fd_end(&region);
    return FD_OK;
}

/* The part [at, at + n) of `total` elements that this thread takes. */
#define MY_PART(total)                                                                             \
    const ptrdiff_t at = fd_cut(total, region->threads, thread, 64),                               \
                    n = fd_cut(total, region->threads, thread + 1, 64) - at;                       \
    if (n <= 0) return;

static void max_norm_task(const fd_region *region, int thread, void *context) {
    const update_work *w = context;
    const fd_max_norm_rows_args *a = w->args;
    const ptrdiff_t end = fd_cut(a->rows, region->threads, thread + 1, 1);
    for (ptrdiff_t r = fd_cut(a->rows, region->threads, thread, 1); r < end; r++) {
        float *row = a->w + r * a->cols;
        const double norm = sqrt(w->k->sumsq(row, a->cols));
        if (norm > a->c) w->k->scale(row, row, a->cols, (float)(a->c / norm), 0);
    }
}

int fd_max_norm_rows(const fd_max_norm_rows_args *args) {
    return over_threads(max_norm_task, args, args->rows * args->cols, args->rows);
}

static void sgd_task(const fd_region *region, int thread, void *context) {
    const update_work *w = context;
    const fd_sgd_args *a = w->args;
    MY_PART(a->n)
    w->k->sgd(a->p + at, a->g + at, a->buf ? a->buf + at : NULL, 1, 0, 0, n, a->lr, a->momentum,
              a->dampening, a->weight_decay, a->nesterov, a->first);
}

/* The update as the epilogue of the product that is the gradient. The tiles fetch what it reads. */
static void sgd_start(const fd_nest *nest, fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                      ptrdiff_t jc, ptrdiff_t nc) {
    const fd_sgd_args *a = nest->out.context;
    const ptrdiff_t at = i * nest->n + jc;
    (void)s, (void)nc;
    t->fetch[0] = a->p + at;
    t->fetch[1] = a->buf ? a->buf + at : NULL;
    t->fetch_ld = nest->n;
}

static void sgd_finish(const fd_nest *nest, const fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                       ptrdiff_t jc, ptrdiff_t nc) {
    const fd_sgd_args *a = nest->out.context;
    const ptrdiff_t at = i * nest->n + jc;
    nest->kernels->sgd(a->p + at, s->tile, a->buf ? a->buf + at : NULL, t->mr, nest->n, t->ldc, nc,
                       a->lr, a->momentum, a->dampening, a->weight_decay, a->nesterov, a->first);
}

int fd_sgd(const fd_sgd_args *args) {
    if (args->product)
        return fd_gemm_into(args->product, (fd_epilogue){sgd_start, sgd_finish, args});
    return over_threads(sgd_task, args, args->n, args->n);
}

/* Each row of the gradient is made in a buffer that stays in the first cache. */
typedef struct {
    const fd_table *k;
    const fd_sgd_args *sgd;
    const fd_thin_put_args *gradient;
} thin_work;

static void thin_sgd_task(const fd_region *region, int thread, void *context) {
    const thin_work *w = context;
    const fd_sgd_args *a = w->sgd;
    const ptrdiff_t rows = w->gradient->m, n = w->gradient->units,
                    begin = fd_cut(rows, region->threads, thread, 1),
                    end = fd_cut(rows, region->threads, thread + 1, 1);
    float *g = (float *)(void *)(region->workspace + (size_t)thread * region->stride);
    fd_thin_reader reader = fd_thin_reader_from(w->gradient, begin);
    for (ptrdiff_t i = begin; i < end; i++) {
        fd_thin_read_row(&reader, i, g, 0);
        w->k->sgd(a->p + i * n, g, a->buf ? a->buf + i * n : NULL, 1, 0, 0, n, a->lr, a->momentum,
                  a->dampening, a->weight_decay, a->nesterov, a->first);
    }
}

int fd_thin_sgd(const fd_sgd_args *args, const fd_thin_put_args *gradient) {
    if (gradient->m == 0 || gradient->units == 0) return FD_OK;
    thin_work w = {fd_kernels(), args, gradient};
    fd_region region;
    int status = fd_begin(&region, fd_min(fd_worth(args->n, FD_GRAIN), gradient->m),
                          (size_t)gradient->units * sizeof(float));
    if (status != FD_OK) return status;
    fd_run(&region, thin_sgd_task, &w, 1);
    fd_end(&region);
    return FD_OK;
}

static void adam_task(const fd_region *region, int thread, void *context) {
    const update_work *w = context;
    const fd_adam_args *a = w->args;
    MY_PART(a->n)
    w->k->adam(a->p + at, a->g + at, a->m + at, a->v + at, n, a->step_size, (float)(1.0 - a->beta1),
               (float)a->beta2, (float)(1.0 - a->beta2), a->eps, a->l2, a->shrink, a->v_scale);
}

int fd_adam(const fd_adam_args *args) { return over_threads(adam_task, args, args->n, args->n); }

static void rmsprop_task(const fd_region *region, int thread, void *context) {
    const update_work *w = context;
    const fd_rmsprop_args *a = w->args;
    MY_PART(a->n)
    w->k->rmsprop(a->p + at, a->g + at, a->v + at, a->buf ? a->buf + at : NULL, n, a->lr,
                  (float)a->alpha, (float)(1.0 - a->alpha), a->eps, a->weight_decay, a->momentum);
}

int fd_rmsprop(const fd_rmsprop_args *args) {
    return over_threads(rmsprop_task, args, args->n, args->n);
}
