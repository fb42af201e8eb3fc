# cython: language_level=3
"""The C declarations of the calls for thinned networks, in the order of fastdrop_thinned.h: a test
compares them.
"""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint32_t

from fastdrop._core.fastdrop cimport fd_sgd_args


cdef extern from "fastdrop_thinned.h" nogil:
    enum:
        FD_THIN_PARTS
    ctypedef struct fd_thin_layer_args:
        float *y
        const float *x
        const float *w
        const float *bias
        const uint32_t *bits
        const int32_t *rows
        const int64_t *x_at
        const int64_t *k
        const int64_t *y_at
        const int64_t *n
        const int64_t *rows_at
        ptrdiff_t passes, samples, outs, ins
        ptrdiff_t words
        ptrdiff_t ldy
        int act
        float scale
        float alpha
    int fd_thin_layer(const fd_thin_layer_args *args)
    ctypedef struct fd_thin_rows_args:
        float *y
        const float *x
        const uint32_t *bits
        const int64_t *y_at
        const int64_t *k
        ptrdiff_t passes, samples, ins, words, ldx, step
    int fd_thin_rows(const fd_thin_rows_args *args)
    ctypedef struct fd_thin_take_args:
        float *y
        const float *x
        const int32_t *rows
        const uint32_t *bits
        ptrdiff_t n, k, units, ldx
        float scale
    int fd_thin_take(const fd_thin_take_args *args)
    ctypedef struct fd_thin_part:
        const float *x
        const int32_t *rows
        const uint32_t *bits
        ptrdiff_t n, k
    ctypedef struct fd_thin_put_args:
        float *y
        const fd_thin_part *parts
        ptrdiff_t m, units, ldy, count
        int accumulate
    int fd_thin_put(const fd_thin_put_args *args)
    int fd_thin_sgd(const fd_sgd_args *args, const fd_thin_put_args *gradient)
