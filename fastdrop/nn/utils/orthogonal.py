"""Orthogonal matrices as a parametrization of a weight."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.diagonals import diagonal, tril, triu
from fastdrop.functional.linear_algebra import solve
from fastdrop.functional.matmul import matmul
from fastdrop.functional.matrix_products import matrix_exp
from fastdrop.functional.shape import cat, transpose
from fastdrop.nn.module import Module, checked_module
from fastdrop.nn.utils.parametrize import register_parametrization

__all__ = ["orthogonal"]

MAPS = ("matrix_exp", "cayley", "householder")


def _turned(x: Any) -> Tensor:
    return transpose(x, -1, -2)


def _householder(a: Tensor, n: int, k: int) -> Tensor:
    """The first k columns of the product of k Householder matrices, from their vectors.

    With v = the columns of a below the diagonal, 1 on it: I - v t v^T, where 1 / t has 1 / tau on
    its diagonal and v^T v above it.
    """
    v = tril(a, -1) + np.eye(n, k, dtype=np.float32)
    products = matmul(_turned(v), v)
    halves = np.float32(1) - np.eye(k, dtype=np.float32) / 2  # 1 / tau is half of v^T v
    part = solve(triu(products) * halves, _turned(v[..., :k, :]))
    return matmul(v, part) * -1 + np.eye(n, k, dtype=np.float32)


def _columns(matrix: Any) -> Any:
    """Orthonormal columns near those of a matrix: Q of QR with a positive diagonal of R."""
    q, r = np.linalg.qr(matrix)
    return q * np.sign(np.diagonal(r, axis1=-2, axis2=-1))[..., None, :]


class _Orthogonal(Module):
    """Orthonormal columns (or rows, where there are fewer) from any matrix."""

    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool) -> None:
        super().__init__()
        self.orthogonal_map = orthogonal_map
        self.use_trivialization = use_trivialization
        if use_trivialization:
            self.register_buffer("base", np.zeros((1, 1), np.float32))

    def forward(self, weight: Any) -> Tensor:
        x = as_tensor(weight, "weight")
        wide = x.shape[-2] < x.shape[-1]
        x = _turned(x) if wide else x
        n, k = x.shape[-2:]
        if self.orthogonal_map == "householder":
            q = _householder(x, n, k) * diagonal(x, 0, -2, -1).detach().unsqueeze(-2)
        else:
            x = tril(x)
            if n != k:
                x = cat([x, np.zeros((*x.shape[:-1], n - k), np.float32)], -1)
            a = x - _turned(x)
            if self.orthogonal_map == "matrix_exp":
                q = matrix_exp(a)
            else:
                one = np.eye(n, dtype=np.float32)
                q = solve(a * -0.5 + one, a * 0.5 + one)
            q = q[..., :k]
        if self.use_trivialization:
            q = matmul(self.base, q)
        return _turned(q) if wide else q

    def right_inverse(self, weight: Tensor) -> Any:
        w: Any = weight._array.astype(np.float64)
        wide = w.shape[-2] < w.shape[-1]
        w = np.swapaxes(w, -1, -2) if wide else w
        n, k = w.shape[-2:]
        if not self.use_trivialization:
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    "orthogonal assigns to a weight with matrix_exp or cayley only where "
                    "use_trivialization=True, got False"
                )
            reflections, tau = np.linalg.qr(w, "raw")
            a = np.swapaxes(reflections, -1, -2).copy()
            i = np.arange(k)
            a[..., i, i] = np.sign(a[..., i, i]) * np.where(tau == 0, -1, 1)
            return (np.swapaxes(a, -1, -2) if wide else a).astype(np.float32)
        if n != k:
            more = random.generator("init").standard_normal((*w.shape[:-1], n - k))
            w = np.concatenate([w, more], -1)
        error = np.abs(np.swapaxes(w, -1, -2) @ w - np.eye(n)).max(initial=0.0)
        if n != k or error > 10 * n * float(np.finfo(np.float32).eps):
            w = _columns(w)
        self.register_buffer("base", w.astype(np.float32))
        start = np.zeros(weight.shape, np.float32)
        i = np.arange(k)
        start[..., i, i] = -1  # householder needs signs; the other maps do not read the diagonal
        return start


def orthogonal(
    module: Module,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> Module:
    """Keep a weight orthogonal: its columns, or its rows where there are fewer, are orthonormal.

    Parameters
    ----------
    module : Module
        A layer with the weight.
    name : str, default "weight"
        The name of the weight. It has at least two axes.
    orthogonal_map : "matrix_exp", "cayley" or "householder", optional
        How an orthogonal matrix Q follows from a matrix X: the exponential of the skew-symmetric
        A = X - X^T (of the lower triangle); (I + A / 2) (I - A / 2)^-1; a product of Householder
        matrices. Default: "matrix_exp" for square matrices, else "householder".
    use_trivialization : bool, default True
        Multiply Q by the orthogonal matrix next to the weight's first value, the buffer ``base``.

    Returns
    -------
    Module
        The module itself. Its state has ``parametrizations.weight.original`` and
        ``parametrizations.weight.0.base``, as in PyTorch.

    Raises
    ------
    ValueError
        There is no such parameter, it has less than two axes, or there is no such map.

    References
    ----------
    Lezcano-Casado, "Trivializations for Gradient-Based Optimization on Manifolds", NeurIPS 2019,
    arXiv:1909.09501.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> from fastdrop.nn.utils.parametrizations import orthogonal
    >>> w = orthogonal(nn.Linear(20, 40)).weight.numpy()
    >>> bool(np.allclose(w.T @ w, np.eye(20), atol=1e-5))
    True
    """
    weight = checked_module(module, "module")._parameters.get(name)
    if weight is None:
        raise ValueError(f"name must name a parameter of the module, got {name!r}")
    if weight.ndim < 2:
        raise ValueError(f"the parameter must have at least two axes, got shape {weight.shape}")
    if orthogonal_map is None:
        square = weight.shape[-1] == weight.shape[-2]
        orthogonal_map = "matrix_exp" if square else "householder"
    check.choice(orthogonal_map, "orthogonal_map", MAPS)
    trivial = check.flag(use_trivialization, "use_trivialization")
    made = _Orthogonal(weight, orthogonal_map, trivial)
    return register_parametrization(module, name, made, unsafe=True)
