"""What each thread knows: its own run, its open forward pass, and what the next pass will take."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastdrop.random.forward_pass import ForwardPass
    from fastdrop.random.seeding import Run


class ThreadState(threading.local):
    """State of one thread. The class attributes are the values of a new thread.

    Attributes
    ----------
    run : Run or None
        The run of this thread alone (`own_run`). None: the thread uses the run of the process.
    forward_pass : ForwardPass or None
        The forward pass that is open in this thread.
    overrides : dict
        What `mask_state` and `monte_carlo` fix for the forward passes opened inside them.
        Replaced as a whole, never changed in place.
    batched_passes : int
        How many Monte Carlo passes this thread computes as one batch; 0: none, or one at a
        time. Set by `monte_carlo` only. `fastdrop.autograd.passes` says what it means for
        tensors.
    batched_samples : int
        How many samples each of the batched passes has.
    """

    run: Run | None = None
    forward_pass: ForwardPass | None = None
    overrides: dict[str, Any] = {}
    batched_passes: int = 0
    batched_samples: int = 0


thread_state = ThreadState()
