"""Concrete dropout."""


cdef fd_concrete concrete_of(double logit, double temperature, double p):
    cdef fd_concrete c
    c.logit, c.inverse_t, c.scale, c.p = logit, 1.0 / temperature, 1.0 / (1.0 - p), p
    return c


def concrete(cnp.ndarray y, cnp.ndarray x, Stream s, double logit, double temperature, double p):
    """y = x (1 - z) / (1 - p), z = sigmoid((logit + log u - log(1 - u)) / temperature).

    Axis 0 is the sample.
    """
    cdef int status
    cdef fd_concrete_forward_args args
    args.y, args.x, args.rows, args.units = data(y), data(x), rows_of(x), units_of(x)
    args.stream, args.concrete = &s.c, concrete_of(logit, temperature, p)
    with nogil:
        status = fd_concrete_forward(&args)
    done(status)


def concrete_backward(cnp.ndarray dx, cnp.ndarray dlogit, cnp.ndarray dy, cnp.ndarray x, Stream s,
                      double logit, double temperature, double p):
    """The gradients for x and logit: dlogit (N) float64 holds one sum for each sample."""
    cdef int status
    cdef fd_concrete_backward_args args
    args.dx, args.dlogit = data(dx), <double *> cnp.PyArray_DATA(dlogit)
    args.dy, args.x, args.rows, args.units = data(dy), data(x), rows_of(x), units_of(x)
    args.stream, args.concrete = &s.c, concrete_of(logit, temperature, p)
    with nogil:
        status = fd_concrete_backward(&args)
    done(status)
