"""Context managers that fix the seed, draw or row numbers of the forward passes opened inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._core import Scope
from fastdrop._utils import validation as check
from fastdrop._utils.decorator import BlockDecorator
from fastdrop.random.thread_state import thread_state

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike
    from fastdrop.random.forward_pass import ForwardPass


class mask_state(Scope, BlockDecorator):  # noqa: N801 (a context manager)
    """Context manager: fix the seed, the draw or the row numbers of the forward passes inside.

    Use it for micro-batches (the same draw, row0 = where the piece begins), for recomputation (the
    same draw again) and for batches that are divided over processes. Draw counters of modules do
    not advance while `draw` is fixed. The values hold for the calling thread or asyncio task.

    Parameters
    ----------
    seed : int, optional
        In [0, 2**64).
    draw : int, optional
        In [0, 2**32).
    row0 : int, optional
        Global number of the first row, in [0, 2**32).
    rows : array of int (N,), optional
        Global number of each row, instead of `row0`.
    instance : int, optional
        In [0, 2**24): use it instead of the instances of the modules that are called. A module
        that has none yet does not get one.

    Raises
    ------
    TypeError, ValueError
        When a value has the wrong type or is out of range, or when both `row0` and `rows` are
        given.

    Examples
    --------
    Two halves of a batch draw the masks of the whole batch.

    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer, x = fd.nn.Dropout(0.5), np.ones((4, 3), np.float32)
    >>> with fd.mask_state(draw=0):
    ...     whole = layer(x).data
    ...     first = layer(x[:2]).data
    >>> with fd.mask_state(draw=0, row0=2):
    ...     second = layer(x[2:]).data
    >>> bool((np.concatenate([first, second]) == whole).all())
    True
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        draw: int | None = None,
        row0: int | None = None,
        rows: ArrayLike | None = None,
        instance: int | None = None,
    ) -> None:
        new: dict[str, Any] = {}
        if seed is not None:
            new["seed"] = check.integer(seed, "seed", 0, check.U64_MAX)
        if draw is not None:
            new["draw"] = check.integer(draw, "draw")
        if row0 is not None:
            new["row0"] = check.integer(row0, "row0")
        if rows is not None:
            outer = thread_state.overrides.get("row0", 0)
            numbers = check.row_numbers(check.as_array(rows, "rows"), new.get("row0", outer))[1]
            new["rows"] = np.array(numbers)  # a copy: keys may outlive the caller's array
        if instance is not None:
            new["instance"] = check.integer(instance, "instance", 0, check.INSTANCE_MAX)
        super().__init__({"added": new})


def batch_of_rows(model: Any, start: int, count: int) -> Scope:
    """Context manager: forward passes of `model` inside compute the samples [start, start + count).

    A loop that computes many samples in batches opens it for each batch, so that the random numbers
    of a sample do not depend on the batch size. An outer `mask_state` still numbers the rows and
    chooses the draw. Passes of other models, which a forward function may train, are not concerned.

    Parameters
    ----------
    model : Module
        The outermost module of the passes. All batches have its present draw, and none is counted.
    start, count : int
        The position of the batch among all samples.
    """
    before = thread_state.overrides
    new: dict[str, Any] = {} if "draw" in before else {"draw": model.draw}
    if before.get("rows") is not None:
        new["rows"] = before["rows"][start : start + count]
    else:
        new["row0"] = before.get("row0", 0) + start
    return Scope({"added": {"batch": (model, new)}}, ends_in_copies=True)


class monte_carlo(Scope):  # noqa: N801 (a context manager)
    """Context manager: the forward passes inside are passes of a Monte Carlo prediction.

    Dropout then draws masks in evaluation mode too. A forward pass that is open outside (a
    prediction inside another module's forward) continues after the block.

    Parameters
    ----------
    draw : int
        The number of the pass, or of the first one of batched passes.
    seed : int
        In [0, 2**64).
    row0 : int
        Number of the first row.
    masks : {"per_sample", "shared"}
        A mask for each sample, or one mask for all samples of a pass.
    passes : int
        Compute this many passes, from `draw` on, as one batch (`fastdrop.autograd.passes`). 0: the
        block is one pass.
    samples : int
        The number of samples of each batched pass.
    rows : array of uint32 (samples,), optional
        A number for each sample, instead of `row0`.
    thinned : bool
        With shared masks: products leave out the units that are dropped.
    cache : list, optional
        Keeps results that are the same in all passes for the next batch of passes of the same
        samples. Empty at first. Used by the forward pass that is opened first, in case a model's
        `__call__` opens several.

    Attributes
    ----------
    opened : list of ForwardPass
        The passes that were opened so far. The `calls` of a pass tell whether it drew a mask.
    """

    def __init__(
        self,
        draw: int,
        seed: int,
        row0: int,
        masks: str,
        *,
        passes: int = 0,
        samples: int = 0,
        rows: npt.NDArray[np.uint32] | None = None,
        thinned: bool = False,
        cache: list[Any] | None = None,
    ) -> None:
        self.opened: list[ForwardPass] = []
        super().__init__(
            {
                "overrides": {
                    "draw": draw,
                    "seed": seed,
                    "row0": row0,
                    "masks": masks,
                    "rows": rows,
                    "thinned": thinned,
                    "caches": [] if cache is None else [cache],
                    "opened": self.opened,
                },
                "forward_pass": None,
                "batched_passes": passes,
                "batched_samples": samples,
                "reads_passes": False,
            },
            ends_in_copies=True,
        )


def training_networks(kind: str | None) -> Scope:
    """Context manager: the forward passes inside train thinned networks (`fastdrop.fit`).

    Parameters
    ----------
    kind : {"batch", "pair"} or None
        Dropout of an input (N, units) has one mask for the whole batch, or one mask for the rows of
        even number and its complement for the others. None: nothing changes.
    """
    return Scope({"added": {} if kind is None else {"networks": kind}})


def outside_passes() -> Scope:
    """Context manager: the block is no part of a forward pass or a prediction that surrounds it.

    `fastdrop.fit` trains in such a block, so that the forward function of one model may train
    another one. Operations are recorded for backward in it.
    """
    return Scope({"outside_passes": True, "grad_enabled": True}, ends_in_copies=True)


def without_init() -> Scope:
    """Context manager: new layers draw no random weights."""
    return Scope({"skips_init": True}, ends_in_copies=True)


def is_busy() -> bool:
    """Whether the caller is in a forward pass, or in `mask_state` or `monte_carlo`."""
    return thread_state.forward_pass is not None or bool(thread_state.overrides)


def draw_is_fixed(model: Any = None) -> bool:
    """Whether the draw of the next pass of `model` is fixed.

    `mask_state(draw=...)` and `monte_carlo` fix it for all models, `batch_of_rows` for its own.
    """
    overrides = thread_state.overrides
    if "draw" in overrides:
        return True
    batch = overrides.get("batch")
    return batch is not None and batch[0] is model
