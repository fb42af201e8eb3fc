/* A dense layer with sparse weights (CSR). Samples are packed side by side in panels, so that a
   nonzero is multiplied with a vector of samples; a few samples are taken one by one. */
#include "fastdrop.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

enum { ALONE = 3 }; /* fewer samples are taken one by one: a panel would be mostly empty */

typedef struct {
    const fd_table *k;
    const fd_sparse_linear_args *args;
    ptrdiff_t begin, end; /* the chunk, in panels */
} sparse_work;

static void panels_task(const fd_region *region, int thread, void *context) {
    const sparse_work *w = context;
    const fd_sparse_linear_args *a = w->args;
    const ptrdiff_t width = w->k->tile_n, ins = a->w.ins, outs = a->w.outs,
                    panels = w->end - w->begin;
    float *panel = (float *)(void *)(region->workspace + (size_t)thread * region->stride);
    /* threads take panels, or outputs if there are fewer panels than threads */
    const int by_outs = panels < region->threads;
    const ptrdiff_t p0 = by_outs ? 0 : fd_cut(panels, region->threads, thread, 1),
                    p1 = by_outs ? panels : fd_cut(panels, region->threads, thread + 1, 1);
    const ptrdiff_t o0 = by_outs ? fd_cut(outs, region->threads, thread, 16) : 0,
                    o1 = by_outs ? fd_cut(outs, region->threads, thread + 1, 16) : outs;
    for (ptrdiff_t p = w->begin + p0; p < w->begin + p1 && o0 < o1; p++) {
        const ptrdiff_t n = fd_min(width, a->rows - p * width);
        w->k->pack_panels_t(panel, ins * width, a->x + p * width * ins, ins, ins, n);
        w->k->sparse_panel(a->y + p * width * outs, outs, panel, &a->w, o0, o1, n);
    }
}

static void alone_task(const fd_region *region, int thread, void *context) {
    const sparse_work *w = context;
    const fd_sparse_linear_args *a = w->args;
    const ptrdiff_t outs = a->w.outs, o0 = fd_cut(outs, region->threads, thread, 16),
                    o1 = fd_cut(outs, region->threads, thread + 1, 16);
    for (ptrdiff_t n = 0; n < a->rows; n++)
        w->k->sparse_row(a->y + n * outs, a->x + n * a->w.ins, &a->w, o0, o1);
}

int fd_sparse_linear(const fd_sparse_linear_args *args) {
    const ptrdiff_t rows = args->rows;
    if (rows == 0 || args->w.outs == 0) return FD_OK;
    fd_sparse_linear_args checked = *args;
    fd_csr *weights = &checked.w;
    if (weights->nonzeros == 0) weights->nonzeros = (ptrdiff_t)weights->starts[weights->outs];
    sparse_work w = {.k = fd_kernels(), .args = &checked};
    const ptrdiff_t nonzeros = weights->nonzeros + weights->outs, width = w.k->tile_n;
    fd_region region;
    if (rows < ALONE) {
        int status = fd_begin(&region, fd_worth(rows * nonzeros, FD_SPARSE_GRAIN), 0);
        if (status != FD_OK) return status;
        fd_run(&region, alone_task, &w, 1);
        fd_end(&region);
        return FD_OK;
    }
    const ptrdiff_t panels = fd_ceil_div(rows, width),
                    chunk = fd_max(64, FD_SPARSE_CHUNK / fd_max(1, nonzeros));
    for (w.begin = 0; w.begin < panels; w.begin = w.end) {
        w.end = fd_min(panels, w.begin + chunk);
        int status = fd_begin(&region, fd_worth((w.end - w.begin) * nonzeros, FD_SPARSE_GRAIN),
                              (size_t)(weights->ins * width + FD_TILE_N_MOST) * sizeof(float));
        if (status != FD_OK) return status;
        fd_run(&region, panels_task, &w, 1);
        fd_end(&region);
        if (w.end < panels && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}
