# cython: language_level=3
"""The C declarations of the calls on maps, in the order of fastdrop_maps.h: a test compares them.
"""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t

from fastdrop._core.fastdrop cimport (
    fd_drop,
    fd_moments_args,
    fd_normalize_args,
    fd_normalize_dx_args,
    fd_normalize_sums_args,
    fd_row_norm_args,
    fd_row_norm_backward_args,
)


cdef extern from "fastdrop_maps.h" nogil:
    enum:
        FD_CONV_AUTO, FD_CONV_DIRECT, FD_CONV_WINOGRAD
    ctypedef struct fd_conv_shape:
        ptrdiff_t images, channels, outputs
        ptrdiff_t groups
        ptrdiff_t size[3]
        ptrdiff_t kernel[3]
        ptrdiff_t stride[3]
        ptrdiff_t dilation[3]
        ptrdiff_t before[3]
        ptrdiff_t after[3]
        int algorithm
    ctypedef struct fd_conv_args:
        float *y
        const float *x
        const float *w
        const float *panels
        const float *bias
        fd_conv_shape shape
        fd_drop drop
        int by_channel
        int act
        float alpha
    int fd_conv(const fd_conv_args *args)
    ctypedef struct fd_conv_pack_args:
        float *panels
        const float *w
        fd_conv_shape shape
    int fd_conv_pack(const fd_conv_pack_args *args)
    ptrdiff_t fd_conv_panels_length(const fd_conv_shape *shape)
    ctypedef struct fd_conv_dx_args:
        float *dx
        const float *dy
        const float *w
        fd_conv_shape shape
    int fd_conv_dx(const fd_conv_dx_args *args)
    ctypedef struct fd_conv_dw_args:
        float *dw
        const float *dy
        const float *x
        fd_conv_shape shape
        int accumulate
    int fd_conv_dw(const fd_conv_dw_args *args)
    ctypedef struct fd_map_dropout_args:
        float *y
        const float *x
        ptrdiff_t images, channels, positions
        fd_drop drop
        int by_channel
    int fd_map_dropout(const fd_map_dropout_args *args)
    ctypedef struct fd_pool_shape:
        ptrdiff_t images, channels
        ptrdiff_t size[3]
        ptrdiff_t kernel[3]
        ptrdiff_t stride[3]
        ptrdiff_t dilation[3]
        ptrdiff_t before[3]
        ptrdiff_t out[3]
    ctypedef struct fd_max_pool_args:
        float *y
        int32_t *at
        const float *x
        fd_pool_shape shape
    int fd_max_pool(const fd_max_pool_args *args)
    ctypedef struct fd_max_pool_backward_args:
        float *dx
        const float *dy
        const int32_t *at
        fd_pool_shape shape
    int fd_max_pool_backward(const fd_max_pool_backward_args *args)
    ctypedef struct fd_avg_pool_args:
        float *y
        const float *x
        const float *factor
        fd_pool_shape shape
    int fd_avg_pool(const fd_avg_pool_args *args)
    ctypedef struct fd_avg_pool_backward_args:
        float *dx
        const float *dy
        const float *factor
        fd_pool_shape shape
    int fd_avg_pool_backward(const fd_avg_pool_backward_args *args)
    ctypedef struct fd_resize_axis:
        ptrdiff_t size, out
        const int32_t *starts
        const int32_t *index
        const float *weights
    ctypedef struct fd_resize_args:
        float *y
        const float *x
        ptrdiff_t images, channels
        fd_resize_axis axis[3]
    int fd_resize(const fd_resize_args *args)
    ctypedef struct fd_log_sum_exp_args:
        float *most
        float *log_sum
        const float *x
        ptrdiff_t rows, n
        float *losses
        const int64_t *labels
        const float *weights
    int fd_log_sum_exp(const fd_log_sum_exp_args *args)
    ctypedef struct fd_scaled_softmax_args:
        float *y
        const float *x
        const float *most
        const float *log_sum
        const float *factor
        ptrdiff_t rows, n
        const int64_t *labels
    int fd_scaled_softmax(const fd_scaled_softmax_args *args)
    ctypedef struct fd_transpose_args:
        float *y
        const float *x
        ptrdiff_t images, rows, columns
    int fd_transpose(const fd_transpose_args *args)
    int fd_moments(const fd_moments_args *args)
    int fd_normalize(const fd_normalize_args *args)
    int fd_normalize_sums(const fd_normalize_sums_args *args)
    int fd_normalize_dx(const fd_normalize_dx_args *args)
    int fd_row_norm(const fd_row_norm_args *args)
    int fd_row_norm_backward(const fd_row_norm_backward_args *args)
