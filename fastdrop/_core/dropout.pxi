"""Dropout, and multiplication by a number."""


def dropout(cnp.ndarray out, cnp.ndarray x, Stream s, uint64_t q, float scale, float shift=0.0,
            float fill=0.0, tuple share=None):
    """x * scale + shift where kept, fill where dropped; axis 0 is the sample.

    share: for each of the other axes, whether all elements along it have one decision.
    """
    cdef int status
    cdef fd_dropout_args args
    if share is not None:
        dropout_shared(out, x, s, q, scale, shift, fill, share)
        return
    args.y, args.x, args.rows, args.units = data(out), data(x), rows_of(x), units_of(x)
    args.drop = drop_of(s, q, scale)
    args.drop.shift, args.drop.fill = shift, fill
    with nogil:
        status = fd_dropout(&args)
    done(status)


cdef int dropout_shared(cnp.ndarray out, cnp.ndarray x, Stream s, uint64_t q, float scale,
                        float shift, float fill, tuple share) except -1:
    cdef int status, i
    cdef fd_dropout_shared_args args
    args.y, args.x, args.rows, args.axes = data(out), data(x), rows_of(x), cnp.PyArray_NDIM(x) - 1
    for i in range(args.axes):
        args.length[i], args.shared[i] = cnp.PyArray_DIM(x, i + 1), share[i]
    args.drop = drop_of(s, q, scale)
    args.drop.shift, args.drop.fill = shift, fill
    with nogil:
        status = fd_dropout_shared(&args)
    return done(status)


def scale(cnp.ndarray out, cnp.ndarray x, float s):
    """x * s."""
    cdef int status
    cdef fd_scale_args args
    args.y, args.x, args.n, args.scale = data(out), data(x), cnp.PyArray_SIZE(x), s
    with nogil:
        status = fd_scale(&args)
    done(status)


def map_dropout(cnp.ndarray out, cnp.ndarray x, Stream s, uint64_t q, float scale,
                float shift=0.0, float fill=0.0, bint by_channel=False):
    """Dropout of maps (N, *positions, C) with the mask of the same array as (N, C, *positions)."""
    cdef int status
    cdef fd_map_dropout_args args
    args.y, args.x, args.images = data(out), data(x), rows_of(x)
    args.channels = cnp.PyArray_DIM(x, cnp.PyArray_NDIM(x) - 1)
    args.positions = units_of(x) // args.channels if args.channels else 0
    args.drop, args.by_channel = drop_of(s, q, scale), by_channel
    args.drop.shift, args.drop.fill = shift, fill
    with nogil:
        status = fd_map_dropout(&args)
    done(status)
