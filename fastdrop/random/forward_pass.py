"""The forward pass of an outermost module, which gives each random decision its mask key.

A mask is a function of (seed, instance, site, call, draw, row, sub, unit); see
docs/mask-contract.md. A `ForwardPass` decides the first five and the row numbers: seed, instance
and draw are the same for the whole pass, a layer has its site, and `call` counts how often a site
was used in this pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._core import PassScope, Stream
from fastdrop._utils import validation as check
from fastdrop.random.instances import instance_that_draws, run_that_draws
from fastdrop.random.seeding import current_run
from fastdrop.random.thread_state import thread_state

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import Float32Array

# Added to the domain of a mask key in Monte Carlo prediction: pass t of a prediction never repeats
# the masks of training step t.
MONTE_CARLO = 16


class CannotCarry(RuntimeError):
    """Batched Monte Carlo passes met an operation that is not known to work row by row.

    `fastdrop.autograd.passes` explains batched passes. `fastdrop.mc_predict` catches this error and
    computes the passes one at a time.
    """


def used_up() -> RuntimeError:
    """The error of a draw counter at 2**32, after which draw 0 would be drawn again."""
    return RuntimeError(
        "draws must stay below 2**32, and all draws of this seed are used up: "
        "set another seed (fastdrop.manual_seed) and the module's draw to 0"
    )


class ForwardPass:
    """One forward pass of an outermost module.

    Parameters
    ----------
    draw : int
        The module's draw counter, unless `mask_state` or `monte_carlo` fixes the draw.
    sites : dict
        The first site of each module that is part of the pass, by its id(); None for modules
        without sites.
    n_sites : int
        The number of all sites. Functional calls share the site after the last one.
    module : Module, optional
        The outermost module. None: a functional call outside any module.

    Attributes
    ----------
    instance : int
        The instance of the masks of this pass; -1 until the first one is drawn.
    step : int
        What schedules of rates are evaluated at: the number of passes that were counted so far.
    masks : {"per_sample", "shared"} or None
        The kind of masks in a Monte Carlo pass; None in other passes.
    thinned : bool
        Whether products may leave out units that a shared mask drops.
    networks : {"batch", "pair"} or None
        The kind of thinned networks of a training step (`training_networks`).
    row0, rows : int, array of uint32 or None
        The number of the first row, or the number of each row.
    lazy : bool
        Whether a Sequential is calling a layer of the library, whose product may stay pending.
    cache : list or None
        Results of earlier batches of passes of the same samples, for `compute_once`.
    """

    __slots__ = (
        "cache",
        "cache_position",
        "calls",
        "draw",
        "instance",
        "lazy",
        "masks",
        "module",
        "n_sites",
        "networks",
        "numbers",
        "row0",
        "rows",
        "seed",
        "sites",
        "step",
        "thinned",
    )

    def __init__(
        self, draw: int, sites: dict[int, int | None], n_sites: int, module: Any = None
    ) -> None:
        overrides = thread_state.overrides
        batch = overrides.get("batch")
        if batch is not None and batch[0] is module:
            overrides = {**overrides, **batch[1]}
        self.module = module
        self.instance = -1
        self.masks: str | None = overrides.get("masks")
        self.thinned: bool = overrides.get("thinned", False)
        self.networks: str | None = overrides.get("networks")
        caches = overrides.get("caches")
        self.cache: list[Float32Array] | None = caches.pop() if caches else None
        self.cache_position = 0
        self.numbers: dict[bool, tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]] = {}
        self.seed: int = overrides["seed"] if "seed" in overrides else current_run().seed
        self.draw: int = overrides.get("draw", draw)
        self.step = draw if self.masks is not None else self.draw
        self.row0: int = overrides.get("row0", 0)
        self.rows: npt.NDArray[np.uint32] | None = overrides.get("rows")
        self.sites = sites
        self.n_sites = n_sites
        self.calls: dict[int, int] = {}
        self.lazy = False
        if "opened" in overrides:  # a Monte Carlo prediction asks whether masks were drawn
            overrides["opened"].append(self)

    def _numbers_of_passes(
        self, passes: int, samples: int, shared: bool
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        """Row number and draw of row n * T + t, which is pass t of sample n."""
        draws = np.arange(self.draw, self.draw + passes, dtype=np.uint32)
        if shared:
            rows = np.full(samples, check.SHARED_ROW, np.uint32)
        elif self.rows is None:
            rows = np.arange(self.row0, self.row0 + samples, dtype=np.uint32)
        else:
            rows = self.rows
        return np.repeat(rows, passes), np.tile(draws, samples)

    def compute_once(
        self, shape: tuple[int, ...], compute: Callable[[], Float32Array]
    ) -> Float32Array:
        """The result of compute(), from the cache if an earlier pass of these samples had it.

        The n-th call of a pass finds the n-th result. Every pass asks in the same order.
        """
        assert self.cache is not None
        i, self.cache_position = self.cache_position, self.cache_position + 1
        if i == len(self.cache) or self.cache[i].shape != shape:
            self.cache[i:] = [compute()]
        return self.cache[i]

    def stream(
        self,
        site: int,
        samples: int,
        domain: int = 0,
        sub: int = 0,
        *,
        shared: bool = False,
        by_sub: bool = False,
        carries: bool = False,
        counts: bool = True,
    ) -> Stream:
        """The mask key of the next use of a site.

        Parameters
        ----------
        site : int
        samples : int
            The number of rows that the masks are for. Each of them must have a row number.
        domain : int
            0: dropout, 1: concrete dropout, 2: normal numbers (docs/mask-contract.md).
        sub : int
            The second coordinate within the row.
        shared : bool
            One row for the whole batch.
        by_sub : bool
            One row for the whole batch, whose second coordinate is the row of a weight matrix.
        carries : bool
            The caller works on batched passes. Then row n * T + t gets the key of pass t of
            sample n.
        counts : bool
            False: the numbers belong to a prediction. They have instance 0, and the pass does not
            count as one that drew a mask.

        Raises
        ------
        CannotCarry
            When passes are batched, and the caller does not carry them or draws for another
            number of rows.
        RuntimeError
            When all draws are used up.
        ValueError
            When a sample has no row number. The call counter has not changed then.
        """
        if self.draw > check.U32_MAX:
            raise used_up()
        row0, rows = self.row0, self.rows
        if self.masks is not None:
            domain += MONTE_CARLO
            shared = shared or self.masks == "shared"
        draws = None
        passes = thread_state.batched_passes
        if passes:
            of_each = thread_state.batched_samples
            if not carries or samples != of_each * passes:
                raise CannotCarry("a stochastic layer draws masks for rows that are not samples")
            if shared not in self.numbers:
                self.numbers[shared] = self._numbers_of_passes(passes, of_each, shared)
            rows, draws = self.numbers[shared]
        elif by_sub:
            row0, rows = check.SHARED_ROW, None
        elif shared:
            row0, rows = 0, np.full(samples, check.SHARED_ROW, np.uint32)
        elif rows is not None and len(rows) != samples:
            raise ValueError(
                f"input must have the {len(rows)} samples that mask_state(rows=...) numbers, "
                f"got {samples}"
            )
        elif samples > 2**32 - row0:
            raise ValueError(
                f"input must have at most {2**32 - row0} samples from mask_state(row0=...) on, "
                f"got {samples}"
            )
        instance = self.instance if counts else 0
        if instance < 0:
            instance = self.instance = self._find_instance()
        call = self.calls.get(site, 0)
        self.calls[site] = call + 1
        return Stream(
            self.seed, site, call, self.draw, row0, sub, domain, rows, by_sub, draws, instance
        )

    def _find_instance(self) -> int:
        """The instance of the masks of this pass."""
        if self.masks is not None:
            return 0
        if (fixed := thread_state.overrides.get("instance")) is not None:
            return int(fixed)
        if self.module is None:
            run_that_draws()
            return check.INSTANCE_MAX
        return instance_that_draws(self.module)


class forward_pass(PassScope):  # noqa: N801 (a context manager)
    """Context manager: the forward pass of an outermost module. `Module.__call__` opens it.

    Parameters
    ----------
    draw, sites, n_sites, module
        As in `ForwardPass`, which is the value of the `with` statement.
    """

    __slots__ = ()

    def __init__(
        self, draw: int, sites: dict[int, int | None], n_sites: int, module: Any = None
    ) -> None:
        self.opened = ForwardPass(draw, sites, n_sites, module)


def current() -> ForwardPass | None:
    """The forward pass that is open in the calling context, or None."""
    return thread_state.forward_pass


def stream_for(
    layer: Any,
    samples: int,
    domain: int = 0,
    sub: int = 0,
    *,
    offset: int = 0,
    shared: bool = False,
    by_sub: bool = False,
    carries: bool = False,
    counts: bool = True,
) -> Stream:
    """The mask key of the next random decision of a layer, or of a functional call.

    Inside a pass a layer uses its own site. All functional calls share the site after the last
    layer's. Outside any pass a call is a forward pass of its own: instance 2**24 - 1, site 0, and
    the draw counter of the run.

    Parameters
    ----------
    layer : Module or None
        None for functional code.
    offset : int
        Added to the layer's site, for layers with several sites.
    samples, domain, sub, shared, by_sub, carries, counts
        As in `ForwardPass.stream`.

    Raises
    ------
    RuntimeError
        When the layer is not part of the module that was called.
    CannotCarry
        When passes are batched and the caller does not carry them.
    """
    ps = thread_state.forward_pass
    if ps is None:
        run = current_run()
        stream = ForwardPass(run.free_draw, {}, 0).stream(
            offset, samples, domain, sub, shared=shared, by_sub=by_sub, counts=counts
        )
        run.free_draw += counts
        return stream
    site = ps.n_sites if layer is None else ps.sites.get(id(layer))
    if site is None:
        raise RuntimeError(
            f"{type(layer).__name__} must be part of the module that was called, which numbers the "
            "sites of its layers: assign it as an attribute, or put it into a ModuleList, before "
            "the call"
        )
    if thread_state.batched_passes and not carries:
        raise CannotCarry(
            f"{'a function' if layer is None else type(layer).__name__} "
            "is not computed for several passes at once"
        )
    return ps.stream(
        site + offset,
        samples,
        domain,
        sub,
        shared=shared,
        by_sub=by_sub,
        carries=carries,
        counts=counts,
    )


def batched_passes() -> int:
    """How many Monte Carlo passes are computed as one batch; 0: none, or one at a time."""
    return thread_state.batched_passes


def is_thinned() -> bool:
    """Whether products may leave out the units that a mask of a whole Monte Carlo pass drops."""
    ps = thread_state.forward_pass
    return ps is not None and ps.thinned


def thinned_training() -> str | None:
    """What `training_networks` sets for the open pass: "batch", "pair" or None."""
    ps = thread_state.forward_pass
    return None if ps is None else ps.networks


def is_monte_carlo() -> bool:
    """Whether the caller is in a pass of a Monte Carlo prediction."""
    ps = thread_state.forward_pass
    return ps is not None and ps.masks is not None


def draws(training: bool) -> bool:
    """Whether a stochastic layer draws: in training, and in a Monte Carlo prediction."""
    return training or is_monte_carlo()


def rate_now(p: Any) -> Any:
    """The rate of a layer in this pass: p, or what a schedule gives at the pass's step."""
    if not callable(p):
        return p
    ps = thread_state.forward_pass
    return p(0 if ps is None else ps.step)


@contextmanager
def only_rows(kept: npt.NDArray[np.integer]) -> Iterator[None]:
    """Context manager: inside, the open pass has only these of its samples.

    Parameters
    ----------
    kept : array of int
        Positions in the batch. The samples keep their row numbers.
    """
    ps = thread_state.forward_pass
    assert ps is not None
    before = ps.rows
    numbers = np.asarray(kept, np.uint32) + np.uint32(ps.row0) if before is None else before[kept]
    ps.rows = np.ascontiguousarray(numbers, np.uint32)
    try:
        yield
    finally:
        ps.rows = before
