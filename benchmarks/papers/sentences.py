"""Sentence classification with a convolutional network and dropout, from random word vectors.

Kim, "Convolutional neural networks for sentence classification", EMNLP 2014, model CNN-rand: word
vectors of 300 numbers, convolutions over 3, 4 and 5 words with 100 filters each, ReLU, the maximum
over time, dropout 0.5, a dense layer whose rows have a norm of at most 3. Ten folds, or the given
split (TREC).
"""

from __future__ import annotations

import argparse
import functools
import re
import statistics
import time
from collections.abc import Iterable

import numpy as np

import fastdrop as fd
from benchmarks.papers.common import data_folder
from fastdrop import nn, optim
from fastdrop.data import BucketSampler, DataLoader, Vocabulary, pad_collate
from fastdrop.nn import functional as F

# Name: (files, published accuracy of CNN-rand in percent).
SETS = {
    "mr": (("rt-polarity.all",), 76.1),
    "subj": (("subj.all",), 89.6),
    "trec": (("TREC.train.all", "TREC.test.all"), 91.2),
    "cr": (("custrev.all",), 79.8),
    "mpqa": (("mpqa.all",), 83.4),
}
WIDTHS, FILTERS, VECTOR = (3, 4, 5), 100, 300


def arguments(parser) -> None:
    """Add the options to a parser."""
    add_sets(parser, ",".join(SETS))
    parser.add_argument("--folds", type=int, default=10, help="how many of the ten folds to run")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dropout", type=float, default=0.5)


