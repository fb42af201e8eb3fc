"""Dense networks (multilayer perceptrons) with dropout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from fastdrop import nn, schedules
from fastdrop._utils import validation as check

if TYPE_CHECKING:
    from fastdrop.schedules import Schedule

__all__ = ["ACTIVATIONS", "mlp"]

# Layer of each name of an activation.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "selu": nn.SELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}


def mlp(
    in_features: int,
    hidden: Iterable[int],
    out_features: int,
    *,
    dropout: float | Schedule | Iterable[float | Schedule] = 0.0,
    activation: str = "relu",
) -> nn.Sequential:
    """Build a dense network with dropout.

    ``Dropout -> (Linear -> activation -> Dropout) for each hidden layer -> Linear``. There is no
    Dropout layer where its rate is 0. Input (N, in_features), output (N, out_features): scores for
    a classification, values for a regression.

    Rates: 0.2 to 0.5 for hidden layers, 0 to 0.2 for the input.

    Parameters
    ----------
    in_features : int, at least 1
        Number of input features.
    hidden : sequence of int, at least 1 each
        Width of each hidden layer; empty: a linear model.
    out_features : int, at least 1
        Number of outputs.
    dropout : float in [0, 1] or Schedule, or a sequence of these
        One rate for every hidden layer, with none on the input; or the rate of the input followed
        by one rate for each hidden layer, such as ``(0.2, 0.5, 0.5)`` for two.
    activation : {"identity", "relu", "leaky_relu", "sigmoid", "tanh", "selu", "silu", "gelu"}
        Activation after each hidden layer.

    Returns
    -------
    Sequential

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range, or the number of rates does not fit the
        number of layers.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: A Simple Way to Prevent
    Neural Networks from Overfitting", JMLR 15, 2014, pages 1929-1958.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.models.mlp(784, [800], 10, dropout=(0.2, 0.5))
    Sequential(
      (0): Dropout(p=0.2, inplace=False)
      (1): Linear(in_features=784, out_features=800, bias=True)
      (2): ReLU()
      (3): Dropout(p=0.5, inplace=False)
      (4): Linear(in_features=800, out_features=10, bias=True)
    )
    """
    if isinstance(hidden, (str, bytes)) or not isinstance(hidden, Iterable):
        raise TypeError(f"hidden must be a sequence of integers, got {check.describe(hidden)}")
    widths = [check.integer(in_features, "in_features", 1)]
    widths += [check.integer(width, "hidden", 1) for width in hidden]
    check.integer(out_features, "out_features", 1)
    act = ACTIVATIONS[check.choice(activation, "activation", ACTIVATIONS)]
    layers: list[nn.Module] = []
    hidden_layers = len(widths) - 1
    rates = layer_rates(
        dropout,
        len(widths),
        (0.0, *[None] * hidden_layers),
        f" (the input and {hidden_layers} hidden layers)",
    )
    if rates[0]:
        layers.append(nn.Dropout(rates[0]))
    for before, width, p in zip(widths, widths[1:], rates[1:]):
        layers += [nn.Linear(before, width), act()]
        if p:
            layers.append(nn.Dropout(p))
    return nn.Sequential(*layers, nn.Linear(widths[-1], out_features))


def layer_rates(
    dropout: float | Schedule | Iterable[float | Schedule],
    count: int,
    single: Sequence[float | None],
    places: str = "",
) -> list[float | Schedule]:
    """The rate of each of `count` places.

    Parameters
    ----------
    dropout : float in [0, 1] or Schedule, or a sequence of these
        One rate, or one for each place.
    count : int
        Number of places.
    single : sequence of float or None
        For each place its rate where `dropout` is one rate; None: that rate.
    places : str, default ""
        What the places are, for the error message.
    """
    if isinstance(dropout, (str, bytes)) or not isinstance(dropout, Iterable):
        one: Any = dropout  # possibly a string: the check of a rate rejects it
        p = schedules.rate(one, "dropout")
        return [p if rate is None else rate for rate in single]
    rates = [schedules.rate(p, "dropout") for p in dropout]
    if len(rates) != count:
        raise ValueError(f"dropout must be one rate, or {count}{places}, got {len(rates)}")
    return rates
