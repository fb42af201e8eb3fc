"""Train a network on a table or on images, and test it.

Without --data: scikit-learn's handwritten digits, three networks without and three with dropout.
With --data: a network for your file, saved for 'fastdrop predict'.

  FILE.npz  arrays x_train, y_train, x_test, y_test, or x, y (uint8: pixels, scaled to [0, 1])
  FILE.csv  a table of numbers, categories, dates, true and false, the target in the last column
            (or --target); also .csv.gz, and .jsonl with an array or an object in each line.
            What was found in the columns is printed; --columns NAME=KIND decides otherwise.
  FOLDER    images: a subfolder of pictures for each class (also within train/ and test/), or the
            files of MNIST or CIFAR. --model decides the network; also for the images of a .npz.
  FILE.txt  with --model gpt, lstm, gru or rnn: a text, for a language model (--level, --steps). It
            trains on the beginning and tests on the end; 'fastdrop generate' continues a text.
  FILE.csv  with --window N and --model lstm, gru or rnn: a time series, a line for each time. The
            network forecasts the next values of --target from the N lines before, --horizon of
            them. It trains on the beginning and tests on the end.
  FILE.csv  with --text COLUMN: a text and its class (--target) in each line, also with tabs or as
            .jsonl. --model lstm (default), gru, rnn or transformer reads the words and tells the
            class; with --pretrained FOLDER a BERT or DistilBERT is fine-tuned.

Test data are never used to choose anything. Early stopping uses a part of the training data.
Figures named val_ belong to that part; without --validation and --early-stopping they belong to
the test data.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from statistics import mean
from typing import TYPE_CHECKING, Any

from fastdrop.cli.train_options import add_arguments
from fastdrop.nn.module import may_draw
from fastdrop.random import manual_seed

if TYPE_CHECKING:
    from fastdrop.cli.image_task import ImageTask
    from fastdrop.cli.labelled_text_task import LabelledTextTask
    from fastdrop.cli.training_task import TrainingTask
    from fastdrop.train import History

__all__ = ["add_arguments", "run"]

RUNS_OF_THE_DEMO = 3
_IMAGE_RATES = (
    "drop_path",
    "channel_dropout",
    "drop_block",
    "patch_dropout",
    "attention_dropout",
)


def run(options: argparse.Namespace) -> int:
    """Run the command; its exit status."""
    from fastdrop import io
    from fastdrop.cli.image_task import ImageTask, image_task, is_image_task
    from fastdrop.cli.labelled_text_task import (
        check_text_options,
        is_labelled_text_task,
        labelled_text_task,
        print_next_steps,
    )
    from fastdrop.cli.series_task import is_series_task, train_series
    from fastdrop.cli.text_task import is_text_task, train_text
    from fastdrop.cli.training_task import digits_task, file_task, fill_defaults

    series = is_series_task(options)
    texts = not series and is_labelled_text_task(options)
    others = series or texts or is_text_task(options) or is_image_task(options)
    if others and options.activation is not None:
        raise ValueError(
            "--activation is for --model mlp, the others have activations of their own"
        )
    if texts:
        check_text_options(options)
    fill_defaults(options)
    if series:
        return train_series(options)
    if not texts and is_text_task(options):
        return train_text(options)
    images = not texts and is_image_task(options)
    demo = options.data is None and not images
    options.compare |= demo
    _check_options(options, images, texts)
    rates: Any = options.dropout
    if rates is not None and len(rates) == 1:
        rates = rates[0]
    manual_seed(options.seed)
    task: TrainingTask | ImageTask | LabelledTextTask
    if texts:
        task = labelled_text_task(options)
    else:
        task = image_task(options) if images else digits_task() if demo else file_task(options)
    if task.report is not None:
        print(f"{task.report}\n", flush=True)
    out = options.out or f"{task.name}.safetensors"
    plot = options.plot or (None if images else f"{os.path.splitext(out)[0]}.png")
    _check_paths(options, out, plot)
    count = RUNS_OF_THE_DEMO if demo else 1
    variants = [(_variant(options), rates)]
    if options.compare:
        variants.insert(0, ("without dropout", 0.0))
    # Build each network once, so that a wrong option is reported before the first run.
    for _, dropout in variants:
        task.network(dropout, options)
    print(
        f"{task.name}: {len(task.train)} training samples, {len(task.test)} test samples, "
        f"{task.describe(options)}",
        flush=True,
    )
    errors: dict[str, list[float]] = {name: [] for name, _ in variants}
    histories: dict[str, History] = {}
    for number in range(count):
        for name, dropout in variants:
            if not options.quiet and len(variants) * count > 1:
                print(f"{name}, run {number + 1} of {count}", file=sys.stderr, flush=True)
            model, history = task.learn(dropout, options.seed + number, options)
            errors[name].append(task.error(model))
            histories.setdefault(name, history)
            if number == 0:
                kept = model  # in the end that of the last variant, with dropout
            if history.stopped:
                print(
                    f"{name}: stopped after epoch {history.epochs}, "
                    f"restored epoch {history.best_epoch}"
                )
    _print_errors(errors, task)
    io.save(kept, out, info=task.preparation.to_dict())
    print(f"\nmodel ({variants[-1][0]}): {out}")
    if plot is not None:
        _show_curves(histories, plot, "test" if options.validation is None else "validation")
    if options.plot_uncertain is not None and isinstance(task, ImageTask):
        task.draw_uncertain(kept, options.plot_uncertain)
        print(f"most uncertain test images: {options.plot_uncertain}")
    with_dropout = may_draw(kept)
    if texts:
        print_next_steps(out, with_dropout)
    else:
        _print_next_steps(out, demo, with_dropout, images)
    return 0


def _variant(options: argparse.Namespace) -> str:
    """The rates of the options in words."""
    given = [("dropout", options.dropout)] + [
        (name.replace("_", " "), [getattr(options, name)])
        for name in _IMAGE_RATES
        if getattr(options, name) is not None
    ]
    found = [f"{name} {', '.join(f'{p:g}' for p in rates)}" for name, rates in given if rates]
    return ", ".join(found) or options.model or "network"


def _check_options(options: argparse.Namespace, images: bool, texts: bool) -> None:
    """Check combinations of options, and fill in a default that follows from another option."""
    from fastdrop.cli.image_task import MODELS

    if not texts and options.model not in (None, "mlp", *MODELS):
        raise ValueError(f"--model must be one of mlp, {', '.join(MODELS)}, got {options.model!r}")
    options.epochs = 60 if options.epochs is None else options.epochs
    options.hidden = [512, 512] if options.hidden is None else options.hidden
    if not images:
        for name in (*_IMAGE_RATES, "size", "augment", "plot_uncertain"):
            if getattr(options, name) not in (None, []):
                raise ValueError(
                    f"--{name.replace('_', '-')} is for images: give --data FOLDER, or --model"
                )
        if options.dropout is None:
            options.dropout = [0.5]
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


def _check_paths(options: argparse.Namespace, out: str, plot: str | None) -> None:
    """Check the names of all files before the training, not after."""
    from fastdrop._utils import atomic_write as files
    from fastdrop._utils import plotting

    files.apart(
        {
            "--data": options.data,
            "--out": out,
            "--plot": plot,
            "--plot-uncertain": options.plot_uncertain,
            "--checkpoint": options.checkpoint,
        }
    )
    if plot is not None:
        with suppress(ImportError):  # without matplotlib there is no picture
            plotting.check_ending(plot, "--plot")
    if options.plot_uncertain is not None:
        plotting.check_ending(options.plot_uncertain, "--plot-uncertain")
    for path in filter(None, (out, plot, options.plot_uncertain, options.checkpoint)):
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            raise ValueError(
                f"there is no folder {folder!r} to write {os.path.basename(path)!r} to"
            )


# ---- output ----


def _print_errors(
    errors: dict[str, list[float]], task: TrainingTask | ImageTask | LabelledTextTask
) -> None:
    classes = task.preparation.classes is not None
    runs = len(next(iter(errors.values())))
    title = "test error" if classes else "test error (root mean square)"
    print(f"\n{title}, {len(task.test)} samples" + (f", mean of {runs} runs" if runs > 1 else ""))
    width = max(map(len, errors))
    for name, values in errors.items():
        each = f"   ({', '.join(f'{value:.2f}' for value in values)})" if runs > 1 else ""
        figure = f"{mean(values):.2f} %" if classes else f"{mean(values):.4g}"
        print(f"  {name:<{width}}  {figure}{each}")


def _show_curves(histories: dict[str, History], path: str, held_out: str) -> None:
    """Draw the training curves. Without matplotlib print a few epochs of them."""
    from fastdrop.train.history import format_figures, plot_curves

    if not any(history.epochs for history in histories.values()):
        return
    try:
        plot_curves(histories, path, held_out)
        print(f"training curves: {path}")
    except ImportError as error:
        print(f"no picture ({error}); the curves as text:")
        for name, history in histories.items():
            print(f"  {name}")
            for i in sorted({round(k * (history.epochs - 1) / 5) for k in range(6)}):
                figures = {
                    key: values[i] for key, values in history.items() if key not in ("lr", "time")
                }
                print(f"    epoch {i + 1}  {format_figures(figures)}")


def _print_next_steps(out: str, demo: bool, with_dropout: bool, images: bool) -> None:
    if images:
        print("\nNext steps")
        print(f"  fastdrop predict {out} IMAGE.png      # several, a folder, or a .npy array")
        if with_dropout:
            print(f"  fastdrop predict {out} IMAGE.png --mc 50      # with its uncertainty")
        return
    rows = "rows of 64 gray values from 0 to 16" if demo else "rows like those of the training data"
    print("\nNext steps")
    print(f"  fastdrop predict {out} FILE.csv      # {rows}; also .jsonl, .npy, .npz or -")
    if with_dropout:
        print(f"  fastdrop predict {out} FILE.csv --mc 50      # with its uncertainty")
    if demo:
        print(
            "  fastdrop train --data FILE.npz --hidden 1024,1024 --dropout 0.2,0.5,0.5 --max-norm 2"
        )
    print("  fastdrop train --help")
