"""Training steps of `fit` by replay: the calls of an earlier step, made again for the next batch.

The step of a `Sequential` of dense layers, activations and dropout is a fixed list of calls. One
step of each epoch is recorded (`fastdrop.autograd.recording`), and the others are replays of it,
with the same bits. Everything else is computed as before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop import nn
from fastdrop._utils import validation as check
from fastdrop.autograd.recording import Recording, record
from fastdrop.autograd.tensor import wrap
from fastdrop.nn.dense_chain import ACTIVATIONS
from fastdrop.train.objective import LOSSES
from fastdrop.train.steps import ArraySteps

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop.autograd.tensor import Tensor
    from fastdrop.train.loop import TrainingRun

__all__ = ["StepRecorder"]

# Whether steps are replayed. Tests and benchmarks turn it off.
REPLAYED = True

# Weights times samples from which on a step is its arithmetic, and a recording, which lets no array
# be used twice in a step, only takes memory.
LARGEST = 1 << 26

_LAYERS = frozenset(
    (nn.Sequential, nn.Identity, nn.Linear, nn.Dropout, nn.AlphaDropout, *ACTIVATIONS)
)
_LOSSES = (LOSSES["cross_entropy"], LOSSES["mse"])


class StepResult(NamedTuple):
    """The output of a step's forward pass, and its loss. A replay writes to the same arrays."""

    output: Tensor
    loss: Tensor


class _Recorded(NamedTuple):
    """A recorded step, the arrays of its batch, and the gradient of each parameter."""

    recording: Recording
    x: npt.NDArray[np.float32]
    y: npt.NDArray[Any]
    result: StepResult
    gradients: list[tuple[Any, Tensor | None]]


class StepRecorder:
    """Runs the steps of a training run, by replay from the second step of an epoch on.

    Parameters
    ----------
    run : TrainingRun
    step : callable
        step(x, y) -> StepResult: the whole step of a batch.
    """

    def __init__(self, run: TrainingRun, step: Callable[[Any, Any], StepResult]) -> None:
        self.run, self.step = run, step
        self.recorded: _Recorded | None = None
        self.checked = self.refused = False

    @staticmethod
    def fits(run: TrainingRun) -> bool:
        """Whether the steps of a run are fixed lists of calls that recordings know."""
        layers, scheduler = list(run.model.modules()), run.step_scheduler
        return (
            REPLAYED
            and isinstance(run.batches, ArraySteps)
            and run.batches.weights is None
            and not run.mixup
            and run.objective.loss in _LOSSES
            and (scheduler is None or type(scheduler).__module__.startswith("fastdrop."))
            and isinstance(run.model, nn.Sequential)
            and all(type(layer) in _LAYERS and "forward" not in vars(layer) for layer in layers)
            and not any(callable(getattr(layer, "p", None)) for layer in layers)  # schedules
            and sum(p.numel() for p in run.model.parameters()) * run.batches.batch_size <= LARGEST
        )

    def new_epoch(self) -> None:
        """Forget the recording: what ran between two epochs may have changed the model."""
        self.recorded = None

    def __call__(self, x: npt.NDArray[np.float32], y: npt.NDArray[Any]) -> StepResult:
        """The step of one batch."""
        recorded = self.recorded
        full = len(x) == self.run.batches.batch_size and self.run.model.draw <= check.U32_MAX
        if self.refused or not full:
            return self.step(x, y)
        if recorded is None:
            return self._record(x, y)
        np.copyto(recorded.x, x)
        np.copyto(recorded.y, y)
        if not self.checked and not self._check(recorded):
            return self.step(x, y)
        return self._replay(recorded)

    def _record(self, x: npt.NDArray[np.float32], y: npt.NDArray[Any]) -> StepResult:
        x, y = x.copy(), y.copy()
        result, recording = record(lambda: self.step(wrap(x), y))
        if recording is not None:
            gradients = [(p, p.grad) for p in self.run.model.parameters()]
            self.recorded = _Recorded(recording, x, y, result, gradients)
        return result

    def _replay(self, recorded: _Recorded) -> StepResult:
        model = self.run.model
        for parameter, gradient in recorded.gradients:  # another step may have run since
            parameter._grad = gradient
        draw, model.draw = model.draw, model.draw + 1
        recorded.recording.replay(draw)
        return recorded.result

    def _check(self, recorded: _Recorded) -> bool:
        """Whether a replay gives the bits of the step itself. The state is as before afterwards."""
        before = self._state()
        self._replay(recorded)
        replayed = self._bits(recorded.result)
        self._restore(before)
        result = self.step(wrap(recorded.x.copy()), recorded.y.copy())
        self.checked = self._bits(result) == replayed
        self.refused = not self.checked
        self._restore(before)
        return self.checked

    # ---- the state of a run that a step changes ----

    def _state(self) -> tuple[int, list[Any], list[dict[str, Any]]]:
        states = self.run.optimizer.state.values()
        return (
            self.run.model.draw,
            [np.copy(p._array) for p in self.run.model.parameters()],
            [{key: np.copy(value) for key, value in state.items()} for state in states],
        )

    def _restore(self, saved: tuple[int, list[Any], list[dict[str, Any]]]) -> None:
        self.run.model.draw, arrays, states = saved
        for p, array in zip(self.run.model.parameters(), arrays):
            np.copyto(p._to_write("the check of a recorded step"), array)
        for state, before in zip(self.run.optimizer.state.values(), states):
            for key, value in before.items():
                if isinstance(state[key], np.ndarray):
                    np.copyto(state[key], value)
                else:
                    state[key] = value.item()

    def _bits(self, result: StepResult) -> list[bytes]:
        _, arrays, states = self._state()
        arrays += [value for state in states for value in state.values()]
        return [array.tobytes() for array in (*arrays, result.output._array, result.loss._array)]
