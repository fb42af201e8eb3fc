"""Matrix products."""


def gemm(cnp.ndarray c, cnp.ndarray a, bint ta, cnp.ndarray b, bint tb, cnp.ndarray bias=None,
         int act=0, float alpha=0.0, tuple drop=None, tuple a_drop=None, tuple b_drop=None,
         bint accumulate=False, Py_ssize_t repeat=1, cnp.ndarray panels=None, bint bf16=False,
         cnp.ndarray k_units=None, Py_ssize_t k_whole=0):
    """c (M, N) = dropout(act(op(a) @ op(b) + bias)); op transposes if the flag ta or tb is set.

    The rows of c, a and b may have any distance. Each `drop` is a tuple (stream, q, scale) or None.

    accumulate: add the product to c; there is no epilogue then.
    repeat: each row of a stands for so many rows, which the masks of a_drop tell apart.
    panels: packed by `pack` and read instead of b, which may be None; only with tb. The panels must
    be finite if there is a repeat.
    bf16: round the operands to bf16 where there is a `bf16_isa`; panels are packed with it, too.
    k_units: numbers among k_whole of the columns of op(a), where others are left out (int32).
    """
    cdef int status
    cdef fd_product p
    p.c, p.a, p.panels = data(c), data(a), data_or_null(panels)
    p.m, p.n = rows_of(c), cnp.PyArray_DIM(c, 1)
    p.k = rows_of(a) if ta else cnp.PyArray_DIM(a, 1)
    p.ldc = ld_of(c)
    p.lda = ld_of(a)
    p.b, p.ldb = NULL, 0
    if panels is None:
        p.b, p.ldb = data(b), ld_of(b)
    p.ta, p.tb, p.accumulate, p.repeat, p.bf16 = ta, tb, accumulate, repeat, bf16
    p.bias, p.act, p.alpha = data_or_null(bias), act, alpha
    p.drop, p.a_drop, p.b_drop = drop_tuple(drop), drop_tuple(a_drop), drop_tuple(b_drop)
    p.k_units, p.k_whole = ints_or_null(k_units), k_whole
    with nogil:
        status = fd_gemm(&p)
    done(status)


def panels_length(Py_ssize_t n, Py_ssize_t k, bint bf16=False):
    """Floats that `pack` writes for a matrix (n, k) with the instruction set in use."""
    return fd_bf16_panels_length(n, k) if bf16 else fd_panels_length(n, k)


def pack(cnp.ndarray panels, cnp.ndarray w, bint bf16=False):
    """Panels of w (out, in) for products x @ w^T; bf16: for those with bf16."""
    cdef int status
    cdef fd_pack_args p
    p.panels = data(panels)
    p.w, p.n, p.k, p.units = data(w), rows_of(w), cnp.PyArray_DIM(w, 1), cnp.PyArray_DIM(w, 1)
    p.rows, p.bits, p.scale, p.bf16 = NULL, NULL, 1.0, bf16
    with nogil:
        status = fd_pack(&p)
    done(status)


def chain(cnp.ndarray x, tuple layers, bint bf16=False):
    """Dense layers in sequence, act(x @ w^T + bias).

    Each layer is a tuple (panels, inputs, outputs, bias or None, act, alpha). bf16: as in `gemm`.
    """
    cdef int status = FD_OK
    cdef fd_product p
    cdef cnp.ndarray y = x, panels, bias
    cdef cnp.npy_intp shape[2]
    memset(&p, 0, sizeof(p))
    p.m, p.tb, p.repeat, p.bf16 = rows_of(x), 1, 1, bf16
    shape[0] = p.m
    p.drop = p.a_drop = p.b_drop = drop_of(None, FD_KEEP_ALL, 1.0)
    for panels, ins, outs, bias, act, alpha in layers:
        x = y
        shape[1] = outs
        y = cnp.PyArray_EMPTY(2, shape, cnp.NPY_FLOAT, 0)
        p.a, p.panels, p.c, p.bias = data(x), data(panels), data(y), data_or_null(bias)
        p.n = p.ldc = outs
        p.k = p.lda = ins
        p.act, p.alpha = act, alpha
        with nogil:
            status = fd_gemm(&p)
        done(status)
    return y
