"""weight_norm and spectral_norm under PyTorch's old names: a hook computes the weight.

Their states have the old keys, such as ``weight_g``. The functions of the same names in
`fastdrop.nn.utils.parametrizations` are the newer ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import functional as F
from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.autograd.hooks import RemovableHandle
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.recording import refuse
from fastdrop.autograd.tensor import Tensor
from fastdrop.nn.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from fastdrop.nn.module import Module, checked_module
from fastdrop.nn.utils.parametrizations import _WeightNorm

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]


class _WeightHook:
    """Called before forward: puts the weight, which it computes, into the module."""

    kind = ""

    def __init__(self, name: str) -> None:
        self.name = name
        self.handles: tuple[RemovableHandle, ...] = ()

    def compute(self, module: Any) -> Tensor:
        raise NotImplementedError

    def __call__(self, module: Any, inputs: Any) -> None:
        object.__setattr__(module, self.name, self.compute(module))

    def attach(self, module: Any) -> Any:
        for hook in _hooks_of(module):
            if hook.name == self.name:
                raise RuntimeError(f"{self.name!r} of the module has a {hook.kind} already")
        del module._parameters[self.name]
        self.handles = (
            module.register_forward_pre_hook(self),
            module.register_forward_hook(self.after),
        )
        _hooks_of(module).append(self)
        self(module, None)
        self.after(module, None, None)
        return module

    def after(self, module: Any, inputs: Any, result: Any) -> None:
        """Without its graph, so that the module can be copied."""
        object.__setattr__(module, self.name, getattr(module, self.name).detach())

    def detach(self, module: Any) -> Any:
        for handle in self.handles:
            handle.remove()
        _hooks_of(module).remove(self)
        with no_grad():
            weight = Parameter(self.compute(module)._array.copy())
        delattr(module, self.name)
        for part in self.parts():
            module._parameters.pop(part, None)
            module._buffers.pop(part, None)
        module.register_parameter(self.name, weight)
        return module

    def parts(self) -> tuple[str, ...]:
        return ()


def _hooks_of(module: Any) -> list[Any]:
    return module.__dict__.setdefault("_weight_hooks", [])


def _found(module: Any, name: str, kind: type[_WeightHook]) -> Any:
    for hook in _hooks_of(checked_module(module, "module")):
        if hook.name == name and type(hook) is kind:
            return hook
    raise ValueError(f"name must name a weight with {kind.kind}, got {name!r}")


def _parameter(module: Any, name: str) -> Parameter:
    weight = checked_module(module, "module")._parameters.get(name)
    if weight is None:
        raise ValueError(f"name must name a parameter of the module, got {name!r}")
    return weight


class _OldWeightNorm(_WeightHook):
    kind = "weight_norm"

    def __init__(self, module: Any, name: str, dim: int | None) -> None:
        super().__init__(name)
        self.norm = _WeightNorm(dim)
        weight = _parameter(module, name)
        g, _ = self.norm.right_inverse(weight)
        module.register_parameter(f"{name}_g", Parameter(np.array(g)))
        module.register_parameter(f"{name}_v", Parameter(weight._array.copy()))

    def compute(self, module: Any) -> Tensor:
        return self.norm.forward(*(module._parameters[part] for part in self.parts()))

    def parts(self) -> tuple[str, ...]:
        return f"{self.name}_g", f"{self.name}_v"


class _OldSpectralNorm(_WeightHook):
    kind = "spectral_norm"

    def __init__(
        self, module: Any, name: str, n_power_iterations: int, eps: float, dim: int
    ) -> None:
        super().__init__(name)
        self.n_power_iterations = check.integer(n_power_iterations, "n_power_iterations", 1)
        self.eps = check.real(eps, "eps", low=0)
        weight = _parameter(module, name)
        self.dim = check.integer(dim, "dim", -weight.ndim, weight.ndim - 1) % weight.ndim
        rows, columns = self._matrix(weight._array).shape
        generator = random.generator("init")
        module.register_parameter(f"{name}_orig", Parameter(weight._array.copy()))
        for key, size in (("u", rows), ("v", columns)):
            drawn: Any = generator.standard_normal(size, np.float32)
            module.register_buffer(f"{name}_{key}", self._unit(drawn))

    def parts(self) -> tuple[str, ...]:
        return f"{self.name}_orig", f"{self.name}_u", f"{self.name}_v"

    def _matrix(self, weight: Any) -> Any:
        return np.moveaxis(weight, self.dim, 0).reshape(weight.shape[self.dim], -1)

    def _unit(self, vector: Float32Array) -> Float32Array:
        unit: Float32Array = vector / np.float32(max(float(np.linalg.norm(vector)), self.eps))
        return unit

    def __call__(self, module: Any, inputs: Any) -> None:
        if inputs is not None and module.training:
            refuse("spectral_norm computes with NumPy, which is not recorded")
            weight, u, v = (getattr(module, part) for part in self.parts())
            matrix = self._matrix(weight._array)
            for _ in range(self.n_power_iterations):
                v.data = self._unit(matrix.T @ u._array)
                u.data = self._unit(matrix @ v._array)
        super().__call__(module, inputs)

    def compute(self, module: Any) -> Tensor:
        weight, u, v = (getattr(module, part) for part in self.parts())
        order = (self.dim, *(axis for axis in range(weight.ndim) if axis != self.dim))
        matrix = F.reshape(F.permute(weight, order), (weight.shape[self.dim], -1))
        u, v = (Tensor(each._array.copy()) for each in (u, v))
        sigma = F.sum(F.reshape(u, (-1, 1)) * matrix * v)
        return weight / sigma


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Train the length and the direction of weights apart: ``w = g v / |v|``.

    PyTorch's old function of this name: a hook computes the weight before each forward, and the
    state has ``weight_g`` and ``weight_v``.

    Parameters
    ----------
    module : Module
        A layer with the weight.
    name : str, default "weight"
        The name of the weight.
    dim : int or None, default 0
        The axis whose indices have a norm each. None: one norm of all elements.

    Returns
    -------
    Module
        The module itself. `remove_weight_norm` ends it.

    Raises
    ------
    ValueError
        There is no such parameter.

    Examples
    --------
    >>> from fastdrop import nn
    >>> layer = nn.utils.weight_norm(nn.Linear(20, 40))
    >>> list(layer.state_dict()), layer.weight_g.shape
    (['bias', 'weight_g', 'weight_v'], (40, 1))
    """
    hook = _OldWeightNorm(module, name, dim)
    attached: Module = hook.attach(module)
    return attached


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make a weight with `weight_norm` a parameter again, with its present value.

    Parameters
    ----------
    module : Module
    name : str, default "weight"

    Returns
    -------
    Module
        The module itself.

    Raises
    ------
    ValueError
        There is no such weight.

    Examples
    --------
    >>> from fastdrop import nn
    >>> layer = nn.utils.remove_weight_norm(nn.utils.weight_norm(nn.Linear(3, 2)))
    >>> list(layer.state_dict())
    ['bias', 'weight']
    """
    detached: Module = _found(module, name, _OldWeightNorm).detach(module)
    return detached


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight by its largest singular value, which a power iteration estimates.

    PyTorch's old function of this name: a hook computes the weight before each forward, and the
    state has ``weight_orig`` and the vectors ``weight_u`` and ``weight_v``.

    Parameters
    ----------
    module : Module
        A layer with the weight.
    name : str, default "weight"
        The name of the weight.
    n_power_iterations : int, default 1
        Steps of the iteration for each forward in training mode.
    eps : float, default 1e-12
        The least length of a vector that is normalised.
    dim : int, optional
        The axis of the outputs. Default: 1 for transposed convolutions, else 0.

    Returns
    -------
    Module
        The module itself. `remove_spectral_norm` ends it.

    Raises
    ------
    ValueError
        There is no such parameter, or an argument is out of range.

    Examples
    --------
    >>> from fastdrop import nn
    >>> layer = nn.utils.spectral_norm(nn.Linear(20, 40))
    >>> list(layer.state_dict())
    ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    if dim is None:
        dim = int(isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)))
    hook = _OldSpectralNorm(module, name, n_power_iterations, eps, dim)
    attached: Module = hook.attach(module)
    return attached


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make a weight with `spectral_norm` a parameter again, with its present value.

    Parameters
    ----------
    module : Module
    name : str, default "weight"

    Returns
    -------
    Module
        The module itself.

    Raises
    ------
    ValueError
        There is no such weight.

    Examples
    --------
    >>> from fastdrop import nn
    >>> layer = nn.utils.remove_spectral_norm(nn.utils.spectral_norm(nn.Linear(3, 2)))
    >>> list(layer.state_dict())
    ['bias', 'weight']
    """
    detached: Module = _found(module, name, _OldSpectralNorm).detach(module)
    return detached
