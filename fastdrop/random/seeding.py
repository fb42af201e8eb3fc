"""Seeds, named generators, and the state of a run's randomness.

A run has one seed. Masks are functions of it (see `forward_pass.py`). Everything else that is
random (initial weights, shuffling, mixup) comes from NumPy generators. Each generator is seeded
from the run's seed and a name.
"""

from __future__ import annotations

import itertools
import zlib
from typing import Any

import numpy as np

from fastdrop._core import Scope
from fastdrop._utils import validation as check
from fastdrop._utils.decorator import BlockDecorator
from fastdrop.random.identity_map import IdentityMap
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
    instances : IdentityMap
        The instance of each outermost module that has one. It stands here and not in the modules:
        a copy of a module has none, and another run gives it another one.
    next_instance : int
        The instance of the next module that draws its first mask, in [0, 2**24 - 1].
    numbers : iterator of int
        Gives next_instance. `next` of an iterator is one step for all threads.
    thread : int or None
        The thread that drew last.
    threads : dict
        For each thread that drew: the threads that were alive when it drew its first mask.
    warned : bool
        Whether the warning about several threads was given.
    """

    __slots__ = (
        "free_draw",
        "generators",
        "instances",
        "next_instance",
        "numbers",
        "seed",
        "thread",
        "threads",
        "warned",
    )

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.generators: dict[str, np.random.Generator] = {}
        self.free_draw = 0
        self.instances = IdentityMap()
        self.start_instances(0)
        self.thread: int | None = None
        self.threads: dict[int, set[int | None]] = {}
        self.warned = False

    def start_instances(self, first: int) -> None:
        """Give modules the instances from `first` on."""
        self.next_instance, self.numbers = first, itertools.count(first)

    def keep_instances(self, other: Run) -> None:
        """Take over the instances of another run that this run has given already."""
        for module, number in other.instances.items():
            if number < self.next_instance:
                self.instances[module] = number


_process_run = Run(0)


def current_run() -> Run:
    """The run of this context: its own one inside `own_run`, otherwise the run of the process."""
    own: own_run | None = thread_state.run
    return _process_run if own is None else own.run


def _begin(run: Run) -> None:
    """Make `run` the current run."""
    global _process_run
    own: own_run | None = thread_state.run
    if own is None:
        _process_run = run
    else:
        own.run = run


def manual_seed(seed: int) -> None:
    """Seed all randomness of the run: masks, initial weights, shuffling, mixup.

    All named generators, the draw counter of functional calls and the instances of modules start
    again. The draw counters of modules (`Module.draw`) do not change.

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

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.manual_seed(7)
    >>> fd.initial_seed()
    7
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
        "seed", "free_draw", "next_instance" and the states of all named generators ("generators").
        All values can be written as JSON.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.manual_seed(7)
    >>> fd.random.get_state()["seed"]
    7
    """
    run = current_run()
    return {
        "seed": run.seed,
        "free_draw": run.free_draw,
        "next_instance": run.next_instance,
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

    Modules keep their instances, unless the state's "next_instance" says that they got them later.

    Parameters
    ----------
    state : dict
        The result of `get_state`.

    Raises
    ------
    TypeError, ValueError
        When the seed, the draw or the instance is not an integer in its range.

    Examples
    --------
    >>> import fastdrop as fd
    >>> state = fd.random.get_state()
    >>> first = fd.random.generator("mine").random()
    >>> fd.random.set_state(state)
    >>> fd.random.generator("mine").random() == first
    True
    """
    _begin(_run_of(state))


def _run_of(state: dict[str, Any]) -> Run:
    """The run that continues from a state of `get_state`."""
    run = Run(check.integer(state["seed"], "state['seed']", 0, check.U64_MAX))
    run.free_draw = check.integer(state["free_draw"], "state['free_draw']", 0, check.U32_MAX + 1)
    first = state.get("next_instance", 0)  # states of older versions have none
    run.start_instances(check.integer(first, "state['next_instance']", 0, check.INSTANCE_MAX))
    run.keep_instances(current_run())
    for name, bits in state["generators"].items():
        run.generators[_generator_name(name)] = _generator(bits)
    return run


def restore_run(run: Run, state: dict[str, Any]) -> None:
    """Undo `set_state`: continue `run` from a state that it had, with its modules' instances."""
    _begin(run)
    set_state(state)


class own_run(Scope, BlockDecorator):  # noqa: N801 (a context manager)
    """Context manager: inside, the calling thread or asyncio task has a run of its own.

    The run outside, which other threads may use, does not change. With a seed, the first module
    that draws a mask inside has instance 0. `mask_state`, an open forward pass and a Monte Carlo
    prediction that surround the block have no effect inside it. They continue after it.

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

    def __init__(self, start: int | dict[str, Any]) -> None:
        self.start = start
        if isinstance(start, dict):
            self.run = _run_of(start)
        else:
            self.run = Run(check.integer(start, "seed", 0, check.U64_MAX))
        super().__init__(
            {
                "run": self,
                "forward_pass": None,
                "overrides": {},
                "batched_passes": 0,
                "batched_samples": 0,
                "reads_passes": False,
            }
        )

    def _recreate_cm(self) -> own_run:
        return type(self)(self.start)  # as a decorator: each call starts anew
