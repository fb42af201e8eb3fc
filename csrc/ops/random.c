/* Arrays of uniform and normal random numbers. */
#include "runtime/chunks.h"

static void uniform_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                          ptrdiff_t units) {
    for (ptrdiff_t r = row; r < row + rows; r++)
        w->k->uniform((float *)w->y + r * w->units + unit0, w->s, r, unit0, units);
}

int fd_uniform(const fd_uniform_args *args) {
    piece_work w = {
        .piece = uniform_piece, .y = args->out, .s = args->stream, .units = args->units};
    return fd_for_pieces(&w, args->rows, 0);
}

static void normal_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                         ptrdiff_t units) {
    for (ptrdiff_t r = row; r < row + rows; r++)
        w->k->normal((float *)w->y + r * w->units + unit0, w->s, r, unit0, units);
}

int fd_normal(const fd_normal_args *args) {
    piece_work w = {.piece = normal_piece, .y = args->out, .s = args->stream, .units = args->units};
    return fd_for_pieces(&w, args->rows, 0);
}
