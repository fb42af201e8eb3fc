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
    size_t floats;                 /* of the band; FD_TILE_N_MOST can be read behind its end */
} fd_band;

/* With at most `most` rows. */
fd_band fd_band_of(const fd_window *w, ptrdiff_t most);
/* Copies the band of output rows [q1, q1 + rows) at position q0 of axis 0. */
void fd_band_fill(const fd_window *w, const fd_band *b, float *band, ptrdiff_t image, ptrdiff_t q0,
                  ptrdiff_t q1, ptrdiff_t rows);
/* From the windows of a row of output positions to those of the next. */
FD_INLINE ptrdiff_t fd_band_row(const fd_window *w, const fd_band *b) {
    return w->step[1] * b->width * w->channels;
}
/* Where each run of a window begins, from the window's first number. */
void fd_band_runs(const fd_window *w, const fd_band *b, ptrdiff_t *runs);

/* Whether each channel is convolved alone. */
FD_INLINE int fd_conv_is_depthwise(const fd_conv_shape *s) {
    return s->groups > 1 && s->groups == s->channels && s->groups == s->outputs;
}

/* A convolution of each channel alone: pitch of the window is its channels. */
typedef struct {
    fd_window window;
    ptrdiff_t images;
    const float *w; /* channel c, tap t at w[c*w_c + sum of t[i]*w_t[i]] */
    ptrdiff_t w_c, w_t[3];
    float *y; /* channel 0 of position 0 */
    ptrdiff_t y_image, y_step[3];
    const float *bias;
    int relu;
} fd_depthwise_args;
int fd_depthwise_map(const fd_depthwise_args *args);
/* fd_conv_dw of such a shape, whose window is given. */
int fd_depthwise_dw(const fd_window *window, const fd_conv_dw_args *args);

/* The direct algorithm: each sum is one chain. */
/* drop: NULL, or the dropout of y, where one group makes whole images and no other activation than
   ReLU follows. */
int fd_conv_direct(const fd_conv_args *args, const fd_map_dropout_args *drop);
/* Panels of the weights, for fd_conv_args; 0 floats where none are kept. */
ptrdiff_t fd_conv_direct_panels(const fd_conv_shape *s);
int fd_conv_direct_pack(const fd_conv_pack_args *args);
ptrdiff_t fd_conv_winograd_panels(const fd_conv_shape *s);
int fd_conv_winograd_pack(const fd_conv_pack_args *args);
int fd_conv_direct_dx(const fd_conv_dx_args *args);
int fd_conv_direct_dw(const fd_conv_dw_args *args);

/* Winograd's F(4x4, 3x3), where fd_conv_is_winograd is true. It depends on the shape of an image,
   not on the number of images. */
enum fd_conv_pass { FD_CONV_FORWARD, FD_CONV_DATA, FD_CONV_WEIGHT };
int fd_conv_is_winograd(const fd_conv_shape *s, enum fd_conv_pass pass);
int fd_conv_winograd(const fd_conv_args *args, const fd_map_dropout_args *drop);
int fd_conv_winograd_dx(const fd_conv_dx_args *args);
int fd_conv_winograd_dw(const fd_conv_dw_args *args);

#endif
