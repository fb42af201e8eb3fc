"""Targeted dropout: drops the weights or units of least magnitude."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core, random
from fastdrop.autograd.operation import record
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.kernels.masks import draw_mask

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, BoolArray, Float32Array


def targeted_candidates(weight: Float32Array, share: float, kind: str) -> BoolArray:
    """The weights that targeted dropout may drop.

    Parameters
    ----------
    weight : float32 array (out_features, ...)
    share : float in [0, 1]
        The share of candidates.
    kind : {"weight", "unit"}
        "weight": the floor(share * in_features) weights of least magnitude in each row, that is the
        weights of an output. "unit": the floor(share * out_features) rows of least L2 norm. Of
        equal ones the first are chosen.

    Returns
    -------
    bool array of weight's shape
    """
    rows = _rows(weight)
    if kind == "weight":
        return _smallest(np.abs(rows), share).reshape(weight.shape)
    norms = np.sqrt((rows.astype(np.float64) ** 2).sum(1))
    chosen = np.broadcast_to(_smallest(norms[None, :], share).T, rows.shape)
    return chosen.reshape(weight.shape)


def _rows(weight: Float32Array) -> Float32Array:
    """The weight as (outputs, weights of an output)."""
    return weight.reshape(len(weight), -1)


def _smallest(values: np.ndarray[Any, Any], share: float) -> BoolArray:
    """The floor(share * n) smallest values of each row of (rows, n), as a mask.

    share * n is rounded to 9 decimals first: 0.29 of 100 are 29, although 0.29 * 100 < 29 in
    float64.
    """
    count = int(np.floor(round(share * values.shape[1], 9)))
    chosen = np.zeros(values.shape, np.bool_)
    if count:
        order = np.argsort(values, axis=1, kind="stable")
        np.put_along_axis(chosen, order[:, :count], True, axis=1)
    return chosen


def targeted_weights(
    weight: Tensor | ArrayLike, share: float, p: float, kind: str, training: bool, layer: Any
) -> Tensor:
    """The weight with candidates set to zero; nothing is rescaled.

    In training each candidate is dropped with probability p, in evaluation all of them are zero.

    Parameters
    ----------
    weight : Tensor or array (out_features, ...)
    share, kind
        As for `targeted_candidates`.
    p : float in [0, 1]
        The probability to drop a candidate.
    training : bool
    layer : Module, optional
        The layer whose site draws the mask.
    """
    w = as_tensor(weight, "weight")
    stay = ~targeted_candidates(w._array, share, kind)
    if random.draws(training):
        outs, ins = _rows(w._array).shape
        q = _core.keep_threshold(p)
        if kind == "weight":
            kept = draw_mask(outs, ins, random.stream_for(layer, 1, by_sub=True), q)
        else:
            kept = draw_mask(1, outs, random.stream_for(layer, 1, shared=True), q).T
        stay = stay | np.broadcast_to(kept, (outs, ins)).reshape(w.shape)

    def only_staying(array: Float32Array) -> Float32Array:
        return np.where(stay, array, np.float32(0))

    return record(only_staying(w._array), (w,), lambda g: (only_staying(g),))
