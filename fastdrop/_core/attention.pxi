"""Attention. The arrays have the axes sample, head, row and number, of which the last is dense."""


cdef fd_heads heads_at(cnp.ndarray a) noexcept:
    """The distances, in elements, of an array of four axes; 0 along axes that are broadcast."""
    cdef fd_heads at
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(a)
    at.sample = cnp.PyArray_STRIDE(a, 0) // size
    at.head = cnp.PyArray_STRIDE(a, 1) // size
    at.row = cnp.PyArray_STRIDE(a, 2) // size
    return at


cdef class AttentionLayer:
    """The inputs of an attention.

    Parameters
    ----------
    q, k, v : float32 array (samples, heads, queries or keys, size)
    allowed : bool array (samples, heads, queries, keys) or None
    bias : float32 array (samples, heads, queries, keys) or None
    scale : float
    causal : bool
    query_offset : int
    drop : tuple (stream, q, scale) or None
    """

    cdef fd_attention_layer c
    cdef readonly tuple kept  # what the pointers point into

    def __init__(self, cnp.ndarray q, cnp.ndarray k, cnp.ndarray v, cnp.ndarray allowed,
                 cnp.ndarray bias, double scale, bint causal, Py_ssize_t query_offset,
                 tuple drop):
        self.kept = (q, k, v, allowed, bias, drop)
        self.c.samples, self.c.heads = cnp.PyArray_DIM(q, 0), cnp.PyArray_DIM(q, 1)
        self.c.queries, self.c.size = cnp.PyArray_DIM(q, 2), cnp.PyArray_DIM(q, 3)
        self.c.kv_heads, self.c.keys = cnp.PyArray_DIM(k, 1), cnp.PyArray_DIM(k, 2)
        self.c.v_size = cnp.PyArray_DIM(v, 3)
        self.c.q, self.c.k, self.c.v = data(q), data(k), data(v)
        self.c.q_at, self.c.k_at, self.c.v_at = heads_at(q), heads_at(k), heads_at(v)
        self.c.allowed = NULL
        if allowed is not None:
            self.c.allowed = <const uint8_t *>cnp.PyArray_DATA(allowed)
            self.c.allowed_at = heads_at(allowed)
        self.c.bias = data_or_null(bias)
        if bias is not None:
            self.c.bias_at = heads_at(bias)
        self.c.scale, self.c.causal, self.c.query_offset = scale, causal, query_offset
        self.c.drop = drop_tuple(drop)


def attention(AttentionLayer layer, cnp.ndarray o, cnp.ndarray log_sums):
    """The outputs and what the backward pass needs; as in fd_attention_args."""
    cdef int status
    cdef fd_attention_args args
    args.o, args.o_at, args.log_sums, args.layer = data(o), heads_at(o), data(log_sums), layer.c
    with nogil:
        status = fd_attention(&args)
    done(status)


def attention_backward(AttentionLayer layer, cnp.ndarray dq, cnp.ndarray dk, cnp.ndarray dv,
                       cnp.ndarray d_scores, cnp.ndarray o, cnp.ndarray d_o,
                       cnp.ndarray log_sums):
    """The gradients; as in fd_attention_backward_args."""
    cdef int status
    cdef fd_attention_backward_args args
    args.dq, args.dk, args.dv = data(dq), data(dk), data(dv)
    args.dq_at, args.dk_at, args.dv_at = heads_at(dq), heads_at(dk), heads_at(dv)
    args.d_scores, args.o, args.d_o = data_or_null(d_scores), data(o), data(d_o)
    args.o_at, args.d_o_at = heads_at(o), heads_at(d_o)
    args.log_sums, args.layer = data(log_sums), layer.c
    with nogil:
        status = fd_attention_backward(&args)
    done(status)


def attention_weights(AttentionLayer layer, cnp.ndarray weights, cnp.ndarray log_sums):
    """The weights after dropout; as in fd_attention_weights_args."""
    cdef int status
    cdef fd_attention_weights_args args
    args.weights, args.log_sums, args.layer = data(weights), data(log_sums), layer.c
    with nogil:
        status = fd_attention_weights(&args)
    done(status)
