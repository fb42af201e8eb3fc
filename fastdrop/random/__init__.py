"""Who counts: the run's seed, the sites and draws of a forward pass, and the generators of everything else.

A mask is a function of (seed, site, call, draw, row, sub, unit); this module decides the first four and the row
numbers (docs/mask-contract.md, "Who counts"). Other randomness of a run (initial weights, shuffling, mixup) comes
from NumPy generators seeded from the same seed and a name.
"""

from __future__ import annotations

import threading
import zlib
from contextlib import contextmanager

import numpy as np

from fastdrop._core import Stream
from fastdrop._utils import validation as check


class CannotCarry(RuntimeError):
    """An operation that is not known to work row by row met Monte Carlo passes side by side."""


MONTE_CARLO = (
    16  # added to a domain: pass t of a prediction never repeats the masks of training step t
)


class _Run:
    """The state of a run: its seed, the named generators used so far, the draws of free functional calls."""

    def __init__(self, seed: int):
        self.seed = seed
        self.generators: dict[str, np.random.Generator] = {}
        self.free_draw = 0


_run = _Run(0)


class _Local(threading.local):
    run: _Run | None = None  # of this thread alone (`own_run`)
    pass_: Pass | None = None
    overrides: dict = {}


_local = _Local()


def _now() -> _Run:
    return _local.run or _run


def _begin(run: _Run) -> None:
    global _run
    if _local.run:
        _local.run = run
    else:
        _run = run


def manual_seed(seed: int) -> None:
    """Seed all randomness of the run: masks, initial weights, shuffling, mixup.

    Parameters
    ----------
    seed : int in [0, 2**64)
    """
    _begin(_Run(check.integer(seed, "seed", 0, check.U64_MAX)))


def initial_seed() -> int:
    """The seed of the run (0 until `manual_seed` is called)."""
    return _now().seed


def generator(name: str) -> np.random.Generator:
    """The run's NumPy generator of this name ("init", "shuffle", ...); one continuing stream for each name."""
    run = _now()
    if name not in run.generators:
        words = [run.seed & check.U32_MAX, run.seed >> 32, zlib.crc32(name.encode())]
        run.generators[name] = np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))
    return run.generators[name]


def get_state() -> dict:
    """Everything that `set_state` needs to continue the run's randomness, as JSON-able values."""
    run = _now()
    return {
        "seed": run.seed,
        "free_draw": run.free_draw,
        "generators": {name: g.bit_generator.state for name, g in sorted(run.generators.items())},
    }


def set_state(state: dict) -> None:
    """Continue from what `get_state` returned."""
    run = _Run(check.integer(state["seed"], "state['seed']", 0, check.U64_MAX))
    run.free_draw = check.integer(state["free_draw"], "state['free_draw']", 0, check.U32_MAX + 1)
    for name, bits in state["generators"].items():
        g = np.random.Generator(np.random.PCG64(0))
        g.bit_generator.state = bits
        run.generators[name] = g
    _begin(run)


@contextmanager
def own_run(start):
    """Inside, this thread has a run of its own, which begins at a seed or at what `get_state` returned. The run outside, also that of other
    threads, does not notice; `mask_state` and an open pass wait until the end."""
    before = _local.run, _local.pass_, _local.overrides
    _local.run, _local.pass_, _local.overrides = _Run(0), None, {}
    try:
        if isinstance(start, dict):
            set_state(start)
        else:
            manual_seed(start)
        yield
    finally:
        _local.run, _local.pass_, _local.overrides = before


def used_up() -> RuntimeError:
    """What is raised instead of drawing the masks of draw 0 again."""
    return RuntimeError(
        "draws must stay below 2**32, and all of this seed are used up: "
        "go on with another one (fastdrop.manual_seed) and set the module's draw to 0"
    )


