"""Mask streams, thresholds, and masks as arrays."""

KEEP_ALL = 1 << 32
BITS_PAD = FD_BITS_PAD  # words after packed bits that the core may read


cdef class Stream:
    """The key of a mask: every coordinate but row and unit. Nothing but `move_to` changes it.

    Parameters
    ----------
    seed, site, call, draw, row0, sub, domain, instance : int
        Coordinates of the mask contract (docs/mask-contract.md). Row i of an array has the row
        number row0 + i. `instance` is below 2**24.
    rows : uint32 array or None
        Row numbers instead of row0 + i.
    by_sub : bool
        The rows of an array are the second coordinate: row i has sub + i, and all have the row
        number row0.
    draws : uint32 array or None
        A draw for each row instead of one for all, for Monte Carlo passes side by side.
    """

    cdef fd_stream c
    cdef readonly uint64_t seed
    cdef readonly uint32_t site, call, draw, row0, sub, domain, instance
    cdef readonly object rows, draws
    cdef readonly bint by_sub

    def __init__(self, uint64_t seed, uint32_t site, uint32_t call=0, uint32_t draw=0,
                 uint32_t row0=0, uint32_t sub=0, uint32_t domain=0, cnp.ndarray rows=None,
                 bint by_sub=False, cnp.ndarray draws=None, uint32_t instance=0):
        if instance >> 24:
            raise ValueError(f"instance must be below 2**24, got {instance}")
        self.seed, self.site, self.call, self.draw = seed, site, call, draw
        self.row0, self.sub, self.domain, self.instance = row0, sub, domain, instance
        self.rows, self.by_sub, self.draws = rows, by_sub, draws
        fd_stream_key(self.c.key, seed, site, domain, call, instance)
        self.c.sub, self.c.draw, self.c.row0, self.c.by_sub = sub, draw, row0, by_sub
        self.c.rows = NULL
        if rows is not None:
            self.c.rows = <const uint32_t *> cnp.PyArray_DATA(rows)
        self.c.draws = NULL
        if draws is not None:
            self.c.draws = <const uint32_t *> cnp.PyArray_DATA(draws)

    def move_to(self, uint32_t draw):
        """Change the draw. For the owner of a stream that nothing else reads (a recording)."""
        self.draw = self.c.draw = draw

    def with_sub(self, uint32_t sub):
        """The same stream with another second coordinate."""
        return Stream(self.seed, self.site, self.call, self.draw, self.row0, sub, self.domain,
                      self.rows, self.by_sub, self.draws, self.instance)

    def with_rows(self, cnp.ndarray rows, cnp.ndarray draws=None):
        """The same stream with other row numbers, and draws if there is one for each row."""
        return Stream(self.seed, self.site, self.call, self.draw, self.row0, self.sub, self.domain,
                      rows, self.by_sub, draws, self.instance)

    def __reduce__(self):
        return Stream, (self.seed, self.site, self.call, self.draw, self.row0, self.sub,
                        self.domain, self.rows, self.by_sub, self.draws, self.instance)

    def __repr__(self):
        return (f"Stream(seed={self.seed}, site={self.site}, call={self.call}, draw={self.draw}, "
                f"row0={self.row0}, sub={self.sub}, domain={self.domain}, rows={self.rows}, "
                f"by_sub={self.by_sub}, draws={self.draws}, instance={self.instance})")


cdef inline fd_drop drop_of(Stream stream, uint64_t q, float scale) noexcept:
    """Dropout by a stream, with shift = fill = 0; stream None: no dropout."""
    cdef fd_drop d
    d.stream = NULL if stream is None else &stream.c
    d.q = q
    d.scale, d.shift, d.fill = scale, 0.0, 0.0
    return d


cdef fd_drop drop_tuple(tuple drop):
    """Dropout by a tuple (stream, q, scale) or None."""
    cdef Stream s
    if drop is None:
        return drop_of(None, FD_KEEP_ALL, 1.0)
    s = drop[0]
    return drop_of(s, drop[1], drop[2])


def keep_threshold(double p):
    """q = floor((1 - p) 2^32 + 0.5): a unit is kept if its 32-bit uniform integer is below q."""
    return <uint64_t> ((1.0 - p) * 4294967296.0 + 0.5)


def keep_scale(uint64_t q):
    """The scale of kept units, 2^32 / q, rounded once to float32 (0 if nothing is kept)."""
    return <float> (4294967296.0 / <double> q) if q else 0.0


def keep_bits(cnp.ndarray out, Stream s, Py_ssize_t units, uint64_t q):
    """Packed keep bits: out (rows, 4 ceil(units / 128)) uint32."""
    cdef int status
    cdef fd_keep_bits_args args
    args.bits, args.stream = <uint32_t *> cnp.PyArray_DATA(out), &s.c
    args.rows, args.units, args.q = rows_of(out), units, q
    with nogil:
        status = fd_keep_bits(&args)
    done(status)


def keep_mask(cnp.ndarray out, Stream s, uint64_t q):
    """The mask as bytes 0 or 1: out (rows, ...) uint8 or bool."""
    cdef int status
    cdef fd_keep_mask_args args
    args.mask, args.stream = <uint8_t *> cnp.PyArray_DATA(out), &s.c
    args.rows, args.units, args.q = rows_of(out), units_of(out), q
    with nogil:
        status = fd_keep_mask(&args)
    done(status)


def keep_uniforms(cnp.ndarray out, Stream s):
    """The 32-bit uniform integer of each unit: out (rows, ...) uint32."""
    cdef int status
    cdef fd_keep_uniforms_args args
    args.out, args.stream = <uint32_t *> cnp.PyArray_DATA(out), &s.c
    args.rows, args.units = rows_of(out), units_of(out)
    with nogil:
        status = fd_keep_uniforms(&args)
    done(status)
