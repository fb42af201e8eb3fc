"""Apply a model to a file, or to rows as they arrive: class and probabilities, or the predicted number; with --mc how sure it is.

INPUT is a .csv table (.csv.gz), JSON lines (.jsonl: an array a line, or an object by the names of the columns), a .npy array, a
.npz archive (x, x_test, or its only array), or - for standard input, which may hold any of them: a row is answered as soon as it
is there. It is prepared as the training data were; a model that was saved without 'fastdrop train' gets the numbers as they are
and gives its raw outputs.

--mc T makes T passes with other dropout masks for each row. Probabilities and predictions are then means over the passes; for
classes come entropy and mutual_information (in nats: all doubt, and what the masks disagree about), for numbers std (in the
target's units). A row's masks follow from --seed and its number in the input alone.
"""

from __future__ import annotations

import os

import numpy as np


def add_arguments(sub) -> None:
    """The options of the command."""
    sub.add_argument("model", help="what 'fastdrop train' or fastdrop.save wrote")
    sub.add_argument("input", help="samples, one a row; - for standard input")
    sub.add_argument(
        "--out",
        metavar="FILE",
        help="write to a .csv, .jsonl, .npy (numbers alone) or .npz file instead, all of it or nothing",
    )
    sub.add_argument("--format", choices=["csv", "jsonl"], help="of standard output (default: csv)")
    sub.add_argument(
        "--softmax",
        action="store_true",
        help="raw outputs are scores of classes: give classes and probabilities",
    )
    sub.add_argument(
        "--mc",
        type=int,
        metavar="T",
        help="how sure the model is, from T passes with dropout (50 is a good number)",
    )
    sub.add_argument("--seed", type=int, metavar="N", help="of the passes' masks (default: 0)")
    sub.add_argument(
        "--masks",
        choices=["per_sample", "shared"],
        help="of the passes: each row its own, or one for all (default: per_sample)",
    )


def run(options) -> int:
    """The command."""
    from fastdrop import io
    from fastdrop.data.writers import open_writer
    from fastdrop.nn import Module

    kind = _checked(options)
    model, info = io.load_with_info(options.model)
    if not isinstance(model, Module):
        raise ValueError(
            f"{options.model!r} holds weights without an architecture: save the model with fastdrop.save"
        )
    preparation = _preparation(info, model, options.model)
    start = np.zeros((1, preparation.features), np.float32)
    shape = _shape_of_outputs(model, start, options.model)
    if options.softmax:
        _take_for_scores(preparation, shape, options.model)
    wanted = (
        1
        if preparation.target is not None
        else None
        if preparation.classes is None
        else len(preparation.classes)
    )
    if wanted is not None and shape != (wanted,):
        raise ValueError(
            f"{options.model!r} must give {wanted} numbers a sample, got shape {shape}"
        )
    nothing = {
        name: rows[:0] for name, rows in _answer(model, start, 0, preparation, options).items()
    }
    done = 0
    with open_writer(options.out, kind, preparation.classes) as to:
        for x in preparation.read_blocks(options.input):
            to.write(_answer(model, x, done, preparation, options))
            done += len(x)
        if not done:
            to.write(nothing)
    return 0


def _checked(options) -> str:
    """The format of the output, after a look at the options."""
    from fastdrop._utils import atomic_write as atomic_write_
    from fastdrop._utils import validation as check

    atomic_write_.apart({"--out": options.out, "the model": options.model})
    atomic_write_.apart(
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
    kind = {".csv": "csv", ".jsonl": "jsonl", ".npy": "npy", ".npz": "npz"}.get(
        os.path.splitext(options.out)[1]
    )
    if kind is None:
        raise ValueError(f"--out must end in .csv, .jsonl, .npy or .npz, got {options.out!r}")
    if options.format is not None:
        raise ValueError(
            "--format is for standard output; the ending of --out says what the file will be"
        )
    return kind


def _preparation(info, model, path: str):
    """How the samples were prepared; a model without that takes them as they are."""
    from fastdrop.data.preprocessing import Preparation
    from fastdrop.nn import Linear

    if info is None:
        first = next((module for module in model.modules() if isinstance(module, Linear)), None)
        if first is None:
            raise ValueError(
                f"{path!r} does not begin with a dense layer: its samples cannot come from a table"
            )
        return Preparation(first.in_features)
    try:
        return Preparation.from_dict(info)
    except (
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
    ) as error:  # a description that `fastdrop train` did not write
        raise ValueError(
            f"{path!r} does not say how its samples are prepared ({type(error).__name__}: {error})"
        ) from None


def _shape_of_outputs(model, start, path: str) -> tuple:
    """What the model gives for one sample; an error where it does not take what its description says, before anything is read."""
    from fastdrop.predictor.predict import predict

    try:
        return predict(model, start).shape[1:]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path!r} does not take samples of {start.shape[1]} numbers: {error}"
        ) from None


def _take_for_scores(preparation, shape: tuple, path: str) -> None:
    if preparation.classes is not None or preparation.target is not None:
        raise ValueError(f"--softmax is for raw outputs; {path!r} knows what it predicts")
    if len(shape) != 1 or shape[0] < 2:
        raise ValueError(
            f"--softmax needs two or more scores a sample, {path!r} gives outputs of shape {shape}"
        )
    preparation.classes = list(range(shape[0]))


def _answer(model, x, row0: int, preparation, options) -> dict:
    """The columns of the answer to samples that are numbered from row0 on: name -> array with a row for each."""
    from fastdrop.functional.arithmetic import softmax_of
    from fastdrop.predictor.predict import predict

    mc, extra = None, {}
    if options.mc is None:
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
        if mc is not None:
            extra = {"entropy": mc.entropy, "mutual_information": mc.mutual_information}
        return {
            "prediction": _labels(preparation.classes)[outputs.argmax(axis=1)],
            "probability": outputs,
            **extra,
        }
    if preparation.target is None:
        return {"prediction": outputs} | ({} if mc is None else {"std": mc.std.reshape(len(x), -1)})
    if mc is None:
        return {
            "prediction": outputs[:, 0] * preparation.target.scale + preparation.target.mean
        }  # float64: the target's units may need it
    mc = mc.rescale(preparation.target.scale, preparation.target.mean)
    return {"prediction": mc.mean[:, 0], "std": mc.std[:, 0]}


def _labels(classes: list) -> np.ndarray:
    """What the class numbers mean, text where an array of integers cannot hold it: as the columns of the probabilities are called."""
    labels = np.array(classes)
    return labels if labels.dtype.kind in "iU" else np.array(list(map(str, classes)))
