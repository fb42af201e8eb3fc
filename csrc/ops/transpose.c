/* Transposition of the images of a batch. */
#include "fastdrop.h"
#include "kernels/table.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

typedef struct {
    const fd_table *k;
    const fd_transpose_args *args;
    ptrdiff_t begin, end; /* the chunk, in strips counted over all images */
} transpose_work;

/* A strip: so many rows of x. A few lines of y are open at a time. */
enum { STRIP = 64 };

static void transpose_task(const fd_region *region, int thread, void *context) {
    const transpose_work *w = context;
    const fd_transpose_args *a = w->args;
    const ptrdiff_t strips = fd_ceil_div(a->rows, STRIP), n = w->end - w->begin,
                    end = w->begin + fd_cut(n, region->threads, thread + 1, 1);
    for (ptrdiff_t s = w->begin + fd_cut(n, region->threads, thread, 1); s < end; s++) {
        const ptrdiff_t image = s / strips * a->rows * a->columns, row = s % strips * STRIP;
        w->k->transpose(a->y + image + row, a->rows, a->x + image + row * a->columns, a->columns,
                        fd_min(STRIP, a->rows - row), a->columns);
    }
}

int fd_transpose(const fd_transpose_args *a) {
    const ptrdiff_t strips = a->images * fd_ceil_div(a->rows, STRIP),
                    elements = fd_max(1, fd_min(STRIP, a->rows) * a->columns),
                    chunk = fd_max(1, FD_CHUNK / elements);
    transpose_work w = {.k = fd_kernels(), .args = a};
    if (a->columns == 0) return FD_OK;
    for (; w.begin < strips; w.begin = w.end) {
        w.end = fd_min(strips, w.begin + chunk);
        fd_region region;
        int status = fd_begin(&region, fd_worth((w.end - w.begin) * elements, FD_GRAIN), 0);
        if (status != FD_OK) return status;
        fd_run(&region, transpose_task, &w, 0);
        fd_end(&region);
        if (w.end < strips && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}
