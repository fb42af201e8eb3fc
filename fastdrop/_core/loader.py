"""Loading the binding."""

import importlib
import os


def load():
    """Load the core, with less spinning in the OpenMP library that it brings along.

    By default libgomp's waiting threads spin for milliseconds. On two cores that two other processes kept busy, a training
    step of an MLP then took 92 ms instead of 3.6; with 30000 rounds 8.7 (with 10000 12.7, with 100000 8.8). On idle cores
    it makes no difference, but for the first step after a pause of 30 ms: 6.9 ms instead of 4.7 (10000: 13, 100000: 9.8).
    The library reads the variable once, when it is loaded; who set it, or OMP_WAIT_POLICY, is left alone.
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
