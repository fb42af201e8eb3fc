"""Time series: files, windows, parts in the order of time, standardisation."""

from typing import assert_type

import numpy as np
import numpy.typing as npt

from fastdrop.data import (
    Gap,
    Series,
    WindowScaler,
    chronological_split,
    read_series,
    sliding_windows,
)

with open("load.csv", "w") as file:
    file.write("hour,load\n" + "".join(f"{i},{i % 24}\n" for i in range(200)))

series = read_series("load.csv", target="load", time="hour")
assert_type(series, Series)
assert_type(series.values, npt.NDArray[np.float32])
assert_type(series.gaps, list[Gap])
assert_type(series.label(0), str)
for row, steps in series.gaps:
    assert_type(row + steps, int)

x, y = sliding_windows(series.values, window=24, horizon=2)
assert_type(y, npt.NDArray[np.float32])

parts = chronological_split(series.values, 12, targets=[series.target], relative=True)
assert_type(parts.train, tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]])
x, y = parts.test
assert_type(parts.scaler, WindowScaler)
assert_type(parts.scaler.transform(x), npt.NDArray[np.float32])
assert_type(parts.scaler.inverse_transform(x, y), npt.NDArray[np.float64])
assert_type(WindowScaler.from_dict(parts.scaler.to_dict()), WindowScaler)
