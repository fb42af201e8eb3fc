"""The doctor: what the field's experience warns about in a model with dropout, and how to put it right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastdrop import nn
from fastdrop.inspection.dropout_layers import (
    ELEMENTWISE,
    MOST,
    OTHER_RATES,
    PLAIN,
    drops,
    kind_of,
    rate_of,
    registered,
    traced,
)
from fastdrop.nn.module import checked_module

__all__ = ["Diagnosis", "Finding", "diagnose", "judge"]

ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.SELU, nn.SiLU, nn.GELU)
DENSE = (nn.Linear, nn.VariationalLinear)
GAPS = {
    "accuracy": (0.005, 0.05),
    "loss": (0.02, 0.3),
    "rmse": (0.01, 0.16),
}  # below: no gap; above: a large one (of the loss and RMSE, relative)


@dataclass(frozen=True)
class Finding:
    """One thing to look at.

    Attributes
    ----------
    code : str
        Its name, for programs: "before-batch-norm", "on-output", ...
    place : str
        The layer's path in the model; "" for the whole.
    problem, reason, remedy : str
        What was found, why it matters (with the source), what to do.
    """

    code: str
    place: str
    problem: str
    reason: str
    remedy: str

    def __str__(self):
        return f"{self.place or 'the model'}: {self.problem}. {self.reason} {self.remedy} [{self.code}]"


class Diagnosis(list):
    """The findings, in the order of the model; prints as a list of sentences."""

    def __str__(self):
        return "\n".join(f"{i + 1}. {finding}" for i, finding in enumerate(self)) or "nothing found"

    def codes(self) -> list[str]:
        """The findings' names."""
        return [finding.code for finding in self]


def diagnose(model, data=None, *, history=None, optimizer=None) -> Diagnosis:
    """Look for what usually goes wrong with dropout; the model is not changed.

    Parameters
    ----------
    model : Module
    data : array (N, ...), optional
        A few samples of input: with them the layers are looked at in the order in which they run, with the shapes that they get
        (otherwise in the order of registration).
    history : History, optional
        Of `fastdrop.fit`, or a dict with "loss" and "val_loss" (or "accuracy" and "val_accuracy"): is dropout needed, is it enough?
    optimizer : Optimizer, optional
        Whose weight decay is looked at.

    Returns
    -------
    Diagnosis : list of `Finding`

    Raises
    ------
    TypeError
        model is no Module.
    """
    checked_module(model, "model")
    names = {id(module): name for name, module in model.named_modules()}
    calls = registered(model) if data is None else traced(model, data)
    findings = Diagnosis()

    def found(code, module, problem, reason, remedy):
        findings.append(Finding(code, names.get(id(module), ""), problem, reason, remedy))

    _order(calls, found)
    for i, (module, shape) in enumerate(calls):
        _layer(
            module, shape, found, at_input=all(isinstance(before, PLAIN) for before, _ in calls[:i])
        )
    for module in model.modules():
        if (
            isinstance(module, nn.Residual)
            and module.shortcut is not None
            and any(m.n_sites for m in module.shortcut.modules())
        ):
            found(
                "on-shortcut",
                module.shortcut,
                "dropout on a skip connection",
                "The skip connection carries the signal past the branches; noise there adds up over depth (He et al., 2016).",
                "Move it into the branch.",
            )
    if model.training:
        found(
            "training-mode",
            model,
            "the model is in training mode",
            "Predictions made like this are random: dropout is on.",
            "Call model.eval() before predicting (training needs train(), and fastdrop.mc_predict takes care of itself).",
        )
    _decay(model, optimizer, found)
    _gap(model, history, found)
    return findings


# ---- the rules ----


def _order(calls, found):
    layers = [module for module, _ in calls]
    last_dense = max((i for i, m in enumerate(layers) if isinstance(m, DENSE)), default=-1)
    selu = any(isinstance(m, nn.SELU) for m in layers)
    for i, module in enumerate(layers):
        if not drops(module):
            continue
        before = next((m for m in reversed(layers[:i]) if not isinstance(m, PLAIN)), None)
        after = next((m for m in layers[i + 1 :] if not isinstance(m, PLAIN)), None)
        weights = isinstance(module, (nn.DropConnectLinear, nn.TargetedLinear, nn.Embedding))
        if any(isinstance(m, nn.BatchNorm1d) for m in layers[i + 1 :]):
            found(
                "before-batch-norm",
                module,
                "dropout before batch normalisation",
                "In training the variance that batch norm records is that of dropped activations, in evaluation it gets others (Li et al., "
                '2019, "variance shift").',
                "Move the dropout behind the last batch norm, or call fastdrop.recalibrate_batchnorm(model, batches) after training.",
            )
        if (
            i > last_dense >= 0
            and before is layers[last_dense]
            and not isinstance(module, nn.Residual)
        ):
            found(
                "on-output",
                module,
                "dropout on the output layer",
                "What is dropped there is the prediction itself: targets cannot be met, and a regression is biased towards noise.",
                "Remove it; the rate of an output layer is 0.",
            )
        if (
            before is not None
            and drops(before)
            and not weights
            and not isinstance(before, nn.Embedding)
        ):
            found(
                "twice",
                module,
                "dropout directly after dropout",
                "Their rates multiply: 0.5 after 0.5 keeps a quarter.",
                "Keep one of them.",
            )
        if isinstance(before, nn.SELU) and type(module) is nn.Dropout:
            found(
                "selu",
                module,
                "dropout after SELU",
                "It destroys the zero mean and unit variance that SELU networks keep (Klambauer et al., 2017).",
                "Use AlphaDropout(0.05 to 0.1).",
            )
        if isinstance(module, nn.AlphaDropout) and not selu:
            found(
                "alpha-without-selu",
                module,
                "AlphaDropout in a network without SELU",
                "Its fill value is what SELU saturates to; after ReLU it adds a bias that was never there.",
                "Use Dropout, or SELU.",
            )
        if (
            type(module) is nn.Dropout
            and isinstance(after, ACTIVATIONS)
            and isinstance(before, DENSE)
        ):
            found(
                "before-activation",
                module,
                "dropout between a dense layer and its activation",
                "After the activation is the usual place, and there this library computes all three as one product.",
                "Swap the two (for ReLU the result is the same).",
            )


