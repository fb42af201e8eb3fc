"""Randomness: the run's seed, named generators, and the mask keys of forward passes."""

from fastdrop.random.forward_pass import (
    MONTE_CARLO,
    CannotCarry,
    ForwardPass,
    batched_passes,
    current,
    draws,
    forward_pass,
    is_monte_carlo,
    is_thinned,
    only_rows,
    rate_now,
    stream_for,
    used_up,
)
from fastdrop.random.overrides import batch_of_rows, draw_is_fixed, is_busy, mask_state, monte_carlo
from fastdrop.random.seeding import (
    generator,
    get_state,
    initial_seed,
    manual_seed,
    own_run,
    set_state,
)

__all__ = [
    "MONTE_CARLO",
    "CannotCarry",
    "ForwardPass",
    "batch_of_rows",
    "batched_passes",
    "current",
    "draw_is_fixed",
    "draws",
    "forward_pass",
    "generator",
    "get_state",
    "initial_seed",
    "is_busy",
    "is_monte_carlo",
    "is_thinned",
    "manual_seed",
    "mask_state",
    "monte_carlo",
    "only_rows",
    "own_run",
    "rate_now",
    "set_state",
    "stream_for",
    "used_up",
]
