# cython: language_level=3
"""The C declarations of the calls on sequences, in the order of fastdrop_sequences.h: a test
compares them.
"""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint8_t

from fastdrop._core.fastdrop cimport fd_drop


cdef extern from "fastdrop_sequences.h" nogil:
    ctypedef struct fd_recurrent_masks:
        fd_drop input
        fd_drop hidden
        fd_drop update
        fd_drop zone_c, zone_h
        fd_drop weights
        int per_gate
        int update_per_step
        float fresh_c, fresh_h
        ptrdiff_t first_step
    ctypedef struct fd_recurrent_layer:
        int cell
        int reverse
        ptrdiff_t steps, inputs, units
        ptrdiff_t outs
        const int64_t *rows
        const float *w_ih
        const float *w_hh
        const float *w_hr
        fd_recurrent_masks masks
    ctypedef struct fd_recurrent_args:
        float *y
        float *h
        float *c
        float *gates
        float *states
        float *cells
        float *workspace
        const float *x
        const float *b_ih
        const float *b_hh
        fd_recurrent_layer layer
    int fd_recurrent(const fd_recurrent_args *args)
    ptrdiff_t fd_recurrent_workspace(const fd_recurrent_layer *layer, int keep)
    ctypedef struct fd_recurrent_backward_args:
        float *gates
        float *dh
        float *dc
        float *previous
        float *projected
        float *workspace
        const float *dy
        const float *y
        const float *states
        const float *h0
        const float *c0
        fd_recurrent_layer layer
    int fd_recurrent_backward(const fd_recurrent_backward_args *args)
    ptrdiff_t fd_recurrent_backward_workspace(const fd_recurrent_layer *layer)
    ctypedef struct fd_heads:
        ptrdiff_t sample, head, row
    ctypedef struct fd_attention_layer:
        ptrdiff_t samples, heads, kv_heads, queries, keys
        ptrdiff_t size, v_size
        const float *q
        const float *k
        const float *v
        fd_heads q_at, k_at, v_at
        const uint8_t *allowed
        const float *bias
        fd_heads allowed_at, bias_at
        float scale
        int causal
        ptrdiff_t query_offset
        fd_drop drop
    ctypedef struct fd_attention_args:
        float *o
        fd_heads o_at
        float *log_sums
        fd_attention_layer layer
    int fd_attention(const fd_attention_args *args)
    ctypedef struct fd_attention_backward_args:
        float *dq
        float *dk
        float *dv
        float *d_scores
        fd_heads dq_at, dk_at, dv_at
        const float *o
        const float *d_o
        fd_heads o_at, d_o_at
        const float *log_sums
        fd_attention_layer layer
    int fd_attention_backward(const fd_attention_backward_args *args)
    ctypedef struct fd_attention_weights_args:
        float *weights
        const float *log_sums
        fd_attention_layer layer
    int fd_attention_weights(const fd_attention_weights_args *args)
