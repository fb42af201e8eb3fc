/* Rotary positions: pairs of numbers turned by angles of their position. */
#include "runtime/chunks.h"

typedef struct {
    piece_work work; /* first: a piece gets a pointer to it */
    const fd_rotate_args *args;
} rotate_work;

/* The units of a row are its pairs. */
static void rotate_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t pair0,
                         ptrdiff_t pairs) {
    const fd_rotate_args *a = ((const rotate_work *)w)->args;
    const ptrdiff_t half = a->pairs, step = a->interleaved ? 2 : 1;
    for (ptrdiff_t r = row; r < row + rows; r++) {
        const ptrdiff_t at = r * 2 * half + pair0 * step, angle = r % a->positions * half + pair0;
        w->k->rotate(a->y + at, a->x + at, a->cosines + angle, a->sines + angle, pairs,
                     a->interleaved ? 1 : half, a->back ? -1.0f : 1.0f);
    }
}

int fd_rotate(const fd_rotate_args *args) {
    rotate_work r = {.work = {.piece = rotate_piece, .units = args->pairs}, .args = args};
    return fd_for_pieces(&r.work, args->rows, 0);
}
