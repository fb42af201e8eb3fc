"""Running the command line in a process of its own, and small data files for it."""

import csv
import io
import os
import random
import subprocess
import sys

import numpy as np

ENVIRONMENT = os.environ | {"FASTDROP_NUM_THREADS": "1", "COLUMNS": "120"}


def start(*arguments, cwd, code=None, **keywords):
    """Start the command, or Python code, with these arguments."""
    command = [
        sys.executable,
        "-W",
        "error",
        *(["-c", code] if code else ["-m", "fastdrop"]),
        *map(str, arguments),
    ]
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        **keywords,
    )


def run(*arguments, cwd, status=0, stdin=None, code=None):
    """(stdout, stderr) of a command that ends with this status."""
    with start(*arguments, cwd=cwd, code=code) as process:
        out, err = process.communicate(stdin, timeout=120)
    assert process.returncode == status, err
    return out, err


def without(*modules):
    """Python code that runs the command as if these modules were not installed."""
    return (
        f"import sys; sys.modules.update(dict.fromkeys({modules!r})); "
        "from fastdrop.cli import main; sys.exit(main(sys.argv[1:]))"
    )


def table(path, rows=120):
    """Write a table with a category, a number and a label."""
    rng = np.random.default_rng(0)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["colour", "size", "label"])
        for _ in range(rows):
            colour, size = rng.choice(["red", "green", "blue"]), rng.random()
            writer.writerow(
                [colour, f"{size:.4f}", "yes" if (colour == "red") == (size > 0.5) else "no"]
            )
    return path


GOOD, BAD = ["good", "great", "lovely"], ["bad", "awful", "dull"]
FILL = ["the", "film", "is", "a", "long", "story", ",", "and", "some", "actors", "in", "it"]


def reviews(path, rows=200):
    """Write a table of reviews (id, review, label), every second one with a good word; the rows."""
    rng, found = random.Random(0), []
    for i in range(rows):
        words = rng.choices(FILL, k=rng.randint(1, 12)) + [rng.choice(GOOD if i % 2 else BAD)]
        rng.shuffle(words)
        found.append((i, " ".join(words), "pos" if i % 2 else "neg"))
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([("id", "review", "label"), *found])
    return found


def archive(path, task="classification"):
    """Write an archive with training and test data."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 130)
    x = rng.integers(0, 100, (130, 3, 3)) + 50 * y[:, None, None]
    arrays = dict(x_train=x[:100], y_train=y[:100], x_test=x[100:], y_test=y[100:])
    if task == "classification":
        arrays = {name: array.astype(np.uint8) for name, array in arrays.items()}
    else:
        arrays = {name: array.astype(float) for name, array in arrays.items()}
        arrays["y_train"], arrays["y_test"] = (
            arrays["y_train"] * 1000 + 5000,
            arrays["y_test"] * 1000 + 5000,
        )
    np.savez(path, **arrays)
    return path


def read(text):
    """The rows of a CSV text as dicts."""
    return list(csv.DictReader(io.StringIO(text)))
