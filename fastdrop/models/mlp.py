"""Multilayer perceptrons."""

from __future__ import annotations

from fastdrop import nn, schedules
from fastdrop._utils import validation as check

__all__ = ["ACTIVATIONS", "mlp"]

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "selu": nn.SELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}


def mlp(
    in_features: int, hidden, out_features: int, *, dropout=0.0, activation: str = "relu"
) -> nn.Sequential:
    """Dropout, then (Linear, activation, Dropout) for each hidden layer, then Linear.

    Parameters
    ----------
    in_features, out_features : int
    hidden : sequence of int
        Width of each hidden layer; empty: a linear model.
    dropout : float, or sequence of float
        One number: the rate of every hidden layer, none on the input. A sequence: the input's rate, then one for each
        hidden layer, as in ``dropout=(0.2, 0.5, 0.5)`` for two. Where a rate is 0 there is no Dropout layer.
    activation : {"relu", "leaky_relu", "sigmoid", "tanh", "selu", "silu", "gelu"}

    Returns
    -------
    Sequential : (N, in_features) -> (N, out_features)

    References
    ----------
    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014.
    """
    if isinstance(hidden, (str, bytes)) or not hasattr(hidden, "__iter__"):
        raise TypeError(f"hidden must be a sequence of integers, got {check.describe(hidden)}")
    widths = [check.integer(in_features, "in_features", 1)]
    widths += [check.integer(width, "hidden", 1) for width in hidden]
    check.integer(out_features, "out_features", 1)
    act = ACTIVATIONS[check.choice(activation, "activation", ACTIVATIONS)]
    if hasattr(dropout, "__iter__") and not isinstance(dropout, (str, bytes)):
        rates = [schedules.rate(p, "dropout") for p in dropout]
        if len(rates) != len(widths):
            raise ValueError(
                f"dropout must be one rate, or {len(widths)} (the input and {len(widths) - 1} hidden layers), "
                f"got {len(rates)}"
            )
    else:
        rates = [0.0] + [schedules.rate(dropout, "dropout")] * (len(widths) - 1)
    layers = [nn.Dropout(rates[0])] if rates[0] else []
    for before, width, p in zip(widths, widths[1:], rates[1:]):
        layers += [nn.Linear(before, width), act()] + ([nn.Dropout(p)] if p else [])
    return nn.Sequential(*layers, nn.Linear(widths[-1], out_features))
