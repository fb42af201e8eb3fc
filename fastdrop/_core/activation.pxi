"""Activations, activation followed by dropout, and the backward pass of both."""

ACT_NONE, ACT_RELU, ACT_LEAKY_RELU, ACT_SIGMOID = FD_NONE, FD_RELU, FD_LEAKY_RELU, FD_SIGMOID
ACT_TANH, ACT_SELU, ACT_SILU, ACT_GELU = FD_TANH, FD_SELU, FD_SILU, FD_GELU
ACT_GELU_TANH, ACT_MISH = FD_GELU_TANH, FD_MISH


def act(cnp.ndarray out, cnp.ndarray z, int kind, float alpha):
    """act(z); kind is one of the ACT constants, alpha the slope of leaky ReLU."""
    cdef int status
    cdef fd_act_args args
    args.y, args.z, args.n = data(out), data(z), cnp.PyArray_SIZE(z)
    args.kind, args.alpha = kind, alpha
    with nogil:
        status = fd_act(&args)
    done(status)


def act_dropout(cnp.ndarray out, cnp.ndarray z, int kind, float alpha, Stream s, uint64_t q,
                float scale):
    """dropout(act(z)); axis 0 is the sample."""
    cdef int status
    cdef fd_act_dropout_args args
    args.y, args.z, args.rows, args.units = data(out), data(z), rows_of(z), units_of(z)
    args.drop, args.kind, args.alpha = drop_of(s, q, scale), kind, alpha
    with nogil:
        status = fd_act_dropout(&args)
    done(status)


def act_backward(cnp.ndarray dz, cnp.ndarray dy, cnp.ndarray saved, int kind, float alpha,
                 cnp.ndarray db=None, Stream stream=None, uint64_t q=FD_KEEP_ALL,
                 float scale=1.0):
    """The gradient of act or act_dropout, and the column sums db of dz (of its last axis).

    saved: the output of the forward pass, or its input for SiLU, both forms of GELU
    and Mish.
    """
    cdef int status
    cdef fd_act_backward_args args
    cdef Py_ssize_t size = cnp.PyArray_SIZE(dy)
    cdef int axes = cnp.PyArray_NDIM(dy)
    args.dz, args.db, args.dy, args.saved = data(dz), data_or_null(db), data(dy), data(saved)
    if axes > 1:
        args.cols = cnp.PyArray_DIM(dy, axes - 1)
    else:
        args.cols = size if db is None else cnp.PyArray_SIZE(db)
    args.rows = size // args.cols if args.cols else 0
    args.samples = args.rows if axes == 1 else rows_of(dy)
    args.drop, args.kind, args.alpha = drop_of(stream, q, scale), kind, alpha
    with nogil:
        status = fd_act_backward(&args)
    done(status)


def act_mix(cnp.ndarray y, cnp.ndarray z, cnp.ndarray weight, int kind):
    """y = z + weight * (act(z) - z); weight has the length of the last axis."""
    cdef int status
    cdef fd_act_mix_args args
    args.y, args.z, args.weight, args.kind = data(y), data(z), data(weight), kind
    args.cols = cnp.PyArray_SIZE(weight)
    args.rows = cnp.PyArray_SIZE(z) // args.cols if args.cols else 0
    with nogil:
        status = fd_act_mix(&args)
    done(status)


def act_mix_backward(cnp.ndarray dz, cnp.ndarray dweight, cnp.ndarray dy, cnp.ndarray z,
                     cnp.ndarray weight, int kind):
    """The gradients of act_mix."""
    cdef int status
    cdef fd_act_mix_backward_args args
    args.dz, args.dweight, args.dy, args.z = data(dz), data(dweight), data(dy), data(z)
    args.weight, args.kind, args.cols = data(weight), kind, cnp.PyArray_SIZE(weight)
    args.rows = cnp.PyArray_SIZE(z) // args.cols if args.cols else 0
    with nogil:
        status = fd_act_mix_backward(&args)
    done(status)


def silu_gate(cnp.ndarray h, cnp.ndarray a, cnp.ndarray b):
    """h = silu(a) * b; all (rows, cols), a and b with the same distance between rows."""
    cdef int status
    cdef fd_silu_gate_args args
    args.h, args.a, args.b = data(h), data(a), data(b)
    args.rows, args.cols, args.ld = rows_of(a), units_of(a), ld_of(a)
    with nogil:
        status = fd_silu_gate(&args)
    done(status)


def silu_gate_backward(cnp.ndarray da, cnp.ndarray db, cnp.ndarray dh, cnp.ndarray a,
                       cnp.ndarray b):
    """The gradients of silu_gate; da and db have the same distance between rows."""
    cdef int status
    cdef fd_silu_gate_backward_args args
    args.da, args.db, args.dh, args.a, args.b = data(da), data(db), data(dh), data(a), data(b)
    args.rows, args.cols, args.ld, args.ldd = rows_of(a), units_of(a), ld_of(a), ld_of(da)
    with nogil:
        status = fd_silu_gate_backward(&args)
    done(status)


def rotate(cnp.ndarray out, cnp.ndarray x, cnp.ndarray cosines, cnp.ndarray sines,
           bint interleaved, bint back):
    """The pairs of x (..., positions, 2 pairs) turned by angles (positions, pairs), or back."""
    cdef int status
    cdef fd_rotate_args args
    args.y, args.x, args.cosines, args.sines = data(out), data(x), data(cosines), data(sines)
    args.positions, args.pairs = rows_of(cosines), units_of(cosines)
    args.rows = cnp.PyArray_SIZE(x) // (2 * args.pairs)
    args.interleaved, args.back = interleaved, back
    with nogil:
        status = fd_rotate(&args)
    done(status)
