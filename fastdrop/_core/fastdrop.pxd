# cython: language_level=3
"""The C declarations of the binding.

The structs, fields, functions and parameters are those of base/types.h and fastdrop.h, in the same
order. A test compares them.
"""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "fastdrop.h" nogil:
    enum:
        FD_KEEP_ALL, FD_BITS_PAD, FD_MOST_AXES
        FD_OK, FD_NO_MEMORY, FD_INTERRUPTED
        FD_NONE, FD_RELU, FD_LEAKY_RELU, FD_SIGMOID, FD_TANH, FD_SELU, FD_SILU, FD_GELU
        FD_GELU_TANH, FD_MISH
        FD_RNN_TANH, FD_RNN_RELU, FD_GRU, FD_LSTM
    ctypedef struct fd_stream:
        uint32_t key[2]
        uint32_t sub, draw
        uint32_t row0
        const uint32_t *rows
        const uint32_t *draws
        int by_sub
    ctypedef struct fd_drop:
        const fd_stream *stream
        uint64_t q
        float scale, shift, fill
    ctypedef struct fd_csr:
        ptrdiff_t outs, ins
        const float *values
        const int32_t *columns
        const int64_t *starts
        const float *bias
        ptrdiff_t nonzeros
    ctypedef struct fd_concrete:
        float logit, inverse_t, scale, p
    ctypedef struct fd_norm_shape:
        ptrdiff_t sets, rows, channels
    ctypedef struct fd_moments_args:
        float *mean
        float *variance
        const float *x
        fd_norm_shape shape
    ctypedef struct fd_normalize_args:
        float *y
        const float *x
        const float *mean
        const float *scale
        const float *bias
        fd_norm_shape shape
        int relu
    ctypedef struct fd_normalize_sums_args:
        float *sum
        float *sum_x
        const float *dy
        const float *x
        const float *mean
        const float *scale
        const float *bias
        fd_norm_shape shape
        int relu
    ctypedef struct fd_normalize_dx_args:
        float *dx
        const float *dy
        const float *x
        const float *mean
        const float *scale
        const float *bias
        const float *of_g
        const float *of_x
        const float *shift
        fd_norm_shape shape
        int relu
    ctypedef struct fd_row_norm_args:
        float *y
        float *mean
        float *inverse
        const float *x
        const float *weight
        const float *bias
        ptrdiff_t rows, n
        float eps
        int centred
    ctypedef struct fd_row_norm_backward_args:
        float *dx
        float *dweight
        float *dbias
        const float *dy
        const float *x
        const float *mean
        const float *inverse
        const float *weight
        ptrdiff_t rows, n
        int centred
    void fd_stream_key(uint32_t key[2], uint64_t seed, uint32_t site, uint32_t domain,
                       uint32_t call, uint32_t instance)
    ctypedef struct fd_keep_bits_args:
        uint32_t *bits
        const fd_stream *stream
        ptrdiff_t rows, units
        uint64_t q
    int fd_keep_bits(const fd_keep_bits_args *args)
    ctypedef struct fd_keep_mask_args:
        uint8_t *mask
        const fd_stream *stream
        ptrdiff_t rows, units
        uint64_t q
    int fd_keep_mask(const fd_keep_mask_args *args)
    ctypedef struct fd_keep_uniforms_args:
        uint32_t *out
        const fd_stream *stream
        ptrdiff_t rows, units
    int fd_keep_uniforms(const fd_keep_uniforms_args *args)
    ctypedef struct fd_uniform_args:
        float *out
        const fd_stream *stream
        ptrdiff_t rows, units
    int fd_uniform(const fd_uniform_args *args)
    ctypedef struct fd_normal_args:
        float *out
        const fd_stream *stream
        ptrdiff_t rows, units
    int fd_normal(const fd_normal_args *args)
    ctypedef struct fd_dropout_args:
        float *y
        const float *x
        ptrdiff_t rows, units
        fd_drop drop
    int fd_dropout(const fd_dropout_args *args)
    ctypedef struct fd_dropout_shared_args:
        float *y
        const float *x
        ptrdiff_t rows
        int axes
        ptrdiff_t length[FD_MOST_AXES]
        int shared[FD_MOST_AXES]
        fd_drop drop
    int fd_dropout_shared(const fd_dropout_shared_args *args)
    ctypedef struct fd_scale_args:
        float *y
        const float *x
        ptrdiff_t n
        float scale
    int fd_scale(const fd_scale_args *args)
    ctypedef struct fd_act_args:
        float *y
        const float *z
        ptrdiff_t n
        int kind
        float alpha
    int fd_act(const fd_act_args *args)
    ctypedef struct fd_act_dropout_args:
        float *y
        const float *z
        ptrdiff_t rows, units
        fd_drop drop
        int kind
        float alpha
    int fd_act_dropout(const fd_act_dropout_args *args)
    ctypedef struct fd_act_backward_args:
        float *dz
        float *db
        const float *dy
        const float *saved
        ptrdiff_t rows, cols
        ptrdiff_t samples
        fd_drop drop
        int kind
        float alpha
    int fd_act_backward(const fd_act_backward_args *args)
    ctypedef struct fd_act_mix_args:
        float *y
        const float *z
        const float *weight
        ptrdiff_t rows, cols
        int kind
    int fd_act_mix(const fd_act_mix_args *args)
    ctypedef struct fd_act_mix_backward_args:
        float *dz
        float *dweight
        const float *dy
        const float *z
        const float *weight
        ptrdiff_t rows, cols
        int kind
    int fd_act_mix_backward(const fd_act_mix_backward_args *args)
    ctypedef struct fd_silu_gate_args:
        float *h
        const float *a
        const float *b
        ptrdiff_t rows, cols, ld
    int fd_silu_gate(const fd_silu_gate_args *args)
    ctypedef struct fd_silu_gate_backward_args:
        float *da
        float *db
        const float *dh
        const float *a
        const float *b
        ptrdiff_t rows, cols, ld, ldd
    int fd_silu_gate_backward(const fd_silu_gate_backward_args *args)
    ctypedef struct fd_rotate_args:
        float *y
        const float *x
        const float *cosines
        const float *sines
        ptrdiff_t rows, positions, pairs
        int interleaved
        int back
    int fd_rotate(const fd_rotate_args *args)
    ctypedef struct fd_noise_args:
        float *y
        const float *x
        ptrdiff_t rows, units
        const fd_stream *stream
        float sigma
        int relative
    int fd_noise(const fd_noise_args *args)
    ctypedef struct fd_dropblock_args:
        float *y
        const float *x
        ptrdiff_t rows, channels
        ptrdiff_t size[3]
        ptrdiff_t block[3]
        const fd_stream *stream
        uint64_t q
        int coupled
        int batch
        int channels_last
    int fd_dropblock(const fd_dropblock_args *args)
    ctypedef struct fd_product:
        float *c
        const float *a
        const float *b
        const float *panels
        const float *bias
        ptrdiff_t m, n, k, ldc, lda, ldb
        ptrdiff_t repeat
        fd_drop drop
        fd_drop a_drop, b_drop
        int ta, tb
        int accumulate
        int act
        float alpha
        int bf16
        const int32_t *k_units
        ptrdiff_t k_whole
    int fd_gemm(const fd_product *args)
    int fd_is_one_piece(ptrdiff_t k)
    ctypedef struct fd_pack_args:
        float *panels
        const float *w
        const int32_t *rows
        const uint32_t *bits
        ptrdiff_t n, k, units
        float scale
        int bf16
    int fd_pack(const fd_pack_args *args)
    ptrdiff_t fd_panels_length(ptrdiff_t n, ptrdiff_t k)
    ptrdiff_t fd_bf16_panels_length(ptrdiff_t n, ptrdiff_t k)
    ctypedef struct fd_dropconnect_args:
        float *y
        const float *x
        const float *w
        const float *bias
        ptrdiff_t rows, outs, ins
        fd_drop drop
        int mask_bias
    int fd_dropconnect(const fd_dropconnect_args *args)
    ctypedef struct fd_dropconnect_dx_args:
        float *dx
        const float *dy
        const float *w
        ptrdiff_t rows, outs, ins
        fd_drop drop
    int fd_dropconnect_dx(const fd_dropconnect_dx_args *args)
    ctypedef struct fd_dropconnect_dw_args:
        float *dw
        float *db
        const float *dy
        const float *x
        ptrdiff_t rows, outs, ins
        fd_drop drop
        int mask_bias
    int fd_dropconnect_dw(const fd_dropconnect_dw_args *args)
    ctypedef struct fd_sparse_linear_args:
        float *y
        const float *x
        ptrdiff_t rows
        fd_csr w
    int fd_sparse_linear(const fd_sparse_linear_args *args)
    ctypedef struct fd_concrete_forward_args:
        float *y
        const float *x
        ptrdiff_t rows, units
        const fd_stream *stream
        fd_concrete concrete
    int fd_concrete_forward(const fd_concrete_forward_args *args)
    ctypedef struct fd_concrete_backward_args:
        float *dx
        double *dlogit
        const float *dy
        const float *x
        ptrdiff_t rows, units
        const fd_stream *stream
        fd_concrete concrete
    int fd_concrete_backward(const fd_concrete_backward_args *args)
    ctypedef struct fd_col_sum_args:
        float *out
        const float *x
        ptrdiff_t rows, cols
    int fd_col_sum(const fd_col_sum_args *args)
    ctypedef struct fd_sumsq_args:
        double *out
        const float *x
        ptrdiff_t n
    int fd_sumsq(const fd_sumsq_args *args)
    ctypedef struct fd_max_norm_rows_args:
        float *w
        ptrdiff_t rows, cols
        float c
    int fd_max_norm_rows(const fd_max_norm_rows_args *args)
    ctypedef struct fd_sgd_args:
        float *p
        float *buf
        const float *g
        ptrdiff_t n
        float lr, momentum, dampening, weight_decay
        int nesterov
        int first
        const fd_product *product
    int fd_sgd(const fd_sgd_args *args)
    ctypedef struct fd_adam_args:
        float *p
        float *m
        float *v
        const float *g
        ptrdiff_t n
        double beta1, beta2
        float step_size, eps, l2, shrink, v_scale
    int fd_adam(const fd_adam_args *args)
    ctypedef struct fd_rmsprop_args:
        float *p
        float *v
        float *buf
        const float *g
        ptrdiff_t n
        double alpha
        float lr, eps, weight_decay, momentum
    int fd_rmsprop(const fd_rmsprop_args *args)
    int fd_abi()
    int fd_has_openmp()
    int fd_get_threads()
    void fd_set_threads(int n)
    int fd_missing_threads()
    const char *fd_isa()
    const char *fd_isa_name(int i, int *available)
    int fd_set_isa(const char *name)
    const char *fd_bf16_isa()
    int fd_set_bf16_isa(const char *name)
    void fd_set_interrupt_hook(int (*hook)() noexcept)
