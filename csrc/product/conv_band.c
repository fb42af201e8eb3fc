/* Bands of padded maps, which the convolutions read. */
#include "product/conv.h"
#include "runtime/tuning.h"

fd_band fd_band_of(const fd_window *w, ptrdiff_t most) {
    fd_band b = {.width = (w->count[2] - 1) * w->step[2] + w->dilation[2] * (w->taps[2] - 1) + 1};
    const ptrdiff_t more = w->dilation[1] * (w->taps[1] - 1) + 1,
                    row = w->taps[0] * b.width * w->channels;
    b.rows = (FD_BAND / row - more) / w->step[1] + 1;
    b.rows = fd_max(1, fd_min(b.rows, fd_min(most, w->count[1])));
    b.height = (b.rows - 1) * w->step[1] + more;
    const int side_by_side = w->dilation[2] == 1;
    b.run = side_by_side ? w->taps[2] * w->channels : w->channels;
    b.runs = side_by_side ? w->taps[0] * w->taps[1] : w->taps[0] * w->taps[1] * w->taps[2];
    b.floats = (size_t)(row * b.height) + FD_TILE_N_MOST;
    return b;
}

void fd_band_fill(const fd_window *w, const fd_band *b, float *band, ptrdiff_t image, ptrdiff_t q0,
                  ptrdiff_t q1, ptrdiff_t rows) {
    const ptrdiff_t c = w->channels, height = b->height - (b->rows - rows) * w->step[1];
    const float *from = w->x + image * w->size[0] * w->size[1] * w->size[2] * w->pitch;
    const ptrdiff_t first = w->origin[2], /* position of the map at the band's first position */
        lo = fd_min(b->width, fd_max(0, -first)),
                    hi = fd_max(lo, fd_min(b->width, w->size[2] - first));
    for (ptrdiff_t t = 0; t < w->taps[0]; t++) {
        const ptrdiff_t p0 = q0 * w->step[0] + w->origin[0] + t * w->dilation[0];
        for (ptrdiff_t r = 0; r < height; r++) {
            float *to = band + (t * b->height + r) * b->width * c;
            const ptrdiff_t p1 = q1 * w->step[1] + w->origin[1] + r;
            if (p0 < 0 || p0 >= w->size[0] || p1 < 0 || p1 >= w->size[1]) {
                memset(to, 0, (size_t)(b->width * c) * sizeof(float));
                continue;
            }
            const float *row = from + (p0 * w->size[1] + p1) * w->size[2] * w->pitch;
            memset(to, 0, (size_t)(lo * c) * sizeof(float));
            if (w->pitch == c) {
                memcpy(to + lo * c, row + (lo + first) * c,
                       (size_t)((hi - lo) * c) * sizeof(float));
            } else {
                for (ptrdiff_t p = lo; p < hi; p++)
                    memcpy(to + p * c, row + (p + first) * w->pitch, (size_t)c * sizeof(float));
            }
            memset(to + hi * c, 0, (size_t)((b->width - hi) * c) * sizeof(float));
        }
    }
}

void fd_band_runs(const fd_window *w, const fd_band *b, ptrdiff_t *runs) {
    const ptrdiff_t along = w->dilation[2] == 1 ? 1 : w->taps[2];
    for (ptrdiff_t r = 0; r < b->runs; r++) {
        const ptrdiff_t t0 = r / along / w->taps[1], t1 = r / along % w->taps[1], t2 = r % along,
                        line = t0 * b->height + t1 * w->dilation[1];
        runs[r] = (line * b->width + t2 * w->dilation[2]) * w->channels;
    }
}
