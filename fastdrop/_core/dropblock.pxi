"""DropBlock."""


def dropblock(cnp.ndarray out, cnp.ndarray x, Stream s, uint64_t q, tuple block, bint coupled,
              bint batch, bint channels_last=False):
    """x (N, C, ...) with one to three axes after the channels; block: its length along each.

    channels_last: out and x are (N, ..., C).
    """
    cdef int status, i, axes = cnp.PyArray_NDIM(x) - 2
    cdef fd_dropblock_args args
    args.y, args.x, args.rows, args.channels_last = data(out), data(x), rows_of(x), channels_last
    args.channels = cnp.PyArray_DIM(x, axes + 1 if channels_last else 1)
    for i in range(3):
        args.size[i] = args.block[i] = 1
    for i in range(axes):
        args.size[3 - axes + i] = cnp.PyArray_DIM(x, i + (1 if channels_last else 2))
        args.block[3 - axes + i] = block[i]
    args.stream, args.q, args.coupled, args.batch = &s.c, q, coupled, batch
    with nogil:
        status = fd_dropblock(&args)
    done(status)
