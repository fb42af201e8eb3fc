"""RealMLP: a dense network for tables, its initial weights and its groups of parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import nn, random
from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import no_grad

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.schedules import Schedule

__all__ = ["fit_initial_weights", "parameter_groups", "realmlp"]

# Factors of the learning rate and of the weight decay of the parameters of a kind of layer.
_FACTORS = {nn.LayerScale: 6.0, nn.PeriodicEmbeddings: 0.1, nn.ParametricActivation: 0.1}
_BIAS_FACTOR = 0.1  # of the learning rate of the biases, which do not decay
_CORNERS = 5  # outputs whose random mean is a first bias


def realmlp(
    in_features: int,
    hidden: Iterable[int] = (256, 256, 256),
    out_features: int = 1,
    *,
    dropout: float | Schedule = 0.15,
    activation: str = "selu",
) -> nn.Sequential:
    """Build the network of RealMLP, for numbers scaled by their median and quartiles.

    ``SmoothClip -> PeriodicEmbeddings -> LayerScale -> (Linear -> ParametricActivation -> Dropout)
    for each hidden layer -> Linear``. Input (N, in_features), output (N, out_features): scores for
    a classification, values for a regression. `fastdrop.sklearn.DropoutClassifier` and
    DropoutRegressor train it with ``preset="tabular"``, with the authors' initial weights and
    learning rates; here the layers have their usual initial weights.

    Parameters
    ----------
    in_features : int, at least 1
        Number of input features.
    hidden : sequence of int, at least 1 each, default (256, 256, 256)
        Width of each hidden layer.
    out_features : int, at least 1, default 1
        Number of outputs.
    dropout : float in [0, 1] or Schedule, default 0.15
        Rate of each hidden layer.
    activation : str, default "selu"
        One of those of `fastdrop.nn.ParametricActivation`; the authors have "selu" for
        classifications and "mish" for regressions.

    Returns
    -------
    Sequential

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    Holzmüller, Grinsztajn, Steinwart, "Better by default: strong pre-tuned MLPs and boosted trees
    on tabular data", NeurIPS 2024, arXiv:2407.04491.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.models.realmlp(8, [64], 3)
    Sequential(
      (0): SmoothClip(limit=3.0)
      (1): PeriodicEmbeddings(8, n_frequencies=16, d_embedding=4)
      (2): LayerScale(32, init_values=1.0)
      (3): Linear(in_features=32, out_features=64, bias=True)
      (4): ParametricActivation(64, activation='selu')
      (5): Dropout(p=0.15, inplace=False)
      (6): Linear(in_features=64, out_features=3, bias=True)
    )
    """
    embeddings = nn.PeriodicEmbeddings(check.integer(in_features, "in_features", 1))
    width = in_features * embeddings.d_embedding
    layers: list[nn.Module] = [nn.SmoothClip(), embeddings, nn.LayerScale(width, 1.0)]
    for units in hidden:
        layers.append(nn.Linear(width, check.integer(units, "hidden", 1)))
        layers += [nn.ParametricActivation(units, activation), nn.Dropout(dropout)]
        width = units
    return nn.Sequential(*layers, nn.Linear(width, check.integer(out_features, "out_features", 1)))


def fit_initial_weights(model: nn.Sequential, x: Float32Array) -> None:
    """Set the weights and biases of the dense layers from a sample x of the inputs.

    The weights are normal and scaled so that each unit's product with the layer's input, behind
    dropout, has standard deviation 1 over the sample. A bias is minus a random convex combination
    of five of these products, so that the units bend where there are samples.

    Parameters
    ----------
    model : Sequential
        As `realmlp` builds it.
    x : float32 array (N, in_features)
    """
    rng = random.generator("init")
    h = x
    with no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                weight = rng.standard_normal(layer.weight.shape).astype(np.float32)
                product = h @ weight.T
                spread = product.std(axis=0)
                scale = np.where(spread > 1e-6, spread, np.float32(1.0))
                layer.weight.data[...] = weight / scale[:, None]
                product /= scale
                rows = rng.integers(0, len(product), (_CORNERS, layer.out_features))
                shares = rng.standard_exponential((_CORNERS, layer.out_features))
                corners = np.take_along_axis(product, rows, axis=0)
                assert layer.bias is not None
                layer.bias.data[...] = -(corners * shares).sum(0) / shares.sum(0)
            if isinstance(layer, nn.Dropout):
                p = layer.p if isinstance(layer.p, float) else layer.p(0)
                h = h * (rng.random(h.shape, np.float32) >= p) / np.float32(max(1 - p, 1e-6))
            else:
                h = layer(h).numpy()


def parameter_groups(model: nn.Module, lr: float, weight_decay: float) -> list[dict[str, Any]]:
    """The groups for `fastdrop.optim.AdamW`.

    The authors' dense layers compute ``W x / sqrt(n)`` of n inputs with one learning rate for all
    W. Here W has the factor inside, which divides the learning rate of Adam by sqrt(n) and
    multiplies its decay, which is relative to the rate.

    Parameters
    ----------
    model : Module
        As `realmlp` builds it.
    lr : float
        Of the dense layers' weights, before the division.
    weight_decay : float
    """
    groups: list[dict[str, Any]] = []

    def add(params: list[Any], rate: float, decay: float) -> None:
        groups.append({"params": params, "lr": lr * rate, "weight_decay": weight_decay * decay})

    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            root = math.sqrt(layer.in_features)
            add([layer.weight], 1 / root, root)
            add([layer.bias], _BIAS_FACTOR, 0.0)
        elif type(layer) in _FACTORS:
            factor = _FACTORS[type(layer)]
            add(list(layer.parameters()), factor, factor)
    return groups
