"""Threads, instruction sets and the compiler."""


def has_openmp():
    """Whether this build can use more than one thread."""
    return bool(fd_has_openmp())


def get_num_threads():
    """The most threads that a call uses."""
    return fd_get_threads()


def set_num_threads(int n):
    """Set the most threads that a call uses."""
    fd_set_threads(n)


def isa():
    """The name of the instruction set in use."""
    return fd_isa().decode()


def available_isas():
    """Names of the instruction sets that this build and machine have, best first."""
    return tuple(name for name, available in compiled_isas() if available)


def compiled_isas():
    """(name, available) of each instruction set in this build, best first."""
    cdef int i = 0, available = 0
    cdef const char *name = fd_isa_name(0, &available)
    names = []
    while name != NULL:
        names.append((name.decode(), bool(available)))
        i += 1
        name = fd_isa_name(i, &available)
    return names


def set_isa(str name):
    """Use this instruction set; ValueError if this build or machine does not have it."""
    if fd_set_isa(name.encode()) != FD_OK:
        names = ", ".join(map(repr, available_isas()))
        raise ValueError(f"instruction set must be one of {names} here, got {name!r}")


def bf16_isa():
    """The name of the kernels of products in bf16, or None: such products are in float32."""
    cdef const char *name = fd_bf16_isa()
    return None if name == NULL else name.decode()


def set_bf16_isa(name):
    """Use these kernels with the instruction set that they belong to; None: the best. For tests."""
    cdef bytes encoded = b"" if name is None else name.encode()
    cdef const char *wanted = encoded
    if fd_set_bf16_isa(NULL if name is None else wanted) != FD_OK:
        raise ValueError(f"this build or machine has no products in bf16 by {name!r}")


def panels_kind(bint bf16):
    """The kernels that kept panels belong to."""
    return (bf16_isa() or isa()) if bf16 else isa()


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
