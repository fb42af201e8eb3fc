/* Column sums and sums of squares. */
#include "fastdrop.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

typedef struct {
    const fd_table *k;
    const void *args; /* of the call */
} sum_work;

static void col_sum_task(const fd_region *region, int thread, void *context) {
    const sum_work *w = context;
    const fd_col_sum_args *a = w->args;
    const ptrdiff_t at = fd_cut(a->cols, region->threads, thread, 64),
                    n = fd_cut(a->cols, region->threads, thread + 1, 64) - at;
    if (n <= 0) return;
    memset(a->out + at, 0, (size_t)n * sizeof(float));
    w->k->col_sum(a->out + at, a->x + at, a->rows, n, a->cols);
}

int fd_col_sum(const fd_col_sum_args *args) {
    sum_work w = {fd_kernels(), args};
    const ptrdiff_t most = fd_max(1, fd_ceil_div(args->cols, 64)); /* threads take columns */
    fd_region region;
    int status = fd_begin(&region, fd_min(fd_worth(args->rows * args->cols, FD_GRAIN), most), 0);
    if (status != FD_OK) return status;
    fd_run(&region, col_sum_task, &w, 1);
    fd_end(&region);
    return FD_OK;
}

static void sumsq_task(const fd_region *region, int thread, void *context) {
    const sum_work *w = context;
    const fd_sumsq_args *a = w->args;
    double *partial = (double *)region->workspace; /* the first thread's part holds all blocks */
    const ptrdiff_t blocks = fd_ceil_div(a->n, FD_SUM_BLOCK),
                    end = fd_cut(blocks, region->threads, thread + 1, 1);
    for (ptrdiff_t b = fd_cut(blocks, region->threads, thread, 1); b < end; b++)
        partial[b] = w->k->sumsq(a->x + b * FD_SUM_BLOCK,
                                 fd_min(FD_SUM_BLOCK, a->n - b * FD_SUM_BLOCK));
}

int fd_sumsq(const fd_sumsq_args *args) {
    sum_work w = {fd_kernels(), args};
    const ptrdiff_t n = args->n, blocks = fd_ceil_div(n, FD_SUM_BLOCK);
    *args->out = 0.0;
    if (n == 0) return FD_OK;
    fd_region region;
    int status = fd_begin(&region, fd_min(fd_worth(n, FD_GRAIN), blocks),
                          (size_t)blocks * sizeof(double));
    if (status != FD_OK) return status;
    fd_run(&region, sumsq_task, &w, 1);
    for (ptrdiff_t b = 0; b < blocks; b++) *args->out += ((const double *)region.workspace)[b];
    fd_end(&region);
    return FD_OK;
}
