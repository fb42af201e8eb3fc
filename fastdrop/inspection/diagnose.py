"""Checking a model for known mistakes with dropout: `diagnose`."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from fastdrop.inspection.dropout_layers import called_layers, registered_layers
from fastdrop.inspection.finding import Diagnosis, Finding
from fastdrop.inspection.gap import gap_rule
from fastdrop.inspection.recurrent_rules import recurrent_rules
from fastdrop.inspection.rules import (
    layer_rules,
    map_rules,
    mode_rule,
    order_rules,
    shortcut_rule,
    weight_decay_rule,
)
from fastdrop.inspection.transformer_rules import norm_decay_rule, transformer_rules
from fastdrop.nn.module import checked_module

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fastdrop import nn, optim
    from fastdrop._utils.typing import ArrayLike, Inputs
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.inspection.finding import RuleMatch

__all__ = ["Diagnosis", "Finding", "diagnose"]


def diagnose(
    model: nn.Module,
    data: Tensor | ArrayLike | Inputs | None = None,
    *,
    history: Mapping[str, Sequence[float]] | None = None,
    optimizer: optim.Optimizer | None = None,
) -> Diagnosis:
    """Check a model for known mistakes with dropout. The model is not changed.

    The rules concern the place of dropout layers, their rates, the model's mode, weight decay, and
    the gap between training and validation figures.

    Parameters
    ----------
    model : Module
        The model to check.
    data : array (N, ...), tuple or dict of arrays (N, ...), optional
        A few input samples, several inputs as for `fastdrop.fit`. With them the layers are checked
        in the order in which the model calls them, and with the shapes of their inputs; otherwise
        in the order of registration.
    history : History or mapping, optional
        The result of `fastdrop.fit`, or a mapping with "loss" and "val_loss" (or "accuracy" and
        "val_accuracy"). It tells whether dropout is needed and whether there is enough of it.
    optimizer : Optimizer, optional
        Its weight decay is checked together with the rates.

    Returns
    -------
    Diagnosis
        A list of `Finding`, empty if nothing was found.

    Raises
    ------
    TypeError
        `model` is not a Module.
    ValueError
        `history` has no pair of a training and a validation figure, or the data do not fit the
        model.

    References
    ----------
    Li, Chen, Hu, Yang, "Understanding the disharmony between dropout and batch normalization by
    variance shift", CVPR 2019, arXiv:1801.05134.

    Klambauer, Unterthiner, Mayr, Hochreiter, "Self-normalizing neural networks", NIPS 2017,
    arXiv:1706.02515.

    Tompson, Goroshin, Jain, LeCun, Bregler, "Efficient object localization using convolutional
    networks", CVPR 2015, arXiv:1411.4280.

    Ghiasi, Lin, Le, "DropBlock: a regularization method for convolutional networks", NeurIPS 2018,
    arXiv:1810.12890.

    He, Zhang, Ren, Sun, "Identity mappings in deep residual networks", ECCV 2016,
    arXiv:1603.05027.

    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762.

    Touvron, Cord, Douze, Massa, Sablayrolles, Jegou, "Training data-efficient image transformers &
    distillation through attention", ICML 2021, arXiv:2012.12877.

    Devlin, Chang, Lee, Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for
    Language Understanding", NAACL 2019, arXiv:1810.04805.

    Examples
    --------
    >>> import fastdrop as fd
    >>> from fastdrop import nn
    >>> model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1), nn.Dropout(0.1)).eval()
    >>> fd.diagnose(model).codes()
    ['on-output']
    """
    checked_module(model, "model")
    calls = registered_layers(model) if data is None else called_layers(model, data)
    matches: Iterable[RuleMatch] = chain(
        order_rules(calls),
        layer_rules(calls),
        map_rules(calls),
        recurrent_rules(model),
        transformer_rules(model, calls),
        shortcut_rule(model),
        mode_rule(model),
        () if optimizer is None else weight_decay_rule(model, optimizer),
        () if optimizer is None else norm_decay_rule(model, optimizer),
        () if history is None else gap_rule(model, history),
    )
    paths = {id(module): path for path, module in model.named_modules()}
    return Diagnosis(
        Finding(match.code, paths.get(id(match.module), ""), *match[2:]) for match in matches
    )
