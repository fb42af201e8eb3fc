"""Parameter groups for fine-tuning: learning rates that fall with the distance from the output."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fastdrop._utils import validation as check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastdrop.autograd.parameter import Parameter

Named = list[tuple[str, "Parameter"]]


def layerwise_groups(
    model: Any,
    lr: float,
    decay: float,
    weight_decay: float = 0.01,
    *,
    layers: Sequence[Any] | None = None,
) -> list[dict[str, Any]]:
    r"""Parameter groups with layer-wise learning rate decay, for fine-tuning a pretrained model.

    .. math:: \mathrm{lr}_d = \mathrm{lr} \cdot \mathrm{decay}^{d}

    with the depth d from the top: 0 for what follows the layers (norms, pooler, head), 1 for the
    last layer, L for the first of L layers, and L + 1 for what comes before them (embeddings).
    Biases and the weights of norms (parameters with at most one axis) have no weight decay. Give
    the groups to any optimiser; schedulers scale all learning rates alike. Usual values of `decay`:
    0.65 to 0.95, 1 for one learning rate.

    Parameters
    ----------
    model : Module
        Parameters that do not require a gradient are left out.
    lr : float, at least 0
        The learning rate of the head.
    decay : float, above 0 and at most 1
    weight_decay : float, at least 0, default 0.01
        Of the parameters with more axes.
    layers : sequence of Module, optional
        The layers, first to last. By default those of the longest numbered list of the model, as
        the layers of `fastdrop.models.Bert`, `fastdrop.models.GPT` and
        `fastdrop.models.VisionTransformer`.

    Returns
    -------
    list of dict
        "params", "lr" and "weight_decay" of each group, first layers first.

    Raises
    ------
    TypeError, ValueError
        A number is out of range; the model has no numbered layers or several lists of the same
        length; or `layers` holds a module that has no parameter of the model.

    References
    ----------
    - Howard, Ruder, "Universal Language Model Fine-tuning for Text Classification", ACL 2018,
      arXiv:1801.06146.
    - Clark, Luong, Le, Manning, "ELECTRA: Pre-training Text Encoders as Discriminators Rather Than
      Generators", ICLR 2020, arXiv:2003.10555.

    Examples
    --------
    >>> import fastdrop as fd
    >>> model = fd.models.bert(50, 16, 2, 4, num_classes=3)
    >>> groups = fd.optim.layerwise_groups(model, 1e-3, 0.5)
    >>> [group["lr"] for group in groups][::2]
    [0.000125, 0.00025, 0.0005, 0.001]
    >>> optimizer = fd.optim.AdamW(groups)
    """
    lr = check.real(lr, "lr", low=0.0)
    decay = check.real(decay, "decay", low=0.0, high=1.0, open_low=True)
    weight_decay = check.real(weight_decay, "weight_decay", low=0.0)
    if not hasattr(model, "named_parameters"):
        raise TypeError(f"model must be a Module, got {check.describe(model)}")
    named = list(model.named_parameters())
    numbers = _of_list(named) if layers is None else _of_modules(named, layers)
    count = max(numbers.values()) + 1
    first = min(i for i, (name, _) in enumerate(named) if name in numbers)
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for i, (name, parameter) in enumerate(named):
        if not parameter.requires_grad:
            continue
        depth = count - numbers[name] if name in numbers else (count + 1 if i < first else 0)
        decayed = parameter.ndim > 1
        group = groups.setdefault(
            (-depth, decayed),
            {
                "params": [],
                "lr": lr * decay**depth,
                "weight_decay": weight_decay if decayed else 0.0,
            },
        )
        group["params"].append(parameter)
    return [groups[key] for key in sorted(groups)]


def _of_modules(named: Named, layers: Sequence[Any]) -> dict[str, int]:
    """The number of the layer of each parameter that is in one, by name."""
    names = {id(parameter): name for name, parameter in named}
    found: dict[str, int] = {}
    for number, layer in enumerate(layers):
        if not hasattr(layer, "parameters"):
            raise TypeError(f"layers must hold Modules, got {check.describe(layer)}")
        inside = [names[id(p)] for p in layer.parameters() if id(p) in names]
        if not inside:
            raise ValueError(
                "layers must hold modules with parameters of the model, "
                f"got a {type(layer).__name__} at {number} that has none"
            )
        found.update(dict.fromkeys(inside, number))
    if not found:
        raise ValueError("layers must hold at least one module, got none")
    return found


def _of_list(named: Named) -> dict[str, int]:
    """The same for the longest list: names that are equal up to a number, as "layers.3.weight"."""
    lists: dict[str, dict[int, list[str]]] = {}
    for name, _ in named:
        for match in re.finditer(r"(?:^|(?<=\.))\d+(?=\.)", name):
            entries = lists.setdefault(name[: match.start()], {})
            entries.setdefault(int(match[0]), []).append(name)
    most = max(map(len, lists.values()), default=0)
    longest = [prefix for prefix, entries in lists.items() if len(entries) == most]
    if len(longest) != 1:
        got = " and ".join(repr(prefix) for prefix in longest[:2]) or "a model without one"
        raise ValueError(
            f"model must have one longest list of layers, got {got}: give the modules as layers="
        )
    entries = lists[longest[0]]
    return {name: i for i, number in enumerate(sorted(entries)) for name in entries[number]}
