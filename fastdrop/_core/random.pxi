"""Arrays of random numbers."""


def uniform(cnp.ndarray out, Stream s):
    """Uniform numbers in (0, 1); axis 0 is the sample."""
    cdef int status
    cdef fd_uniform_args args
    args.out, args.stream, args.rows, args.units = data(out), &s.c, rows_of(out), units_of(out)
    with nogil:
        status = fd_uniform(&args)
    done(status)


def normal(cnp.ndarray out, Stream s):
    """Standard normal numbers; axis 0 is the sample."""
    cdef int status
    cdef fd_normal_args args
    args.out, args.stream, args.rows, args.units = data(out), &s.c, rows_of(out), units_of(out)
    with nogil:
        status = fd_normal(&args)
    done(status)
