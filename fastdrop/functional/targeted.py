"""Targeted dropout: weights or units of least magnitude are dropped."""

from __future__ import annotations

import numpy as np

from fastdrop import _core, random
from fastdrop.autograd.operation import record
from fastdrop.autograd.tensor import Tensor, as_tensor


def targeted_candidates(weight: np.ndarray, share: float, kind: str) -> np.ndarray:
    """Which weights targeted dropout may drop: the floor(share * fan_in) of least magnitude in each row, or whole rows of least norm."""
    size = (
        np.abs(weight)
        if kind == "weight"
        else np.sqrt((weight.astype(np.float64) ** 2).sum(1))[None, :]
    )
    count = int(np.floor(round(share * size.shape[1], 9)))
    chosen = np.zeros(size.shape, np.bool_)
    if count:
        np.put_along_axis(chosen, np.argsort(size, axis=1, kind="stable")[:, :count], True, axis=1)
    return chosen if kind == "weight" else np.broadcast_to(chosen.T, weight.shape)


def targeted_weights(weight, share: float, p: float, kind: str, training: bool, layer) -> Tensor:
    """The weight with its candidates dropped with probability p in training, all of them in evaluation; not rescaled."""
    w = as_tensor(weight, "weight")
    stay = ~targeted_candidates(w.data, share, kind)
    if random.draws(training):
        kept = np.empty(w.shape if kind == "weight" else (1, w.shape[0]), np.bool_)
        if kind == "weight":
            _core.keep_mask(kept, random.stream_for(layer, 1, by_sub=True), _core.keep_threshold(p))
        else:
            _core.keep_mask(kept, random.stream_for(layer, 1, shared=True), _core.keep_threshold(p))
            kept = kept.T
        stay = stay | kept
    return record(
        np.where(stay, w.data, np.float32(0)), (w,), lambda g: (np.where(stay, g, np.float32(0)),)
    )
