"""Texts with labels of ``fastdrop train``: data, recurrent classifier and training."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import models, nn, random
from fastdrop.cli.training_task import column_of, fit_arguments, optimizer_of
from fastdrop.data import BucketSampler, DataLoader, pad_collate
from fastdrop.data.readers.labelled_text import RawTexts, read_texts, text_vocabulary
from fastdrop.data.text_preprocessing import TextPreparation
from fastdrop.random import manual_seed
from fastdrop.train.evaluate import evaluate
from fastdrop.train.fit import fit

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    import numpy.typing as npt

    from fastdrop.train import History

    Sample = tuple[npt.NDArray[np.int64], np.int64]

__all__ = [
    "LabelledTextTask",
    "check_text_options",
    "is_labelled_text_task",
    "labelled_text_task",
    "print_next_steps",
    "stratified",
]

MODELS = ("lstm", "gru", "rnn")
_HIDDEN, _EPOCHS, _DROPOUT, _CLIP, _MAX_LENGTH = [128], 20, 0.5, 1.0, 400
_VECTOR = 100  # numbers of a word
_MIN_COUNT = 2  # a rarer word is unknown, so that the network learns what to do with unknown ones
_MAX_WORDS = 50_000
_BATCH = 256  # texts evaluated at a time


def is_labelled_text_task(options: argparse.Namespace) -> bool:
    """Whether the options are for texts with labels: there is a column of texts."""
    if options.text is None and options.max_length is not None and options.model not in MODELS:
        raise ValueError("--max-length is for texts: give --text COLUMN")
    return options.text is not None


def check_text_options(options: argparse.Namespace) -> None:
    """Check the options, and fill in the defaults of texts."""
    if options.data is None:
        raise ValueError("--text needs --data FILE with texts and labels")
    options.model = options.model or MODELS[0]
    if options.model not in MODELS:
        raise ValueError(
            f"--model must be one of {', '.join(MODELS)} with --text, got {options.model!r}"
        )
    if options.task == "regression":
        raise ValueError("--task must be classification with --text, got regression")
    for name in ("columns", "ignore", "mixup"):
        if getattr(options, name):
            raise ValueError(f"--{name} is not for texts")
    options.hidden = options.hidden or _HIDDEN
    if len(set(options.hidden)) != 1:
        raise ValueError(f"--hidden must hold equal widths for texts, got {options.hidden}")
    options.epochs = _EPOCHS if options.epochs is None else options.epochs
    options.dropout = [_DROPOUT] if options.dropout is None else options.dropout
    if len(options.dropout) != 1:
        raise ValueError(f"--dropout must be one rate for texts, got {options.dropout}")
    options.clip_norm = _CLIP if options.clip_norm is None else options.clip_norm
    options.level = options.level or "word"
    if options.max_length is None:
        options.max_length = _MAX_LENGTH
    elif options.max_length < 1:
        raise ValueError(f"--max-length must be at least 1, got {options.max_length}")
    if not 0 < options.test_fraction < 1:
        raise ValueError(f"--test-fraction must be between 0 and 1, got {options.test_fraction}")


@dataclass
class LabelledTextTask:
    """Training and test texts with a name; trains and tests networks on them.

    A sample is (numbers of tokens, class number).
    """

    name: str
    train: list[Sample]
    test: list[Sample]
    preparation: TextPreparation
    report: None = None

    @property
    def outputs(self) -> int:
        """Number of the network's outputs."""
        return len(self.preparation.classes or [])

    def describe(self, options: argparse.Namespace) -> str:
        """The network and its input in a few words."""
        kind = "words" if self.preparation.level == "word" else "characters"
        return (
            f"{options.model} {', '.join(map(str, options.hidden))} for {self.outputs} classes, "
            f"{len(self.preparation.vocabulary)} different {kind}"
        )

    def network(self, dropout: Any, options: argparse.Namespace) -> nn.Module:
        """A new network; the state has half of the rate of dropout of the other places."""
        return models.text_classifier(
            len(self.preparation.vocabulary),
            self.outputs,
            _VECTOR,
            options.hidden[0],
            num_layers=len(options.hidden),
            cell=options.model,
            dropout=dropout,
            recurrent_dropout=dropout / 2,
            padding_idx=0,
        )

    def learn(
        self, dropout: Any, seed: int, options: argparse.Namespace
    ) -> tuple[nn.Module, History]:
        """Train a network from this seed."""
        manual_seed(seed)
        model = self.network(dropout, options)
        optimizer = optimizer_of(model, options)
        train, held_out = self.train, self.test
        if options.validation is not None:
            rows, held = stratified([int(y) for _, y in train], options.validation)
            train, held_out = [self.train[i] for i in rows], [self.train[i] for i in held]
        loader = _loader(train, options.batch_size, shuffle=True)
        history = fit(
            model,
            loader,
            loss=nn.CrossEntropyLoss(label_smoothing=options.label_smoothing),
            validation=_loader(held_out, _BATCH, shuffle=False),
            **fit_arguments(optimizer, len(loader), options),
        )
        return model, history

    def error(self, model: nn.Module) -> float:
        """The share of wrong classes in the test data in percent."""
        found = evaluate(model, _loader(self.test, _BATCH, shuffle=False))
        return 100 * (1 - found["accuracy"])


