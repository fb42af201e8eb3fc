"""Texts with labels of ``fastdrop train``: data, classifier and training."""

from __future__ import annotations

import functools
import json
import os
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import io, models, nn, random
from fastdrop.cli.task import Task
from fastdrop.cli.text_task import heads_of
from fastdrop.cli.train_options import column_of
from fastdrop.cli.training_task import fit_arguments, optimizer_of
from fastdrop.data import BucketSampler, DataLoader, Tokenizer, pad_collate
from fastdrop.data.readers.labelled_text import WHOLE, RawTexts, read_texts, text_vocabulary
from fastdrop.data.text_preprocessing import TextPreparation
from fastdrop.predictor.predictor import Predictor
from fastdrop.random import manual_seed
from fastdrop.train.fit import fit

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    import numpy.typing as npt

    from fastdrop.data import Vocabulary
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

RECURRENT = ("lstm", "gru", "rnn")
MODELS = (*RECURRENT, "transformer")
_CLIP, _MAX_LENGTH = 1.0, 400
_TRANSFORMER = {
    "hidden": [128, 128],
    "epochs": 10,
    "dropout": [0.3],
    "optimizer": "adamw",
    "weight_decay": 0.01,
}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "recurrent": {"hidden": [128], "epochs": 20, "dropout": [0.5], "warmup": 0.0},
    "transformer": _TRANSFORMER,
    "pretrained": {**_TRANSFORMER, "epochs": 3, "dropout": [0.1], "batch_size": 32},
}
_LAYER_DECAY = {"transformer": 1.0, "pretrained": 0.9}
_WARMUP = 0.1  # of transformers: share of the epochs
_RATE = 1e-4  # the learning rate of a pretrained model
_VECTOR = 100  # numbers of a word
_MIN_COUNT = 2  # a rarer word is unknown, so that the network learns what to do with unknown ones
_MAX_WORDS = 50_000
_SHOWN = 300  # characters of a text in a report
_BATCH = 256  # texts evaluated at a time ...
_BATCH_OF_TRANSFORMERS = 32  # ... whose memory grows with all positions


def is_labelled_text_task(options: argparse.Namespace) -> bool:
    """Whether the options are for texts with labels: there is a column of texts."""
    if options.text is not None:
        return True
    if options.max_length is not None and options.model not in RECURRENT:
        raise ValueError("--max-length is for texts: give --text COLUMN")
    for flag, given in (
        ("--pretrained", options.pretrained is not None),
        ("--model transformer", options.model == "transformer"),
    ):
        if given:
            raise ValueError(f"{flag} is for texts with labels: give --text COLUMN")
    return False


def _kind(options: argparse.Namespace) -> str:
    """The kind of network, a key of the defaults."""
    if options.pretrained is not None:
        return "pretrained"
    return "recurrent" if options.model in RECURRENT else "transformer"


def check_text_options(options: argparse.Namespace) -> None:
    """Check the options, and fill in the defaults of texts."""
    if options.data is None:
        raise ValueError("--text needs --data FILE with texts and labels")
    if options.pretrained is not None:
        for name in ("model", "hidden", "level"):
            if getattr(options, name) is not None:
                raise ValueError(f"--{name} is not for --pretrained, whose folder decides it")
        if options.lr is None and options.optimizer != "sgd":
            options.lr = _RATE
        options.level = WHOLE
    else:
        options.model = options.model or MODELS[0]
        options.max_length = _MAX_LENGTH if options.max_length is None else options.max_length
    if options.model not in (None, *MODELS):
        raise ValueError(
            f"--model must be one of {', '.join(MODELS)} with --text, got {options.model!r}"
        )
    if options.task == "regression":
        raise ValueError("--task must be classification with --text, got regression")
    for name in ("columns", "ignore", "mixup"):
        if getattr(options, name):
            raise ValueError(f"--{name} is not for texts")
    for name, value in {"clip_norm": _CLIP, "level": "word", **_DEFAULTS[_kind(options)]}.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.warmup is None:
        options.warmup = _WARMUP * options.epochs
    if len(set(options.hidden)) != 1:
        raise ValueError(f"--hidden must hold equal widths for texts, got {options.hidden}")
    if len(options.dropout) != 1:
        raise ValueError(f"--dropout must be one rate for texts, got {options.dropout}")
    if options.max_length is not None and options.max_length < 1:
        raise ValueError(f"--max-length must be at least 1, got {options.max_length}")
    if not 0 < options.test_fraction < 1:
        raise ValueError(f"--test-fraction must be between 0 and 1, got {options.test_fraction}")


