"""Training steps of `fit` by replay: the calls of an earlier step, made again for the next batch.

The step of a `Sequential` of layers that are known here, or of a model of `fastdrop.models`, is a
fixed list of calls. One step is recorded (`fastdrop.autograd.recording`), and the others are
replays of it, with the same bits.
Everything else is computed as before. Code of the user runs between epochs (callbacks, metrics)
and in a DataLoader, so what a step depends on is compared before each epoch, and where a module
has noticed a change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop import nn, random
from fastdrop._utils.inputs import are_several, arrays_of, mapped
from fastdrop.autograd.recording import Recording, of_library, record
from fastdrop.autograd.tensor import wrap
from fastdrop.nn.fixed_layers import FIXED_IN_STEPS, has_no_functions, is_fixed
from fastdrop.nn.hooks import has_hooks
from fastdrop.train.step_state import Dependencies, StepState

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop.autograd.tensor import Tensor
    from fastdrop.optim import Optimizer
    from fastdrop.train.loop import TrainingRun

__all__ = ["StepRecorder"]

# Whether steps are replayed. Tests and benchmarks turn it off.
REPLAYED = True

# Weights times samples from which on a step is its arithmetic, and a recording, which lets no array
# be used twice in a step, only takes memory.
LARGEST = 1 << 26

# Bytes of the arrays of a recording from which on it is not kept, for the same reason.
MOST_BYTES = 1 << 26

# Recordings of one run, for batches of different shapes.
MOST = 4


def is_known(optimizer: Optimizer) -> bool:
    """Whether an optimiser has no code of the user: a check makes one step more than once."""
    return (
        of_library(optimizer)
        and not optimizer._has_hooks()
        and not any(map(callable, vars(optimizer).values()))
    )


def is_known_layer(layer: nn.Module) -> bool:
    """Whether a layer is of a known class, without schedules, hooks and replaced methods."""
    known = type(layer) in FIXED_IN_STEPS or type(layer).__module__.startswith("fastdrop.models.")
    return known and not has_hooks(layer) and all(map(is_fixed, vars(layer).values()))


def is_known_loss(loss: Any) -> bool:
    """Whether a loss is a function or a module of the library, without code of the user."""
    if isinstance(loss, FunctionType):
        return of_library(loss)
    return isinstance(loss, nn.Module) and of_library(type(loss)) and has_no_functions(loss)


class StepResult(NamedTuple):
    """The output of a step's forward pass, and its loss. A replay writes to the same arrays."""

    output: Tensor
    loss: Tensor


@dataclass
class _Recorded:
    """A recorded step, the arrays of its batch, and the gradient of each parameter."""

    recording: Recording
    batch: list[npt.NDArray[Any]]
    result: StepResult
    gradients: list[tuple[Any, Tensor | None]]
    checked: bool = False


