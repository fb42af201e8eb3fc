"""Sequential: modules called one after the other."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, overload

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import is_grad_enabled
from fastdrop.autograd.pending import run_pending
from fastdrop.autograd.recording import is_open
from fastdrop.autograd.tensor import Tensor, wrap
from fastdrop.nn import module as structure
from fastdrop.nn.conv import Conv1d, Conv2d, Conv3d
from fastdrop.nn.dense_chain import ACTIVATIONS, DenseChain
from fastdrop.nn.dropout import Dropout, SpatialDropout1d, SpatialDropout2d, SpatialDropout3d
from fastdrop.nn.hooks import runs_own_code
from fastdrop.nn.linear import Linear
from fastdrop.nn.module import Module
from fastdrop.nn.module_list import ModuleSequence
from fastdrop.nn.normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d
from fastdrop.nn.shape import Identity
from fastdrop.schedules import is_library_schedule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Self

    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.nn.recorded_forward import RecordedForward


class Sequential(ModuleSequence):
    """Modules called one after the other: ``Sequential(a, b)(x)`` is ``b(a(x))``.

    Each dense layer together with the activation and the dropout after it runs as one matrix
    product. In evaluation mode under `fastdrop.no_grad`, a Sequential of dense layers, activations
    and dropout takes a short path without recording.

    Items are read and replaced by position (``model[0]``), sliced to a new Sequential
    (``model[:2]``), and removed with ``del model[0]``. ``a + b`` is a new Sequential of the modules
    of both, ``a * 2`` one that calls the same modules twice.

    Parameters
    ----------
    *modules : Module
        The modules in the order of their calls, or one mapping of names to modules.

    See Also
    --------
    fastdrop.models.mlp : Builds a Sequential of dense layers with dropout.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
    >>> model(np.ones((2, 4))).shape
    (2, 3)
    >>> model[:2]
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
    )
    """

    # Structure version, and the fast path of prediction at that version (None: there is none).
    _chain: tuple[int, DenseChain | None] = (-1, None)
    # Structure version, and the recorded predictions at that version.
    _recorded: tuple[int, RecordedForward | None] = (-1, None)
    # Structure version, and the modules with what `_pending_may_pass` says of them.
    _plan: tuple[int, list[tuple[Any, bool | None]]] = (-1, [])

    @overload
    def __init__(self, modules: Mapping[str, Module], /) -> None: ...

    @overload
    def __init__(self, *modules: Module) -> None: ...

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], (OrderedDict, dict)):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            self.extend(modules)

    @classmethod
    def _from_items(cls, items: list[tuple[str, Any]]) -> Self:
        return cls(OrderedDict(items))

    def __mul__(self, times: int) -> Self:
        return self[:].__imul__(times)

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Self:
        modules = list(self)
        for _ in range(check.integer(times, "times", 1) - 1):
            self.extend(modules)
        return self

    def __call__(self, input: Tensor | ArrayLike) -> Tensor:
        if (
            not (self.training or is_grad_enabled() or random.is_busy())
            and (y := self.evaluated(_array_of(input))) is not None
        ):
            return wrap(y)
        return super().__call__(input)

    def evaluated(self, x: Float32Array) -> Float32Array | None:
        """The output in evaluation mode by the fast path of prediction.

        Parameters
        ----------
        x : float32 array (N, in_features)
            The input, with contiguous memory.

        Returns
        -------
        float32 array (N, out_features), or None
            None where the fast path does not apply: to these layers, to their modes, or to this
            input.
        """
        if random.is_busy() or type(self) is not Sequential or is_open():
            return None
        version, chain = self._chain
        if version != structure.structure_version():
            chain = None if runs_own_code(self) else DenseChain.of(self._flat())
            object.__setattr__(self, "_chain", (structure.structure_version(), chain))
        if chain is not None:
            return chain(x)
        return self._replayed(x)

    def _replayed(self, x: Float32Array) -> Float32Array | None:
        version, recorded = self._recorded
        if version != structure.structure_version():
            from fastdrop.nn.recorded_forward import RecordedForward  # it knows the layers

            recorded = RecordedForward(self)
            object.__setattr__(self, "_recorded", (structure.structure_version(), recorded))
        return None if recorded is None else recorded(self, x)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _CACHES}

    def _flat(self) -> Iterator[Module | None]:
        """The modules in the order of their calls, with those of inner Sequentials in place."""
        for module in self._modules.values():
            if type(module) is Sequential and not runs_own_code(module):
                yield from module._flat()
            else:
                yield module

    def forward(self, input: Any) -> Any:
        ps = random.current()
        if ps is None:  # forward was called in place of the module
            for module in self._modules.values():
                input = module(input)  # type: ignore[misc]
            return input
        version, plan = self._plan
        if version != structure.structure_version():
            plan = [(module, _pending_may_pass(module)) for module in self._modules.values()]
            object.__setattr__(self, "_plan", (structure.structure_version(), plan))
        return _call_in_turn(plan, ps, input)


def call_in_turn(modules: Iterable[Module], input: Any) -> Any:
    """Call modules one after the other as a `Sequential` does: products stay pending between them.

    For the forward of a module whose layers have names of their own.

    Parameters
    ----------
    modules : iterable of Module
        Children of the module whose forward this is.
    input : Tensor or array
        The input of the first.
    """
    ps = random.current()
    if ps is None:
        for module in modules:
            input = module(input)
        return input
    return _call_in_turn([(module, _pending_may_pass(module)) for module in modules], ps, input)


def _call_in_turn(plan: list[tuple[Any, bool | None]], ps: Any, input: Any) -> Any:
    """Call the modules of a plan inside the forward pass ps."""
    # Where an outer Sequential goes on with the result, its product may stay pending.
    outer_goes_on = ps.lazy
    try:
        for module, passes in plan:
            if passes is None:
                passes = not callable(module.p) or is_library_schedule(module.p)
            ps.lazy = passes
            if not passes:
                run_pending(input)  # before other code can write to the arrays that it reads
            input = module(input)
    finally:
        ps.lazy = outer_goes_on
    if not outer_goes_on:
        run_pending(input)
    return input


# Layers that leave a product pending, or go on with one, and call no code of the user meanwhile.
_DROPOUTS = (Dropout, SpatialDropout1d, SpatialDropout2d, SpatialDropout3d)
_PENDING_LAYERS = frozenset(
    (
        *(Linear, Conv1d, Conv2d, Conv3d, BatchNorm1d, BatchNorm2d, BatchNorm3d),
        *(*_DROPOUTS, Identity, Sequential, *ACTIVATIONS),
    )
)


_CACHES = ("_chain", "_plan", "_recorded")


def _pending_may_pass(module: Any) -> bool | None:
    """Whether a pending product may pass through the module; None: unless its rate is user code."""
    kind = type(module)
    if kind not in _PENDING_LAYERS or runs_own_code(module):
        return False
    return None if kind in _DROPOUTS else True


def _array_of(input: Any) -> Float32Array:
    return input._array if isinstance(input, Tensor) else check.floats(input, "input")