@dataclass
class LabelledTextTask(Task):
    """Training and test texts with a name; trains and tests networks on them.

    A sample is (numbers of tokens, class number). `texts` are those of the test, and `rows` their
    numbers in the file.
    """

    name: str
    train: list[Sample]
    test: list[Sample]
    preparation: TextPreparation
    texts: list[str]
    rows: npt.NDArray[np.int64]
    columns = ["text"]
    most_reported = 5000

    @property
    def train_targets(self) -> npt.NDArray[Any]:
        """The class numbers of the training texts."""
        return np.array([int(y) for _, y in self.train])

    @property
    def test_targets(self) -> npt.NDArray[Any]:
        """The class numbers of the test texts."""
        return np.array([int(y) for _, y in self.test])

    @property
    def test_inputs(self) -> npt.NDArray[Any]:
        """The test texts as the network takes them, padded to the longest."""
        return self.preparation.batch([numbers for numbers, _ in self.test])

    @property
    def test_rows(self) -> npt.NDArray[np.int64]:
        """The number of each test text in its file, from 0."""
        return self.rows

    def cells(self, chosen: Sequence[int]) -> list[list[str]]:
        """The beginnings of chosen test texts."""
        return [[textwrap.shorten(self.texts[n], _SHOWN, placeholder=" ...")] for n in chosen]

    def predictions(self, model: nn.Module, x: Any) -> npt.NDArray[np.float64]:
        """Probabilities (N, classes) without dropout; texts of similar length together."""
        told = Predictor(model, self.preparation).answers(x)["probability"]
        return np.asarray(told, np.float64)

    def describe(self, options: argparse.Namespace) -> str:
        """The network and its input in a few words."""
        kind = {"word": "words", "char": "characters", WHOLE: "tokens"}[self.preparation.level]
        name = options.pretrained or f"{options.model} {', '.join(map(str, options.hidden))}"
        return (
            f"{name} for {self.outputs} classes, "
            f"{len(self.preparation.vocabulary)} different {kind}"
        )

    def network(self, dropout: Any, options: argparse.Namespace) -> nn.Module:
        """A new network; the state has half of the rate of dropout of the other places."""
        if options.pretrained is not None:
            found: nn.Module = io.from_huggingface(
                options.pretrained,
                self.outputs,
                pooling=_pooling(options.pretrained),
                dropout=dropout,
                padding_idx=self.preparation.padding_idx,
            )
            return found
        width, layers = options.hidden[0], len(options.hidden)
        if options.model == "transformer":
            return models.bert(
                len(self.preparation.vocabulary),
                width,
                layers,
                heads_of(width),
                max_position_embeddings=options.max_length,
                type_vocab_size=0,
                num_classes=self.outputs,
                pooling="mean",
                dropout=dropout,
                padding_idx=0,
            )
        return models.text_classifier(
            len(self.preparation.vocabulary),
            self.outputs,
            _VECTOR,
            width,
            num_layers=layers,
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
        optimizer = optimizer_of(model, options, _LAYER_DECAY.get(_kind(options)))
        train, held_out = self.train, self.test
        if options.validation is not None:
            rows, held = stratified([int(y) for _, y in train], options.validation)
            train, held_out = [self.train[i] for i in rows], [self.train[i] for i in held]
        loader = self._loader(train, options.batch_size, shuffle=True)
        history = fit(
            model,
            loader,
            loss=nn.CrossEntropyLoss(label_smoothing=options.label_smoothing),
            validation=self._loader(held_out, _evaluated_at_once(model), shuffle=False),
            **fit_arguments(optimizer, len(loader), options) | self.monitoring(options),
        )
        return model, history

    def _loader(self, samples: list[Sample], batch_size: int, *, shuffle: bool) -> DataLoader:
        """Batches (tokens (N, T), classes (N,)) of texts of similar length."""
        lengths = [len(numbers) for numbers, _ in samples]
        return DataLoader(
            samples,
            batch_sampler=BucketSampler(lengths, batch_size, shuffle=shuffle),
            collate_fn=functools.partial(
                pad_collate, padding_value=self.preparation.padding_idx, with_lengths=False
            ),
        )


def _evaluated_at_once(model: nn.Module) -> int:
    return _BATCH_OF_TRANSFORMERS if isinstance(model, models.Bert) else _BATCH


def _pooling(folder: str) -> str | None:
    """The pooling of a model of sentence-transformers; None for that of the checkpoint."""
    path = os.path.join(folder, "1_Pooling", "config.json")
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return "mean" if json.load(file).get("pooling_mode_mean_tokens") else "cls"


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
    words: Vocabulary | Tokenizer
    if options.pretrained is not None:
        try:
            words = Tokenizer.from_pretrained(options.pretrained, options.max_length)
        except ValueError as error:
            raise ValueError(str(error).replace("max_length must", "--max-length must")) from None
    found = _read(options.data, options)
    if len(found.classes) < 2:
        raise ValueError(
            f"{options.data!r} must have at least two classes to tell apart, got {found.classes}"
        )
    if options.test is None:
        train, test = stratified(found.labels.tolist(), options.test_fraction)
        if not test:
            raise ValueError(f"{options.data!r} must have a class with two texts or more")
        tested = found
    else:
        tested = _read(options.test, options, found.classes)
        train, test = list(range(len(found.tokens))), list(range(len(tested.tokens)))
    limit = options.max_length
    if options.pretrained is None:
        words = text_vocabulary(
            (found.tokens[row][:limit] for row in train),
            min_count=_MIN_COUNT,
            max_size=_MAX_WORDS,
        )
    preparation = TextPreparation.of_texts(found, words, options.level, limit)

    def samples(texts: RawTexts, rows: list[int]) -> list[Sample]:
        return [(preparation.sequence(texts.tokens[row]), texts.labels[row]) for row in rows]

    between = " " if options.level == "word" else ""
    name = os.path.basename(options.data).removesuffix(".gz").rpartition(".")[0]
    return LabelledTextTask(
        name or os.path.basename(options.data),
        samples(found, train),
        samples(tested, test),
        preparation,
        [between.join(tested.tokens[row]) for row in test],
        np.array(test),
    )


def _read(path: str, options: argparse.Namespace, classes: list[Any] | None = None) -> RawTexts:
    """The texts of a file with the columns of --text and --target."""
    return read_texts(
        path,
        column_of(options.text),
        column_of(options.target),
        level=options.level,
        classes=classes,
        header=options.header == "yes",
    )


def print_next_steps(out: str, with_dropout: bool) -> None:
    """Print what can be done with the model."""
    print("\nNext steps")
    print(f'  fastdrop predict {out} --text "..."      # or a file of texts')
    if with_dropout:
        print(f"  fastdrop predict {out} FILE --mc 50      # with its uncertainty")
