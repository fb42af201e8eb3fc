"""Language models of words on the Penn Treebank: small and medium LSTMs, with dropout and without.

Zaremba et al. (2014): two layers of 200 units without dropout, or of 650 with dropout 0.5 in each
step. Gal and Ghahramani (2016): two layers of 650 with one mask a sequence, of the state too.
"""

from __future__ import annotations

import math
import pathlib

import fastdrop as fd
from benchmarks.papers.common import data_folder
from fastdrop import nn, optim

PUBLISHED = {
    "small": "about 114.5 to 116 (2 x 200, no dropout, 13 epochs)",
    "small-variational": "none",
    "medium": "82.7 (Zaremba et al., 2014, 2 x 650, dropout 0.5, 39 epochs)",
    "medium-variational": "79.7, with Monte Carlo passes 78.6 (Gal and Ghahramani, 2016, untied)",
}
# size, dropout, recurrent dropout, word dropout, variational; initial weights; steps; epochs, the
# last epoch with the first learning rate, and what it is divided by after each later one
SETTINGS = {
    "small": ((200, 0.0, 0.0, 0.0, False), 0.1, 20, 13, 4, 2.0),
    "small-variational": ((200, 0.25, 0.15, 0.1, True), 0.1, 20, 26, 12, 1.4),
    "medium": ((650, 0.5, 0.0, 0.0, False), 0.05, 35, 39, 6, 1.2),
    "medium-variational": ((650, 0.35, 0.2, 0.2, True), 0.04, 35, 39, 10, 1.15),
}


def arguments(parser) -> None:
    """Add the options to a parser."""
    parser.add_argument("--model", choices=tuple(SETTINGS), default="small")
    parser.add_argument("--epochs", type=int, help="stop after so many (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", type=pathlib.Path, help="file to go on from, and to write")


def read_treebank():
    """The numbers of the words of the training, validation and test text, and the vocabulary."""
    folder = data_folder() / "ptb"
    train, words = fd.data.read_text(folder / "ptb.train.txt")
    others = [
        fd.data.read_text(folder / f"ptb.{n}.txt", vocabulary=words)[0] for n in ("valid", "test")
    ]
    return train, *others, words


def build(name: str, vocabulary: int):
    """The model of a name."""
    (units, dropout, recurrent, words, variational), bound, *_ = SETTINGS[name]
    model = fd.models.language_model(
        vocabulary,
        units,
        dropout=dropout,
        recurrent_dropout=recurrent,
        embedding_dropout=words,
        variational=variational,
        per_gate=variational,
    )
    for parameter in model.parameters():
        nn.init.uniform_(parameter, -bound, bound)
    return model


def run(options) -> None:
    """Measure and print."""
    name = options.model
    _, _, steps, all_epochs, first, factor = SETTINGS[name]
    train, valid, test, words = read_treebank()
    fd.manual_seed(options.seed)
    model = build(name, len(words))
    # The papers sum the loss over the steps and limit the norm of its gradient to 5.
    optimizer = optim.SGD(model.parameters(), lr=float(steps))
    schedule = optim.lr_scheduler.LambdaLR(
        optimizer, lambda epoch: factor ** -max(0, epoch + 1 - first)
    )
    batches = fd.data.BPTTBatches(train, 20, steps)
    held, tested = (fd.data.BPTTBatches(ids, 10, steps) for ids in (valid, test))
    done = 0
    file = options.checkpoint
    if file is not None and file.exists():
        done = fd.load_checkpoint(file, model, optimizer, schedule)
    print(
        f"{name}: test perplexity published: {PUBLISHED[name]}; {fd.isa()}, "
        f"{fd.get_num_threads()} threads",
        flush=True,
    )
    for epoch in range(done, min(all_epochs, options.epochs or all_epochs)):
        (result,) = fd.train.fit_text(
            model,
            batches,
            optimizer,
            1,
            validation=held,
            schedule=schedule,
            max_norm=5.0 / steps,
        )
        print(
            f"  epoch {epoch + 1}: training {math.exp(result.loss):.1f}, validation "
            f"{result.perplexity:.1f}, lr {result.lr:.4f}, {result.seconds:.0f} s",
            flush=True,
        )
        if file is not None:
            fd.save_checkpoint(file, model, optimizer, schedule, extra=epoch + 1)
    print(f"  test perplexity {fd.train.perplexity(model, tested):.2f}")
