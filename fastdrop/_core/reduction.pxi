"""Column sums and sums of squares."""


def col_sum(cnp.ndarray out, cnp.ndarray x):
    """Sums over all axes of x but the last, of the size of out."""
    cdef int status
    cdef fd_col_sum_args args
    args.out, args.x, args.cols = data(out), data(x), cnp.PyArray_SIZE(out)
    args.rows = cnp.PyArray_SIZE(x) // args.cols if args.cols else 0
    with nogil:
        status = fd_col_sum(&args)
    done(status)


def sumsq(cnp.ndarray x):
    """The sum of squares, as a float64 number."""
    cdef int status
    cdef double total
    cdef fd_sumsq_args args
    args.out, args.x, args.n = &total, data(x), cnp.PyArray_SIZE(x)
    with nogil:
        status = fd_sumsq(&args)
    done(status)
    return total