def _layer(module, shape, found, at_input):
    if not drops(module):
        return
    p = rate_of(module)
    if p >= 1.0:
        found(
            "drops-all",
            module,
            f"a rate of {p:g} drops everything",
            "Nothing passes, and nothing is learned.",
            "Choose a rate below 1.",
        )
        return
    if (
        shape is not None
        and len(shape) >= 4
        and isinstance(module, ELEMENTWISE)
        and not getattr(module, "share", ())
        and not getattr(module, "channelwise", False)
    ):
        found(
            "on-feature-maps",
            module,
            f"elementwise dropout on feature maps of shape {tuple(shape[1:])}",
            "Neighbouring elements say almost the same, so what is dropped is still there (Tompson et al., 2015; Ghiasi et al., 2018).",
            f"Drop whole channels (SpatialDropout{len(shape) - 2}d) or blocks (DropBlock{len(shape) - 2}d).",
        )
    kind = kind_of(module, at_input)
    if p > MOST[kind] and not isinstance(module, OTHER_RATES):
        what = {
            "embedding": "an embedding",
            "channels": "convolutional maps",
            "dense": "a dense layer",
            "input": "the input",
        }[kind]
        found(
            "rate",
            module,
            f"a rate of {p:g} on {what}",
            f"More than {MOST[kind]:g} usually takes more capacity than it gains.",
            f"Start at {min(0.2, MOST[kind]):g} and move by 0.1, looking at the gap between training and validation.",
        )


def _decay(model, optimizer, found):
    if optimizer is None:
        return
    decay = max(float(group.get("weight_decay", 0.0)) for group in optimizer.param_groups)
    rates = [rate_of(m) for m in model.modules() if drops(m)]
    if decay >= 1e-2 and rates and max(rates) >= 0.5:
        found(
            "decay-and-dropout",
            model,
            f"weight decay of {decay:g} with rates up to {max(rates):g}",
            "Both hold the network back; together they underfit.",
            "Lower the decay tenfold, or the rates by 0.1 to 0.2.",
        )


def judge(name: str, train: float, held: float, limits=None) -> tuple[float, str]:
    """The gap between a training and a validation figure, and what it says: "underfits", "fits" or "overfits".

    Parameters
    ----------
    name : {"accuracy", "loss", "rmse"}
        Of an accuracy the gap is train - held, otherwise (held - train) / held.
    train, held : float
    limits : (float, float), optional
        A gap below the first is none, above the second large; default `GAPS`.
    """
    gap = train - held if name == "accuracy" else (held - train) / max(abs(held), 1e-12)
    none, large = GAPS[name] if limits is None else limits
    return gap, "underfits" if gap < none else "overfits" if gap > large else "fits"


def _gap(model, history, found):
    if history is None:
        return
    for name in ("accuracy", "loss"):
        train, held = history.get(name), history.get(f"val_{name}")
        if train and held:
            break
    else:
        raise ValueError(
            f"history must have a training and a validation figure (loss and val_loss), got {', '.join(history) or 'nothing'}"
        )
    tail = slice(-max(1, len(train) // 5), None)
    a, b = float(np.mean(train[tail])), float(np.mean(held[tail]))
    judgement = judge(name, a, b)[1]
    dropping = any(drops(m) for m in model.modules())
    figures = f"training {name} {a:.3g}, validation {b:.3g}"
    if judgement == "underfits":
        found(
            "no-gap",
            model,
            f"no gap between training and validation ({figures})"
            + (" with dropout" if dropping else ""),
            "The network does not overfit, so there is nothing for dropout to prevent.",
            "Lower the rates by 0.1, or make the network larger."
            if dropping
            else "Dropout is not needed here.",
        )
    elif judgement == "overfits":
        found(
            "large-gap",
            model,
            f"a large gap between training and validation ({figures})",
            "The network overfits.",
            "Raise the rates by 0.1."
            if dropping
            else "Add dropout: 0.2 after each hidden activation to begin with.",
        )
