"""DropConnect with one mask for each sample. `drop` is a tuple (stream, q, scale) or None."""


def dropconnect(cnp.ndarray y, cnp.ndarray x, cnp.ndarray w, cnp.ndarray bias, bint mask_bias,
                tuple drop):
    """y (N, O) = x (N, I) @ (masked w (O, I))^T + bias; mask_bias: the bias is masked as well."""
    cdef int status
    cdef fd_dropconnect_args args
    args.y, args.x, args.w, args.bias = data(y), data(x), data(w), data_or_null(bias)
    args.rows, args.outs, args.ins = rows_of(x), rows_of(w), cnp.PyArray_DIM(w, 1)
    args.drop, args.mask_bias = drop_tuple(drop), mask_bias
    with nogil:
        status = fd_dropconnect(&args)
    done(status)


def dropconnect_dx(cnp.ndarray dx, cnp.ndarray dy, cnp.ndarray w, tuple drop):
    """The gradient for x."""
    cdef int status
    cdef fd_dropconnect_dx_args args
    args.dx, args.dy, args.w = data(dx), data(dy), data(w)
    args.rows, args.outs, args.ins = rows_of(dy), rows_of(w), cnp.PyArray_DIM(w, 1)
    args.drop = drop_tuple(drop)
    with nogil:
        status = fd_dropconnect_dx(&args)
    done(status)


def dropconnect_dw(cnp.ndarray dw, cnp.ndarray db, cnp.ndarray dy, cnp.ndarray x, bint mask_bias,
                   tuple drop):
    """The gradients for w and bias; db may be None."""
    cdef int status
    cdef fd_dropconnect_dw_args args
    args.dw, args.db, args.dy, args.x = data(dw), data_or_null(db), data(dy), data(x)
    args.rows, args.outs, args.ins = rows_of(x), rows_of(dw), cnp.PyArray_DIM(dw, 1)
    args.drop, args.mask_bias = drop_tuple(drop), mask_bias
    with nogil:
        status = fd_dropconnect_dw(&args)
    done(status)
