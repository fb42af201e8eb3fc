/* Gaussian noise, added or multiplied. */
#include "runtime/chunks.h"

static void noise_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                        ptrdiff_t units) {
    const ptrdiff_t at = row * w->units + unit0;
    w->k->noise((float *)w->y + at, w->x + at, w->s, row, rows, unit0, units, w->alpha, w->kind);
}

int fd_noise(const fd_noise_args *args) {
    piece_work w = {.piece = noise_piece,
                    .y = args->y,
                    .x = args->x,
                    .s = args->stream,
                    .units = args->units,
                    .alpha = args->sigma,
                    .kind = args->relative};
    return fd_for_pieces(&w, args->rows, 0);
}
