"""Status codes and signals, and pointers and sizes of arrays."""

# What a Python signal handler raised during a call, until the call returns.
cdef object pending_error = None


cdef int signalled() noexcept with gil:
    """The interrupt hook: 1 if a Python signal handler raised, and the exception is kept."""
    global pending_error
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        pending_error = error
        return 1
    return 0


fd_set_interrupt_hook(<int (*)() noexcept nogil>signalled)


# Whether the user knows that threads could not be created.
cdef bint warned_of_threads = False


cdef int warn_of_threads() except -1:
    import warnings

    missing = fd_missing_threads()
    warnings.warn(
        f"the system refused to create {missing} of {fd_get_threads() + missing} threads (a limit "
        f"of memory or of processes): fastdrop computes with {fd_get_threads()}, and the results "
        "are the same; fastdrop.set_num_threads sets the number",
        RuntimeWarning,
        stacklevel=2,
    )


cdef int done(int status) except -1:
    """Raise the exception of a status other than FD_OK."""
    global pending_error, warned_of_threads
    if not warned_of_threads and fd_missing_threads() > 0:
        warned_of_threads = True
        warn_of_threads()
    if status == FD_OK:
        return 0
    if status == FD_NO_MEMORY:
        raise MemoryError("fastdrop could not allocate its workspace")
    error, pending_error = pending_error, None
    raise error if error is not None else KeyboardInterrupt()


cdef inline float *data(cnp.ndarray a) noexcept:
    return <float *> cnp.PyArray_DATA(a)


cdef inline float *data_or_null(cnp.ndarray a) noexcept:
    return NULL if a is None else <float *> cnp.PyArray_DATA(a)


cdef inline const int64_t *longs(cnp.ndarray a) noexcept:
    return <const int64_t *> cnp.PyArray_DATA(a)


cdef inline int32_t *ints_or_null(cnp.ndarray a) noexcept:
    return NULL if a is None else <int32_t *> cnp.PyArray_DATA(a)


cdef inline uint32_t *words_or_null(cnp.ndarray a) noexcept:
    return NULL if a is None else <uint32_t *> cnp.PyArray_DATA(a)


cdef inline Py_ssize_t rows_of(cnp.ndarray a) noexcept:
    """Length of the first axis."""
    return cnp.PyArray_DIM(a, 0)


cdef inline Py_ssize_t units_of(cnp.ndarray a) noexcept:
    """Elements of one step along the first axis."""
    cdef Py_ssize_t rows = cnp.PyArray_DIM(a, 0)
    return cnp.PyArray_SIZE(a) // rows if rows else 0


cdef inline Py_ssize_t ld_of(cnp.ndarray a) noexcept:
    """Distance between the rows of a matrix, in elements."""
    if cnp.PyArray_DIM(a, 0) > 1:
        return cnp.PyArray_STRIDE(a, 0) // sizeof(float)
    return cnp.PyArray_DIM(a, 1)