def _loader(samples: list[Sample], batch_size: int, *, shuffle: bool) -> DataLoader:
    """Batches (tokens (N, T), classes (N,)) of texts of similar length."""
    lengths = [len(numbers) for numbers, _ in samples]
    return DataLoader(
        samples,
        batch_sampler=BucketSampler(lengths, batch_size, shuffle=shuffle),
        collate_fn=functools.partial(pad_collate, with_lengths=False),
    )


def stratified(labels: Sequence[int], fraction: float) -> tuple[list[int], list[int]]:
    """The rows of two parts, in which all classes have the same shares; the second is `fraction`.

    A class of two samples or more has at least one in each part. The permutations come from the
    run's generator "split".
    """
    known, generator = np.asarray(labels), random.generator("split")
    second = []
    for label in np.unique(known):
        rows = generator.permutation(np.flatnonzero(known == label))
        count = min(max(round(fraction * len(rows)), 1), len(rows) - 1)
        second.append(rows[:count])
    held = np.sort(np.concatenate(second))
    return np.setdiff1d(np.arange(len(known)), held).tolist(), held.tolist()


def labelled_text_task(options: argparse.Namespace) -> LabelledTextTask:
    """The texts of --data, split into training and test texts."""
    found: RawTexts = read_texts(
        options.data,
        column_of(options.text),
        column_of(options.target),
        level=options.level,
        header=options.header == "yes",
    )
    if len(found.classes) < 2:
        raise ValueError(
            f"{options.data!r} must have at least two classes to tell apart, got {found.classes}"
        )
    train, test = stratified(found.labels.tolist(), options.test_fraction)
    if not test:
        raise ValueError(f"{options.data!r} must have a class with two texts or more")
    words = text_vocabulary(
        (found.tokens[row][: options.max_length] for row in train),
        min_count=_MIN_COUNT,
        max_size=_MAX_WORDS,
    )
    preparation = TextPreparation.of_texts(found, words, options.level, options.max_length)
    samples = [
        (preparation.sequence(tokens), label)
        for tokens, label in zip(found.tokens, found.labels, strict=True)
    ]
    name = os.path.basename(options.data).removesuffix(".gz").rpartition(".")[0]
    return LabelledTextTask(
        name or os.path.basename(options.data),
        [samples[row] for row in train],
        [samples[row] for row in test],
        preparation,
    )


def print_next_steps(out: str, with_dropout: bool) -> None:
    """Print what can be done with the model."""
    print("\nNext steps")
    print(f'  fastdrop predict {out} --text "..."      # or a file of texts')
    if with_dropout:
        print(f"  fastdrop predict {out} FILE --mc 50      # with its uncertainty")
