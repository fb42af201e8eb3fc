"""Training steps of `fit` by replay: the calls of an earlier step, made again for the next batch.

The step of a `Sequential` of dense layers, norms, activations and dropout is a fixed list of calls.
One step is recorded (`fastdrop.autograd.recording`), and the others are replays of it, with the
same bits. Everything else is computed as before. Code of the user runs between epochs (callbacks,
metrics), so what a step depends on is compared before each epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from numbers import Number
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop import nn, random
from fastdrop._utils import validation as check
from fastdrop.autograd.recording import Recording, of_library, record
from fastdrop.autograd.tensor import wrap
from fastdrop.nn.dense_chain import ACTIVATIONS
from fastdrop.train.objective import LOSSES
from fastdrop.train.steps import ArraySteps

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop.autograd.tensor import Tensor
    from fastdrop.optim import Optimizer
    from fastdrop.train.loop import TrainingRun

__all__ = ["StepRecorder"]

# Whether steps are replayed. Tests and benchmarks turn it off.
REPLAYED = True

# Attributes of layers that are options, and those that a forward pass changes.
_PLAIN = (Number, str, np.generic, tuple, list, type(None))
_COUNTED = ("_draw", "_sites", "_descendants")

# Weights times samples from which on a step is its arithmetic, and a recording, which lets no array
# be used twice in a step, only takes memory.
LARGEST = 1 << 26

_LAYERS = frozenset(
    (
        *(nn.Sequential, nn.Identity, nn.Flatten, nn.Linear, nn.DropConnectLinear),
        *(nn.Dropout, nn.AlphaDropout, nn.GaussianDropout, nn.LayerNorm, nn.RMSNorm),
        *ACTIVATIONS,
    )
)


def _is_known(optimizer: Optimizer) -> bool:
    """Whether an optimiser has no code of the user: a check makes one step more than once."""
    return of_library(optimizer) and not any(map(callable, vars(optimizer).values()))


class StepResult(NamedTuple):
    """The output of a step's forward pass, and its loss. A replay writes to the same arrays."""

    output: Tensor
    loss: Tensor


@dataclass
class _Recorded:
    """A recorded step, the arrays of its batch, and the gradient of each parameter."""

    recording: Recording
    x: npt.NDArray[np.float32]
    y: npt.NDArray[Any]
    result: StepResult
    gradients: list[tuple[Any, Tensor | None]]
    checked: bool = False


