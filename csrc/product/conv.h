/* What the calls of convolution share. Internal: not installed. */
#ifndef FD_PRODUCT_CONV_H
#define FD_PRODUCT_CONV_H

#include "base/common.h"
#include "fastdrop.h"

/* Output positions along an axis. */
FD_INLINE ptrdiff_t fd_conv_length(const fd_conv_shape *s, int axis) {
    const ptrdiff_t room = s->size[axis] + s->before[axis] + s->after[axis] -
                           s->dilation[axis] * (s->kernel[axis] - 1) - 1;
    return room < 0 ? 0 : room / s->stride[axis] + 1;
}

/* Output positions of an image. */
FD_INLINE ptrdiff_t fd_conv_positions(const fd_conv_shape *s) {
    return fd_conv_length(s, 0) * fd_conv_length(s, 1) * fd_conv_length(s, 2);
}

/* Windows that move over maps: output position q reads the positions q * step + origin + tap *
   dilation of an image, zeros outside of it. */
typedef struct {
    const float *x;            /* first channel that is read of the first position */
    ptrdiff_t pitch, channels; /* floats between positions, and how many are read */
    ptrdiff_t size[3], count[3], step[3], origin[3], taps[3], dilation[3];
} fd_window;

/* A band: the positions that `rows` rows of output positions read, with the zeros around the image,
   channels side by side. The numbers of a window that stand side by side in it are a run. */
typedef struct {
    ptrdiff_t rows, height, width; /* output rows; positions of the band for a tap along axis 0 */
    ptrdiff_t run, runs;           /* length and number of the runs of a window */
    int gathered; /* short runs: windows are copied side by side into a matrix, one run each */
    size_t floats, matrix; /* of the band, and of the matrix of one row of positions */
} fd_band;

fd_band fd_band_of(const fd_window *w);
/* Copies the band of output rows [q1, q1 + rows) at position q0 of axis 0. */
void fd_band_fill(const fd_window *w, const fd_band *b, float *band, ptrdiff_t image, ptrdiff_t q0,
                  ptrdiff_t q1, ptrdiff_t rows);
/* Where run `r` of the window at row `row`, position 0 begins in the band. */
ptrdiff_t fd_band_run(const fd_window *w, const fd_band *b, ptrdiff_t r, ptrdiff_t row);
/* Copies the windows of a row into the matrix: count[2] rows of taps * channels floats. */
void fd_band_gather(const fd_window *w, const fd_band *b, float *matrix, const float *band,
                    ptrdiff_t row);

/* The direct algorithm: sums of each kernel row are chains, added in the order of the rows. */
int fd_conv_direct(const fd_conv_args *args);
int fd_conv_direct_dx(const fd_conv_dx_args *args);
int fd_conv_direct_dw(const fd_conv_dw_args *args);

#endif
