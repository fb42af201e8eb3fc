"""Normalisation, softmax, and transposition. Arrays of channels are (sets, rows, channels)."""


def transpose(cnp.ndarray y, cnp.ndarray x):
    """y (images, columns, rows): each image of x (images, rows, columns) transposed."""
    cdef int status
    cdef fd_transpose_args args
    args.y, args.x, args.images = data(y), data(x), cnp.PyArray_DIM(x, 0)
    args.rows, args.columns = cnp.PyArray_DIM(x, 1), cnp.PyArray_DIM(x, 2)
    with nogil:
        status = fd_transpose(&args)
    done(status)


cdef fd_norm_shape norm_shape(cnp.ndarray x):
    cdef fd_norm_shape s
    s.sets, s.rows = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    s.channels = cnp.PyArray_DIM(x, 2)
    return s


def moments(cnp.ndarray mean, cnp.ndarray variance, cnp.ndarray x):
    """Mean and biased variance over the rows, (sets, channels) each."""
    cdef int status
    cdef fd_moments_args args
    args.mean, args.variance, args.x = data(mean), data(variance), data(x)
    args.shape = norm_shape(x)
    with nogil:
        status = fd_moments(&args)
    done(status)


def normalize(cnp.ndarray y, cnp.ndarray x, cnp.ndarray mean, cnp.ndarray scale, cnp.ndarray bias,
              bint relu=False):
    """y = (x - mean) * scale + bias, then ReLU if asked for; factors (sets, channels)."""
    cdef int status
    cdef fd_normalize_args args
    args.y, args.x, args.relu, args.shape = data(y), data(x), relu, norm_shape(x)
    args.mean, args.scale, args.bias = data(mean), data(scale), data(bias)
    with nogil:
        status = fd_normalize(&args)
    done(status)


def normalize_sums(cnp.ndarray sum, cnp.ndarray sum_x, cnp.ndarray dy, cnp.ndarray x,
                   cnp.ndarray mean, cnp.ndarray scale, cnp.ndarray bias, bint relu=False):
    """Sums over the rows of g and g * (x - mean); g: dy where ReLU let it pass."""
    cdef int status
    cdef fd_normalize_sums_args args
    args.sum, args.sum_x, args.dy, args.x = data(sum), data(sum_x), data(dy), data(x)
    args.mean, args.scale, args.bias = data(mean), data(scale), data(bias)
    args.relu, args.shape = relu, norm_shape(x)
    with nogil:
        status = fd_normalize_sums(&args)
    done(status)


def normalize_dx(cnp.ndarray dx, cnp.ndarray dy, cnp.ndarray x, cnp.ndarray mean,
                 cnp.ndarray scale, cnp.ndarray bias, cnp.ndarray of_g, cnp.ndarray of_x,
                 cnp.ndarray shift, bint relu=False):
    """dx = of_g * g + of_x * (x - mean) + shift; factors (sets, channels)."""
    cdef int status
    cdef fd_normalize_dx_args args
    args.dx, args.dy, args.x, args.shape = data(dx), data(dy), data(x), norm_shape(x)
    args.mean, args.scale, args.bias = data(mean), data(scale), data(bias)
    args.of_g, args.of_x, args.shift, args.relu = data(of_g), data(of_x), data(shift), relu
    with nogil:
        status = fd_normalize_dx(&args)
    done(status)


def row_norm(cnp.ndarray y, cnp.ndarray mean, cnp.ndarray inverse, cnp.ndarray x,
             cnp.ndarray weight, cnp.ndarray bias, float eps):
    """The normalised rows of x (rows, n); mean is None where none is subtracted."""
    cdef int status
    cdef fd_row_norm_args args
    args.y, args.mean, args.inverse, args.x = data(y), data_or_null(mean), data(inverse), data(x)
    args.weight, args.bias, args.eps = data_or_null(weight), data_or_null(bias), eps
    args.rows, args.n = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    args.centred = mean is not None
    with nogil:
        status = fd_row_norm(&args)
    done(status)


def row_norm_backward(cnp.ndarray dx, cnp.ndarray dweight, cnp.ndarray dbias, cnp.ndarray dy,
                      cnp.ndarray x, cnp.ndarray mean, cnp.ndarray inverse, cnp.ndarray weight):
    """The gradients of x (rows, n) and, unless both are None, of weight and bias."""
    cdef int status
    cdef fd_row_norm_backward_args args
    args.dx, args.dweight, args.dbias = data(dx), data_or_null(dweight), data_or_null(dbias)
    args.dy, args.x, args.mean, args.inverse = data(dy), data(x), data_or_null(mean), data(inverse)
    args.weight = data_or_null(weight)
    args.rows, args.n = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    args.centred = mean is not None
    with nogil:
        status = fd_row_norm_backward(&args)
    done(status)


def log_sum_exp(cnp.ndarray most, cnp.ndarray log_sum, cnp.ndarray x, cnp.ndarray losses=None,
                cnp.ndarray labels=None, cnp.ndarray weights=None):
    """The largest number of each row of x (rows, n) and the logarithm of the sum above it.

    losses: gets weight * cross-entropy of the int64 labels, each in [0, n).
    """
    cdef int status
    cdef fd_log_sum_exp_args args
    args.most, args.log_sum, args.x = data(most), data(log_sum), data(x)
    args.rows, args.n = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    args.losses, args.labels, args.weights = data_or_null(losses), NULL, data_or_null(weights)
    if labels is not None:
        args.labels = longs(labels)
    with nogil:
        status = fd_log_sum_exp(&args)
    done(status)


def scaled_softmax(cnp.ndarray y, cnp.ndarray x, cnp.ndarray most, cnp.ndarray log_sum,
                   cnp.ndarray factor, cnp.ndarray labels=None):
    """y = factor of the row * softmax(x); most and log_sum as `log_sum_exp` writes them.

    labels: the factor is subtracted at the int64 label of each row.
    """
    cdef int status
    cdef fd_scaled_softmax_args args
    args.y, args.x, args.most, args.log_sum = data(y), data(x), data(most), data(log_sum)
    args.factor, args.rows, args.n = data(factor), cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    args.labels = NULL if labels is None else longs(labels)
    with nogil:
        status = fd_scaled_softmax(&args)
    done(status)