class StepRecorder:
    """Runs the steps of a training run, by replay where a batch of this size was recorded.

    Parameters
    ----------
    run : TrainingRun
    step : callable
        step(x, y) -> StepResult: the whole step of a batch.
    """

    def __init__(self, run: TrainingRun, step: Callable[[Any, Any], StepResult]) -> None:
        self.run, self.step = run, step
        self.recorded: dict[int, _Recorded] = {}  # by the number of samples
        self.fitting, self.refused = True, False
        self.seen: tuple[list[Any], list[Any]] = [], []

    @staticmethod
    def fits(run: TrainingRun) -> bool:
        """Whether the steps of a run are fixed lists of calls that recordings know."""
        layers, scheduler = list(run.model.modules()), run.step_scheduler
        loss, parameters = run.objective.loss, list(run.model.parameters())
        updated = {id(p) for group in run.optimizer.param_groups for p in group["params"]}
        return (
            REPLAYED
            and isinstance(run.batches, ArraySteps)
            and type(run.batches.x) is np.ndarray  # one input
            and run.batches.weights is None
            and not run.mixup
            and (loss is LOSSES["mse"] or loss is LOSSES["cross_entropy"])
            and not run.objective.distributions
            and (scheduler is None or of_library(scheduler))
            and _is_known(run.optimizer)
            # The gradients of others grow from step to step.
            and all(id(p) in updated for p in parameters if p.requires_grad)
            and isinstance(run.model, nn.Sequential)
            and all(type(layer) in _LAYERS for layer in layers)
            # Schedules of rates, and methods that were replaced.
            and not any(callable(value) for layer in layers for value in vars(layer).values())
            and not random.draw_is_fixed(run.model)
            and sum(p.numel() for p in parameters) * run.batches.batch_size <= LARGEST
        )

    def new_epoch(self) -> None:
        """Forget the recordings if what ran between two epochs has changed what a step does."""
        self.fitting = self.fits(self.run)
        seen = self._fixed()
        if not self.fitting or not _are_same(seen, self.seen):
            self.seen = seen
            self.recorded.clear()

    def end_epoch(self) -> None:
        """Give the parameters gradients of their own, which later replays do not change."""
        if self.recorded:
            for parameter in self._updated():
                if parameter._grad is not None:
                    parameter._grad = wrap(parameter._grad._array.copy())

    def _updated(self) -> list[Tensor]:
        """The parameters whose gradients a step discards first."""
        return [p for group in self.run.optimizer.param_groups for p in group["params"]]

    def _fixed(self) -> tuple[list[Any], list[Any]]:
        """What a step depends on beside the numbers in arrays and the options of the optimiser.

        Objects that must be the same ones, and values that must be equal.
        """
        model, optimizer = self.run.model, self.run.optimizer
        objects: list[Any] = [random.current_run()]
        values: list[Any] = [random.get_instance(model), random.modes.bf16_products]
        for layer in model.modules():
            objects.append(layer)
            values.append(
                [
                    (name, copy(value))
                    for name, value in vars(layer).items()
                    if name not in _COUNTED and isinstance(value, _PLAIN)
                ]
            )
        for group in optimizer.param_groups:
            objects += [group, *group["params"]]
        parameters = list(model.parameters())
        values += [p.requires_grad for p in parameters]
        arrays = [p._array for p in parameters]
        for state in optimizer.state.values():
            objects.append(state)
            values += [(key, type(value)) for key, value in state.items()]
            arrays += [value for value in state.values() if isinstance(value, np.ndarray)]
        values += [(array.shape, array.flags.writeable) for array in arrays]
        return [*objects, *parameters, *arrays], values

    def __call__(self, x: npt.NDArray[np.float32], y: npt.NDArray[Any]) -> StepResult:
        """The step of one batch."""
        if self.refused or not self.fitting or self.run.model.draw > check.U32_MAX:
            return self.step(x, y)
        recorded = self.recorded.get(len(x))
        if recorded is None:
            return self._record(x, y)
        np.copyto(recorded.x, x)
        np.copyto(recorded.y, y)
        if not recorded.checked and not self._check(recorded):
            return self.step(x, y)
        return self._replay(recorded)

    def _record(self, x: npt.NDArray[np.float32], y: npt.NDArray[Any]) -> StepResult:
        x, y = x.copy(), y.copy()
        result, recording = record(lambda: self.step(wrap(x), y))
        if recording is not None:
            gradients = [(p, p.grad) for p in self._updated()]
            self.recorded[len(x)] = _Recorded(recording, x, y, result, gradients)
            self.seen = self._fixed()  # the first step made the optimiser's state
        return result

    def _replay(self, recorded: _Recorded) -> StepResult:
        model = self.run.model
        before = [parameter._grad for parameter, _ in recorded.gradients]
        for parameter, gradient in recorded.gradients:  # another step may have run since
            parameter._grad = gradient
        draw, model.draw = model.draw, model.draw + 1
        try:
            recorded.recording.replay(draw)
        except FloatingPointError:  # of the loss: no gradient was computed
            for (parameter, _), gradient in zip(recorded.gradients, before):
                parameter._grad = gradient
            raise
        return recorded.result

    def _check(self, recorded: _Recorded) -> bool:
        """Whether a replay gives the bits of the step itself. The state is as before afterwards."""
        before = self._state()
        try:
            self._replay(recorded)
            replayed = self._bits(recorded.result)
            self._restore(before)
            result = self.step(wrap(recorded.x.copy()), recorded.y.copy())
            recorded.checked = self._bits(result) == replayed
            self.refused = not recorded.checked
        except FloatingPointError:  # before it has changed a weight; the draw counts
            raise
        except BaseException:
            self._restore(before)
            raise
        self._restore(before)
        return recorded.checked

    # ---- the state of a run that a step changes ----

    def _state(self) -> tuple[int, list[Any], list[dict[str, Any]]]:
        states = self.run.optimizer.state.values()
        return (
            self.run.model.draw,
            [np.copy(p._array) for p in self.run.model.parameters()],
            [{key: copy(value) for key, value in state.items()} for state in states],
        )

    def _restore(self, saved: tuple[int, list[Any], list[dict[str, Any]]]) -> None:
        self.run.model.draw, arrays, states = saved
        for p, array in zip(self.run.model.parameters(), arrays):
            np.copyto(p._to_write("the check of a recorded step"), array)
        for state, before in zip(self.run.optimizer.state.values(), states):
            for key in [key for key in state if key not in before]:  # a momentum that is new
                del state[key]
            for key, value in before.items():
                if isinstance(state[key], np.ndarray):
                    np.copyto(state[key], value)
                else:
                    state[key] = value

    def _bits(self, result: StepResult) -> list[Any]:
        draw, arrays, states = self._state()
        arrays += [value for state in states for value in state.values()]
        arrays += [p._grad._array for p in self.run.model.parameters() if p._grad is not None]
        arrays += [result.output._array, result.loss._array]
        return [draw, *(np.asarray(array).tobytes() for array in arrays)]


def _are_same(a: tuple[list[Any], list[Any]], b: tuple[list[Any], list[Any]]) -> bool:
    objects = zip(a[0], b[0])
    return len(a[0]) == len(b[0]) and all(x is y for x, y in objects) and a[1] == b[1]
