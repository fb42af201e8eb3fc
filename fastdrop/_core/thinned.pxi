"""Products over the kept units only, when one mask is shared by all samples of a pass."""


def thin_layer(cnp.ndarray w, cnp.ndarray bias, int act, float alpha, Py_ssize_t samples,
               cnp.ndarray x, cnp.ndarray x_at, cnp.ndarray k, cnp.ndarray bits, float scale,
               cnp.ndarray y, cnp.ndarray y_at, cnp.ndarray n, Py_ssize_t ldy, cnp.ndarray rows,
               cnp.ndarray rows_at):
    """A dense layer of thinned networks, see fd_thin_layer_args in fastdrop.h.

    x, y and rows are flat; bits is (passes, words) or None; rows is an array or None.
    """
    cdef int status
    cdef fd_thin_layer_args t
    t.passes, t.samples = cnp.PyArray_DIM(k, 0), samples
    t.outs, t.ins = rows_of(w), cnp.PyArray_DIM(w, 1)
    t.w, t.bias, t.act, t.alpha = data(w), data_or_null(bias), act, alpha
    t.x, t.x_at, t.k = data(x), longs(x_at), longs(k)
    t.bits, t.words, t.scale = NULL, 0, scale
    if bits is not None:
        t.bits, t.words = <const uint32_t *> cnp.PyArray_DATA(bits), cnp.PyArray_DIM(bits, 1)
    t.y, t.y_at, t.n, t.ldy = data(y), longs(y_at), longs(n), ldy
    t.rows, t.rows_at = NULL, NULL
    if rows is not None:
        t.rows, t.rows_at = <const int32_t *> cnp.PyArray_DATA(rows), longs(rows_at)
    with nogil:
        status = fd_thin_layer(&t)
    done(status)


def thin_rows(cnp.ndarray out, cnp.ndarray source, Py_ssize_t ld, Py_ssize_t step,
              Py_ssize_t samples, cnp.ndarray x_at, cnp.ndarray k, cnp.ndarray bits):
    """The kept units of each pass: of rows of source (.., ins), see fd_thin_rows_args."""
    cdef int status
    cdef fd_thin_rows_args t
    t.y, t.x, t.ldx, t.step = data(out), data(source), ld, step
    t.passes, t.samples, t.ins = cnp.PyArray_DIM(k, 0), samples, cnp.PyArray_DIM(source, 1)
    t.y_at, t.k = longs(x_at), longs(k)
    t.bits, t.words = <const uint32_t *> cnp.PyArray_DATA(bits), cnp.PyArray_DIM(bits, 1)
    with nogil:
        status = fd_thin_rows(&t)
    done(status)
