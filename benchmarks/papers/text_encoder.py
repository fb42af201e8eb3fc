"""A small BERT from scratch on sentences and documents: dropout 0, 0.1 and 0.3, calibration.

Two layers of 128 units and 4 heads, the mean of the tokens, random word vectors. The sets are those
of `sentences` (Kim 2014) and R8 of Reuters-21578, with its own split. Test accuracy, negative log
likelihood and expected calibration error of the last epoch, with weight scaling and as the mean of
Monte Carlo passes. Each seed has another of ten folds, where a set has no split of its own.
"""

from __future__ import annotations

import time

import numpy as np

import fastdrop as fd
from benchmarks.papers.common import data_folder, mean_text, several
from benchmarks.papers.sentences import SETS, add_sets, encoded, loader, read, splits
from fastdrop import optim

WARM_UP = 0.1  # the share of the steps in which the learning rate grows


def arguments(parser) -> None:
    """Add the options to a parser."""
    add_sets(parser, "mr,subj,trec,r8", (*SETS, "r8"))
    parser.add_argument("--rates", type=several(float), default="0,0.1,0.3", help="of dropout")
    parser.add_argument("--seeds", type=several(int), default="0,1,2")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--subset", type=int, help="training texts to use (default: all)")
    parser.add_argument("--samples", type=int, default=50, help="Monte Carlo passes; 0 for none")
    parser.add_argument("--length", type=int, default=128, help="longer texts are cut")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--heads", type=int, default=4)


def read_r8():
    """(documents as lists of words, labels) of the training and of the test part of R8."""
    folder = data_folder() / "r8"
    texts = (folder / "R8.clean.txt").read_text().splitlines()
    lines = [line.split("\t") for line in (folder / "R8.index.txt").read_text().splitlines()]
    names = sorted({label for _, _, label in lines})
    return [
        (
            [text.split() for text, line in zip(texts, lines, strict=True) if line[1] == part],
            np.array([names.index(label) for _, found, label in lines if found == part]),
        )
        for part in ("train", "test")
    ]


def fit(train, classes: int, words: int, options, rate: float, seed: int):
    """The model after the last epoch."""
    fd.manual_seed(seed)
    model = fd.models.bert(
        words,
        options.width,
        options.depth,
        options.heads,
        max_position_embeddings=options.length,
        type_vocab_size=0,
        num_classes=classes,
        pooling="mean",
        dropout=rate,
        padding_idx=0,
    )
    optimizer = optim.AdamW(model.parameters(), lr=options.lr)
    batches = loader(train, options.batch_size, shuffle=True)
    steps = options.epochs * len(batches)
    first = max(1, int(WARM_UP * steps))
    fd.fit(
        model,
        batches,
        optimizer=optimizer,
        epochs=options.epochs,
        scheduler=optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / first, (steps - step) / (steps - first + 1))
        ),
        scheduler_every="step",
        clip_norm=1.0,
        progress=False,
    )
    return model


def figures(model, test, samples: int, seed: int) -> dict[str, tuple[float, float, float]]:
    """{way: (accuracy in %, negative log likelihood, ECE in %)} on test samples."""
    scaled, passes, labels, row = [], [], [], 0
    for x, y in loader(test, 200, shuffle=False).batches_of(0):
        scaled.append(fd.softmax(fd.predict(model, x)).numpy().astype(np.float64))
        if samples:
            mc = fd.mc_predict(model, x, samples, seed, output="softmax", row0=row, progress=False)
            passes.append(mc.mean)
        labels.append(y)
        row += len(y)
    found = {"weight-scaled": scaled} | ({"mean of the passes": passes} if samples else {})
    of = {
        way: fd.calibration(np.concatenate(parts), np.concatenate(labels))
        for way, parts in found.items()
    }
    return {way: (100 * c.accuracy, c.nll, 100 * c.ece) for way, c in of.items()}


def run(options) -> None:
    """Measure and print."""
    print(
        f"{options.depth} layers of {options.width} units, {options.epochs} epochs of batches of "
        f"{options.batch_size}, AdamW {options.lr:g}, {options.samples} passes, seeds "
        f"{','.join(map(str, options.seeds))}; {fd.isa()}, {fd.get_num_threads()} threads"
    )
    print("\n| set | dropout | probabilities | accuracy, % | NLL | ECE, % | seconds a run |")
    print("|---" * 7 + "|", flush=True)
    for name in options.sets:
        parts = read_r8() if name == "r8" else read(name)
        parts = [([text[: options.length] for text in texts], labels) for texts, labels in parts]
        data, words = encoded(parts)
        classes = max(y for part in data for _, y in part) + 1
        tests = splits(data, min(10, len(options.seeds)), 0)
        for rate in options.rates:
            rows, start = {}, time.perf_counter()
            for i, seed in enumerate(options.seeds):
                train, test = tests[i % len(tests)]
                order = np.random.default_rng(seed).permutation(len(train))[: options.subset]
                model = fit([train[k] for k in order], classes, words, options, rate, seed)
                found = figures(model, test, options.samples if rate else 0, seed)
                for way, row in found.items():
                    rows.setdefault(way, []).append(row)
            seconds = (time.perf_counter() - start) / len(options.seeds)
            for way, runs in rows.items():
                accuracy, nll, ece = zip(*runs, strict=True)
                print(
                    f"| {name} | {rate:g} | {way} | {mean_text(accuracy, 1)} | "
                    f"{mean_text(nll, 3)} | {mean_text(ece, 1)} | {seconds:.0f} |",
                    flush=True,
                )