class Pass:
    """One forward pass of an outermost module: its draw, its sites, how often each was used."""

    __slots__ = (
        "asked",
        "calls",
        "draw",
        "known",
        "masks",
        "n_sites",
        "numbers",
        "passes",
        "pending",
        "row0",
        "rows",
        "samples",
        "seed",
        "sites",
        "step",
        "thins",
    )

    def __init__(self, draw: int, sites: dict, n_sites: int):
        overrides = _local.overrides
        self.masks = overrides.get("masks")
        self.passes, self.samples = overrides.get("passes", 0), overrides.get("samples", 0)
        self.thins = overrides.get("thins", False)
        known = overrides.get("known")
        self.known, self.asked, self.numbers = known.pop() if known else None, 0, {}
        self.seed = overrides["seed"] if "seed" in overrides else _now().seed
        self.draw = overrides.get("draw", draw)
        self.step = (
            draw if self.masks is not None else self.draw
        )  # of schedules: passes in training so far
        self.row0 = overrides.get("row0", 0)
        self.rows = overrides.get("rows")
        self.sites = sites
        self.n_sites = n_sites
        self.calls: dict[int, int] = {}
        self.pending: list = []

    def _side_by_side(self, shared: bool) -> tuple[np.ndarray, np.ndarray]:
        """Row number and draw of row n * T + t, which is pass t of sample n."""
        draws = np.arange(self.draw, self.draw + self.passes, dtype=np.uint32)
        if shared:
            rows = np.full(self.samples, check.SHARED_ROW, np.uint32)
        else:
            rows = (
                np.arange(self.row0, self.row0 + self.samples, dtype=np.uint32)
                if self.rows is None
                else self.rows
            )
        return np.repeat(rows, self.passes), np.tile(draws, self.samples)

    def once(self, shape: tuple, compute) -> np.ndarray:
        """What compute() gives, or gave in an earlier forward pass of the same samples: the asking goes in the same order."""
        i, self.asked = self.asked, self.asked + 1
        if i == len(self.known) or self.known[i].shape != shape:
            self.known[i:] = [compute()]
        return self.known[i]

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
    ) -> Stream:
        """The key of the next use of `site` for so many samples; `shared` = one row for the whole batch; `by_sub` = one row for
        the whole batch whose array's rows (of a weight matrix) are the second coordinate.

        Every sample must have a row number; nothing is counted when one has not. Where Monte Carlo passes are computed side by
        side, only who says that it `carries` them gets a key: for row n * T + t that of pass t of sample n.
        """
        if self.draw > check.U32_MAX:
            raise used_up()
        row0, rows = self.row0, self.rows
        if self.masks is not None:
            domain += MONTE_CARLO
            shared = shared or self.masks == "shared"
        draws = None
        if self.passes:
            if not carries or samples != self.samples * self.passes:
                raise CannotCarry("a stochastic layer draws for something else than the samples")
            if shared not in self.numbers:
                self.numbers[shared] = self._side_by_side(shared)
            rows, draws = self.numbers[shared]
        elif by_sub:
            row0, rows = check.SHARED_ROW, None
        elif shared:
            row0, rows = 0, np.full(samples, check.SHARED_ROW, np.uint32)
        elif rows is not None and len(rows) != samples:
            raise ValueError(
                f"input must have the {len(rows)} samples that mask_state(rows=...) numbers, got {samples}"
            )
        elif samples > 2**32 - row0:
            raise ValueError(
                f"input must have at most {2**32 - row0} samples from mask_state(row0=...) on, got {samples}"
            )
        call = self.calls.get(site, 0)
        self.calls[site] = call + 1
        return Stream(self.seed, site, call, self.draw, row0, sub, domain, rows, by_sub, draws)


def is_busy() -> bool:
    """Whether this thread is in a forward pass, or has decided what the next one draws (`mask_state`, Monte Carlo)."""
    return _local.pass_ is not None or bool(_local.overrides)


def current() -> Pass | None:
    """The forward pass that this thread is in, or None."""
    return _local.pass_


class forward_pass:  # noqa: N801 (a context manager; as a generator it costs 2 us more)
    """Open the forward pass of an outermost module (`Module.__call__` does it)."""

    __slots__ = ("before", "opened")

    def __init__(self, draw: int, sites: dict, n_sites: int):
        self.before, self.opened = _local.pass_, Pass(draw, sites, n_sites)

    def __enter__(self):
        _local.pass_ = self.opened
        return self.opened

    def __exit__(self, *exc):
        _local.pass_ = self.before


def stream_for(
    layer,
    samples: int,
    domain: int = 0,
    sub: int = 0,
    *,
    offset: int = 0,
    shared: bool = False,
    by_sub: bool = False,
    carries: bool = False,
) -> Stream:
    """The key of the next random decision of `layer` (or, with None, of functional code) for so many samples (`Pass.stream`).

    Inside a pass a layer has its site (plus `offset` for layers with several); functional calls share the first site
    after all layers. Outside a pass each call is a forward pass of its own: site 0, and a draw counter of the run.
    """
    ps = _local.pass_
    if ps is None:
        run = _now()
        stream = Pass(run.free_draw, {}, 0).stream(
            offset, samples, domain, sub, shared=shared, by_sub=by_sub
        )
        run.free_draw += 1
        return stream
    site = ps.n_sites if layer is None else ps.sites.get(id(layer))
    if site is None:
        raise RuntimeError(
            f"{type(layer).__name__} must be part of the module that was called, which numbers the sites of its layers: "
            "assign it as an attribute, or put it into a ModuleList, before the call"
        )
    if ps.passes and not carries:
        raise CannotCarry(
            f"{'a function' if layer is None else type(layer).__name__} is not computed for several passes at once"
        )
    return ps.stream(
        site + offset, samples, domain, sub, shared=shared, by_sub=by_sub, carries=carries
    )


