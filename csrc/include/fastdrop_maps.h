/* The calls on maps: convolution, dropout of maps, and what stands between them. Part of
   fastdrop.h, whose rules hold.

   A map is an array images x size[0] x size[1] x size[2] x channels: the channels of a position
   stand side by side (channels-last). Maps with fewer axes have the first sizes 1. */
#ifndef FASTDROP_MAPS_H
#define FASTDROP_MAPS_H

#include "base/types.h"

/* ---- convolution ---- */

/* Which algorithm computes a convolution. FD_CONV_AUTO chooses by the shape alone, never by the
   number of images or threads, so that the result of an image does not depend on its batch. */
enum fd_conv_algorithm {
    FD_CONV_AUTO,
    FD_CONV_DIRECT,
    FD_CONV_WINOGRAD /* F(4x4, 3x3) where the shape allows it, else direct */
};

/* Output position q along an axis reads the input positions q * stride - before + dilation * j, j <
   kernel; those outside of the input are 0. There are
   (size + before + after - dilation * (kernel - 1) - 1) / stride + 1 of them, at least 0. Output
   channel o reads the channels of its group o / (outputs / groups). An axis that is not used has
   size, kernel, stride and dilation 1, and before and after 0. */
typedef struct {
    ptrdiff_t images, channels, outputs;
    ptrdiff_t groups; /* divides channels and outputs */
    ptrdiff_t size[3], kernel[3], stride[3], dilation[3], before[3], after[3];
    int algorithm; /* enum fd_conv_algorithm */
} fd_conv_shape;

/* y = dropout(act(conv(x, w) + bias)). Unit c * positions + position of the mask is channel c at
   this position, as in an array (images, channels, positions); images are the samples. */
typedef struct {
    float *y;            /* images x positions x outputs */
    const float *x;      /* images x size x channels */
    const float *w;      /* outputs x channels / groups x kernel */
    const float *panels; /* NULL, or w packed by fd_conv_pack for this shape: read instead of w */
    const float *bias;   /* outputs, or NULL */
    fd_conv_shape shape;
    fd_drop drop;   /* after act; shift and fill are 0 */
    int by_channel; /* of drop: as in fd_map_dropout_args */
    int act;        /* enum fd_activation */
    float alpha;    /* the slope of FD_LEAKY_RELU */
} fd_conv_args;
int fd_conv(const fd_conv_args *args);

/* Packs w for fd_conv_args.panels of convolutions of this shape, any number of images. Panels
   depend on the instruction set. */
typedef struct {
    float *panels;  /* fd_conv_panels_length(&shape) */
    const float *w; /* outputs x channels / groups x kernel */
    fd_conv_shape shape;
} fd_conv_pack_args;
int fd_conv_pack(const fd_conv_pack_args *args);
/* The floats of packed weights; 0 where none are kept (several groups, few outputs). */
ptrdiff_t fd_conv_panels_length(const fd_conv_shape *shape);

/* The gradient for x. Also the forward pass of a transposed convolution. */
typedef struct {
    float *dx;       /* images x size x channels */
    const float *dy; /* images x positions x outputs */
    const float *w;  /* outputs x channels / groups x kernel */
    fd_conv_shape shape;
} fd_conv_dx_args;
int fd_conv_dx(const fd_conv_dx_args *args);

/* The gradient for w: sums over fixed groups of images, added in order. */
typedef struct {
    float *dw;       /* outputs x channels / groups x kernel */
    const float *dy; /* images x positions x outputs */
    const float *x;  /* images x size x channels */
    fd_conv_shape shape;
    int accumulate; /* dw += the gradient */
} fd_conv_dw_args;
int fd_conv_dw(const fd_conv_dw_args *args);

/* ---- dropout ---- */

/* Unit c * positions + position of the mask is channel c at this position, as in an array (images,
   channels, positions). by_channel: unit c decides for channel c at all positions. y may be x. */
typedef struct {
    float *y;
    const float *x; /* images x positions x channels */
    ptrdiff_t images, channels, positions;
    fd_drop drop; /* images are the samples */
    int by_channel;
} fd_map_dropout_args;
int fd_map_dropout(const fd_map_dropout_args *args);

/* ---- pooling ---- */

/* Output position q along an axis reads the input positions q * stride - before + dilation * j, j <
   kernel, that are inside of the input. With kernel 0 the axis is adaptive: the positions from
   floor(q size / out) to before ceil((q + 1) size / out). An axis that is not used has size,
   kernel, stride, dilation and out 1, and before 0. */
