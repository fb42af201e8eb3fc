"""Training steps of one's own by replay: `record`."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import nn, optim, random
from fastdrop._utils import validation as check
from fastdrop.autograd.recording import Recording, are_same, is_open, modes, of_library
from fastdrop.autograd.recording import record as record_calls
from fastdrop.autograd.tensor import Tensor, wrap
from fastdrop.nn.fixed_layers import is_fixed
from fastdrop.train.recorded_steps import is_known
from fastdrop.train.step_state import StepState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

__all__ = ["RecordedStep", "record"]

# Recordings of one step, for different arguments. Each has all arrays of a step.
MOST = 8
# Steps that are recorded without a replay in between, before the step is given up.
PATIENCE = 16

_OBJECTS = (nn.Module, optim.Optimizer, optim.lr_scheduler.LRScheduler)
_NUMBERS = "fiub"  # kinds of dtype


class _Unfit(TypeError):
    """The step cannot be recorded, for the reason that the message gives."""


def record(step: Callable[..., Any]) -> RecordedStep:
    """Make a training step of your own one call: record it once, then replay it.

    A step with arrays of the same shapes makes the same calls of the core each time. What Python
    does between them (graph, checks, keys of masks) takes longer than the arithmetic of small
    networks. The first call for each set of shapes runs `step` and notes the calls of the core.
    The second one replays them, computes the step by Python as well, and compares all bits:
    parameters, gradients, state of the optimiser, buffers, results. If they agree, further calls
    are replays. Masks advance as they do in the step itself.

    A step that cannot be recorded runs as before; `RecordedStep.explain` says why. These are
    steps that read the numbers of a tensor (``loss.item()``: return ``loss`` instead), with
    functions that give as many elements as a mask chooses, with random tensors, with layers that
    choose samples in Python, with packed sequences, with schedules of rates, and with optimisers
    of your own, with hooks of optimisers, and with LBFGS. Masks and places (of `where`, `gather`)
    that are arrays must be arguments of the step, or be computed by functions of fastdrop.

    What may change between two calls: the numbers in arguments, parameters, buffers and
    optimiser states, learning rates and the other options of an optimiser, and the mode and
    options of layers, the trained parameters, the seed and the arrays of parameters. After a
    change of the last group the step is recorded anew. A scheduler of `fastdrop.optim` may be
    stepped inside or outside of `step`, and gradients may be accumulated or clipped.

    What `step` must not do, as a replay does not run its Python code: count its calls, print, draw
    from a generator of NumPy, decide by something that changes from call to call, or read arrays
    that are no arguments (but arrays that are always the same ones).

    Parameters
    ----------
    step : function
        step(x, y), or any other arguments: arrays, tensors, numbers, strings, modules, optimisers
        and schedulers, also in tuples, lists and dicts. It makes a whole training step: forward
        pass, loss, backward, ``optimizer.step()``. It returns a Tensor, several of them in tuples,
        lists or dicts, or None.

    Returns
    -------
    RecordedStep
        Called as `step` is. Its results are new tensors without a graph.

    Raises
    ------
    TypeError
        `step` is not callable.

    Notes
    -----
    A recording holds every array of the step, none of which is used twice. After a replay the
    gradients are in the same arrays as after the one before.

    See Also
    --------
    fastdrop.fit : Records the steps of small networks by itself.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> import fastdrop.nn.functional as F
    >>> fd.manual_seed(0)
    >>> model = fd.models.mlp(8, [16], 2, dropout=0.2)
    >>> optimizer = fd.optim.SGD(model.parameters(), lr=0.1)
    >>> @fd.record
    ... def step(x, y):
    ...     optimizer.zero_grad()
    ...     loss = F.cross_entropy(model(x), y)
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((100, 32, 8), dtype=np.float32)
    >>> losses = [step(batch, (batch[:, 0] > 0).astype(int)).item() for batch in x]
    >>> losses[-1] < losses[0]
    True
    >>> step.replays, step.refused
    (97, None)
    """
    return RecordedStep(step)


@dataclass(eq=False)
class _Recorded:
    """A recorded step.

    Attributes
    ----------
    arguments : list of array
        Where a replay reads its batch.
    first : list of array
        What the arguments were when the step was recorded; None once a check had another content.
    gradients : list of (Tensor, Tensor or None, bool, Tensor or None)
        Each parameter, its gradient before the step, whether the step reads it, and the one after.
    kept : list
        Objects whose id() is a part of the key.
    missing : list of bool
        Which parameters had no gradient before the step.
    """

    recording: Recording
    state: StepState
    arguments: list[npt.NDArray[Any]]
    first: list[npt.NDArray[Any] | None]
    result: Any
    kept: list[Any]
    checked: bool = False

    def __post_init__(self) -> None:
        before = dict(self.recording.gradients)
        for p in self.state.parameters():
            before.setdefault(id(p), (p, p._grad))
        self.gradients: list[tuple[Any, Tensor | None, bool, Tensor | None]] = [
            (p, grad, grad is not None and self.recording.reads(grad._array), p._grad)
            for p, grad in before.values()
        ]
        self.missing = [grad is None for _, grad, _, _ in self.gradients]
        self.look()

    def look(self) -> None:
        """Remember what the step depends on."""
        self.dependencies = self.state.dependencies()
        self.changes = random.modes.changes
        self.run, self.modes = random.current_run(), modes()
        self.tensors = [(p, p._array, p.requires_grad) for p in self.state.parameters()]
        self.dicts: list[tuple[Any, ...]] = []
        self.groups = []
        for optimizer in self.state.optimizers:
            self.groups.append((optimizer, optimizer.param_groups, len(optimizer.param_groups)))
            for group in optimizer.param_groups:
                self.dicts.append((group, len(group), "params", group["params"]))
            self.dicts.append((vars(optimizer), len(vars(optimizer)), "state", optimizer.state))
            states = [item for pair in optimizer.state.items() for item in pair]
            self.dicts.append((optimizer.state, len(optimizer.state), *states))
            for state in optimizer.state.values():
                arrays = [(k, v) for k, v in state.items() if isinstance(v, np.ndarray)]
                self.dicts.append((state, len(state), *[item for kv in arrays for item in kv]))

    def holds(self) -> bool:
        """Whether everything that the step depends on is as it was."""
        if not are_same(self.tensors, self.dicts) or modes() != self.modes:
            return False
        for optimizer, groups, count in self.groups:
            if optimizer.param_groups is not groups or len(groups) != count:
                return False
        if random.current_run() is not self.run:
            return False
        if random.modes.changes != self.changes:
            if not self.state.dependencies().are(self.dependencies):
                return False
            self.changes = random.modes.changes
        return True

    def fits_gradients(self) -> bool:
        """Whether the parameters that have a gradient are those that had one."""
        return [p._grad is None for p, *_ in self.gradients] == self.missing

    def new_arguments(self, arrays: list[npt.NDArray[Any]]) -> list[int]:
        """The numbers of the arguments that no check has seen with other contents than at first."""
        if not self.first:
            return []
        pairs = enumerate(zip(self.first, arrays))
        return [i for i, (a, b) in pairs if a is not None and not np.array_equal(a, b)]

    def replay(self, arrays: list[npt.NDArray[Any]]) -> None:
        """The step by replay; its results are in the arrays of `result`."""
        for argument, array in zip(self.arguments, arrays):
            np.copyto(argument, array)
        for p, before, is_read, _ in self.gradients:
            if is_read and before is not None and p._grad is not before:
                np.copyto(before._array, p._grad._array)
        self.recording.replay()
        for p, _, _, after in self.gradients:
            p._grad = after


class RecordedStep:
    """A training step that `record` made one call.

    Parameters
    ----------
    step : function
        The step.

    Attributes
    ----------
    refused : str or None
        Why the step cannot be recorded, so that every call runs it as before.
    replays : int
        How many calls were replays.

    Examples
    --------
    >>> import fastdrop as fd
    >>> step = fd.record(lambda x: float(x.sum()))
    >>> step(fd.tensor([1.0, 2.0]).data)
    3.0
    >>> print(step.explain())
    Not recorded: the step returns 3.0 (float): only tensors are computed anew.
    """

    refused: str | None
    replays: int

    def __init__(self, step: Callable[..., Any]) -> None:
        if not callable(step):
            raise TypeError(f"step must be a function, got {check.describe(step)}")
        self.step = step
        functools.update_wrapper(self, step, updated=())
        self.refused, self.replays = None, 0
        self._recorded: dict[Any, list[_Recorded]] = {}
        self._in_vain, self._running = 0, False

    def explain(self) -> str:
        """Whether the step is replayed, or why not.

        Returns
        -------
        str
            A sentence.
        """
        if self.refused is not None:
            return f"Not recorded: {self.refused}."
        recordings = [each for found in self._recorded.values() for each in found]
        calls = sum(len(each.recording.calls) for each in recordings)
        return f"Recordings: {len(recordings)}, with {calls} calls; replays: {self.replays}."

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The step, by replay where it was recorded."""
        if self.refused is not None or self._running or is_open() or not random.modes.is_plain:
            return self.step(*args, **kwargs)
        arrays: list[Any] = []
        kept: list[Any] = []
        self._running = True
        try:
            key = _signature((args, kwargs), arrays, kept)
            return self._run(key, arrays, kept, (args, kwargs))
        except _Unfit as reason:
            self._refuse(str(reason))
            return self.step(*args, **kwargs)
        finally:
            self._running = False

    def _refuse(self, reason: str) -> None:
        self.refused = reason
        self._recorded.clear()

    def _run(self, key: Any, arrays: list[Any], kept: list[Any], given: Any) -> Any:
        candidates = self._recorded.get(key, [])
        found = next((each for each in candidates if each.fits_gradients()), None)
        if found is not None and not found.holds():
            candidates.remove(found)
            found = None
        if found is None and sum(map(len, self._recorded.values())) < MOST:
            return self._record(key, arrays, kept, given)
        if found is None or not found.recording.draws_left():
            return self.step(*given[0], **given[1])
        new = found.new_arguments(arrays)
        if new or not found.checked:
            return self._check(found, arrays, new, given)
        found.replay(arrays)
        self.replays += 1
        self._in_vain = 0
        return _mapped(found.result, _copied)

    def _record(self, key: Any, arrays: list[Any], kept: list[Any], given: Any) -> Any:
        """The step by Python; its calls are noted."""
        self._in_vain += 1
        if self._in_vain > PATIENCE:
            raise _Unfit("what the step depends on changes from call to call")
        arguments = [array.copy("K") for array in arrays]
        args, kwargs = _rebuilt(given, iter(arguments))

        def run() -> Any:
            result = self.step(*args, **kwargs)
            _mapped(result, lambda t: t._array)  # runs what is pending
            return result

        result, recording = record_calls(run, arguments)
        if recording is None:  # another thread is recording
            self._in_vain -= 1
            return result
        state = StepState([each.module for each in recording.passes], recording.owners)
        reason = recording.refused or _reason(recording, state, result)
        if reason is not None:
            self._refuse(reason)
            return result
        template = _mapped(result, lambda t: wrap(t._array))
        first: list[Any] = [np.copy(array) for array in arguments]
        recorded = _Recorded(recording, state, arguments, first, template, kept)
        # One that was never checked is that of a first step, which had no gradients before it.
        checked = [each for each in self._recorded.get(key, []) if each.checked]
        self._recorded[key] = [*checked, recorded]
        return _mapped(result, _copied)

    def _check(self, recorded: _Recorded, arrays: list[Any], new: list[int], given: Any) -> Any:
        """The step by Python, compared with a replay. The state is that of one step afterwards."""
        state, before = recorded.state, recorded.state.dependencies()
        gradients = [(p, p._grad) for p in state.parameters()]
        touched = [array for array in recorded.recording.known.values() if array.flags.writeable]
        saved = state.save(touched)
        try:
            recorded.replay(arrays)
            replayed = state.bits(_leaves(recorded.result))
        except Exception:
            replayed = None  # the step itself should raise the same
        finally:
            state.restore(saved)
            for p, grad in gradients:
                p._grad = grad
        result = self.step(*given[0], **given[1])
        if replayed is None:
            return result
        if not state.dependencies().are(before):
            self._refuse("the step changes options of layers, or the arrays of parameters")
        elif state.bits(_leaves(result)) != replayed:
            self._refuse(
                "a replay did not give the bits of the step, which does more than functions of "
                "fastdrop that are recorded"
            )
        else:
            recorded.checked = True
            for i in new:
                recorded.first[i] = None
            if not any(first is not None for first in recorded.first):
                recorded.first = []
            recorded.look()
        return result


