# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""The binding: pointers, sizes, one call without the GIL. No policy, no defaults beyond "none", no messages.

Arrays are C-contiguous float32 (or what a function names), validated by the Python layers above; here that is
asserted at most.
"""

from libc.math cimport sqrt
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset
cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals

cnp.import_array()

cdef extern from "fastdrop.h" nogil:
    ctypedef struct fd_stream:
        uint32_t key[2]
        uint32_t sub, draw, row0
        const uint32_t *rows
        const uint32_t *draws
        int by_sub
    ctypedef struct fd_drop:
        const fd_stream *stream
        uint64_t q
        float scale, shift, fill
    ctypedef struct fd_blocks:
        Py_ssize_t channels
        Py_ssize_t size[3]
        Py_ssize_t block[3]
        int coupled, batch
    ctypedef struct fd_connection:
        Py_ssize_t rows, outs, ins
        const float *bias
        int mask_bias
        fd_drop drop
    ctypedef struct fd_csr:
        Py_ssize_t outs, ins
        const float *values
        const int32_t *columns
        const int64_t *starts
        const float *bias
    ctypedef struct fd_concrete:
        float logit, inverse_t, scale, p
    ctypedef struct fd_product:
        float *c
        const float *a
        const float *b
        const float *panels
        Py_ssize_t m, n, k, ldc, lda, ldb
        int ta, tb, accumulate
        Py_ssize_t repeat
        const float *bias
        int act
        float alpha
        fd_drop drop, a_drop, b_drop
    enum:
        FD_OK, FD_NO_MEMORY, FD_INTERRUPTED, FD_KEEP_ALL, FD_MOST_AXES, FD_BITS_PAD
        FD_NONE, FD_RELU, FD_LEAKY_RELU, FD_SIGMOID, FD_TANH, FD_SELU, FD_SILU, FD_GELU
    void fd_stream_key(uint32_t *key, uint64_t seed, uint32_t site, uint32_t domain, uint32_t call)
    int fd_keep_bits(uint32_t *bits, const fd_stream *s, Py_ssize_t rows, Py_ssize_t units, uint64_t q)
    int fd_keep_mask(uint8_t *mask, const fd_stream *s, Py_ssize_t rows, Py_ssize_t units, uint64_t q)
    int fd_keep_uniforms(uint32_t *out, const fd_stream *s, Py_ssize_t rows, Py_ssize_t units)
    int fd_noise(float *y, const float *x, const fd_stream *s, Py_ssize_t rows, Py_ssize_t units, float sigma, int relative)
    int fd_uniform(float *out, const fd_stream *s, Py_ssize_t rows, Py_ssize_t units)
    int fd_normal(float *out, const fd_stream *s, Py_ssize_t rows, Py_ssize_t units)
    int fd_dropout(float *y, const float *x, Py_ssize_t rows, Py_ssize_t units, fd_drop drop)
    int fd_dropout_shared(float *y, const float *x, Py_ssize_t rows, int axes, const Py_ssize_t *length, const int *shared, fd_drop drop)
    int fd_scale(float *y, const float *x, Py_ssize_t n, float s)
    int fd_act(float *y, const float *z, Py_ssize_t n, int kind, float alpha)
    int fd_act_dropout(float *y, const float *z, Py_ssize_t rows, Py_ssize_t units, int kind, float alpha, fd_drop drop)
    int fd_act_backward(float *dz, float *db, const float *dy, const float *saved, Py_ssize_t rows, Py_ssize_t cols,
                        Py_ssize_t samples, int kind, float alpha, fd_drop drop)
    int fd_dropblock(float *y, const float *x, Py_ssize_t rows, const fd_blocks *b, const fd_stream *stream, uint64_t q)
    int fd_dropconnect(float *y, const float *x, const float *w, const fd_connection *c)
    int fd_dropconnect_dx(float *dx, const float *dy, const float *w, const fd_connection *c)
    int fd_dropconnect_dw(float *dw, float *db, const float *dy, const float *x, const fd_connection *c)
    int fd_sparse_linear(float *y, const float *x, Py_ssize_t rows, const fd_csr *w)
    int fd_concrete_forward(float *y, const float *x, const fd_stream *s, Py_ssize_t rows, Py_ssize_t units, fd_concrete c)
    int fd_concrete_backward(float *dx, double *dlogit, const float *dy, const float *x, const fd_stream *s, Py_ssize_t rows, Py_ssize_t units,
                             fd_concrete c)
    int fd_gemm(const fd_product *p)
    ctypedef struct fd_panels:
        const float *w
        Py_ssize_t n, k, units
        const int32_t *rows
        const uint32_t *bits
        float scale
    Py_ssize_t fd_panels_length(Py_ssize_t n, Py_ssize_t k)
    int fd_pack(float *panels, const fd_panels *p)
    ctypedef struct fd_thin:
        Py_ssize_t passes, samples, outs, ins
        const float *w
        const float *bias
        int act
        float alpha
        const float *x
        const int64_t *x_at
        const int64_t *k
        const uint32_t *bits
        Py_ssize_t words
        float scale
        float *y
        const int64_t *y_at
        const int64_t *n
        Py_ssize_t ldy
        const int32_t *rows
        const int64_t *rows_at
    int fd_thin_layer(const fd_thin *t)
    int fd_thin_rows(float *to, const float *source, Py_ssize_t ld, Py_ssize_t step, const fd_thin *t)
    int fd_col_sum(float *out, const float *x, Py_ssize_t rows, Py_ssize_t cols)
    int fd_sumsq(double *out, const float *x, Py_ssize_t n)
    int fd_max_norm_rows(float *w, Py_ssize_t rows, Py_ssize_t cols, float c)
    int fd_sgd(float *p, const float *g, float *buf, Py_ssize_t n, float lr, float momentum, float dampening,
               float weight_decay, int nesterov, int first)
    int fd_adam(float *p, const float *g, float *m, float *v, Py_ssize_t n, float step_size, double beta1, double beta2,
                float eps, float l2, float shrink, float v_scale)
    int fd_rmsprop(float *p, const float *g, float *v, float *buf, Py_ssize_t n, float lr, double alpha, float eps,
                   float weight_decay, float momentum)
    int fd_has_openmp()
    int fd_get_threads()
    void fd_set_threads(int n)
    const char *fd_isa()
    const char *fd_isa_name(int i, int *available)
    int fd_set_isa(const char *name)
    void fd_set_interrupt_hook(int (*hook)() noexcept nogil)

ACT_NONE, ACT_RELU, ACT_LEAKY_RELU, ACT_SIGMOID = FD_NONE, FD_RELU, FD_LEAKY_RELU, FD_SIGMOID
ACT_TANH, ACT_SELU, ACT_SILU, ACT_GELU = FD_TANH, FD_SELU, FD_SILU, FD_GELU
KEEP_ALL = 1 << 32
BITS_PAD = FD_BITS_PAD  # words that the core may read behind packed bits


cdef int signalled() noexcept with gil:
    """1 when a Python signal handler raised; the exception is kept for the caller that holds the GIL next."""
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        global pending_error
        pending_error = error
        return 1
    return 0

pending_error = None
fd_set_interrupt_hook(<int (*)() noexcept nogil>signalled)


cdef int done(int status) except -1:
    global pending_error
    if status == FD_OK:
        return 0
    if status == FD_NO_MEMORY:
        raise MemoryError("fastdrop could not allocate its workspace")
    error, pending_error = pending_error, None
    raise error if error is not None else KeyboardInterrupt()


cdef class Stream:
    """The key of a mask: everything but row and unit. Immutable; what a dropout node remembers.

    rows : uint32 array or None
        Row numbers; None: row i has the number row0 + i.
    draws : uint32 array or None
        The draw of each row, instead of one for all: Monte Carlo passes side by side.
    by_sub : bool
        The rows of an array are the second coordinate: row i has sub + i, and all the row number row0.
    """

    cdef fd_stream c
    cdef readonly uint64_t seed
    cdef readonly uint32_t site, call, draw, row0, sub, domain
    cdef readonly object rows, draws
    cdef readonly bint by_sub

    def __init__(self, uint64_t seed, uint32_t site, uint32_t call=0, uint32_t draw=0, uint32_t row0=0, uint32_t sub=0,
                 uint32_t domain=0, cnp.ndarray rows=None, bint by_sub=False, cnp.ndarray draws=None):
        self.seed, self.site, self.call, self.draw = seed, site, call, draw
        self.row0, self.sub, self.domain, self.rows, self.by_sub, self.draws = row0, sub, domain, rows, by_sub, draws
        fd_stream_key(self.c.key, seed, site, domain, call)
        self.c.sub, self.c.draw, self.c.row0, self.c.by_sub = sub, draw, row0, by_sub
        self.c.rows = NULL
        if rows is not None:
            self.c.rows = <const uint32_t *> cnp.PyArray_DATA(rows)
        self.c.draws = NULL
        if draws is not None:
            self.c.draws = <const uint32_t *> cnp.PyArray_DATA(draws)

    def __reduce__(self):
        return Stream, (self.seed, self.site, self.call, self.draw, self.row0, self.sub, self.domain, self.rows, self.by_sub, self.draws)

    def __repr__(self):
        return (f"Stream(seed={self.seed}, site={self.site}, call={self.call}, draw={self.draw}, row0={self.row0}, "
                f"sub={self.sub}, domain={self.domain}, rows={self.rows}, by_sub={self.by_sub}, draws={self.draws})")


cdef inline float *data(cnp.ndarray a) noexcept:
    return <float *> cnp.PyArray_DATA(a)

cdef inline float *data_or_null(cnp.ndarray a) noexcept:
    return NULL if a is None else <float *> cnp.PyArray_DATA(a)

cdef inline Py_ssize_t rows_of(cnp.ndarray a) noexcept:
    return cnp.PyArray_DIM(a, 0)

cdef inline Py_ssize_t ld_of(cnp.ndarray a) noexcept:
    return cnp.PyArray_STRIDE(a, 0) // sizeof(float) if cnp.PyArray_DIM(a, 0) > 1 else cnp.PyArray_DIM(a, 1)

cdef inline Py_ssize_t units_of(cnp.ndarray a) noexcept:
    cdef Py_ssize_t rows = cnp.PyArray_DIM(a, 0)
    return cnp.PyArray_SIZE(a) // rows if rows else 0

cdef inline fd_drop drop_of(Stream stream, uint64_t q, float scale) noexcept:
    cdef fd_drop d
    d.stream = NULL if stream is None else &stream.c
    d.q = q
    d.scale, d.shift, d.fill = scale, 0.0, 0.0
    return d

cdef fd_drop drop_tuple(tuple drop):
    cdef Stream s
    if drop is None:
        return drop_of(None, FD_KEEP_ALL, 1.0)
    s = drop[0]
    return drop_of(s, drop[1], drop[2])


def keep_threshold(double p):
    """q = floor((1 - p) * 2^32 + 0.5): a unit is kept if and only if its 32-bit uniform is below."""
    return <uint64_t> ((1.0 - p) * 4294967296.0 + 0.5)

def keep_scale(uint64_t q):
    """The survivor scale 2^32 / q, rounded once to float32 (0 when nothing is kept)."""
    return <float> (4294967296.0 / <double> q) if q else 0.0


def keep_bits(cnp.ndarray out, Stream s, Py_ssize_t units, uint64_t q):
    cdef int status
    cdef uint32_t *to = <uint32_t *> cnp.PyArray_DATA(out)
    cdef Py_ssize_t rows = rows_of(out)
    with nogil:
        status = fd_keep_bits(to, &s.c, rows, units, q)
    done(status)

def keep_mask(cnp.ndarray out, Stream s, uint64_t q):
    cdef int status
    cdef uint8_t *to = <uint8_t *> cnp.PyArray_DATA(out)
    cdef Py_ssize_t rows = rows_of(out), units = units_of(out)
    with nogil:
        status = fd_keep_mask(to, &s.c, rows, units, q)
    done(status)

def keep_uniforms(cnp.ndarray out, Stream s):
    cdef int status
    cdef uint32_t *to = <uint32_t *> cnp.PyArray_DATA(out)
    cdef Py_ssize_t rows = rows_of(out), units = units_of(out)
    with nogil:
        status = fd_keep_uniforms(to, &s.c, rows, units)
    done(status)

def noise(cnp.ndarray out, cnp.ndarray x, Stream s, float sigma, bint relative):
    """x * (1 + sigma * normal) if relative, else x + sigma * normal; axis 0 is the sample."""
    cdef int status
    cdef float *to = data(out)
    cdef const float *source = data(x)
    cdef Py_ssize_t rows = rows_of(x), units = units_of(x)
    with nogil:
        status = fd_noise(to, source, &s.c, rows, units, sigma, relative)
    done(status)

def uniform(cnp.ndarray out, Stream s):
    cdef int status
    cdef float *to = data(out)
    cdef Py_ssize_t rows = rows_of(out), units = units_of(out)
    with nogil:
        status = fd_uniform(to, &s.c, rows, units)
    done(status)

def normal(cnp.ndarray out, Stream s):
    cdef int status
    cdef float *to = data(out)
    cdef Py_ssize_t rows = rows_of(out), units = units_of(out)
    with nogil:
        status = fd_normal(to, &s.c, rows, units)
    done(status)


def dropout(cnp.ndarray out, cnp.ndarray x, Stream s, uint64_t q, float scale, float shift=0.0, float fill=0.0, tuple share=None):
    """x * scale + shift where kept, fill where dropped; axis 0 is the sample. share: for each of the other axes, whether all
    elements along it have one decision."""
    cdef int status, i
    cdef Py_ssize_t length[FD_MOST_AXES]
    cdef int shared[FD_MOST_AXES]
    cdef int axes = cnp.PyArray_NDIM(x) - 1
    cdef float *to = data(out)
    cdef const float *source = data(x)
    cdef Py_ssize_t rows = rows_of(x), units = units_of(x)
    cdef fd_drop drop = drop_of(s, q, scale)
    drop.shift, drop.fill = shift, fill
    if share is None:
        with nogil:
            status = fd_dropout(to, source, rows, units, drop)
    else:
        for i in range(axes):
            length[i], shared[i] = cnp.PyArray_DIM(x, i + 1), share[i]
        with nogil:
            status = fd_dropout_shared(to, source, rows, axes, length, shared, drop)
    done(status)

def scale(cnp.ndarray out, cnp.ndarray x, float s):
    cdef int status
    cdef float *to = data(out)
    cdef const float *source = data(x)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(x)
    with nogil:
        status = fd_scale(to, source, n, s)
    done(status)

def act(cnp.ndarray out, cnp.ndarray z, int kind, float alpha):
    cdef int status
    cdef float *to = data(out)
    cdef const float *source = data(z)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(z)
    with nogil:
        status = fd_act(to, source, n, kind, alpha)
    done(status)

def act_dropout(cnp.ndarray out, cnp.ndarray z, int kind, float alpha, Stream s, uint64_t q, float scale):
    cdef int status
    cdef float *to = data(out)
    cdef const float *source = data(z)
    cdef Py_ssize_t rows = rows_of(z), units = units_of(z)
    cdef fd_drop drop = drop_of(s, q, scale)
    with nogil:
        status = fd_act_dropout(to, source, rows, units, kind, alpha, drop)
    done(status)

def act_backward(cnp.ndarray dz, cnp.ndarray dy, cnp.ndarray saved, int kind, float alpha, cnp.ndarray db=None,
                 Stream stream=None, uint64_t q=FD_KEEP_ALL, float scale=1.0):
    cdef int status
    cdef float *to = data(dz)
    cdef float *sums = data_or_null(db)
    cdef const float *upper = data(dy)
    cdef const float *kept = data(saved)
    cdef Py_ssize_t size = cnp.PyArray_SIZE(dy), samples = rows_of(dy), cols, rows
    cols = cnp.PyArray_DIM(dy, cnp.PyArray_NDIM(dy) - 1) if cnp.PyArray_NDIM(dy) > 1 else (size if db is None else cnp.PyArray_SIZE(db))
    rows = size // cols if cols else 0
    if cnp.PyArray_NDIM(dy) == 1:
        samples = rows
    cdef fd_drop drop = drop_of(stream, q, scale)
    with nogil:
        status = fd_act_backward(to, sums, upper, kept, rows, cols, samples, kind, alpha, drop)
    done(status)


def dropblock(cnp.ndarray out, cnp.ndarray x, Stream s, uint64_t q, tuple block, bint coupled, bint batch):
    """x (N, C, ...) with one to three axes behind the channels; block: its extent along each of them."""
    cdef int status, i, axes = cnp.PyArray_NDIM(x) - 2
    cdef fd_blocks b
    cdef float *to = data(out)
    cdef const float *source = data(x)
    cdef Py_ssize_t rows = rows_of(x)
    b.channels, b.coupled, b.batch = cnp.PyArray_DIM(x, 1), coupled, batch
    for i in range(3):
        b.size[i] = b.block[i] = 1
    for i in range(axes):
        b.size[3 - axes + i], b.block[3 - axes + i] = cnp.PyArray_DIM(x, 2 + i), block[i]
    with nogil:
        status = fd_dropblock(to, source, rows, &b, &s.c, q)
    done(status)

def gemm(cnp.ndarray c, cnp.ndarray a, bint ta, cnp.ndarray b, bint tb, cnp.ndarray bias=None, int act=0, float alpha=0.0,
         tuple drop=None, tuple a_drop=None, tuple b_drop=None, bint accumulate=False, Py_ssize_t repeat=1, cnp.ndarray panels=None):
    """c (M, N) = dropout(act(op(a) @ op(b) + bias)), op = transpose if the flag is true; c += with accumulate. repeat: each row of a
    stands for so many rows, which a_drop's masks tell apart. panels (of `pack`, with tb): read instead of b, which may be None then; finite
    with repeat. The rows of c may stand apart."""
    cdef int status
    cdef fd_product p
    p.c, p.a, p.panels = data(c), data(a), data_or_null(panels)
    p.m, p.n = rows_of(c), cnp.PyArray_DIM(c, 1)
    p.k = rows_of(a) if ta else cnp.PyArray_DIM(a, 1)
    p.ldc = ld_of(c)
    p.lda = cnp.PyArray_DIM(a, 1)
    p.b, p.ldb = NULL, 0
    if panels is None:
        p.b, p.ldb = data(b), cnp.PyArray_DIM(b, 1)
    p.ta, p.tb, p.accumulate, p.repeat = ta, tb, accumulate, repeat
    p.bias, p.act, p.alpha = data_or_null(bias), act, alpha
    p.drop, p.a_drop, p.b_drop = drop_tuple(drop), drop_tuple(a_drop), drop_tuple(b_drop)
    with nogil:
        status = fd_gemm(&p)
    done(status)


def panels_length(Py_ssize_t n, Py_ssize_t k):
    """How many floats `pack` writes, for the instruction set that is active."""
    return fd_panels_length(n, k)


def pack(cnp.ndarray panels, cnp.ndarray w):
    """Panels of w (out, in) for products x w^T."""
    cdef int status
    cdef fd_panels p
    p.w, p.n, p.k, p.units = data(w), rows_of(w), cnp.PyArray_DIM(w, 1), cnp.PyArray_DIM(w, 1)
    p.rows, p.bits, p.scale = NULL, NULL, 1.0
    cdef float *to = data(panels)
    with nogil:
        status = fd_pack(to, &p)
    done(status)


def chain(cnp.ndarray x, tuple layers):
    """Dense layers one after the other, act(x w^T + b): layers of (panels, inputs, outputs, bias or None, act, alpha)."""
    cdef int status = FD_OK
    cdef fd_product p
    cdef cnp.ndarray y = x, panels, bias
    cdef cnp.npy_intp shape[2]
    memset(&p, 0, sizeof(p))
    p.m, p.tb, p.repeat = rows_of(x), 1, 1
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


cdef inline const int64_t *longs(cnp.ndarray a) noexcept:
    return <const int64_t *> cnp.PyArray_DATA(a)


def thin_layer(cnp.ndarray w, cnp.ndarray bias, int act, float alpha, Py_ssize_t samples, cnp.ndarray x, cnp.ndarray x_at, cnp.ndarray k,
               cnp.ndarray bits, float scale, cnp.ndarray y, cnp.ndarray y_at, cnp.ndarray n, Py_ssize_t ldy, cnp.ndarray rows, cnp.ndarray rows_at):
    """A dense layer of thinned networks, see fastdrop.h; x, y and rows are flat, bits (passes, words) or None, rows or None."""
    cdef int status
    cdef fd_thin t
    t.passes, t.samples, t.outs, t.ins = cnp.PyArray_DIM(k, 0), samples, rows_of(w), cnp.PyArray_DIM(w, 1)
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


def thin_rows(cnp.ndarray out, cnp.ndarray source, Py_ssize_t ld, Py_ssize_t step, Py_ssize_t samples, cnp.ndarray x_at, cnp.ndarray k,
              cnp.ndarray bits):
    """What each pass keeps of the rows of source (.., ins), see fastdrop.h."""
    cdef int status
    cdef fd_thin t
    cdef float *to = data(out)
    cdef const float *rows = data(source)
    t.passes, t.samples, t.ins = cnp.PyArray_DIM(k, 0), samples, cnp.PyArray_DIM(source, 1)
    t.x_at, t.k = longs(x_at), longs(k)
    t.bits, t.words = <const uint32_t *> cnp.PyArray_DATA(bits), cnp.PyArray_DIM(bits, 1)
    with nogil:
        status = fd_thin_rows(to, rows, ld, step, &t)
    done(status)


def sparse_linear(cnp.ndarray y, cnp.ndarray x, cnp.ndarray values, cnp.ndarray columns, cnp.ndarray starts, cnp.ndarray bias):
    """y (N, O) = x (N, I) @ w^T + bias, w sparse: columns int32, starts int64, both in range."""
    cdef int status
    cdef fd_csr w
    cdef float *to = data(y)
    cdef const float *inputs = data(x)
    cdef Py_ssize_t rows = rows_of(x)
    w.outs, w.ins, w.values, w.bias = cnp.PyArray_DIM(y, 1), cnp.PyArray_DIM(x, 1), data(values), data_or_null(bias)
    w.columns, w.starts = <const int32_t *> cnp.PyArray_DATA(columns), <const int64_t *> cnp.PyArray_DATA(starts)
    with nogil:
        status = fd_sparse_linear(to, inputs, rows, &w)
    done(status)

cdef fd_concrete concrete_of(double logit, double temperature, double p):
    cdef fd_concrete c
    c.logit, c.inverse_t, c.scale, c.p = logit, 1.0 / temperature, 1.0 / (1.0 - p), p
    return c

def concrete(cnp.ndarray y, cnp.ndarray x, Stream s, double logit, double temperature, double p):
    """y = x (1 - z) / (1 - p), z = sigmoid((logit + log u - log(1 - u)) / temperature); axis 0 is the sample."""
    cdef int status
    cdef float *to = data(y)
    cdef const float *source = data(x)
    cdef Py_ssize_t rows = rows_of(x), units = units_of(x)
    cdef fd_concrete c = concrete_of(logit, temperature, p)
    with nogil:
        status = fd_concrete_forward(to, source, &s.c, rows, units, c)
    done(status)

def concrete_backward(cnp.ndarray dx, cnp.ndarray dlogit, cnp.ndarray dy, cnp.ndarray x, Stream s, double logit, double temperature, double p):
    """dx, and for each row the gradient of logit (float64)."""
    cdef int status
    cdef float *to = data(dx)
    cdef double *sums = <double *> cnp.PyArray_DATA(dlogit)
    cdef const float *upper = data(dy)
    cdef const float *source = data(x)
    cdef Py_ssize_t rows = rows_of(x), units = units_of(x)
    cdef fd_concrete c = concrete_of(logit, temperature, p)
    with nogil:
        status = fd_concrete_backward(to, sums, upper, source, &s.c, rows, units, c)
    done(status)

cdef fd_connection connection(Py_ssize_t rows, cnp.ndarray w, cnp.ndarray bias, bint mask_bias, tuple drop):
    cdef fd_connection c
    c.rows, c.outs, c.ins = rows, rows_of(w), cnp.PyArray_DIM(w, 1)
    c.bias, c.mask_bias, c.drop = data_or_null(bias), mask_bias, drop_tuple(drop)
    return c

def dropconnect(cnp.ndarray y, cnp.ndarray x, cnp.ndarray w, cnp.ndarray bias, bint mask_bias, tuple drop):
    """y (N, O) = x (N, I) @ (w (O, I) with a mask a sample)^T + bias; with mask_bias the bias is masked as well."""
    cdef int status
    cdef float *to = data(y)
    cdef const float *inputs = data(x)
    cdef const float *weights = data(w)
    cdef fd_connection c = connection(rows_of(x), w, bias, mask_bias, drop)
    with nogil:
        status = fd_dropconnect(to, inputs, weights, &c)
    done(status)

def dropconnect_dx(cnp.ndarray dx, cnp.ndarray dy, cnp.ndarray w, tuple drop):
    cdef int status
    cdef float *to = data(dx)
    cdef const float *upper = data(dy)
    cdef const float *weights = data(w)
    cdef fd_connection c = connection(rows_of(dy), w, None, False, drop)
    with nogil:
        status = fd_dropconnect_dx(to, upper, weights, &c)
    done(status)

def dropconnect_dw(cnp.ndarray dw, cnp.ndarray db, cnp.ndarray dy, cnp.ndarray x, bint mask_bias, tuple drop):
    cdef int status
    cdef float *to = data(dw)
    cdef float *sums = data_or_null(db)
    cdef const float *upper = data(dy)
    cdef const float *inputs = data(x)
    cdef fd_connection c = connection(rows_of(x), dw, None, mask_bias, drop)
    with nogil:
        status = fd_dropconnect_dw(to, sums, upper, inputs, &c)
    done(status)


def col_sum(cnp.ndarray out, cnp.ndarray x):
    cdef int status
    cdef float *to = data(out)
    cdef const float *source = data(x)
    cdef Py_ssize_t cols = cnp.PyArray_SIZE(out), rows = cnp.PyArray_SIZE(x) // cols if cols else 0
    with nogil:
        status = fd_col_sum(to, source, rows, cols)
    done(status)

def sumsq(cnp.ndarray x):
    cdef int status
    cdef double total
    cdef const float *source = data(x)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(x)
    with nogil:
        status = fd_sumsq(&total, source, n)
    done(status)
    return total

def max_norm_rows(cnp.ndarray w, float c):
    cdef int status
    cdef float *to = data(w)
    cdef Py_ssize_t rows = rows_of(w), cols = units_of(w)
    with nogil:
        status = fd_max_norm_rows(to, rows, cols, c)
    done(status)

def sgd(cnp.ndarray p, cnp.ndarray g, cnp.ndarray buf, float lr, float momentum, float dampening, float weight_decay,
        bint nesterov, bint first):
    cdef int status
    cdef float *to = data(p)
    cdef float *state = data_or_null(buf)
    cdef const float *grad = data(g)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(p)
    with nogil:
        status = fd_sgd(to, grad, state, n, lr, momentum, dampening, weight_decay, nesterov, first)
    done(status)

def adam(cnp.ndarray p, cnp.ndarray g, cnp.ndarray m, cnp.ndarray v, double lr, double beta1, double beta2, float eps,
         double weight_decay, bint decoupled, long step):
    """step counts from 1. Bias correction: lr / (1 - beta1^step), sqrt(v) / sqrt(1 - beta2^step)."""
    cdef int status
    cdef float *to = data(p)
    cdef float *mean = data(m)
    cdef float *var = data(v)
    cdef const float *grad = data(g)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(p)
    cdef float step_size = lr / (1.0 - beta1 ** step), v_scale = 1.0 / sqrt(1.0 - beta2 ** step)
    cdef float l2 = 0.0 if decoupled else weight_decay, shrink = lr * weight_decay if decoupled else 0.0
    with nogil:
        status = fd_adam(to, grad, mean, var, n, step_size, beta1, beta2, eps, l2, shrink, v_scale)
    done(status)

def rmsprop(cnp.ndarray p, cnp.ndarray g, cnp.ndarray v, cnp.ndarray buf, float lr, double alpha, float eps,
            float weight_decay, float momentum):
    cdef int status
    cdef float *to = data(p)
    cdef float *var = data(v)
    cdef float *state = data_or_null(buf)
    cdef const float *grad = data(g)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(p)
    with nogil:
        status = fd_rmsprop(to, grad, var, state, n, lr, alpha, eps, weight_decay, momentum)
    done(status)


def has_openmp():
    return bool(fd_has_openmp())

def get_num_threads():
    return fd_get_threads()

def set_num_threads(int n):
    fd_set_threads(n)

def isa():
    return fd_isa().decode()

def available_isas():
    """Names of the instruction sets that this machine can run, best first."""
    return tuple(name for name, available in compiled_isas() if available)

def compiled_isas():
    """(name, available) of every table in this build, best first."""
    cdef int i = 0, available = 0
    cdef const char *name = fd_isa_name(0, &available)
    names = []
    while name != NULL:
        names.append((name.decode(), bool(available)))
        i += 1
        name = fd_isa_name(i, &available)
    return names

def set_isa(str name):
    """Switch to the named table; ValueError when this build or machine does not have it."""
    if fd_set_isa(name.encode()) != FD_OK:
        raise ValueError(f"instruction set must be one of {', '.join(map(repr, available_isas()))} here, got {name!r}")

cdef extern from *:
    """
    #if defined(__clang__)
    #define FD_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define FD_COMPILER "gcc " __VERSION__
    #else
    #define FD_COMPILER "unknown"
    #endif
    """
    const char *FD_COMPILER

def compiler():
    """Name and version of the compiler that built the core."""
    return FD_COMPILER.decode()
