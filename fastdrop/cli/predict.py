"""Apply a trained network to the rows of a file or of standard input.

The output is the class and the probabilities of all classes, or the predicted number; with --mc
also how uncertain it is.

INPUT is a CSV table (.csv, .csv.gz), JSON lines (.jsonl: in each line an array, or an object with
the names of the columns), a .npy array, a .npz archive (x, x_test, or its only array), or - for
standard input in any of these formats. A row from standard input is answered as soon as it has
arrived. Rows are prepared in the same way as the training data. A model that 'fastdrop train' did
not save takes the numbers as they are and gives its raw outputs.

--mc T makes T passes with different dropout masks for each row. Probabilities and predicted numbers
are then means over the passes. For classes there are also entropy (the total uncertainty) and
mutual_information (the part on which the passes disagree), both in nats; for numbers std, in the
target's units. The masks of a row follow from --seed and the row's number alone.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import Float32Array, Shape
    from fastdrop.data.preprocessing import Preparation
    from fastdrop.nn import Module

_FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".npy": "npy", ".npz": "npz"}


def add_arguments(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command to its parser."""
    sub.add_argument("model", help="a file written by 'fastdrop train' or fastdrop.save")
    sub.add_argument("input", help="samples, one in each row; - for standard input")
    sub.add_argument(
        "--out",
        metavar="FILE",
        help="write a .csv, .jsonl, .npy (numbers only) or .npz file instead of standard output; "
        "after an error the file is not written",
    )
    sub.add_argument(
        "--format", choices=["csv", "jsonl"], help="format of standard output (default: csv)"
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
    sub.add_argument("--seed", type=int, metavar="N", help="seed of the masks (default: 0)")
    sub.add_argument(
        "--masks",
        choices=["per_sample", "shared"],
        help="masks of a pass: one for each row, or one for all rows (default: per_sample)",
    )


def run(options: argparse.Namespace) -> int:
    """Run the command; its exit status."""
    from fastdrop import io
    from fastdrop.data.writers import open_writer
    from fastdrop.nn import Module

    kind = _output_format(options)
    model, info = io.load_with_info(options.model)
    if not isinstance(model, Module):
        raise ValueError(
            f"{options.model!r} holds weights without an architecture: "
            "save the model with fastdrop.save"
        )
    preparation = _preparation(info, model, options.model)
    example = np.zeros((1, preparation.features), np.float32)
    shape = _output_shape(model, example, options.model)
    if options.softmax:
        _use_scores(preparation, shape, options.model)
    wanted = None
    if preparation.target is not None:
        wanted = 1
    elif preparation.classes is not None:
        wanted = len(preparation.classes)
    if wanted is not None and shape != (wanted,):
        raise ValueError(
            f"{options.model!r} must give {wanted} numbers for each sample, got shape {shape}"
        )
    columns = _predict(model, example, 0, preparation, options)
    done = 0
    with open_writer(options.out, kind, preparation.classes) as writer:
        for x in preparation.read_blocks(options.input):
            writer.write(_predict(model, x, done, preparation, options))
            done += len(x)
        if not done:  # an empty block has the names of the columns
            writer.write({name: rows[:0] for name, rows in columns.items()})
    return 0


def _output_format(options: argparse.Namespace) -> str:
    """The format of the output, after a check of the options."""
    from fastdrop._utils import atomic_write as files
    from fastdrop._utils import validation as check

    files.apart({"--out": options.out, "the model": options.model})
    files.apart(
        {"--out": options.out, "the input": None if options.input == "-" else options.input}
    )
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


def _preparation(info: Any, model: Module, path: str) -> Preparation:
    """How samples are prepared. A model without this information takes them as they are."""
    from fastdrop.data.preprocessing import Preparation
    from fastdrop.nn import Linear

    if info is None:
        first = next((module for module in model.modules() if isinstance(module, Linear)), None)
        if first is None:
            raise ValueError(
                f"{path!r} does not begin with a dense layer: "
                "its samples cannot be the rows of a table"
            )
        return Preparation(first.in_features)
    try:
        return Preparation.from_dict(info)
    # `fastdrop train` did not write this information, so any of these may happen.
    except (
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
    ) as error:
        raise ValueError(
            f"{path!r} does not say how its samples are prepared ({type(error).__name__}: {error})"
        ) from None


def _output_shape(model: Module, example: Float32Array, path: str) -> Shape:
    """The shape of the output for one sample.

    Raises before anything is read if the model does not take samples of this size.
    """
    from fastdrop.predictor.predict import predict

    try:
        return predict(model, example).shape[1:]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path!r} does not take samples of {example.shape[1]} numbers: {error}"
        ) from None


def _use_scores(preparation: Preparation, shape: Shape, path: str) -> None:
    """Take the outputs as scores of the classes 0, 1, ... (--softmax)."""
    if preparation.classes is not None or preparation.target is not None:
        raise ValueError(
            f"--softmax is for raw outputs; {path!r} already tells what its outputs mean"
        )
    if len(shape) != 1 or shape[0] < 2:
        raise ValueError(
            f"--softmax needs two or more scores for each sample, "
            f"{path!r} gives outputs of shape {shape}"
        )
    preparation.classes = list(range(shape[0]))


def _predict(
    model: Module,
    x: Float32Array,
    row0: int,
    preparation: Preparation,
    options: argparse.Namespace,
) -> dict[str, npt.NDArray[Any]]:
    """The output columns for samples with the numbers row0, row0 + 1, ...: name -> array."""
    from fastdrop.functional.softmax import softmax_of
    from fastdrop.predictor.predict import predict
    from fastdrop.random import mask_state

    mc = None
    outputs: npt.NDArray[np.floating[Any]]
    if options.mc is None:
        with mask_state(row0=row0):
            outputs = predict(model, x)
        outputs = outputs if preparation.classes is None else softmax_of(outputs)
    else:
        from fastdrop.uncertainty.monte_carlo import mc_predict

        mc = mc_predict(
            model,
            x,
            options.mc,
            options.seed or 0,
            masks=options.masks or "per_sample",
            row0=row0,
            progress=False,
            output="raw" if preparation.classes is None else "softmax",
        )
        outputs = mc.mean
    outputs = outputs.reshape(len(x), -1)
    finite = np.isfinite(outputs).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"the model's output for sample {row0 + finite.argmin()} (from 0) is not finite"
        )
    if preparation.classes is not None:
        labels = _label_array(preparation.classes)
        columns = {"prediction": labels[outputs.argmax(axis=1)], "probability": outputs}
        if mc is not None:
            columns |= {"entropy": mc.entropy, "mutual_information": mc.mutual_information}
        return columns
    if preparation.target is None:
        return {"prediction": outputs} | ({} if mc is None else {"std": mc.std.reshape(len(x), -1)})
    if mc is None:  # in float64, because the target's units may need it
        return {"prediction": outputs[:, 0] * preparation.target.scale + preparation.target.mean}
    mc = mc.rescale(preparation.target.scale, preparation.target.mean)
    return {"prediction": mc.mean[:, 0], "std": mc.std[:, 0]}


def _label_array(classes: list[Any]) -> npt.NDArray[Any]:
    """The labels of the classes: integers or text. Other labels become text."""
    labels = np.array(classes)
    return labels if labels.dtype.kind in "iU" else np.array(list(map(str, classes)))
