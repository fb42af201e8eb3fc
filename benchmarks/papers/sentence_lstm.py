"""Sentence classification with an LSTM, without dropout and with variational dropout.

Gal, Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks",
NeurIPS 2016 (arXiv:1512.05287): one mask of the inputs, one of the state and one of the output for
the whole sequence, and dropout of word types. The sentences are those of `sentences` (Kim 2014);
the word vectors are random at first, uniform in [-0.25, 0.25]. The test sentences play no part in
the choice of the epoch.
"""

from __future__ import annotations

import statistics
import time
import warnings

import numpy as np

import fastdrop as fd
from benchmarks.papers.sentences import SETS, add_sets, encoded, loader, read, splits

PATIENCE = 5


def arguments(parser) -> None:
    """Add the options to a parser."""
    add_sets(parser, "mr,subj")
    parser.add_argument("--folds", type=int, default=1, help="how many of the ten folds to run")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--vector", type=int, default=300, help="numbers of a word")
    parser.add_argument("--hidden", type=int, default=150)
    parser.add_argument("--cell", default="lstm", choices=["lstm", "gru", "rnn"])
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--dropout", type=float, default=0.5, help="of inputs and output")
    parser.add_argument("--recurrent-dropout", type=float, default=0.5, help="of the state")
    parser.add_argument("--embedding-dropout", type=float, default=0.2, help="of word types")
    parser.add_argument("--mc", type=int, default=50, help="Monte Carlo passes; 0 for none")
    parser.add_argument("--seed", type=int, default=0)


def fit(train, test, classes: int, words: int, options, seed: int, share: float):
    """(test accuracy, that of the mean of Monte Carlo passes or None, epochs), in percent.

    `share` multiplies the rates of dropout. The epoch with the smallest loss on a tenth of the
    training sentences counts.
    """
    fd.manual_seed(seed)
    order = np.random.default_rng(seed).permutation(len(train))
    held, rest = np.split(order, [len(train) // 10])
    model = fd.models.text_classifier(
        words,
        classes,
        options.vector,
        options.hidden,
        cell=options.cell,
        dropout=share * options.dropout,
        recurrent_dropout=share * options.recurrent_dropout,
        embedding_dropout=share * options.embedding_dropout,
        padding_idx=0,
    )
    history = fd.fit(
        model,
        loader([train[i] for i in rest], options.batch_size, shuffle=True),
        optimizer=fd.optim.Adam(model.parameters(), lr=options.lr),
        epochs=options.epochs,
        validation=loader([train[i] for i in held], 500, shuffle=False),
        early_stopping=PATIENCE,
        clip_norm=5.0,
        progress=False,
    )
    batches = loader(test, 500, shuffle=False)
    accuracy = 100 * fd.evaluate(model, batches)["accuracy"]
    if not (options.mc and share):
        return accuracy, None, history.epochs
    right, row = 0, 0
    for x, y in batches.batches_of(0):
        mc = fd.mc_predict(model, x, options.mc, seed, output="softmax", row0=row, progress=False)
        right, row = right + int((mc.mean.argmax(1) == y).sum()), row + len(y)
    return accuracy, 100 * right / row, history.epochs


def run(options) -> None:
    """Measure and print."""
    print(
        f"{fd.isa()}, {fd.get_num_threads()} threads, {options.cell} {options.hidden}, at most "
        f"{options.epochs} epochs, Adam {options.lr:g}"
    )
    # Dropout of word types is computed pass by pass.
    warnings.simplefilter("ignore", fd.uncertainty.MCWarning)
    for name in options.sets:
        parts, start = read(name), time.perf_counter()
        data, words = encoded(parts)
        classes = max(y for part in data for _, y in part) + 1
        tests = splits(data, options.folds, options.seed)
        found = {}
        for title, share in (("no dropout", 0.0), ("variational dropout", 1.0)):
            results = [
                fit(train, test, classes, words, options, options.seed + k, share)
                for k, (train, test) in enumerate(tests)
            ]
            plain, passes, epochs = zip(*results, strict=True)
            found[title] = f"{statistics.mean(plain):.1f} %"
            if None not in passes:
                found[title] += f" (mean of {options.mc} passes {statistics.mean(passes):.1f} %)"
            found[title] += f" in {statistics.mean(epochs):.0f} epochs"
        print(
            f"  {name}: accuracy over {len(tests)} test sets: "
            + ", ".join(f"{title} {figure}" for title, figure in found.items())
            + f"; CNN-rand {SETS[name][1]} %; {time.perf_counter() - start:.0f} s",
            flush=True,
        )
