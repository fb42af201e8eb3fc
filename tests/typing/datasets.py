"""Data sets, batches, splits, standardisation, files."""

from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import fastdrop as fd
from fastdrop.data import Dataset, Standardizer, batches, load_csv, load_npz, split

x = np.arange(40.0).reshape(20, 2)
y = np.arange(20) % 2

data = Dataset(x, y, classes=["no", "yes"])
training, validation = split(data, 0.25)
assert_type(training, Dataset)
assert_type(data.x, Any)  # an array, or the tuple or dict that was given
assert_type(len(validation), int)
assert_type(data.is_classification, bool)
assert_type(data.take([0, 1]).y, npt.NDArray[Any] | None)

standardizer = Standardizer.fit(training.x)
assert_type(standardizer, Standardizer)
assert_type(standardizer.transform(validation.x), npt.NDArray[np.float32])

n = 0
for xb, yb in batches(x, y, 8, drop_last=True):
    assert len(xb) == len(yb) == 8
    n += 1
assert n == 2

with open("table.csv", "w") as file:
    file.write("a,b,label\n1,2,no\n3,4,yes\n")
assert_type(load_csv("table.csv", target="label"), Dataset)
np.savez("train.npz", x=x, y=y)
assert_type(load_npz("train.npz"), tuple[Dataset, Dataset | None])
assert_type(fd.data.Batches(x, y, 4), fd.data.Batches)
