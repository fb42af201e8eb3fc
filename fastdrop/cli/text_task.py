"""Text of ``fastdrop train``: a language model of a text file."""

from __future__ import annotations

import math
import os
import sys
from typing import TYPE_CHECKING, Any

from fastdrop import io, models
from fastdrop.cli.training_task import optimizer_of, schedule
from fastdrop.data import BPTTBatches, RandomWindows, read_text
from fastdrop.random import manual_seed
from fastdrop.train.text import fit_text, perplexity

if TYPE_CHECKING:
    import argparse

    from fastdrop.train.text import TextEpoch

__all__ = ["KIND", "MODELS", "heads_of", "is_text_task", "train_text"]

MODELS = ("gpt", "lstm", "gru", "rnn")
KIND = "text"  # in the information of a model file
_ROWS = 8  # of test and validation texts
_WIDTHS = {"gpt": [128] * 4}
_HEAD = 32  # size of an attention head, where it divides the width
_HIDDEN, _EPOCHS, _DROPOUT, _CLIP = [256, 256], 10, 0.2, 1.0
_FOR_OTHERS = (
    "columns",
    "ignore",
    "augment",
    "early_stopping",
    "checkpoint",
    "plot",
    "plot_uncertain",
    "size",
    "task",
    "max_norm",
    "thinned",
    "drop_path",
    "channel_dropout",
    "drop_block",
    "patch_dropout",
    "attention_dropout",
    "max_length",
)


def is_text_task(options: argparse.Namespace) -> bool:
    """Whether the options are for a language model. (A .txt file alone is a table.)"""
    return options.model in MODELS


def _check(options: argparse.Namespace) -> None:
    """Check the options, and fill in the defaults of texts."""
    if options.data is None:
        raise ValueError(f"--model {options.model} needs a text: --data FILE.txt")
    for name in _FOR_OTHERS:
        if getattr(options, name) not in (None, []):
            raise ValueError(f"--{name.replace('_', '-')} is not for texts")
    if options.compare or options.label_smoothing or options.mixup:
        raise ValueError("--compare, --label-smoothing and --mixup are not for texts")
    options.hidden, options.level = (
        options.hidden or _WIDTHS.get(options.model, _HIDDEN),
        options.level or "char",
    )
    if len(set(options.hidden)) != 1:
        raise ValueError(f"--hidden must hold equal widths for a text, got {options.hidden}")
    options.epochs = _EPOCHS if options.epochs is None else options.epochs
    if options.dropout is not None and len(options.dropout) != 1:
        raise ValueError("--dropout must be one rate for a text")
    for name in ("test_fraction", "validation"):
        share = getattr(options, name)
        if share is not None and not 0 < share < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be between 0 and 1, got {share}")


def heads_of(width: int) -> int:
    """The heads of a transformer's layer."""
    return max(1, width // _HEAD) if width % _HEAD == 0 else 1


def _model(vocabulary: int, rate: float, options: argparse.Namespace) -> Any:
    width, layers = options.hidden[0], len(options.hidden)
    if options.model == "gpt":
        return models.gpt(vocabulary, options.steps, layers, heads_of(width), width, dropout=rate)
    return models.language_model(
        vocabulary,
        width,
        num_layers=layers,
        cell=options.model,
        dropout=rate,
        recurrent_dropout=rate / 2,
    )


def train_text(options: argparse.Namespace) -> int:
    """Train on the beginning of a text, and test on its end; the exit status."""
    _check(options)
    name = os.path.splitext(os.path.basename(options.data))[0]
    out = options.out or f"{name}.safetensors"
    folder = os.path.dirname(out) or "."
    if not os.path.isdir(folder):
        raise ValueError(f"there is no folder {folder!r} to write {os.path.basename(out)!r} to")
    manual_seed(options.seed)
    numbers, words = read_text(options.data, options.level)
    test_from = round(len(numbers) * (1 - options.test_fraction))
    train_to = test_from
    if options.validation is not None:
        train_to = round(test_from * (1 - options.validation))
    parts = [numbers[:train_to], numbers[train_to:test_from], numbers[test_from:]]
    try:
        batches = RandomWindows if options.model == "gpt" else BPTTBatches
        train: Any = batches(parts[0], options.batch_size, options.steps)
        test = BPTTBatches(parts[2], _ROWS, options.steps)
        held = BPTTBatches(parts[1], _ROWS, options.steps) if options.validation else None
    except ValueError:
        raise ValueError(
            f"{options.data!r} is too short: {len(numbers)} tokens for --batch-size "
            f"{options.batch_size} and the shares of test and validation"
        ) from None
    rate: Any = _DROPOUT if options.dropout is None else options.dropout[0]
    model = _model(len(words), rate, options)
    print(
        f"{name}: {train_to} training tokens, {len(numbers) - test_from} test tokens, "
        f"{len(words)} different ones; {options.model} "
        f"{', '.join(map(str, options.hidden))}, dropout {rate:g}",
        flush=True,
    )
    optimizer = optimizer_of(model, options)

    def show(epoch: TextEpoch) -> None:
        if not options.quiet:
            held_out = f", val_perplexity {epoch.perplexity:.3f}"
            more = "" if math.isnan(epoch.perplexity) else held_out
            print(
                f"epoch {epoch.epoch}/{options.epochs}  perplexity {math.exp(epoch.loss):.3f}{more}"
                f"  {epoch.seconds:.1f} s",
                file=sys.stderr,
                flush=True,
            )

    fit_text(
        model,
        train,
        optimizer,
        options.epochs,
        validation=held,
        schedule=schedule(optimizer, 1, options),
        max_norm=_CLIP if options.clip_norm is None else options.clip_norm,
        callback=show,
    )
    found = perplexity(model, test)
    print(
        f"\ntest perplexity {found:.3f} ({math.log2(found):.3f} bits a token, "
        f"{test.steps * test.batch_size} tokens)"
    )
    info = {"kind": KIND, "level": options.level, "vocabulary": words.to_dict()}
    io.save(model, out, info=info)
    print(f"\nmodel: {out}\n\nNext steps\n  fastdrop generate {out} --length 200")
    return 0
