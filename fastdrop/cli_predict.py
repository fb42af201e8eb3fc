"""Apply a model to a file and print its predictions as a table: class and probabilities, or the predicted number.

INPUT is a .csv table, a .npy array, a .npz archive (x, x_test, or its only array), or - for stdin. It is read and prepared as
the training data were; a model that was saved without 'fastdrop train' gets the numbers as they are and gives its raw outputs.
"""

from __future__ import annotations

import csv
import io as text_io
import sys

import numpy as np


def add_arguments(sub) -> None:
    """The options of the command."""
    sub.add_argument("model", help="what 'fastdrop train' or fastdrop.save wrote")
    sub.add_argument("input", help="samples, one a row")
    sub.add_argument("--out", metavar="FILE", help="write a .csv table or a .npz archive (prediction, probability) instead")


def run(options) -> int:
    """The command."""
    from fastdrop import io
    from fastdrop.arithmetic import softmax_of
    from fastdrop.evaluation import predict
    from fastdrop.nn import Module

    if options.out is not None and not options.out.endswith((".csv", ".npz")):
        raise ValueError(f"--out must end in .csv or .npz, got {options.out!r}")
    model = io.load(options.model)
    if not isinstance(model, Module):
        raise ValueError(f"{options.model!r} holds weights without an architecture: save the model with fastdrop.save")
    preparation = _preparation(io.read_info(options.model), model, options.model)
    try:
        samples = preparation.read(options.input)
    except (KeyError, IndexError, AttributeError) as error:  # a description that `fastdrop train` did not write
        raise _unprepared(options.model, error) from None
    outputs = predict(model, samples)
    wanted = 1 if preparation.target is not None else None if preparation.classes is None else len(preparation.classes)
    if wanted is not None and outputs.shape != (len(samples), wanted):
        raise ValueError(f"{options.model!r} must give {wanted} numbers a sample, got shape {outputs.shape}")
    if preparation.classes is not None:
        probability = softmax_of(outputs)
        prediction = np.array(preparation.classes)[probability.argmax(axis=1)]
        table = {"prediction": prediction, "probability": probability}
        header, rows = ["prediction", *map(str, preparation.classes)], zip(prediction, probability)
    elif preparation.target is not None:
        table = {"prediction": preparation.target.inverse_transform(outputs[:, 0])}
        header, rows = ["prediction"], ((value, []) for value in table["prediction"])
    else:
        table = {"prediction": outputs.reshape(len(outputs), -1)}
        header = [f"output {i}" for i in range(table["prediction"].shape[1])]
        rows = ((row[0], row[1:]) for row in table["prediction"])
    _write(options.out, table, header, rows)
    return 0


def _preparation(info, model, path: str):
    """How the samples were prepared; a model without that takes them as they are."""
    from fastdrop.nn import Linear
    from fastdrop.preparation import Preparation

    if info is None:
        first = next((module for module in model.modules() if isinstance(module, Linear)), None)
        if first is None:
            raise ValueError(f"{path!r} does not begin with a dense layer: its samples cannot come from a table")
        return Preparation(first.in_features)
    try:
        return Preparation.from_dict(info)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unprepared(path, error) from None


def _unprepared(path: str, error: Exception) -> ValueError:
    return ValueError(f"{path!r} does not say how its samples are prepared ({type(error).__name__}: {error})")


def _write(out: str | None, table: dict, header: list, rows) -> None:
    from fastdrop._files import atomic_write

    if out is not None and out.endswith(".npz"):
        with atomic_write(out) as file:
            np.savez(file, **table)
        return
    text = text_io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for first, rest in rows:
        writer.writerow([f"{first:.7g}" if isinstance(first, np.floating) else first, *(f"{value:.6g}" for value in rest)])
    if out is None:
        sys.stdout.write(text.getvalue())
        sys.stdout.flush()
    else:
        with atomic_write(out) as file:
            file.write(text.getvalue().encode())
