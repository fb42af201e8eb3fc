"""Train a multilayer perceptron and test it.

Without --data: scikit-learn's handwritten digits, without dropout and with it, three runs each.
With --data: the network of the options on your file, saved for 'fastdrop predict'.

  FILE.npz  arrays x_train, y_train, x_test, y_test, or x, y (uint8: pixels, scaled to [0, 1])
  FILE.csv  numbers and categories, the target in the last column (or --target); .csv.gz, or .jsonl: an array or object a line

Test data are never used to choose anything: early stopping looks at a part of the training data. Figures named val_ are of
that part, or without it (--validation, --early-stopping) of the test data.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from statistics import mean

from fastdrop import manual_seed

RUNS_OF_THE_DEMO = 3


def numbers(kind):
    """A converter of comma separated numbers."""

    def convert(text):
        try:
            return [kind(part) for part in text.split(",")] if text.strip() else []
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"must be numbers separated by commas, got {text!r}"
            ) from None

    return convert


def add_arguments(sub) -> None:
    """The options of the command."""

    def option(group, flag, about, **keywords):
        default = keywords.get("default")
        group.add_argument(
            flag,
            help=about + (" (default: %(default)s)" if default not in (None, False) else ""),
            **keywords,
        )

    data = sub.add_argument_group("data")
    option(
        data,
        "--data",
        "table or archive to train on; without it scikit-learn's digits",
        metavar="FILE",
    )
    option(
        data,
        "--target",
        "the target's column in a table: its name, or its number from 0, negative from the end",
        default="-1",
    )
    option(
        data,
        "--header",
        "whether the first line of a table holds names; auto: where it does not look like the lines below",
        choices=["auto", "yes", "no"],
        default="auto",
    )
    option(
        data,
        "--ignore",
        "columns of a table that are no inputs (names of people, numbers of lines): named as for --target",
        type=lambda text: text.split(","),
        default=[],
        metavar="C,C",
    )
    option(
        data,
        "--task",
        "what to predict; by default told from the target",
        choices=["classification", "regression"],
    )
    option(
        data,
        "--test-fraction",
        "part of the data set aside where the file has no test data",
        type=float,
        default=0.2,
        metavar="F",
    )
    option(
        data,
        "--validation",
        "part of the training data set aside for early stopping",
        type=float,
        metavar="F",
    )
    option(
        data,
        "--standardize",
        "zero mean and unit variance for each input; auto: all but pixels",
        choices=["auto", "yes", "no"],
        default="auto",
    )

    net = sub.add_argument_group("network")
    option(
        net,
        "--hidden",
        "widths of the hidden layers",
        type=numbers(int),
        default="512,512",
        metavar="N,N",
    )
    option(
        net,
        "--dropout",
        "one rate for all hidden layers, or the input's rate and then one for each hidden layer",
        type=numbers(float),
        default="0.5",
        metavar="P or P,P,P",
    )
    option(
        net,
        "--activation",
        "after each hidden layer",
        default="relu",
        choices=["relu", "leaky_relu", "sigmoid", "tanh", "selu", "silu", "gelu"],
    )

    learn = sub.add_argument_group("learning")
    option(learn, "--epochs", "times through the training data", type=int, default=60, metavar="N")
    option(learn, "--batch-size", "samples a step", type=int, default=64, metavar="N")
    option(
        learn,
        "--optimizer",
        "how to step",
        choices=["adam", "adamw", "rmsprop", "sgd"],
        default="adam",
    )
    option(
        learn,
        "--lr",
        "learning rate; by default 0.1 for sgd, 0.001 for the others",
        type=float,
        metavar="R",
    )
    option(
        learn,
        "--momentum",
        "of sgd and rmsprop; by default 0.9 for sgd, 0 for rmsprop",
        type=float,
        metavar="M",
    )
    option(learn, "--nesterov", "Nesterov's momentum for sgd", action="store_true")
    option(learn, "--weight-decay", "L2 penalty", type=float, default=0.0, metavar="L")
    option(
        learn,
        "--schedule",
        "of the learning rate: cosine to 0; step: a tenth after 1/2 and 3/4 of the run; "
        "exponential to 1/100; none",
        choices=["cosine", "step", "exponential", "none"],
        default="cosine",
    )
    option(
        learn,
        "--warmup",
        "epochs in which the learning rate rises from 0",
        type=float,
        default=0.0,
        metavar="E",
    )
    option(
        learn,
        "--max-norm",
        "limit on the norm of each unit's incoming weights",
        type=float,
        metavar="C",
    )
    option(learn, "--clip-norm", "limit on the norm of the gradient", type=float, metavar="C")
    option(learn, "--mixup", "alpha of mixup", type=float, default=0.0, metavar="A")
    option(
        learn,
        "--label-smoothing",
        "share of each label spread over all classes",
        type=float,
        default=0.0,
        metavar="S",
    )
    option(
        learn,
        "--early-stopping",
        "stop after N epochs without improvement, and take the best",
        type=int,
        metavar="N",
    )
    option(learn, "--seed", "everything random follows from it", type=int, default=0, metavar="N")

    out = sub.add_argument_group("output")
    option(
        out,
        "--out",
        "the model; by default the data's name with .safetensors, here",
        metavar="FILE",
    )
    option(
        out,
        "--plot",
        "picture of the training curves; by default beside the model, with .png",
        metavar="FILE",
    )
    option(out, "--compare", "train without dropout as well", action="store_true")
    option(out, "--checkpoint", "write the state of the run there while it runs", metavar="FILE")
    option(
        out,
        "--checkpoint-every",
        "steps between checkpoints; by default one each epoch",
        type=int,
        metavar="N",
    )
    option(out, "--resume", "continue from the checkpoint", action="store_true")
    option(out, "--quiet", "no progress", action="store_true")


def run(options) -> int:
    """The command."""
    from fastdrop import io
    from fastdrop._utils import atomic_write as atomic_write_
    from fastdrop._utils import plotting
    from fastdrop.cli.task import digits, from_file

    demo = options.data is None
    options.compare |= demo
    _check(options)
    rates = options.dropout[0] if len(options.dropout) == 1 else options.dropout
    manual_seed(options.seed)
    task = digits() if demo else from_file(options)
    out = options.out or f"{task.name}.safetensors"
    plot = options.plot or f"{os.path.splitext(out)[0]}.png"
    atomic_write_.apart(
        {"--data": options.data, "--out": out, "--plot": plot, "--checkpoint": options.checkpoint}
    )
    with suppress(ImportError):  # no matplotlib, no picture
        plotting.check_ending(plot, "--plot")
    for path in (out, plot, options.checkpoint):
        folder = os.path.dirname(path or "") or "."
        if not os.path.isdir(folder):
            raise ValueError(
                f"there is no folder {folder!r} to write {os.path.basename(path)!r} to"
            )

    count = RUNS_OF_THE_DEMO if demo else 1
    variants = ([("without dropout", 0.0)] if options.compare else []) + [
        (f"dropout {', '.join(f'{p:g}' for p in options.dropout)}", rates)
    ]
    for (
        _,
        dropout,
    ) in variants:  # all that can be wrong with the options is wrong before the first run
        task.network(dropout, options)
    sizes = "-".join(map(str, [task.preparation.features, *options.hidden, task.outputs]))
    print(
        f"{task.name}: {len(task.train)} training samples, {len(task.test)} test samples, network {sizes}",
        flush=True,
    )
    errors, histories = {name: [] for name, _ in variants}, {}
    for number in range(count):
        for name, dropout in variants:
            if not options.quiet and len(variants) * count > 1:
                print(f"{name}, run {number + 1} of {count}", file=sys.stderr, flush=True)
            model, history = task.learn(dropout, options.seed + number, options)
            errors[name].append(task.error(model))
            histories.setdefault(name, history)
            if number == 0:
                kept = model  # the last variant's: with dropout
            if history.stopped:
                print(
                    f"{name}: stopped after epoch {history.epochs}, back to epoch {history.best_epoch}"
                )
    _table(errors, task)
    io.save(kept, out, info=task.preparation.to_dict())
    print(f"\nmodel ({variants[-1][0]}): {out}")
    _curves(histories, plot, "test" if options.validation is None else "validation")
    _how_to_go_on(out, demo, with_dropout=any(module.n_sites for module in kept.modules()))
    return 0


def _check(options) -> None:
    """What options say about each other."""
    if options.compare and options.checkpoint:
        raise ValueError("--checkpoint is for a single run: give --data, and leave out --compare")
    if options.resume and not options.checkpoint:
        raise ValueError("--resume needs --checkpoint FILE")
    if options.checkpoint and not options.resume and os.path.lexists(options.checkpoint):
        raise ValueError(
            f"the checkpoint {options.checkpoint!r} exists: continue it with --resume, or remove it"
        )
    if options.early_stopping is not None and options.validation is None:
        options.validation = 0.1
    if options.validation is not None and not 0 < options.validation < 1:
        raise ValueError(f"--validation must be between 0 and 1, got {options.validation}")


# ---- what it says ----


def _table(errors: dict, task) -> None:
    unit = " %" if task.preparation.classes else ""
    runs = len(next(iter(errors.values())))
    what = "test error" if task.preparation.classes else "test error (root mean square)"
    print(f"\n{what}, {len(task.test)} samples" + (f", mean of {runs} runs" if runs > 1 else ""))
    width = max(map(len, errors))
    for name, values in errors.items():
        each = f"   ({', '.join(f'{value:.2f}' for value in values)})" if runs > 1 else ""
        print(
            f"  {name:<{width}}  {mean(values):.{2 if unit else 4}{'f' if unit else 'g'}}{unit}{each}"
        )


def _curves(histories: dict, path: str, held_out: str) -> None:
    """The picture, or where matplotlib is missing a few lines."""
    from fastdrop.train.history import format_figures, plot_curves

    if not any(history.epochs for history in histories.values()):
        return
    try:
        plot_curves(histories, path, held_out)
        print(f"training curves: {path}")
    except ImportError as error:
        print(f"no picture ({error}); the curves in words:")
        for name, history in histories.items():
            print(f"  {name}")
            for i in sorted({round(k * (history.epochs - 1) / 5) for k in range(6)}):
                print(
                    f"    epoch {i + 1}  {format_figures({key: values[i] for key, values in history.items() if key not in ('lr', 'time')})}"
                )


def _how_to_go_on(out: str, demo: bool, with_dropout: bool) -> None:
    print("\nGo on with")
    hint = "rows of 64 gray values from 0 to 16" if demo else "rows like those of the training data"
    print(f"  fastdrop predict {out} FILE.csv      # {hint}; .jsonl, .npy, .npz or - too")
    if with_dropout:
        print(f"  fastdrop predict {out} FILE.csv --mc 50      # and how sure it is")
    if demo:
        print(
            "  fastdrop train --data FILE.npz --hidden 1024,1024 --dropout 0.2,0.5,0.5 --max-norm 2"
        )
    print("  fastdrop train --help")
