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
from typing import TYPE_CHECKING, Any

from fastdrop.cli.train_options import add_arguments
from fastdrop.nn.module import passes_differ
from fastdrop.random import manual_seed

if TYPE_CHECKING:
    from fastdrop.cli.image_task import ImageTask
    from fastdrop.cli.labelled_text_task import LabelledTextTask
    from fastdrop.cli.training_task import TrainingTask
    from fastdrop.train import History

__all__ = ["add_arguments", "check_class_weight", "check_paths", "run"]

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
    from fastdrop.cli import train_output as output
    from fastdrop.cli.folds import cross_validate
    from fastdrop.cli.image_task import ImageTask, image_task, is_image_task
    from fastdrop.cli.labelled_text_task import (
        check_text_options,
        is_labelled_text_task,
        labelled_text_task,
        print_next_steps,
    )
    from fastdrop.cli.series_task import is_series_task, train_series
    from fastdrop.cli.table_data import digits_task, table_data
    from fastdrop.cli.text_task import is_text_task, train_text
    from fastdrop.cli.training_task import TrainingTask, fill_defaults

    series = is_series_task(options)
    texts = not series and is_labelled_text_task(options)
    labelled = not series and (texts or (is_image_task(options) and not is_text_task(options)))
    if series or labelled or is_text_task(options):
        _refuse_options(options, labelled)
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
    rates = _rates(options)
    manual_seed(options.seed)
    task: TrainingTask | ImageTask | LabelledTextTask
    folds: list[TrainingTask] = []
    if texts:
        task = labelled_text_task(options)
    elif images:
        task = image_task(options)
    elif demo:
        task = digits_task()
    else:
        data = table_data(options)
        if options.folds is None:
            task = data.split(options.test_fraction)
        else:
            folds, task = list(data.folds(options.folds)), data.whole()
    task.check_metric(options.metric)
    if isinstance(task, TrainingTask):
        check_class_weight(options, task)
    if task.report is not None:
        print(f"{task.report}\n", flush=True)
    out = options.out or f"{task.name}.safetensors"
    plot = options.plot or (None if images else f"{os.path.splitext(out)[0]}.png")
    check_paths(options, out, plot)
    count = RUNS_OF_THE_DEMO if demo else 1
    variants = [(_variant(options), rates)]
    if options.compare:
        variants.insert(0, ("without dropout", 0.0))
    # Build each network once, so that a wrong option is reported before the first run.
    for _, dropout in variants:
        task.network(dropout, options)
    samples = f"{len(task.train)} training samples"
    if task.test is not None:
        samples += f", {len(task.test)} test samples"
    print(f"{task.name}: {samples}, {task.describe(options)}", flush=True)
    validated = cross_validate(folds, variants, options) if folds else None
    scores: dict[str, list[dict[str, float]]] = {name: [] for name, _ in variants}
    histories: dict[str, History] = {}
    for number in range(count):
        for name, dropout in variants:
            if not options.quiet and len(variants) * count + len(folds) > 1:
                what = "all rows" if folds else f"run {number + 1} of {count}"
                print(f"{name}, {what}", file=sys.stderr, flush=True)
            model, history = task.learn(dropout, options.seed + number, options)
            if task.test is not None:
                scores[name].append(task.scores(model))
            histories.setdefault(name, history)
            if number == 0:
                kept = model  # in the end that of the last variant, with dropout
            if history.stopped:
                print(
                    f"{name}: stopped after epoch {history.epochs}, "
                    f"restored epoch {history.best_epoch}"
                )
    if validated is not None:
        baseline = validated.baseline()
        output.print_scores(validated.scores, task, baseline, options.metric, options.folds)
    if task.test is not None:
        output.print_scores(scores, task, task.baseline(), options.metric)
    io.save(kept, out, info=task.preparation.to_dict())
    print(f"\nmodel ({variants[-1][0]}): {out}")
    if plot is not None:
        held_out = "test" if options.validation is None else "validation"
        output.show_curves(histories, plot, held_out)
    if options.report is not None:
        from fastdrop.cli.report import write_report

        parts = [(task, kept)] if validated is None else validated.parts
        write_report(options.report, task, parts, histories, options)
        print(f"report: {options.report}")
    if options.plot_uncertain is not None and isinstance(task, ImageTask):
        task.draw_uncertain(kept, options.plot_uncertain)
        print(f"most uncertain test images: {options.plot_uncertain}")
    with_dropout = passes_differ(kept)
    if texts:
        print_next_steps(out, with_dropout)
    else:
        output.print_next_steps(out, demo, with_dropout, images)
    return 0


def _rates(options: argparse.Namespace) -> Any:
    """The rates of --dropout: one, several, or None."""
    rates = options.dropout
    return rates[0] if rates is not None and len(rates) == 1 else rates


_OF_TABLES = ("activation", "group", "class_weight", "folds")
_OF_SAMPLES = ("test", "metric", "report")  # of tables, images, and texts with labels


def _refuse_options(options: argparse.Namespace, samples: bool) -> None:
    """ValueError for an option that images, texts and time series do not have.

    `samples`: images, or texts with labels.
    """
    for name in _OF_TABLES if samples else (*_OF_TABLES, *_OF_SAMPLES):
        if getattr(options, name) is not None:
            what = "tables, not for images, texts or series"
            if name == "activation":
                what = "--model mlp, the others have activations of their own"
            elif name in _OF_SAMPLES:
                what = "tables, images, and texts with labels (--text)"
            raise ValueError(f"--{name.replace('_', '-')} is for {what}")


def check_class_weight(options: argparse.Namespace, task: TrainingTask) -> None:
    """ValueError if --class-weight does not fit the target, before the training."""
    from fastdrop.cli.scores import class_weights

    if options.class_weight is None:
        return
    if task.preparation.classes is None:
        raise ValueError("--class-weight is for classes, the target is a number")
    class_weights(options.class_weight, task.train_targets, task.preparation.classes)


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
    if options.folds is not None:
        if options.data is None:
            raise ValueError("--folds is for --data FILE")
        if options.folds < 2:
            raise ValueError(f"--folds must be at least 2, got {options.folds}")
        if options.checkpoint:
            raise ValueError("--checkpoint is for a single run: leave out --folds")
    if options.data is None:
        for name in ("test", "group"):
            if getattr(options, name) is not None:
                raise ValueError(f"--{name} is for --data FILE")
    if options.early_stopping is not None and options.validation is None:
        options.validation = 0.1
    if options.validation is not None and not 0 < options.validation < 1:
        raise ValueError(f"--validation must be between 0 and 1, got {options.validation}")


def check_paths(options: argparse.Namespace, out: str, plot: str | None) -> None:
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
            "--test": options.test,
            "--report": options.report,
        }
    )
    if plot is not None:
        with suppress(ImportError):  # without matplotlib there is no picture
            plotting.check_ending(plot, "--plot")
    if options.plot_uncertain is not None:
        plotting.check_ending(options.plot_uncertain, "--plot-uncertain")
    if options.report is not None and not options.report.endswith((".html", ".htm")):
        raise ValueError(f"--report must end in .html, got {options.report!r}")
    written = (out, plot, options.plot_uncertain, options.checkpoint, options.report)
    for path in filter(None, written):
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            raise ValueError(
                f"there is no folder {folder!r} to write {os.path.basename(path)!r} to"
            )
