"""Apply a trained network to the rows of a file or of standard input.

The output is the class and the probabilities of all classes, or the predicted number; with --mc
also how uncertain it is.

INPUT is a CSV table (.csv, .csv.gz), JSON lines (.jsonl: in each line an array, or an object with
the names of the columns), a .npy array, a .npz archive (x, x_test, or its only array), or - for
standard input in any of these formats. A row from standard input is answered as soon as it has
arrived. Rows are prepared in the same way as the training data. A model that 'fastdrop train' did
not save takes the numbers as they are and gives its raw outputs.

For a model of images, INPUT is one or several pictures, folders of pictures, or .npy and .npz
files. Pictures are brought to the size of the training images, and the answer begins with their
names.

For a model of a time series, INPUT is a table with the columns of the series. The answer has a line
for each step after its last window, or with --all after every window: the time of the window's last
line, the step, and the forecast. With --mc also std and the bounds low and high of an interval that
holds 90 % of the values; both contain the noise of the series, estimated in the training.

For a model of texts, INPUT is a table with the column of the texts, lines with tabs, or a file with
a text in each line; or give the texts themselves with --text.

--mc T makes T passes with different dropout masks for each row. Probabilities and predicted numbers
are then means over the passes. For classes there are also entropy (the total uncertainty) and
mutual_information (the part on which the passes disagree), both in nats; for numbers std, in the
target's units. The masks of a row follow from --seed and the row's number alone.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from fastdrop._utils.typing import Float32Array
    from fastdrop.predictor import Predictor

# The largest exit status that counts rows; higher numbers have a meaning for shells.
_MAX_SKIPPED = 125
_FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".npy": "npy", ".npz": "npz"}


def add_arguments(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command to its parser."""
    sub.add_argument("model", help="a file written by 'fastdrop train' or fastdrop.save")
    sub.add_argument(
        "input",
        nargs="*",
        help="samples, one in each row; - for standard input; for a model of images pictures and "
        "folders of them",
    )
    sub.add_argument(
        "--text",
        action="append",
        metavar="TEXT",
        help="a text for a model of texts, in place of INPUT; may be given several times",
    )
    sub.add_argument(
        "--out",
        metavar="FILE",
        help="write a .csv, .jsonl, .npy (numbers only) or .npz file instead of standard output; "
        "after an error the file is not written",
    )
    sub.add_argument(
        "--html",
        metavar="FILE",
        help="also write a page about the answers: how they are spread, the most uncertain rows, "
        "the first rows; it is one file that loads nothing from elsewhere",
    )
    sub.add_argument(
        "--format", choices=["csv", "jsonl"], help="format of standard output (default: csv)"
    )
    sub.add_argument(
        "--on-error",
        choices=["stop", "skip"],
        default="stop",
        help="what to do after a row that cannot be read: stop (default), or skip it: its place "
        "in the answer is empty, the reason goes to standard error, and the exit status is the "
        "number of such rows, at most 125",
    )
    sub.add_argument(
        "--softmax",
        action="store_true",
        help="take raw outputs as scores of classes: give classes and probabilities",
    )
    sub.add_argument(
        "--mc",
        type=int,
        metavar="T",
        help="measure the uncertainty with T passes with dropout (50 is a good number)",
    )
    sub.add_argument(
        "--all", action="store_true", help="of a time series: forecast after every window"
    )
    sub.add_argument("--seed", type=int, metavar="N", help="seed of the masks (default: 0)")
    sub.add_argument(
        "--masks",
        choices=["per_sample", "shared"],
        help="masks of a pass: one for each row, or one for all rows (default: per_sample)",
    )


