/* Floor 3: a dense layer whose weights are sparse (CSR): samples are packed side by side, so that a
   nonzero meets a vector of them; a few samples are taken one by one. */
#include "runtime/cpu.h"
#include "fastdrop.h"
#include "runtime/parallel.h"

enum {
    ALONE = 3,
    GRAIN = 1 << 15,
    CHUNK = 1 << 27
}; /* samples up to which they are taken one by one (panels are then mostly empty) */

typedef struct {
    const fd_table *k;
    float *y;
    const float *x;
    const fd_csr *w;
    ptrdiff_t rows, begin, end; /* the chunk, in panels or, alone, in outputs */
} sparse_work;

static void panels_task(const fd_region *region, int thread, void *context) {
    const sparse_work *w = context;
    const ptrdiff_t width = w->k->tile_n, ins = w->w->ins, outs = w->w->outs,
                    panels = w->end - w->begin;
    float *panel = (float *)(void *)(region->workspace + (size_t)thread * region->stride);
    /* threads cut panels of samples, or the outputs where there are fewer panels than threads */
    const int by_outs = panels < region->threads;
    const ptrdiff_t p0 = by_outs ? 0 : fd_cut(panels, region->threads, thread, 1),
                    p1 = by_outs ? panels : fd_cut(panels, region->threads, thread + 1, 1);
    const ptrdiff_t o0 = by_outs ? fd_cut(outs, region->threads, thread, 16) : 0,
                    o1 = by_outs ? fd_cut(outs, region->threads, thread + 1, 16) : outs;
    for (ptrdiff_t p = w->begin + p0; p < w->begin + p1 && o0 < o1; p++) {
        const ptrdiff_t n = fd_min(width, w->rows - p * width);
        w->k->pack_panels_t(panel, ins * width, w->x + p * width * ins, ins, ins, n);
        w->k->sparse_panel(w->y + p * width * outs, outs, panel, w->w, o0, o1, n);
    }
}

static void alone_task(const fd_region *region, int thread, void *context) {
    const sparse_work *w = context;
    const ptrdiff_t outs = w->w->outs, o0 = fd_cut(outs, region->threads, thread, 16),
                    o1 = fd_cut(outs, region->threads, thread + 1, 16);
    for (ptrdiff_t n = 0; n < w->rows; n++)
        w->k->sparse_row(w->y + n * outs, w->x + n * w->w->ins, w->w, o0, o1);
}

int fd_sparse_linear(float *y, const float *x, ptrdiff_t rows, const fd_csr *given) {
    if (rows == 0 || given->outs == 0) return FD_OK;
    sparse_work w = {.k = fd_kernels(), .y = y, .x = x, .w = given, .rows = rows};
    const ptrdiff_t nonzeros = (ptrdiff_t)given->starts[given->outs] + given->outs,
                    width = w.k->tile_n;
    fd_region region;
    if (rows < ALONE) {
        int status = fd_begin(&region, fd_worth(rows * nonzeros, GRAIN), 0);
        if (status != FD_OK) return status;
        fd_run(&region, alone_task, &w, 1);
        fd_end(&region);
        return FD_OK;
    }
    const ptrdiff_t panels = fd_ceil_div(rows, width),
                    chunk = fd_max(64, CHUNK / fd_max(1, nonzeros));
    for (w.begin = 0; w.begin < panels; w.begin = w.end) {
        w.end = fd_min(panels, w.begin + chunk);
        int status = fd_begin(&region, fd_worth((w.end - w.begin) * nonzeros, GRAIN),
                              (size_t)(given->ins * width + 64) * sizeof(float));
        if (status != FD_OK) return status;
        fd_run(&region, panels_task, &w, 1);
        fd_end(&region);
        if (w.end < panels && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}