# ---- arguments and results ----


def _signature(value: Any, arrays: list[Any], kept: list[Any]) -> Any:
    """What a recording depends on; the arrays and the objects among the arguments are listed."""
    if type(value) is np.ndarray:
        if value.dtype.kind not in _NUMBERS:
            raise _Unfit(f"an argument holds no numbers: {check.describe(value)}")
        arrays.append(value)
        return value.shape, value.dtype
    if isinstance(value, Tensor) and type(value) is not nn.Parameter:
        if value.requires_grad:
            raise _Unfit("an argument is a tensor that requires a gradient")
        arrays.append(value._array)
        return Tensor, value.shape
    if isinstance(value, (tuple, list)):
        return type(value), *[_signature(each, arrays, kept) for each in value]
    if isinstance(value, dict):
        return dict, *[(k, _signature(each, arrays, kept)) for k, each in value.items()]
    if isinstance(value, (*_OBJECTS, Tensor)):
        kept.append(value)
        return id(value)
    if value is None or isinstance(value, (bool, int, float, str, bytes, np.generic)):
        return type(value), value
    raise _Unfit(
        "an argument must be an array, a tensor, a number, a string, a module, an optimiser, or a "
        f"tuple, list or dict of them, got {check.describe(value)}"
    )


def _rebuilt(value: Any, arrays: Iterator[Any]) -> Any:
    """The arguments with other arrays, in the order of `_signature`."""
    if type(value) is np.ndarray:
        return next(arrays)
    if isinstance(value, Tensor) and type(value) is not nn.Parameter:
        return wrap(next(arrays))
    if isinstance(value, (tuple, list)):
        return _like(value, [_rebuilt(each, arrays) for each in value])
    if isinstance(value, dict):
        return {key: _rebuilt(each, arrays) for key, each in value.items()}
    return value