def run(options: argparse.Namespace) -> int:
    """Run the command; its exit status."""
    from fastdrop.cli.predict_page import PredictionPage
    from fastdrop.cli.series_forecasts import is_series_model, predict_series
    from fastdrop.data.image_preprocessing import ImagePreparation
    from fastdrop.data.text_preprocessing import TextPreparation
    from fastdrop.data.writers import open_writer, text_labels
    from fastdrop.nn.module import passes_differ
    from fastdrop.predictor.load import load_predictor

    kind = _output_format(options)
    if is_series_model(options.model):
        if options.html is not None:
            raise ValueError("--html is not for a model of a time series")
        return predict_series(options, kind)
    if options.all:
        raise ValueError("--all is for a model of a time series")
    predictor, _ = load_predictor(options.model)
    preparation = predictor.preparation
    if not isinstance(preparation, ImagePreparation) and len(options.input) > 1:
        raise ValueError(
            f"give one input: several are for models of images, {options.model!r} takes rows"
        )
    if options.text and not isinstance(preparation, TextPreparation):
        raise ValueError(f"--text is for models of texts, {options.model!r} takes other samples")
    if options.mc is not None and not passes_differ(predictor.model):
        raise ValueError(f"--mc needs a model with dropout; {options.model!r} has none")
    example = np.zeros((1, *preparation.example_shape), np.float32)
    if options.softmax:
        _use_scores(predictor, example, options.model)

    def answers(x: Float32Array, row0: int) -> dict[str, npt.NDArray[Any]]:
        return predictor.answers(
            x, row0, options.mc, options.seed or 0, options.masks or "per_sample"
        )

    def labelled(
        names: list[str] | None, block: dict[str, npt.NDArray[Any]]
    ) -> dict[str, npt.NDArray[Any]]:
        """A block with the names of the pictures before it."""
        return block if names is None else {"file": np.array(names, name_type), **block}

    page = None if options.html is None else PredictionPage(preparation)
    blocks: Iterator[tuple[list[str] | None, Float32Array]]
    name_type = "U1"
    if isinstance(preparation, ImagePreparation):
        name_type = f"U{_longest_name(options.input)}"
        columns = labelled([""], answers(example, 0))
    else:
        columns = answers(example, 0)
    done = skipped = 0
    with open_writer(options.out, kind, preparation.classes) as writer:

        def skip(error: ValueError) -> None:
            nonlocal done, skipped
            print(f"fastdrop predict: row {done} (from 0) skipped: {error}", file=sys.stderr)
            writer.write_empty(columns)
            done, skipped = done + 1, skipped + 1

        on_error = skip if options.on_error == "skip" else None

        def write(names: list[str] | None, x: Float32Array) -> None:
            nonlocal done
            try:
                block = labelled(names, answers(x, done))
            except ValueError as error:  # an output is not finite
                if on_error is None:
                    raise
                if len(x) == 1:
                    on_error(error)
                else:  # find the row: the answer to a row does not depend on the others
                    for row in range(len(x)):
                        write(names and names[row : row + 1], x[row : row + 1])
                return
            writer.write(text_labels(block) if on_error and kind == "npz" else block)
            if page is not None:
                page.add(done, x, block)
            done += len(x)

        if options.text:
            blocks = iter([(None, preparation.samples(options.text))])
        elif isinstance(preparation, ImagePreparation):
            blocks = preparation.named_blocks(options.input, on_error)
        else:
            blocks = ((None, x) for x in preparation.read_blocks(options.input[0], on_error))
        for names, x in blocks:
            write(names, x)
        if not done:  # an empty block has the names of the columns
            writer.write({name: rows[:0] for name, rows in columns.items()})
    if page is not None:
        page.write(options.html, skipped, options)
    return min(skipped, _MAX_SKIPPED)


def _output_format(options: argparse.Namespace) -> str:
    """The format of the output, after a check of the options."""
    from fastdrop._utils import atomic_write as files
    from fastdrop._utils import validation as check
    from fastdrop.cli.predict_page import check_page

    if bool(options.input) == bool(options.text):
        raise ValueError("give either INPUT or --text TEXT")
    written = {"--out": options.out, "--html": options.html}
    files.apart(written | {"the model": options.model})
    for path in options.input:
        files.apart(written | {"the input": None if path == "-" else path})
    if options.html is not None:
        check_page(options.html)
    if options.mc is None:
        for name in ("seed", "masks"):
            if getattr(options, name) is not None:
                raise ValueError(f"--{name} is for the passes of --mc T")
    else:
        check.integer(options.mc, "--mc", 1)
        check.integer(options.seed or 0, "--seed", 0, check.U64_MAX)
    if options.out is None:
        return options.format or "csv"
    kind = _FORMATS.get(os.path.splitext(options.out)[1])
    if kind is None:
        raise ValueError(f"--out must end in .csv, .jsonl, .npy or .npz, got {options.out!r}")
    if options.format is not None:
        raise ValueError(
            "--format is for standard output; the format of the file follows from --out's ending"
        )
    return kind


def _longest_name(paths: list[str]) -> int:
    """An upper limit of the length of a picture's name, for a column of names."""
    from fastdrop.data.readers.pictures import list_pictures

    names = [name for path in paths for name in (path, *list_pictures(path))]
    return max(map(len, names)) + len("[]") + len(str(sys.maxsize))


def _use_scores(predictor: Predictor, example: Float32Array, path: str) -> None:
    """Take the outputs as scores of the classes 0, 1, ... (--softmax)."""
    from fastdrop.predictor.predict import predict

    preparation = predictor.preparation
    if preparation.classes is not None or preparation.target is not None:
        raise ValueError(
            f"--softmax is for raw outputs; {path!r} already tells what its outputs mean"
        )
    shape = predict(predictor.model, example).shape[1:]
    if len(shape) != 1 or shape[0] < 2:
        raise ValueError(
            f"--softmax needs two or more scores for each sample, "
            f"{path!r} gives outputs of shape {shape}"
        )
    preparation.classes = list(range(shape[0]))
