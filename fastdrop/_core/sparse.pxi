"""Dense layers with sparse weights."""


def sparse_linear(cnp.ndarray y, cnp.ndarray x, cnp.ndarray values, cnp.ndarray columns,
                  cnp.ndarray starts, cnp.ndarray bias):
    """y (N, O) = x (N, I) @ w^T + bias; w sparse: columns int32, starts int64."""
    cdef int status
    cdef fd_sparse_linear_args args
    args.y, args.x, args.rows = data(y), data(x), rows_of(x)
    args.w.outs, args.w.ins = cnp.PyArray_DIM(y, 1), cnp.PyArray_DIM(x, 1)
    args.w.values, args.w.bias = data(values), data_or_null(bias)
    args.w.columns, args.w.starts = <const int32_t *> cnp.PyArray_DATA(columns), longs(starts)
    args.w.nonzeros = cnp.PyArray_DIM(values, 0)
    if args.w.nonzeros == 0:  # 0 would tell the core to believe the last start
        y[...] = 0.0 if bias is None else bias
        return
    with nogil:
        status = fd_sparse_linear(&args)
    done(status)
