"""Convolution. Maps are (N, *positions, C) with one to three axes of positions."""

CONV_AUTO, CONV_DIRECT, CONV_WINOGRAD = FD_CONV_AUTO, FD_CONV_DIRECT, FD_CONV_WINOGRAD


cdef fd_conv_shape conv_shape(cnp.ndarray x, cnp.ndarray w, tuple geometry) except *:
    """x: the input or its gradient; w: (outputs, channels / groups, *kernel) or its gradient.

    geometry: (stride, dilation, before, after, groups, algorithm), the first four a tuple each.
    """
    cdef int i, at, axes = cnp.PyArray_NDIM(x) - 2
    cdef fd_conv_shape s
    stride, dilation, before, after, groups, algorithm = geometry
    s.images, s.channels = rows_of(x), cnp.PyArray_DIM(x, axes + 1)
    s.outputs, s.groups, s.algorithm = rows_of(w), groups, algorithm
    for i in range(3):
        s.size[i] = s.kernel[i] = s.stride[i] = s.dilation[i] = 1
        s.before[i] = s.after[i] = 0
    for i in range(axes):
        at = 3 - axes + i
        s.size[at], s.kernel[at] = cnp.PyArray_DIM(x, 1 + i), cnp.PyArray_DIM(w, 2 + i)
        s.stride[at], s.dilation[at] = stride[i], dilation[i]
        s.before[at], s.after[at] = before[i], after[i]
    return s


def conv(cnp.ndarray y, cnp.ndarray x, cnp.ndarray w, tuple geometry, cnp.ndarray bias=None,
         int act=0, float alpha=0.0, tuple drop=None, bint by_channel=False,
         cnp.ndarray panels=None):
    """y = dropout(act(conv(x, w) + bias)); `drop` is a tuple (stream, q, scale) or None."""
    cdef int status
    cdef fd_conv_args args
    args.y, args.x, args.w, args.panels = data(y), data(x), data(w), data_or_null(panels)
    args.bias, args.shape = data_or_null(bias), conv_shape(x, w, geometry)
    args.drop, args.by_channel, args.act, args.alpha = drop_tuple(drop), by_channel, act, alpha
    with nogil:
        status = fd_conv(&args)
    done(status)


def conv_panels_length(cnp.ndarray x, cnp.ndarray w, tuple geometry):
    """The floats of w packed for inputs of x's shape; 0 where packing is of no use."""
    cdef fd_conv_shape s = conv_shape(x, w, geometry)
    return fd_conv_panels_length(&s)


def conv_pack(cnp.ndarray panels, cnp.ndarray x, cnp.ndarray w, tuple geometry):
    """Pack w for `conv` of inputs of x's shape, any number of images."""
    cdef int status
    cdef fd_conv_pack_args args
    args.panels, args.w, args.shape = data(panels), data(w), conv_shape(x, w, geometry)
    with nogil:
        status = fd_conv_pack(&args)
    done(status)


def conv_dx(cnp.ndarray dx, cnp.ndarray dy, cnp.ndarray w, tuple geometry):
    """The gradient for x."""
    cdef int status
    cdef fd_conv_dx_args args
    args.dx, args.dy, args.w = data(dx), data(dy), data(w)
    args.shape = conv_shape(dx, w, geometry)
    with nogil:
        status = fd_conv_dx(&args)
    done(status)


def conv_dw(cnp.ndarray dw, cnp.ndarray dy, cnp.ndarray x, tuple geometry, bint accumulate=False):
    """The gradient for w."""
    cdef int status
    cdef fd_conv_dw_args args
    args.dw, args.dy, args.x, args.accumulate = data(dw), data(dy), data(x), accumulate
    args.shape = conv_shape(x, dw, geometry)
    with nogil:
        status = fd_conv_dw(&args)
    done(status)
