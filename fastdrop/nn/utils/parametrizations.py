"""Weight, spectral and orthogonal normalisation as parametrizations of a weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import functional as F
from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import refuse
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.nn.conv import ConvTranspose1d, ConvTranspose2d
from fastdrop.nn.module import Module, checked_module
from fastdrop.nn.utils.orthogonal import orthogonal
from fastdrop.nn.utils.parametrize import register_parametrization

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


class _WeightNorm(Module):
    """g * v / |v|, with a norm for each index of one axis."""

    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.dim = -1 if dim is None else check.integer(dim, "dim", -64, 64)

    def _axes(self, ndim: int) -> tuple[int, ...]:
        kept = None if self.dim == -1 else self.dim % ndim
        return tuple(axis for axis in range(ndim) if axis != kept)

    def forward(self, g: Any, v: Any) -> Tensor:
        axes = self._axes(v.ndim)
        return v * (g / F.sqrt(F.sum(v * v, axes, True)))

    def right_inverse(self, weight: Tensor) -> tuple[Any, Tensor]:
        array = weight._array.astype(np.float64)
        norm = np.sqrt(np.square(array).sum(self._axes(array.ndim), keepdims=self.dim != -1))
        return norm.astype(np.float32), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Train the length and the direction of weights apart: ``w = g v / |v|``.

    Parameters
    ----------
    module : Module
        A layer with the weight.
    name : str, default "weight"
        The name of the weight.
    dim : int or None, default 0
        The axis whose indices have a norm each: 0 is one norm for each output. None: one norm of
        all elements.

    Returns
    -------
    Module
        The module itself. Its state has ``parametrizations.weight.original0`` (g) and
        ``original1`` (v), as in PyTorch. `parametrize.remove_parametrizations` ends it.

    Raises
    ------
    ValueError
        There is no such parameter.

    References
    ----------
    Salimans, Kingma, "Weight Normalization: A Simple Reparameterization to Accelerate Training of
    Deep Neural Networks", NIPS 2016, arXiv:1602.07868.

    Examples
    --------
    >>> from fastdrop import nn
    >>> from fastdrop.nn.utils.parametrizations import weight_norm
    >>> layer = weight_norm(nn.Linear(20, 40))
    >>> layer.parametrizations.weight.original0.shape
    (40, 1)
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


class _SpectralNorm(Module):
    """w / sigma, where sigma is the largest singular value of w as a matrix."""

    def __init__(self, weight: Tensor, n_power_iterations: int, dim: int, eps: float) -> None:
        super().__init__()
        self.n_power_iterations = check.integer(n_power_iterations, "n_power_iterations", 1)
        self.dim = check.integer(dim, "dim", -weight.ndim, weight.ndim - 1) % weight.ndim
        self.eps = check.real(eps, "eps", low=0)
        if weight.ndim > 1:
            rows, columns = self._matrix(weight._array).shape
            generator = random.generator("init")
            for name, size in (("_u", rows), ("_v", columns)):
                drawn: Any = generator.standard_normal(size, np.float32)
                self.register_buffer(name, self._unit(drawn))
            self._iterate(self._matrix(weight._array), 15)

    def _matrix(self, weight: Float32Array) -> Float32Array:
        return np.moveaxis(weight, self.dim, 0).reshape(weight.shape[self.dim], -1)

    def _unit(self, vector: Float32Array) -> Float32Array:
        length = np.float32(max(float(np.linalg.norm(vector)), self.eps))
        unit: Float32Array = vector / length
        return unit

    def _iterate(self, matrix: Float32Array, count: int) -> None:
        for _ in range(count):
            u = self._unit(matrix @ self._v._array)
            self._u.data = u
            self._v.data = self._unit(matrix.T @ u)

    def forward(self, weight: Any) -> Tensor:
        refuse("spectral_norm computes with NumPy, which is not recorded")
        w = as_tensor(weight, "weight")
        if w.ndim == 1:
            length = F.sqrt(F.sum(w * w))
            return w / F.maximum(length, self.eps)
        matrix = self._matrix(w._array)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        u, v = self._u._array.copy(), self._v._array.copy()
        sigma = np.float32(u @ (matrix @ v))

        def backward(grad: Float32Array, array: Float32Array) -> tuple[Float32Array]:
            # d (w / sigma) = dw / sigma - w (u^T dw v) / sigma^2
            along = float((grad * array).sum(dtype=np.float64)) / float(sigma) ** 2
            outer = np.outer(u, v).reshape(np.moveaxis(array, self.dim, 0).shape)
            moved = np.float32(along) * np.moveaxis(outer, 0, self.dim)
            return (np.asarray(grad / sigma - moved, np.float32),)

        return record(w._array / sigma, (w,), backward, (w._array,))

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight by its largest singular value, which a power iteration estimates.

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
        The module itself. Its state has ``parametrizations.weight.original`` and the vectors
        ``parametrizations.weight.0._u`` and ``_v``, as in PyTorch.

    Raises
    ------
    ValueError
        There is no such parameter, or an argument is out of range.

    References
    ----------
    Miyato, Kataoka, Koyama, Yoshida, "Spectral Normalization for Generative Adversarial Networks",
    ICLR 2018, arXiv:1802.05957.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> from fastdrop.nn.utils.parametrizations import spectral_norm
    >>> layer = spectral_norm(nn.Linear(20, 40), n_power_iterations=50)
    >>> round(float(np.linalg.norm(layer.weight.numpy(), 2)), 2)
    1.0
    """
    weight = checked_module(module, "module")._parameters.get(name)
    if weight is None:
        raise ValueError(f"name must name a parameter of the module, got {name!r}")
    if dim is None:
        dim = 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d)) else 0
    return register_parametrization(
        module, name, _SpectralNorm(weight, n_power_iterations, dim, eps)
    )
