"""Instances: the numbers that make the masks of the modules of one run different.

A module gets the next number of the run when it is the outermost module of a pass that draws a
mask for the first time (docs/mask-contract.md, "Counting"). Functional calls outside any module
share the last number.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping
from typing import Any

from fastdrop._core import modes
from fastdrop._utils import validation as check
from fastdrop.random.seeding import Run, current_run


def run_that_draws() -> Run:
    """The run of this thread, in which a mask is about to be drawn.

    Warns
    -----
    RuntimeWarning
        Once a run, when another thread draws masks in it too.
    """
    run = current_run()
    thread = threading.get_ident()
    if thread != run.thread:
        _thread_draws(run, thread)
    return run


def instance_that_draws(module: Any) -> int:
    """The instance of an outermost module in this run; the next free one if it has none.

    Raises
    ------
    RuntimeError
        When all 2**24 - 1 instances are used up.
    """
    run = run_that_draws()
    instance = run.instances.get(module)
    if instance is None:
        instance = next(run.numbers)
        if instance >= check.INSTANCE_MAX:
            raise RuntimeError(
                f"modules of a run must be fewer than {check.INSTANCE_MAX + 1}, and all instances "
                "of this run are used up: set a seed (fastdrop.manual_seed), or call a few modules "
                "often instead of many modules once"
            )
        run.instances[module] = instance
        run.next_instance = max(run.next_instance, instance + 1)
    return instance


def get_instance(module: Any) -> int | None:
    """The instance of a module in this run.

    Parameters
    ----------
    module : Module
        Any module.

    Returns
    -------
    int or None
        None: the module was not yet the outermost module of a pass that drew a mask.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> fd.manual_seed(0)
    >>> first, second = fd.nn.Dropout(0.5), fd.nn.Dropout(0.5)
    >>> y = first(np.ones(3)), second(np.ones(3))
    >>> fd.random.get_instance(first), fd.random.get_instance(second)
    (0, 1)
    """
    return current_run().instances.get(module)


def set_instances(instances: Mapping[Any, int | None]) -> None:
    """Give modules their instances in this run, for example those of a checkpoint of your own.

    Parameters
    ----------
    instances : mapping of Module to int or None
        Numbers in [0, 2**24 - 1), None to take a number away. Modules that are not listed lose
        their number if a listed one gets it.

    Raises
    ------
    TypeError, ValueError
        When a number is not an integer in this range. Nothing has changed then.

    Examples
    --------
    >>> import fastdrop as fd
    >>> layer = fd.nn.Dropout(0.5)
    >>> fd.random.set_instances({layer: 3})
    >>> fd.random.get_instance(layer)
    3
    """
    given = {
        module: check.integer(instance, "instance", 0, check.INSTANCE_MAX - 1)
        for module, instance in instances.items()
        if instance is not None
    }
    run, taken = current_run(), set(given.values())
    modes.options_changed()
    for module, number in run.instances.items():
        if module in instances or number in taken:
            run.instances.pop(module)
    for module, number in given.items():
        run.instances[module] = number
    if taken and max(taken) >= run.next_instance:
        run.start_instances(max(taken) + 1)


def _thread_draws(run: Run, thread: int) -> None:
    """Note that `thread` draws in the run, after another thread or as the first one."""
    alive = {each.ident for each in threading.enumerate()}
    if not run.warned and any(
        _at_the_same_time(run, thread, other, alive)
        for other in list(run.threads)
        if other != thread
    ):
        run.warned = True
        warnings.warn(
            "several threads draw masks in one run, so their masks depend on which thread comes "
            "first: give each thread a run of its own (with fastdrop.random.own_run(seed): ...)",
            RuntimeWarning,
            stacklevel=2,
        )
    run.threads.setdefault(thread, alive)
    run.thread = thread


def _at_the_same_time(run: Run, thread: int, other: int, alive: set[int | None]) -> bool:
    """Whether `thread`, which draws now, and `other`, which drew before, work at the same time.

    The main thread is always alive, so it counts only if it draws again after `thread` did.
    """
    main = threading.main_thread().ident
    if other == main:
        return thread in run.threads
    return other in alive or (thread != main and thread in run.threads[other])
