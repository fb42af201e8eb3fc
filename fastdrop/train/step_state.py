"""What a recorded step depends on, and what it changes."""

from __future__ import annotations

from copy import copy
from numbers import Number
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop import random
from fastdrop.autograd.graph import LEAF_HOOKS
from fastdrop.autograd.recording import modes
from fastdrop.autograd.tensor import Tensor
from fastdrop.nn.fixed_layers import options_of
from fastdrop.nn.hooks import has_hooks
from fastdrop.optim import Optimizer
from fastdrop.optim.lr_scheduler import LRScheduler

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from fastdrop.nn import Module


class Dependencies(NamedTuple):
    """Objects that must be the same ones, and values that must be equal, for a replay."""

    objects: list[Any]
    values: list[Any]

    def are(self, others: Dependencies) -> bool:
        """Whether they are the same."""
        return (
            len(self.objects) == len(others.objects)
            and all(x is y for x, y in zip(self.objects, others.objects))
            and self.values == others.values
        )


class Saved(NamedTuple):
    """The state before a step."""

    draws: list[tuple[Any, str, int]]
    arrays: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]  # with a copy of each
    states: list[tuple[dict[Any, Any], set[Any], dict[Any, Any]]]  # keys, and copies of numbers


class StepState:
    """The models, optimisers and schedulers of a step.

    Parameters
    ----------
    models : iterable of Module
        The outermost modules that the step calls.
    owners : iterable
        The optimisers and schedulers that it uses, among other objects.
    """

    def __init__(self, models: Iterable[Module], owners: Iterable[Any]) -> None:
        owners = list(owners)
        self.models = list(models)
        self.optimizers = [owner for owner in owners if isinstance(owner, Optimizer)]
        schedulers = [owner for owner in owners if isinstance(owner, LRScheduler)]
        self.schedulers = [part for owner in schedulers for part in owner.parts()]

    def layers(self) -> Iterator[Module]:
        """All modules, each once."""
        seen: set[int] = set()
        for model in self.models:
            for layer in model.modules():
                if id(layer) not in seen:
                    seen.add(id(layer))
                    yield layer

    def updated(self) -> list[Tensor]:
        """The parameters of the optimisers."""
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        return [p for group in groups for p in group["params"]]

    def parameters(self) -> list[Tensor]:
        """The parameters of the modules, and others that the optimisers update; each once."""
        found: dict[int, Tensor] = {}
        for layer in self.layers():
            found.update((id(p), p) for p in layer._parameters.values() if p is not None)
        found.update((id(p), p) for p in self.updated())
        return list(found.values())

    def buffers(self) -> list[npt.NDArray[Any]]:
        """The arrays of the buffers of the modules."""
        values = [value for layer in self.layers() for value in layer._buffers.values()]
        return [
            value._array if isinstance(value, Tensor) else value
            for value in values
            if value is not None
        ]

    def dependencies(self) -> Dependencies:
        """What a step depends on beside the numbers in arrays and the options of optimisers."""
        objects: list[Any] = [random.current_run()]
        values: list[Any] = modes()
        for layer in self.layers():
            objects.append(layer)
            values.append(options_of(layer))
            objects += [value for value in vars(layer).values() if callable(value)]
            values.append(has_hooks(layer))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                objects += [group, *group["params"]]
        parameters = self.parameters()
        values += [random.get_instance(model) for model in self.models]
        values += [(p.requires_grad, id(p) in LEAF_HOOKS) for p in parameters]
        arrays = [p._array for p in parameters] + self.buffers()
        for optimizer in self.optimizers:
            for state in optimizer.state.values():
                objects.append(state)
                values += [(key, type(value)) for key, value in state.items()]
                arrays += [value for value in state.values() if isinstance(value, np.ndarray)]
        values += [(array.shape, array.flags.writeable) for array in arrays]
        return Dependencies([*objects, *parameters, *arrays], values)

    # ---- what a step changes ----

    def _draws(self) -> list[tuple[Any, str, int]]:
        run = random.current_run()
        draws = [(model, "_draw", model.draw) for model in self.models]
        return [*draws, (run, "free_draw", run.free_draw)]

    def _states(self) -> list[dict[Any, Any]]:
        """Dicts whose numbers change from step to step."""
        states = [state for optimizer in self.optimizers for state in optimizer.state.values()]
        if self.schedulers:  # they set learning rates
            states += [vars(scheduler) for scheduler in self.schedulers]
            states += [group for each in self.optimizers for group in each.param_groups]
        return states

    def save(self, others: Iterable[npt.NDArray[Any]] = ()) -> Saved:
        """The state, with the contents of other arrays."""
        arrays = [p._array for p in self.parameters()] + self.buffers() + list(others)
        return Saved(
            self._draws(),
            [(array, array.copy("K")) for array in arrays],
            [(state, set(state), _numbers(state)) for state in self._states()],
        )

    def restore(self, saved: Saved) -> None:
        """Make the state again what it was."""
        for owner, name, draw in saved.draws:
            object.__setattr__(owner, name, draw)
        for p in self.parameters():
            p._to_write("the check of a recorded step")
        for array, before in saved.arrays:
            np.copyto(array, before)
        for state, keys, values in saved.states:
            for key in state.keys() - keys:  # a momentum that is new
                del state[key]
            for key, value in values.items():
                if isinstance(state.get(key), np.ndarray):
                    np.copyto(state[key], value)
                else:
                    state[key] = value

    def bits(self, results: Iterable[npt.NDArray[Any]]) -> list[Any]:
        """Everything that a step has changed, and its results."""
        arrays = [p._array for p in self.parameters()] + self.buffers()
        arrays += [p._grad._array for p in self.parameters() if p._grad is not None]
        numbers: list[Any] = [draw for *_, draw in self._draws()]
        for state in self._states():
            for value in _numbers(state).values():
                (arrays if isinstance(value, np.ndarray) else numbers).append(value)
        return [numbers, *(np.asarray(array).tobytes() for array in [*arrays, *results])]


def _numbers(state: dict[Any, Any]) -> dict[Any, Any]:
    """Copies of the numbers, the lists and tuples of numbers and the arrays of a dict."""
    return {key: copy(value) for key, value in state.items() if _is_numeric(value)}


def _is_numeric(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(isinstance(each, Number) for each in value)
    return isinstance(value, (Number, np.ndarray))
