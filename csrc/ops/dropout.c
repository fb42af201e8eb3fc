/* Dropout with one decision for each element, and multiplication by a number. */
#include "runtime/chunks.h"

static void scale_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                        ptrdiff_t units) {
    (void)row, (void)rows;
    w->k->scale((float *)w->y + unit0, w->x + unit0, units, w->scale, w->uncached);
}

static int multiply(float *y, const float *x, ptrdiff_t n, float scale) {
    piece_work w = {.piece = scale_piece,
                    .y = y,
                    .x = x,
                    .scale = scale,
                    .uncached = y != x && fd_exceeds_caches(n)};
    return fd_for_flat(&w, n, 0);
}

int fd_scale(const fd_scale_args *args) { return multiply(args->y, args->x, args->n, args->scale); }

static void dropout_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                          ptrdiff_t units) {
    const ptrdiff_t at = row * w->units + unit0;
    w->k->dropout((float *)w->y + at, w->units, w->x + at, w->units, &w->drop, row, rows, unit0,
                  units, w->uncached);
}

int fd_dropout(const fd_dropout_args *args) {
    const ptrdiff_t elements = args->rows * args->units;
    const fd_drop *drop = &args->drop;
    if (!drop->stream) return multiply(args->y, args->x, elements, 1.0f);
    if (drop->q == 0) { /* zeros, even where x is infinite or NaN */
        memset(args->y, 0, (size_t)elements * sizeof(float));
        return FD_OK;
    }
    if (drop->q >= FD_KEEP_ALL) return multiply(args->y, args->x, elements, drop->scale);
    piece_work w = {.piece = dropout_piece,
                    .y = args->y,
                    .x = args->x,
                    .units = args->units,
                    .drop = *drop,
                    .uncached = args->y != args->x && fd_exceeds_caches(elements)};
    return fd_for_pieces(&w, args->rows, 0);
}
