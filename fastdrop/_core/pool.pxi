"""Pooling. Maps are (N, *positions, C) with one to three axes of positions."""


cdef fd_pool_shape pool_shape(cnp.ndarray x, cnp.ndarray y, tuple geometry) except *:
    """x, y: the input and the result, or their gradients.

    geometry: (kernel, stride, dilation, positions before the input), a tuple each.
    """
    cdef int i, at, axes = cnp.PyArray_NDIM(x) - 2
    cdef fd_pool_shape s
    kernel, stride, dilation, before = geometry
    s.images, s.channels = rows_of(x), cnp.PyArray_DIM(x, axes + 1)
    for i in range(3):
        s.size[i] = s.kernel[i] = s.stride[i] = s.dilation[i] = s.out[i] = 1
        s.before[i] = 0
    for i in range(axes):
        at = 3 - axes + i
        s.size[at], s.out[at] = cnp.PyArray_DIM(x, 1 + i), cnp.PyArray_DIM(y, 1 + i)
        s.kernel[at], s.stride[at] = kernel[i], stride[i]
        s.dilation[at], s.before[at] = dilation[i], before[i]
    return s


def max_pool(cnp.ndarray y, cnp.ndarray at, cnp.ndarray x, tuple geometry):
    """The largest element of each window; at (int32): its position in the image."""
    cdef int status
    cdef fd_max_pool_args args
    args.y, args.at, args.x = data(y), <int32_t *> cnp.PyArray_DATA(at), data(x)
    args.shape = pool_shape(x, y, geometry)
    with nogil:
        status = fd_max_pool(&args)
    done(status)


def max_pool_backward(cnp.ndarray dx, cnp.ndarray dy, cnp.ndarray at, tuple geometry):
    """The gradient for x."""
    cdef int status
    cdef fd_max_pool_backward_args args
    args.dx, args.dy, args.at = data(dx), data(dy), <int32_t *> cnp.PyArray_DATA(at)
    args.shape = pool_shape(dx, dy, geometry)
    with nogil:
        status = fd_max_pool_backward(&args)
    done(status)


def avg_pool(cnp.ndarray y, cnp.ndarray x, cnp.ndarray factor, tuple geometry):
    """The sum of each window times the factor of its position."""
    cdef int status
    cdef fd_avg_pool_args args
    args.y, args.x, args.factor = data(y), data(x), data(factor)
    args.shape = pool_shape(x, y, geometry)
    with nogil:
        status = fd_avg_pool(&args)
    done(status)


def avg_pool_backward(cnp.ndarray dx, cnp.ndarray dy, cnp.ndarray factor, tuple geometry):
    """The gradient for x."""
    cdef int status
    cdef fd_avg_pool_backward_args args
    args.dx, args.dy, args.factor = data(dx), data(dy), data(factor)
    args.shape = pool_shape(dx, dy, geometry)
    with nogil:
        status = fd_avg_pool_backward(&args)
    done(status)
