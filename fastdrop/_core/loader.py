"""Loads the binding, and with it the OpenMP library."""

import importlib
import os


def load() -> None:
    """Import the binding, with less spinning in the OpenMP library that is loaded with it.

    By default the waiting threads of libgomp spin for milliseconds. On two cores that two other
    processes kept busy, a training step of an MLP then took 92 ms instead of 3.6. With 30000 rounds
    of spinning it took 8.7 ms (with 10000: 12.7, with 100000: 8.8). On idle cores there is no
    difference, except in the first step after a pause of 30 ms: 6.9 ms instead of 4.7 (10000: 13,
    100000: 9.8). libgomp reads the variable once, when it is loaded. If the user has set it, or
    OMP_WAIT_POLICY, nothing is changed.
    """
    ours = "GOMP_SPINCOUNT" not in os.environ and "OMP_WAIT_POLICY" not in os.environ
    if ours:
        os.environ["GOMP_SPINCOUNT"] = "30000"
    try:
        importlib.import_module("fastdrop._core.binding")
    except ImportError as error:
        from fastdrop._core.distribution import core_import_help

        raise ImportError(
            f"fastdrop's C core could not be loaded ({error}). {core_import_help(str(error))}"
        ) from error
    finally:
        if ours:
            del os.environ["GOMP_SPINCOUNT"]
