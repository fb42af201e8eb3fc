"""Kinds of recurrent layers, arguments and numbers for their tests."""

from __future__ import annotations

import numpy as np

KINDS = ("LSTM", "projected", "GRU", "RNN")

MASKS = (
    {"input_dropout": 0.3},
    {"recurrent_dropout": 0.4},
    {"input_dropout": 0.3, "recurrent_dropout": 0.4, "per_gate": True},
    {"input_dropout": 0.3, "recurrent_dropout": 0.4, "per_gate": False},
    {"update_dropout": 0.3},
    {"update_dropout": 0.3, "update_per_step": False},
    {"zoneout": 0.2},
    {"zoneout": (0.3, 0.1)},
    {"weight_drop": 0.5},
    {"dropout": 0.5},
    {"dropout": 0.5, "variational": True},
    {"output_dropout": 0.5},
    {
        "input_dropout": 0.2,
        "recurrent_dropout": 0.3,
        "update_dropout": 0.1,
        "zoneout": 0.15,
        "weight_drop": 0.2,
        "dropout": 0.4,
        "variational": True,
        "output_dropout": 0.1,
        "per_gate": True,
    },
)


def allowed(kind, masks):
    masks = dict(masks)
    if kind == "RNN":
        masks.pop("update_dropout", None)
    if not has_c(kind) and isinstance(masks.get("zoneout"), tuple):
        masks["zoneout"] = masks["zoneout"][1]
    return masks


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def made(n, kind, inputs, units, **arguments):
    """A layer of a kind, of torch.nn or fastdrop.nn."""
    if kind == "projected":
        return n.LSTM(inputs, units, proj_size=1 + units // 3, **arguments)
    return getattr(n, kind)(inputs, units, **arguments)


def has_c(kind):
    return kind in ("LSTM", "projected")


def states_for(kind, count, sequences, units):
    """First states: h, and c of an LSTM."""
    h = numbers(count, sequences, 1 + units // 3 if kind == "projected" else units, seed=1)
    return [h, numbers(count, sequences, units, seed=2)] if has_c(kind) else [h]


def states_of(kind, result):
    return list(result) if has_c(kind) else [result]


def close(ours, theirs, tolerance=2e-6):
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    assert np.abs(ours.numpy() - theirs).max(initial=0) <= tolerance * (
        1 + np.abs(theirs).max(initial=0)
    )
