/* Concrete dropout (Gal, Hron, Kendall, 2017): dropout whose rate is learned. */
#include "runtime/chunks.h"

static void concrete_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                           ptrdiff_t units) {
    for (ptrdiff_t r = row; r < row + rows; r++) {
        const ptrdiff_t at = r * w->units + unit0;
        w->k->concrete((float *)w->y + at, w->x + at, w->s, r, unit0, units, &w->concrete);
    }
}

int fd_concrete_forward(const fd_concrete_forward_args *args) {
    piece_work w = {.piece = concrete_piece,
                    .y = args->y,
                    .x = args->x,
                    .s = args->stream,
                    .units = args->units,
                    .concrete = args->concrete};
    return fd_for_pieces(&w, args->rows, 0);
}

/* Threads take rows, so that one thread adds a row. */
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

int fd_concrete_backward(const fd_concrete_backward_args *args) {
    piece_work w = {.k = fd_kernels(),
                    .y = args->dx,
                    .x = args->dy,
                    .saved = args->x,
                    .s = args->stream,
                    .units = args->units,
                    .sums = args->dlogit,
                    .concrete = args->concrete};
    const ptrdiff_t rows = args->rows, chunk = fd_max(1, FD_CHUNK / fd_max(1, args->units));
    for (w.begin = 0; w.begin < rows; w.begin = w.end) {
        w.end = fd_min(rows, w.begin + chunk);
        const ptrdiff_t worth = fd_worth((w.end - w.begin) * w.units, FD_GRAIN);
        fd_region region;
        int status = fd_begin(&region, fd_min(worth, w.end - w.begin), 0);
        if (status != FD_OK) return status;
        fd_run(&region, concrete_backward_task, &w, 0);
        fd_end(&region);
        if (w.end < rows && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}