def side_by_side() -> int:
    """How many Monte Carlo passes are computed at once in this thread; 0: none, or one by one."""
    return 0 if _local.pass_ is None else _local.pass_.passes


def thins() -> bool:
    """Whether products may leave out the units that the masks of whole passes drop."""
    return _local.pass_ is not None and _local.pass_.thins


def rate_now(p) -> float:
    """A layer's rate in the current pass: p itself, or what a schedule says for the training passes made so far."""
    if not callable(p):
        return p
    ps = _local.pass_
    return p(0 if ps is None else ps.step)


@contextmanager
def mask_state(
    *, seed: int | None = None, draw: int | None = None, row0: int | None = None, rows=None
):
    """Fix the seed, draw or row numbers of the forward passes opened inside.

    For micro-batches (the same draw, row0 = where the piece begins), recomputation (the same draw again) and
    batches cut over processes. Module counters do not advance while `draw` is fixed.

    Parameters
    ----------
    seed : int in [0, 2**64), optional
    draw : int in [0, 2**32), optional
    row0 : int in [0, 2**32), optional
        Global number of the first row.
    rows : array of int, optional
        Global number of each row, instead of row0.
    """
    new = dict(_local.overrides)
    if seed is not None:
        new["seed"] = check.integer(seed, "seed", 0, check.U64_MAX)
    if draw is not None:
        new["draw"] = check.integer(draw, "draw")
    if row0 is not None:
        new["row0"] = check.integer(row0, "row0")
    if rows is not None:
        numbers = check.row_numbers(check.as_array(rows, "rows"), new.get("row0", 0))[1]
        new["rows"] = np.array(numbers)  # keys outlive the caller's array
    before, _local.overrides = _local.overrides, new
    try:
        yield
    finally:
        _local.overrides = before


@contextmanager
def monte_carlo(
    draw: int,
    seed: int,
    row0: int,
    masks: str,
    passes: int = 0,
    samples: int = 0,
    rows=None,
    thins: bool = False,
    known: list | None = None,
):
    """Passes opened inside are pass `draw` of a Monte Carlo prediction: dropout draws in evaluation mode too. With `passes`
    they are so many passes from `draw` on, side by side, of so many samples. `rows`: a number for each sample, instead of row0. thins: with
    shared masks, products leave out what is dropped.

    masks : {"per_sample", "shared"}
        A mask for each sample, or one for all.
    known : list, empty at first
        Keeps what is the same in all passes for the next ones of the same samples: of the forward pass opened first, where a model's
        `__call__` opens several.

    A pass that is open (a prediction inside another module's forward) waits until the end.
    """
    before = _local.overrides, _local.pass_
    _local.overrides = {
        "draw": draw,
        "seed": seed,
        "row0": row0,
        "masks": masks,
        "passes": passes,
        "samples": samples,
        "rows": rows,
        "thins": thins,
        "known": [] if known is None else [known],
    }
    _local.pass_ = None
    try:
        yield
    finally:
        _local.overrides, _local.pass_ = before


def is_monte_carlo() -> bool:
    """Whether this thread is in a pass of a Monte Carlo prediction."""
    return _local.pass_ is not None and _local.pass_.masks is not None


def draws(training: bool) -> bool:
    """Whether a stochastic layer draws: in training, and in the passes of a Monte Carlo prediction."""
    return training or is_monte_carlo()


@contextmanager
def only_rows(kept):
    """Inside, the current pass has only these of its samples (positions in the batch), which keep their row numbers."""
    ps = _local.pass_
    before = ps.rows
    numbers = np.asarray(kept, np.uint32) + np.uint32(ps.row0) if before is None else before[kept]
    ps.rows = np.ascontiguousarray(numbers, np.uint32)
    try:
        yield
    finally:
        ps.rows = before


def draw_is_fixed() -> bool:
    """Whether `mask_state(draw=...)` is in force."""
    return "draw" in _local.overrides