typedef struct {
    ptrdiff_t images, channels;
    ptrdiff_t size[3], kernel[3], stride[3], dilation[3], before[3];
    ptrdiff_t out[3]; /* positions of the result */
} fd_pool_shape;

/* The largest element of each window, NaN if it has one, -infinity if it is empty. */
typedef struct {
    float *y;    /* images x out x channels */
    int32_t *at; /* the same shape: the position in the image of the first largest element, or -1;
                    NULL: not wanted */
    const float *x; /* images x size x channels */
    fd_pool_shape shape;
} fd_max_pool_args;
int fd_max_pool(const fd_max_pool_args *args);

/* The gradient: dx at the positions `at` is the sum of dy, in order. */
typedef struct {
    float *dx;         /* images x size x channels */
    const float *dy;   /* images x out x channels */
    const int32_t *at; /* as fd_max_pool wrote it */
    fd_pool_shape shape;
} fd_max_pool_backward_args;
int fd_max_pool_backward(const fd_max_pool_backward_args *args);

/* The sum of each window times its factor. The dilation is 1. */
typedef struct {
    float *y;            /* images x out x channels */
    const float *x;      /* images x size x channels */
    const float *factor; /* out */
    fd_pool_shape shape;
} fd_avg_pool_args;
int fd_avg_pool(const fd_avg_pool_args *args);

/* The gradient for x. */
typedef struct {
    float *dx;           /* images x size x channels */
    const float *dy;     /* images x out x channels */
    const float *factor; /* out */
    fd_pool_shape shape;
} fd_avg_pool_backward_args;
int fd_avg_pool_backward(const fd_avg_pool_backward_args *args);

/* ---- resized maps ---- */

/* Position q < out of the result is the sum over starts[q] <= j < starts[q + 1] of weights[j] times
   position index[j] < size of the input. An axis that is not used has one position of weight 1. */
typedef struct {
    ptrdiff_t size, out;
    const int32_t *starts; /* out + 1 */
    const int32_t *index;  /* starts[out] */
    const float *weights;  /* starts[out] */
} fd_resize_axis;

/* The weighted sums along each axis. */
typedef struct {
    float *y;       /* images x out x channels */
    const float *x; /* images x size x channels */
    ptrdiff_t images, channels;
    fd_resize_axis axis[3];
} fd_resize_args;
int fd_resize(const fd_resize_args *args);

/* ---- softmax ---- */

/* The largest number of each row of x and the logarithm of the sum of exp(x - largest): softmax(x)
   is exp(x - most - log_sum). n is at least 1. With losses also the cross-entropy of labels, weight
   (most - x[label] + log_sum); 0 where the weight is 0. */
typedef struct {
    float *most, *log_sum; /* rows each */
    const float *x;        /* rows x n */
    ptrdiff_t rows, n;
    float *losses;         /* rows, or NULL */
    const int64_t *labels; /* rows, each in [0, n) */
    const float *weights;  /* rows */
} fd_log_sum_exp_args;
int fd_log_sum_exp(const fd_log_sum_exp_args *args);

/* y = factor[row] * softmax(x). With labels y = factor[row] * (softmax(x) - [column = label]), the
   gradient of the cross-entropy, and 0 in rows whose factor is 0. */
typedef struct {
    float *y;                             /* rows x n, may be x */
    const float *x;                       /* rows x n */
    const float *most, *log_sum, *factor; /* rows each */
    ptrdiff_t rows, n;
    const int64_t *labels; /* rows, each in [0, n); or NULL */
} fd_scaled_softmax_args;
int fd_scaled_softmax(const fd_scaled_softmax_args *args);

/* ---- the order of axes ---- */

/* y, images x columns x rows, is each image of x, images x rows x columns, transposed: the change
   between maps in C order and channels-last ones. */
typedef struct {
    float *y;
    const float *x;
    ptrdiff_t images, rows, columns;
} fd_transpose_args;
int fd_transpose(const fd_transpose_args *args);

/* ---- normalisation: base/types.h has the arguments ---- */

int fd_moments(const fd_moments_args *args);
int fd_normalize(const fd_normalize_args *args);
int fd_normalize_sums(const fd_normalize_sums_args *args);
int fd_normalize_dx(const fd_normalize_dx_args *args);
int fd_row_norm(const fd_row_norm_args *args);
int fd_row_norm_backward(const fd_row_norm_backward_args *args);

#endif