class StepRecorder:
    """Runs the steps of a training run, by replay where a batch of this size was recorded.

    Parameters
    ----------
    run : TrainingRun
    step : callable
        step(x, y, weight) -> StepResult: the whole step of a batch.
    """

    def __init__(self, run: TrainingRun, step: Callable[..., StepResult]) -> None:
        self.run, self.step = run, step
        loss = run.objective.loss
        models = [run.model, loss] if isinstance(loss, nn.Module) else [run.model]
        self.state = StepState(models, [run.optimizer])
        self.recorded: dict[Any, _Recorded] = {}  # by the shapes of the batch
        self.fitting, self.refused = True, False
        self.seen, self.changes = Dependencies([], []), -1

    @staticmethod
    def fits(run: TrainingRun) -> bool:
        """Whether the steps of a run are fixed lists of calls that recordings know."""
        layers, scheduler = list(run.model.modules()), run.step_scheduler
        parameters = list(run.model.parameters())
        updated = {id(p) for group in run.optimizer.param_groups for p in group["params"]}
        return (
            REPLAYED
            and not run.mixup
            and is_known_loss(run.objective.loss)
            and (scheduler is None or of_library(scheduler))
            and is_known(run.optimizer)
            and not run.optimizer.needs_closure
            # The gradients of others grow from step to step.
            and all(id(p) in updated for p in parameters if p.requires_grad)
            and all(map(is_known_layer, layers))
            and not random.draw_is_fixed(run.model)
            and sum(p.numel() for p in parameters) * (run.batches.batch_size or 1)
            # A thinned step has a quarter of the arithmetic, and keeps few arrays.
            <= (LARGEST if run.options.thinned is None else 4 * LARGEST)
        )

    def new_epoch(self) -> None:
        """Forget the recordings if what ran between two epochs has changed what a step does."""
        self.fitting, self.changes = self.fits(self.run), random.modes.changes
        seen = self.state.dependencies()
        if not self.fitting or not seen.are(self.seen):
            self.seen = seen
            self.recorded.clear()

    def end_epoch(self) -> None:
        """Give the parameters gradients of their own, which later replays do not change."""
        if self.recorded:
            for parameter in self.state.updated():
                if parameter._grad is not None:
                    parameter._grad = wrap(parameter._grad._array.copy())

    def __call__(
        self, x: Any, y: npt.NDArray[Any], weight: npt.NDArray[np.float32] | None = None
    ) -> StepResult:
        """The step of one batch."""
        if random.modes.changes != self.changes:  # by the code of a DataLoader
            self.new_epoch()
        inputs = arrays_of(x) if are_several(x) else [x]
        if self.refused or not self.fitting or not all(map(_is_plain, inputs)):
            return self.step(x, y, weight)
        batch = [*inputs, y] if weight is None else [*inputs, y, weight]
        key = (_names(x), *[(array.shape, array.dtype) for array in batch])
        recorded = self.recorded.get(key)
        if recorded is None and len(self.recorded) < MOST:
            return self._record(key, batch, x)
        if recorded is None or not recorded.recording.draws_left():
            return self.step(x, y, weight)
        for to, array in zip(recorded.batch, batch):
            np.copyto(to, array)
        if not recorded.checked and not self._check(recorded, x):
            return self.step(x, y, weight)
        return self._replay(recorded)

    def _run(self, batch: list[npt.NDArray[Any]], inputs: Any) -> StepResult:
        """The step with the arrays of a batch, arranged as the inputs that are given."""
        arrays = iter(batch)
        x = mapped(inputs, lambda _: next(arrays))
        return self.step(x, *arrays)

    def _record(self, key: Any, given: list[npt.NDArray[Any]], x: Any) -> StepResult:
        batch = [array.copy() for array in given]
        result, recording = record(lambda: self._run(batch, x), batch)
        if recording is not None:
            self.refused = recording.refused is not None or recording.nbytes() > MOST_BYTES
            gradients = [(p, p.grad) for p in self.state.updated()]
            self.recorded[key] = _Recorded(recording, batch, result, gradients)
            # The first step made the optimiser's state.
            self.seen, self.changes = self.state.dependencies(), random.modes.changes
        if self.refused:
            self.recorded.clear()
        return result

    def _replay(self, recorded: _Recorded) -> StepResult:
        before = [parameter._grad for parameter, _ in recorded.gradients]
        for parameter, gradient in recorded.gradients:  # another step may have run since
            parameter._grad = gradient
        try:
            recorded.recording.replay()
        except Exception:  # of the loss, or of a check of the batch: no gradient was computed
            for (parameter, _), gradient in zip(recorded.gradients, before):
                parameter._grad = gradient
            raise
        return recorded.result

    def _check(self, recorded: _Recorded, x: Any) -> bool:
        """Whether a replay gives the bits of the step itself. The state is as before afterwards."""
        before, state = self.state.save(), self.state
        try:
            self._replay(recorded)
            replayed = state.bits(result._array for result in recorded.result)
            state.restore(before)
            results = self._run([array.copy() for array in recorded.batch], x)
            recorded.checked = state.bits(result._array for result in results) == replayed
            self.refused = not recorded.checked
        except FloatingPointError:  # before it has changed a weight; the draw counts
            raise
        except BaseException:
            state.restore(before)
            raise
        state.restore(before)
        return recorded.checked


def _is_plain(x: Any) -> bool:
    """Whether an input has the layout of a recording, and a dtype that no layer converts."""
    return type(x) is np.ndarray and x.dtype.kind in "fiub" and x.flags.c_contiguous


def _names(x: Any) -> Any:
    """How the inputs of a batch are given to the model."""
    return tuple(x) if isinstance(x, Mapping) else type(x)
