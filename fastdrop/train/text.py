"""Training of language models."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from fastdrop import nn
from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.data.bptt import BPTTBatches
from fastdrop.nn.evaluating import evaluating

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastdrop.data.bptt import RandomWindows
    from fastdrop.models.gpt import GPT
    from fastdrop.models.language_model import LanguageModel
    from fastdrop.optim.optimizer import Optimizer

__all__ = ["TextEpoch", "fit_text", "perplexity"]


class TextEpoch(NamedTuple):
    """One epoch of `fit_text`.

    Attributes
    ----------
    epoch : int
        From 1 on.
    loss : float
        The mean cross-entropy of the training tokens, in nats, with dropout.
    perplexity : float
        Of the validation text, without dropout; NaN without such a text.
    lr : float
        The learning rate of the epoch.
    seconds : float
        Of training.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.train.TextEpoch(1, 0.5, 1.7, 0.1, 3.0).perplexity
    1.7
    """

    epoch: int
    loss: float
    perplexity: float
    lr: float
    seconds: float


def perplexity(model: LanguageModel | GPT, batches: BPTTBatches) -> float:
    """The perplexity of a text: exp of the mean cross-entropy of its tokens, without dropout.

    Parameters
    ----------
    model : LanguageModel or GPT
    batches : BPTTBatches

    Returns
    -------
    float

    Examples
    --------
    >>> import fastdrop as fd
    >>> model = fd.models.language_model(10, 4)
    >>> 1 < fd.train.perplexity(model, fd.data.BPTTBatches([1, 2] * 20, 2, 5)) < 100
    True
    """
    total, count, state = 0.0, 0, None
    with evaluating(model), no_grad():
        for tokens, targets in batches:
            loss, state = model.loss(tokens, targets, state)
            total, count = total + loss.item() * targets.size, count + targets.size
    return math.exp(min(total / count, 700.0))


def fit_text(
    model: LanguageModel | GPT,
    train: BPTTBatches | RandomWindows,
    optimizer: Optimizer,
    epochs: int,
    *,
    validation: BPTTBatches | None = None,
    schedule: Any = None,
    max_norm: float | None = 5.0,
    callback: Callable[[TextEpoch], Any] | None = None,
) -> list[TextEpoch]:
    """Train a language model; its state is carried from batch to batch and begins with each epoch.

    Parameters
    ----------
    model : LanguageModel or GPT
    train : BPTTBatches or RandomWindows
        With ``variable_length`` the learning rate of a batch is multiplied by its steps / length.
    optimizer : Optimizer
    epochs : int
    validation : BPTTBatches, optional
        A text whose perplexity is computed after each epoch.
    schedule : learning rate schedule, optional
        Its step() is called after each epoch; ReduceLROnPlateau gets the perplexity.
    max_norm : float, optional
        Gradients are scaled so that the norm of all together is at most this.
    callback : callable, optional
        callback(TextEpoch) after each epoch; training ends where it returns True.

    Returns
    -------
    list of TextEpoch

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.
    FloatingPointError
        The loss is not finite.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.manual_seed(0)
    >>> model = fd.models.language_model(10, 8, dropout=0.1)
    >>> batches = fd.data.BPTTBatches([1, 2, 3, 4] * 50, 4, 10)
    >>> optimizer = fd.optim.Adam(model.parameters(), lr=0.01)
    >>> history = fd.train.fit_text(model, batches, optimizer, 3)
    >>> history[-1].loss < history[0].loss
    True
    """
    from fastdrop.optim.lr_scheduler import ReduceLROnPlateau

    history: list[TextEpoch] = []
    for epoch in range(1, check.integer(epochs, "epochs", 0) + 1):
        model.train()
        start, total, count, state = time.perf_counter(), 0.0, 0, None
        lr = float(optimizer.param_groups[0]["lr"])
        for tokens, targets in train:
            loss, state = model.loss(tokens, targets, state)
            optimizer.zero_grad()
            loss.backward()
            if max_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), max_norm)
            # A short batch of variable length counts less (Merity et al. 2018, section 5).
            share = len(tokens) / train.length if train.variable_length else 1.0
            rates = [group["lr"] for group in optimizer.param_groups]
            for group in optimizer.param_groups:
                group["lr"] *= share
            optimizer.step()
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate
            value = loss.item()
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"the loss became {value} in epoch {epoch}; a smaller learning rate may help"
                )
            total, count = total + value * targets.size, count + targets.size
        seconds = time.perf_counter() - start
        found = math.nan if validation is None else perplexity(model, validation)
        history.append(TextEpoch(epoch, total / max(1, count), found, lr, seconds))
        if isinstance(schedule, ReduceLROnPlateau):
            schedule.step(found)
        elif schedule is not None:
            schedule.step()
        if callback is not None and callback(history[-1]) is True:
            break
    return history
