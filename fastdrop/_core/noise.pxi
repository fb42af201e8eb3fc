"""Gaussian noise."""


def noise(cnp.ndarray out, cnp.ndarray x, Stream s, float sigma, bint relative):
    """x * (1 + sigma * normal) if relative, else x + sigma * normal; axis 0 is the sample."""
    cdef int status
    cdef fd_noise_args args
    args.y, args.x, args.rows, args.units = data(out), data(x), rows_of(x), units_of(x)
    args.stream, args.sigma, args.relative = &s.c, sigma, relative
    with nogil:
        status = fd_noise(&args)
    done(status)
