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


def thin_take(cnp.ndarray out, cnp.ndarray x, cnp.ndarray rows, cnp.ndarray bits,
              float scale=1.0):
    """out (n, k): rows `rows` of x, and of each the columns of `bits`, times scale.

    rows is int32 (n,) or None; bits are packed or None: all. The rows of x may have any distance.
    """
    cdef int status
    cdef fd_thin_take_args t
    t.y, t.n, t.k = data(out), rows_of(out), cnp.PyArray_DIM(out, 1)
    t.x, t.units, t.ldx = data(x), cnp.PyArray_DIM(x, 1), ld_of(x)
    t.rows, t.bits, t.scale = ints_or_null(rows), words_or_null(bits), scale
    with nogil:
        status = fd_thin_take(&t)
    done(status)


cdef int sum_of(fd_thin_put_args *t, fd_thin_part *given, object parts) except -1:
    """Fill in the parts of a sum: at most FD_THIN_PARTS of (x, rows, bits)."""
    cdef cnp.ndarray x, rows, bits
    if len(parts) > FD_THIN_PARTS:
        raise AssertionError("at most two parts")
    t.parts, t.count = given, 0
    for x, rows, bits in parts:
        given[t.count].x, given[t.count].n = data(x), rows_of(x)
        given[t.count].k = cnp.PyArray_DIM(x, 1)
        given[t.count].rows, given[t.count].bits = ints_or_null(rows), words_or_null(bits)
        t.count += 1
    return 0


def thin_put(cnp.ndarray out, list parts, bint accumulate=False):
    """The way back: out is the sum of parts (x, rows, bits), each 0 in other rows and columns.

    There are one or two parts. The rows of out may have any distance.
    """
    cdef int status
    cdef fd_thin_part[FD_THIN_PARTS] given
    cdef fd_thin_put_args t
    t.y, t.m, t.units, t.ldy = data(out), rows_of(out), cnp.PyArray_DIM(out, 1), ld_of(out)
    t.accumulate = accumulate
    sum_of(&t, given, parts)
    with nogil:
        status = fd_thin_put(&t)
    done(status)
