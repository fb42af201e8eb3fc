"""Pooling. Maps are (N, *positions, C) with one to three axes of positions."""


cdef fd_pool_shape pool_shape(cnp.ndarray x, cnp.ndarray y, tuple geometry) except *:
    """x, y: the input and the result, or their gradients.

    geometry: (kernel, stride, dilation, positions before the input), a tuple each; kernel 0 is
    adaptive.
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


def max_pool(cnp.ndarray y, object at, cnp.ndarray x, tuple geometry):
    """The largest element of each window; at (int32 or None): its position in the image."""
    cdef int status
    cdef fd_max_pool_args args
    args.y, args.x, args.at = data(y), data(x), NULL
    if at is not None:
        args.at = <int32_t *> cnp.PyArray_DATA(at)
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


cdef int set_axis(fd_resize_axis *axis, Py_ssize_t size, Py_ssize_t out, tuple table) except -1:
    """table: (starts, index, weights), the first two int32."""
    starts, index, weights = table
    axis.size, axis.out = size, out
    axis.starts = <const int32_t *> cnp.PyArray_DATA(<cnp.ndarray?> starts)
    axis.index = <const int32_t *> cnp.PyArray_DATA(<cnp.ndarray?> index)
    axis.weights = data(<cnp.ndarray?> weights)
    return 0


def resize(cnp.ndarray y, cnp.ndarray x, tuple tables):
    """Weighted sums of positions along each axis; a table for each of three axes."""
    cdef int status, i, axes = cnp.PyArray_NDIM(x) - 2
    cdef fd_resize_args args
    args.y, args.x = data(y), data(x)
    args.images, args.channels = rows_of(x), cnp.PyArray_DIM(x, axes + 1)
    for i in range(3):
        if i < 3 - axes:
            set_axis(&args.axis[i], 1, 1, tables[i])
        else:
            set_axis(&args.axis[i], cnp.PyArray_DIM(x, i - 2 + axes),
                     cnp.PyArray_DIM(y, i - 2 + axes), tables[i])
    with nogil:
        status = fd_resize(&args)
    done(status)
