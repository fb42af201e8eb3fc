/* See chunks.h. */
#include "runtime/chunks.h"

/* A thread's part of the chunk, as pieces: the end of a row, whole rows, the beginning of a row.
   Threads are cut at multiples of 8 groups, 4 KiB of floats. */
static void run_pieces(const fd_region *region, int thread, void *context) {
    const piece_work *w = context;
    ptrdiff_t at = w->begin + fd_cut(w->end - w->begin, region->threads, thread, 8);
    const ptrdiff_t end = w->begin + fd_cut(w->end - w->begin, region->threads, thread + 1, 8);
    while (at < end) {
        const ptrdiff_t row = at / w->groups, group = at % w->groups, left = end - at;
        if (group == 0 && left >= w->groups) { /* whole rows */
            w->piece(w, row, left / w->groups, 0, w->units);
            at += left / w->groups * w->groups;
        } else {
            const ptrdiff_t groups = fd_min(left, w->groups - group);
            w->piece(w, row, 1, group * FD_GROUP,
                     fd_min(groups * FD_GROUP, w->units - group * FD_GROUP));
            at += groups;
        }
    }
    if (w->uncached) w->k->uncached_end();
}

int fd_for_pieces(piece_work *w, ptrdiff_t rows, int flush) {
    if (rows == 0 || w->units == 0) return FD_OK;
    w->k = fd_kernels();
    w->groups = fd_ceil_div(w->units, FD_GROUP);
    const ptrdiff_t total = rows * w->groups, chunk = FD_CHUNK / FD_GROUP;
    for (w->begin = 0; w->begin < total; w->begin = w->end) {
        w->end = fd_min(total, w->begin + chunk);
        fd_region region;
        int status = fd_begin(&region, fd_worth((w->end - w->begin) * FD_GROUP, FD_GRAIN), 0);
        if (status != FD_OK) return status;
        fd_run(&region, run_pieces, w, flush);
        fd_end(&region);
        if (w->end < total && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}

int fd_for_flat(piece_work *w, ptrdiff_t n, int flush) {
    w->units = n;
    return fd_for_pieces(w, 1, flush);
}