def _like(value: Any, items: list[Any]) -> Any:
    """A tuple, named tuple or list of these items."""
    return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)


def _mapped(result: Any, function: Callable[[Tensor], Any]) -> Any:
    """What a step returns, with a function of each tensor in its place."""
    if isinstance(result, Tensor):
        return function(result)
    if isinstance(result, (tuple, list)):
        return _like(result, [_mapped(each, function) for each in result])
    if isinstance(result, dict):
        return {key: _mapped(each, function) for key, each in result.items()}
    return result


def _copied(t: Tensor) -> Tensor:
    """A tensor of its own, which later replays do not change."""
    return wrap(t._array.copy())


def _leaves(result: Any) -> list[Any]:
    """The arrays of what a step returns."""
    found: list[Any] = []
    _mapped(result, lambda t: found.append(t._array))
    return found


def _reason(recording: Recording, state: StepState, result: Any) -> str | None:
    """Why a recording cannot be replayed, from what is known after the step."""
    problem: str | None = None

    def look(value: Any) -> None:
        nonlocal problem
        if isinstance(value, Tensor):
            node = value._node
            if node is not None and not node.freed:
                problem = "the step returns a tensor with a graph: return tensor.detach()"
            elif value._array.size and not recording.reads(value._array):
                problem = "the step returns a tensor that no recorded function has computed"
        elif isinstance(value, (tuple, list)):
            for each in value:
                look(each)
        elif isinstance(value, dict):
            look(list(value.values()))
        elif value is not None:
            problem = f"the step returns {check.describe(value)}: only tensors are computed anew"

    look(result)
    known = {id(p) for p in state.parameters()}
    if recording.gradients.keys() - known:
        problem = "the step gives a gradient to a tensor that is no parameter of its modules"
    for optimizer in state.optimizers:
        if optimizer._has_hooks():
            problem = f"{type(optimizer).__name__} has hooks"
        elif not is_known(optimizer):
            problem = f"{type(optimizer).__name__} is no optimiser of fastdrop.optim"
    for layer in state.layers():
        if of_library(type(layer)) and not all(map(is_fixed, vars(layer).values())):
            problem = f"{type(layer).__name__} has a schedule, or a method that was replaced"
    return problem
