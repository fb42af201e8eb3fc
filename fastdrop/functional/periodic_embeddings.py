"""Learned cosines of each feature, mixed by a dense layer of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries
from fastdrop.autograd.recording import noted
from fastdrop.autograd.tensor import Tensor, as_tensor

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array

_TURN = np.float32(2 * np.pi)


@carries
def periodic_embeddings(
    input: Tensor | ArrayLike, frequency: Tensor, phase: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    """The mixtures ``A_j cos(2 pi w_j x_j + b_j) + c_j`` of each feature j, then the features.

    Parameters
    ----------
    input : Tensor or array (N, features)
        x.
    frequency, phase : Tensor (features, k)
        w and b.
    weight : Tensor (features, m, k)
        A.
    bias : Tensor (features, m)
        c.

    Returns
    -------
    Tensor (N, features * (m + 1))
    """
    t = as_tensor(input, "input")
    features, m, k = weight.shape
    if t.ndim != 2 or t.shape[1] != features:
        raise ValueError(f"input must have shape (N, {features}), got {t.shape}")
    x, rows = t._array, t.shape[0]
    parameters = (frequency, phase, weight, bias)
    arrays = [p._array for p in parameters]
    # The samples are the last axis, so that NumPy's inner loops are long.
    angle = np.empty((features, k, rows), np.float32)
    waves, out = np.empty_like(angle), np.empty((rows, features * (m + 1)), np.float32)
    noted(_forward, out, angle, waves, x, *arrays)

    def backward(g: Float32Array, *saved: Float32Array) -> Any:
        gradients = [np.empty_like(array) for array in (x, *arrays)]
        noted(_backward, *gradients, g, *saved)
        return gradients

    return record(out, (t, *parameters), backward, (angle, waves, x, arrays[0], arrays[2]))


def _forward(
    out: Float32Array,
    angle: Float32Array,
    waves: Float32Array,
    x: Float32Array,
    frequency: Float32Array,
    phase: Float32Array,
    weight: Float32Array,
    bias: Float32Array,
) -> None:
    np.multiply(np.ascontiguousarray(x.T)[:, None], (_TURN * frequency)[:, :, None], out=angle)
    angle += phase[:, :, None]
    np.cos(angle, out=waves)
    # The bits of a sample must not depend on the number of samples, as they do in a product of
    # BLAS, and here for one sample alone.
    rows = x.shape[0]
    several = waves if rows > 1 else np.repeat(waves, 2, axis=2)
    mixed = np.einsum("jmk,jkn->jmn", weight, several)[:, :, :rows]
    mixed += bias[:, :, None]
    features = bias.size
    out[:, :features] = mixed.reshape(features, -1).T
    out[:, features:] = x


def _backward(
    dx: Float32Array,
    dfrequency: Float32Array,
    dphase: Float32Array,
    dweight: Float32Array,
    dbias: Float32Array,
    g: Float32Array,
    angle: Float32Array,
    waves: Float32Array,
    x: Float32Array,
    frequency: Float32Array,
    weight: Float32Array,
) -> None:
    mixed = np.ascontiguousarray(g[:, : dbias.size].T).reshape(*dbias.shape, len(g))
    np.sum(mixed, axis=2, out=dbias)
    np.matmul(mixed, waves.transpose(0, 2, 1), out=dweight)
    slope = np.sin(angle)
    slope *= np.matmul(weight.transpose(0, 2, 1), mixed)
    np.negative(slope, out=slope)  # of the angle
    np.sum(slope, axis=2, out=dphase)
    np.multiply(np.matmul(slope, x.T[:, :, None])[:, :, 0], _TURN, out=dfrequency)
    slope_of_x = np.matmul((_TURN * frequency)[:, None], slope)[:, 0].T
    np.add(g[:, dbias.size :], slope_of_x, out=dx)