def add_sets(parser, default: str, known: Iterable[str] = SETS) -> None:
    """Add the option that names data sets."""

    def names(text: str) -> list[str]:
        unknown = [name for name in text.split(",") if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return text.split(",")

    parser.add_argument("--sets", type=names, default=default, metavar="NAME,NAME")


def words(text: str) -> list[str]:
    """The words of a sentence, cleaned as in the author's code."""
    text = re.sub(r"[^A-Za-z0-9(),!?'`]", " ", text)
    text = re.sub(r"('s|'ve|n't|'re|'d|'ll)", r" \1", text)
    return re.sub(r"([(),!?])", r" \1 ", text).lower().split()


def read(name: str, split=words):
    """(sentences as lists of words, labels) of each file of a data set."""
    parts = []
    for file in SETS[name][0]:
        # Only \n ends a line: some files hold other characters that splitlines() would take.
        lines = (data_folder() / "sentconv" / file).read_bytes().decode("latin-1").split("\n")
        pairs = [line.split(" ", 1) for line in lines if line.strip()]
        parts.append(([split(pair[1]) for pair in pairs], np.array([int(p[0]) for p in pairs])))
    return parts


def encoded(parts):
    """(samples (numbers of words, label) of each part, size of the vocabulary).

    Number 0 is padding. All words have a number, also those of test sentences alone.
    """
    known = sorted({word for sentences, _ in parts for s in sentences for word in s})
    vocabulary = Vocabulary(["<pad>", *known])
    return [
        [(vocabulary.encode(s), int(y)) for s, y in zip(sentences, labels, strict=True) if s]
        for sentences, labels in parts
    ], len(vocabulary)


def splits(parts, folds: int, seed: int):
    """(training samples, test samples): the given split, or those of the first of ten folds."""
    if len(parts) == 2:
        return [tuple(parts)]
    fold = np.random.default_rng(seed).integers(0, 10, len(parts[0]))
    return [
        tuple(
            [s for s, f in zip(parts[0], fold, strict=True) if (f == k) == test]
            for test in (False, True)
        )
        for k in range(folds)
    ]


def loader(samples, batch_size: int, *, shuffle: bool) -> DataLoader:
    """Batches of sentences of similar length."""
    return DataLoader(
        samples,
        batch_sampler=BucketSampler([len(x) for x, _ in samples], batch_size, shuffle=shuffle),
        collate_fn=functools.partial(pad_collate, with_lengths=False),
    )


class SentenceNetwork(nn.Module):
    """CNN-rand: numbers of words (N, L) -> scores (N, classes)."""

    def __init__(self, vocabulary: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, VECTOR, padding_idx=0)
        self.embedding.weight.data[1:] = np.random.default_rng(0).uniform(
            -0.25, 0.25, (vocabulary - 1, VECTOR)
        )
        self.convolutions = nn.ModuleList(nn.Conv1d(VECTOR, FILTERS, width) for width in WIDTHS)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(FILTERS * len(WIDTHS), classes)

    def forward(self, tokens):
        maps = F.permute(self.embedding(tokens), (0, 2, 1))  # (N, VECTOR, L), channels-last memory
        pooled = [F.amax(F.relu(conv(maps)), 2) for conv in self.convolutions]
        return self.dense(self.dropout(fd.cat(pooled, 1)))


def fit(train, test, classes: int, vocabulary: int, options, seed: int) -> float:
    """The accuracy on `test` of the epoch that is best on a tenth of the training data."""
    fd.manual_seed(seed)
    x, y = train
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    held, order = order[: len(x) // 10], order[len(x) // 10 :]
    model = SentenceNetwork(vocabulary, classes, options.dropout)
    optimizer = optim.Adam(
        [
            {"params": [p for m in (model.embedding, model.convolutions) for p in m.parameters()]},
            {"params": [model.dense.weight], "max_norm": 3.0},
            {"params": [model.dense.bias]},
        ],
        lr=1e-3,
    )
    best, result = -1.0, 0.0
    for _ in range(options.epochs):
        model.train()
        rng.shuffle(order)
        for i in range(0, len(order), options.batch_size):
            rows = order[i : i + options.batch_size]
            loss = F.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        validation = accuracy(model, x[held], y[held])
        if validation > best:
            best, result = validation, accuracy(model, *test)
    return result


def accuracy(model, x, y) -> float:
    """In percent, in evaluation mode."""
    model.eval()
    with fd.no_grad():
        right = sum(
            int((model(x[i : i + 500]).numpy().argmax(1) == y[i : i + 500]).sum())
            for i in range(0, len(x), 500)
        )
    return 100.0 * right / len(x)


def run(options) -> None:
    """Measure and print."""
    print(f"{fd.isa()}, {fd.get_num_threads()} threads, {options.epochs} epochs, Adam 1e-3")
    for name in options.sets:
        parts, start = read(name), time.perf_counter()
        known = sorted({word for sentences, _ in parts for s in sentences for word in s})
        number = {word: i + 1 for i, word in enumerate(known)}
        longest = max(len(s) for sentences, _ in parts for s in sentences)
        length = longest + 2 * (max(WIDTHS) - 1)
        arrays = []
        for sentences, labels in parts:
            tokens = np.zeros((len(sentences), length), np.int64)
            for row, sentence in enumerate(sentences):
                first = max(WIDTHS) - 1
                tokens[row, first : first + len(sentence)] = [number[word] for word in sentence]
            arrays.append((tokens, labels))
        classes = int(max(labels.max() for _, labels in arrays)) + 1
        if len(arrays) == 2:
            splits = [tuple(arrays)]
        else:
            x, y = arrays[0]
            fold = np.random.default_rng(options.seed).integers(0, 10, len(y))
            splits = [
                ((x[fold != k], y[fold != k]), (x[fold == k], y[fold == k]))
                for k in range(options.folds)
            ]
        found = [
            fit(train, test, classes, len(number) + 1, options, options.seed + k)
            for k, (train, test) in enumerate(splits)
        ]
        print(
            f"  {name}: accuracy {statistics.mean(found):.1f} % over {len(found)} test sets "
            f"({', '.join(f'{a:.1f}' for a in found)}), published {SETS[name][1]} %, "
            f"{time.perf_counter() - start:.0f} s",
            flush=True,
        )
