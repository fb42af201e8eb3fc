"""Seeds, named generators, and the state of a run's randomness.

A run has one seed. Masks are functions of it (see `forward_pass.py`). Everything else that is
random (initial weights, shuffling, mixup) comes from NumPy generators. Each generator is seeded
from the run's seed and a name.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.random.thread_state import thread_state


class Run:
    """The random state of a run.

    Attributes
    ----------
    seed : int
        The seed, in [0, 2**64).
    generators : dict
        The named generators that were used so far.
    free_draw : int
        The draw of the next functional call outside any module, in [0, 2**32].
    """

    __slots__ = ("free_draw", "generators", "seed")

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.generators: dict[str, np.random.Generator] = {}
        self.free_draw = 0


_process_run = Run(0)


def current_run() -> Run:
    """The run of this thread: its own one inside `own_run`, otherwise the run of the process."""
    return thread_state.run or _process_run


def _begin(run: Run) -> None:
    """Make `run` the current run."""
    global _process_run
    if thread_state.run:
        thread_state.run = run
    else:
        _process_run = run


def manual_seed(seed: int) -> None:
    """Seed all randomness of the run: masks, initial weights, shuffling, mixup.

    All named generators and the draw counter of functional calls start again. The draw counters of
    modules (`Module.draw`) do not change.

    Parameters
    ----------
    seed : int
        In [0, 2**64).

    Raises
    ------
    TypeError, ValueError
        When `seed` is not an integer in that range.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.manual_seed(7)
    >>> fd.initial_seed()
    7
    """
    _begin(Run(check.integer(seed, "seed", 0, check.U64_MAX)))


def initial_seed() -> int:
    """The seed of the run.

    Returns
    -------
    int
        What the last `manual_seed` was given; 0 before the first one.
    """
    return current_run().seed


def generator(name: str) -> np.random.Generator:
    """The run's NumPy generator of a given name.

    The same name gives the same generator object, which continues its stream, until the next
    `manual_seed` or `set_state`.

    Parameters
    ----------
    name : str
        Any name. The library itself uses "init", "shuffle" and others.

    Returns
    -------
    numpy.random.Generator
        A PCG64 generator, seeded with the run's seed and the CRC-32 of the name.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.manual_seed(0)
    >>> first = fd.random.generator("mine").random()
    >>> fd.manual_seed(0)
    >>> fd.random.generator("mine").random() == first
    True
    """
    run = current_run()
    if name not in run.generators:
        words = [run.seed & check.U32_MAX, run.seed >> 32, zlib.crc32(name.encode())]
        run.generators[name] = np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))
    return run.generators[name]


def get_state() -> dict[str, Any]:
    """The random state of the run, for `set_state`.

    Returns
    -------
    dict
        "seed", "free_draw" and the states of all named generators ("generators"). All values can be
        written as JSON.
    """
    run = current_run()
    return {
        "seed": run.seed,
        "free_draw": run.free_draw,
        "generators": {name: g.bit_generator.state for name, g in sorted(run.generators.items())},
    }


def _generator_name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of a generator must be a str, got {check.describe(name)}")
    return name


def _generator(bits: Any) -> np.random.Generator:
    """A generator in this state of its bit generator. Validates untrusted input.

    NumPy itself accepts states that no PCG64 has, for example an even increment.
    """
    if not isinstance(bits, dict) or bits.get("bit_generator") != "PCG64":
        raise ValueError(f"a generator's state must be of PCG64, got {check.describe(bits)}")
    state = bits["state"]
    if not isinstance(state, dict):
        raise TypeError(f"a generator's state must be a dict, got {check.describe(state)}")
    whole = check.integer(state["state"], "a generator's state", 0, 2**128 - 1)
    step = check.integer(state["inc"], "a generator's increment", 0, 2**128 - 1)
    if step % 2 == 0:
        raise ValueError(f"a generator's increment must be odd, got {step}")
    generator = np.random.Generator(np.random.PCG64(0))
    generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": whole, "inc": step},
        "has_uint32": check.integer(bits["has_uint32"], "has_uint32", 0, 1),
        "uinteger": check.integer(bits["uinteger"], "uinteger", 0, check.U32_MAX),
    }
    return generator


def set_state(state: dict[str, Any]) -> None:
    """Continue the run from a state that `get_state` returned.

    Parameters
    ----------
    state : dict
        The result of `get_state`.

    Raises
    ------
    TypeError, ValueError
        When the seed or the draw is not an integer in its range.

    Examples
    --------
    >>> import fastdrop as fd
    >>> state = fd.random.get_state()
    >>> first = fd.random.generator("mine").random()
    >>> fd.random.set_state(state)
    >>> fd.random.generator("mine").random() == first
    True
    """
    run = Run(check.integer(state["seed"], "state['seed']", 0, check.U64_MAX))
    run.free_draw = check.integer(state["free_draw"], "state['free_draw']", 0, check.U32_MAX + 1)
    for name, bits in state["generators"].items():
        run.generators[_generator_name(name)] = _generator(bits)
    _begin(run)


@contextmanager
def own_run(start: int | dict[str, Any]) -> Iterator[None]:
    """Context manager: inside, this thread has a run of its own.

    The run outside, which other threads may use, does not change. `mask_state`, an open forward
    pass and a Monte Carlo prediction that surround the block have no effect inside it. They
    continue after it.

    Parameters
    ----------
    start : int or dict
        The seed of the run, or a state that `get_state` returned.

    Raises
    ------
    TypeError, ValueError
        When `start` is neither.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.manual_seed(1)
    >>> with fd.random.own_run(5):
    ...     fd.initial_seed()
    5
    >>> fd.initial_seed()
    1
    """
    t = thread_state
    before = t.run, t.forward_pass, t.overrides, t.batched_passes, t.batched_samples
    t.run, t.forward_pass, t.overrides, t.batched_passes, t.batched_samples = Run(0), None, {}, 0, 0
    try:
        if isinstance(start, dict):
            set_state(start)
        else:
            manual_seed(start)
        yield
    finally:
        t.run, t.forward_pass, t.overrides, t.batched_passes, t.batched_samples = before
