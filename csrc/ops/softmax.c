/* Softmax of rows, one thread a row. */
#include "fastdrop.h"
#include "kernels/table.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"
#include <string.h>

typedef struct softmax_work {
    void (*some)(const struct softmax_work *w, ptrdiff_t row, ptrdiff_t rows);
    const fd_table *k;
    const void *args;     /* of the call */
    ptrdiff_t begin, end; /* the chunk, in rows */
} softmax_work;

static void softmax_task(const fd_region *region, int thread, void *context) {
    const softmax_work *w = context;
    const ptrdiff_t n = w->end - w->begin, row = fd_cut(n, region->threads, thread, 1),
                    end = fd_cut(n, region->threads, thread + 1, 1);
    if (row < end) w->some(w, w->begin + row, end - row);
}

static int run(softmax_work *w, ptrdiff_t rows, ptrdiff_t n) {
    const ptrdiff_t chunk = fd_max(1, FD_CHUNK / n);
    w->k = fd_kernels();
    for (w->begin = 0; w->begin < rows; w->begin = w->end) {
        w->end = fd_min(rows, w->begin + chunk);
        fd_region region;
        int status = fd_begin(&region, fd_worth((w->end - w->begin) * n, FD_GRAIN), 0);
        if (status != FD_OK) return status;
        fd_run(&region, softmax_task, w, 1);
        fd_end(&region);
        if (w->end < rows && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}

static void some_sums(const softmax_work *w, ptrdiff_t row, ptrdiff_t rows) {
    const fd_log_sum_exp_args *a = w->args;
    w->k->log_sum_exp(a->most + row, a->log_sum + row, a->x + row * a->n, rows, a->n);
    for (ptrdiff_t r = row; a->losses && r < row + rows; r++) {
        const float loss = a->most[r] - a->x[r * a->n + a->labels[r]] + a->log_sum[r];
        a->losses[r] = a->weights[r] == 0.0f ? 0.0f : a->weights[r] * loss;
    }
}

int fd_log_sum_exp(const fd_log_sum_exp_args *a) {
    softmax_work w = {.some = some_sums, .args = a};
    return run(&w, a->rows, a->n);
}

static void some_rows(const softmax_work *w, ptrdiff_t row, ptrdiff_t rows) {
    const fd_scaled_softmax_args *a = w->args;
    w->k->scaled_softmax(a->y + row * a->n, a->x + row * a->n, a->most + row, a->log_sum + row,
                         a->factor + row, rows, a->n);
    for (ptrdiff_t r = row; a->labels && r < row + rows; r++) {
        if (a->factor[r] == 0.0f) memset(a->y + r * a->n, 0, (size_t)a->n * sizeof(float));
        a->y[r * a->n + a->labels[r]] -= a->factor[r];
    }
}

int fd_scaled_softmax(const fd_scaled_softmax_args *a) {
    softmax_work w = {.some = some_rows, .args = a};
    return a->n ? run(&w, a->rows, a->n) : FD_OK;
}
