"""A recurrent network that forecasts a series, in the units of the series: `Forecaster`."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import io, models
from fastdrop._utils import validation as check
from fastdrop.data.window_scaler import WindowScaler
from fastdrop.nn.module import passes_differ
from fastdrop.predictor.predict import predict
from fastdrop.uncertainty.monte_carlo import mc_predict

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import Float32Array

    Float64Array = npt.NDArray[np.float64]

__all__ = ["HALF_WIDTH", "KIND", "LEVEL", "PASSES", "Forecaster"]

KIND = "series"  # in the information of a model file
LEVEL = 0.9  # probability of the intervals
HALF_WIDTH = NormalDist().inv_cdf((1 + LEVEL) / 2)  # of an interval, in standard deviations
PASSES = 50  # of estimates of the noise


class Forecaster:
    """A recurrent network, the columns of its series, and the standardisation of its windows.

    Parameters
    ----------
    model : SequenceModel
    scaler : WindowScaler
    window, horizon : int
    columns : list of str or int
        The columns of the series; numbers where the training file had no header.
    time : str, int or None
        The column of the time.
    noise : array (horizon,)
        The deviation of the values around the mean of the passes that the passes do not explain,
        for each step, in the units of the target.
    """

    def __init__(
        self,
        model: models.SequenceModel,
        scaler: WindowScaler,
        window: int,
        horizon: int,
        columns: list[Any],
        time: str | int | None,
        noise: Float64Array,
    ) -> None:
        self.model, self.scaler, self.window, self.horizon = model, scaler, window, horizon
        self.columns, self.time, self.noise = columns, time, noise

    @property
    def target(self) -> str | int:
        """The column that is forecast."""
        found: str | int = self.columns[self.scaler.columns[0]]
        return found

    @property
    def has_dropout(self) -> bool:
        """Whether passes differ."""
        return passes_differ(self.model)

    def forecast(self, x: Float32Array) -> Float64Array:
        """Forecasts (N, horizon) without dropout, in the units of the target."""
        return self.scaler.inverse_transform(x, predict(self.model, self.scaler.transform(x)))

    def passes(
        self,
        x: Float32Array,
        starts: npt.NDArray[np.int64],
        samples: int,
        seed: int = 0,
        masks: str = "per_sample",
        progress: bool = False,
    ) -> tuple[Float64Array, Float64Array]:
        """Mean and deviation (N, horizon) of Monte Carlo passes, in the units of the target.

        The masks of a window follow from the seed and the row of the series where it begins.
        """
        windows = self.scaler.transform(x)
        cuts = (np.flatnonzero(np.diff(starts) != 1) + 1).tolist()
        means, stds = [], []
        for begin, end in zip([0, *cuts], [*cuts, len(x)]):
            found = mc_predict(
                self.model,
                windows[begin:end],
                samples,
                seed,
                masks=masks,
                output="raw",
                row0=int(starts[begin]),
                progress=progress,
            )
            means.append(found.mean)
            stds.append(found.std)
        scale = self.scaler.scale(self.horizon)
        return self.scaler.inverse_transform(x, np.concatenate(means)), np.concatenate(stds) * scale

    def fit_noise(
        self,
        x: Float32Array,
        y: Float32Array,
        starts: npt.NDArray[np.int64],
        progress: bool = False,
    ) -> None:
        """Take the noise from windows that the training has not seen.

        The mean square of the errors is the variance of the passes and that of the noise.
        """
        mean, std = self.distribution(x, starts, progress)
        self.noise = np.sqrt(np.maximum(np.mean((y - mean) ** 2 - std**2, axis=0), 0.0))

    def distribution(
        self, x: Float32Array, starts: npt.NDArray[np.int64], progress: bool = False
    ) -> tuple[Float64Array, Float64Array]:
        """Mean and total deviation (N, horizon); without dropout only that of the noise."""
        if self.has_dropout:
            mean, std = self.passes(x, starts, PASSES, progress=progress)
        else:
            mean, std = self.forecast(x), np.zeros((len(x), self.horizon))
        return mean, np.sqrt(np.square(std) + np.square(self.noise))

    def to_dict(self) -> dict[str, Any]:
        """What a model file holds besides the network."""
        return {
            "kind": KIND,
            "window": self.window,
            "horizon": self.horizon,
            "columns": self.columns,
            "time": self.time,
            "noise": self.noise.tolist(),
            "scaler": self.scaler.to_dict(),
        }

    @classmethod
    def load(cls, path: str) -> Forecaster:
        """Inverse of `to_dict`, for a model file. Validates its information."""
        model, info = io.load_with_info(path)
        try:
            if not isinstance(model, models.SequenceModel):
                raise TypeError("the network is no SequenceModel")
            window = check.integer(info["window"], "window", 1)
            horizon = check.integer(info["horizon"], "horizon", 1)
            scaler = WindowScaler.from_dict(info["scaler"])
            columns, time = info["columns"], info["time"]
            noise = np.asarray(check.finite_array(info["noise"], "noise"), np.float64)
            if len(columns) != len(scaler.inputs.mean) or len(scaler.columns) != 1:
                raise ValueError("the columns do not fit the standardisation")
            if not all(type(column) in (str, int) for column in columns):
                raise TypeError(f"columns must be names or numbers, got {columns!r}")
            if time is not None and type(time) not in (str, int):
                raise TypeError(f"time must be a name or a number, got {time!r}")
            if noise.shape != (horizon,) or noise.min() < 0:
                raise ValueError(f"noise must be {horizon} deviations, got {noise!r}")
            if (model.in_features, model.out_features) != (len(columns), horizon):
                raise ValueError("the network does not fit the columns and the horizon")
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(
                f"{path!r} does not say how its series is read ({type(error).__name__}: {error})"
            ) from None
        return cls(model, scaler, window, horizon, columns, time, noise)
