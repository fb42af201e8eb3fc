"""Standardisation of windows of a series: `WindowScaler`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.data.standardize import Standardizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array, FloatArray


class WindowScaler:
    r"""Standardisation of windows of a series, and of what follows them.

    .. math:: x' = (x - m) / s, \qquad y' = (y - \mu) / \sigma

    for each column, with the means and deviations of training windows. With ``relative=True`` the
    last step :math:`x_T` of a window is subtracted first, from x and from y: the network then
    forecasts changes. This is for series with a trend, whose later values lie outside the range of
    the training data.

    Parameters
    ----------
    inputs : Standardizer
        Of the columns (C,).
    target : Standardizer
        Of the targets (K,).
    columns : sequence of int
        The columns that are the targets; K of them.
    relative : bool, default False
        Whether windows are taken relative to their last step.

    Raises
    ------
    TypeError, ValueError
        The shapes do not fit each other, or a column does not exist.

    References
    ----------
    Zeng, Chen, Zhang, Xu, "Are transformers effective for time series forecasting?", AAAI 2023,
    arXiv:2205.13504 (there the subtraction of the last step makes NLinear of a linear model).

    Examples
    --------
    >>> import fastdrop as fd
    >>> x, y = fd.data.sliding_windows([1.0, 2.0, 3.0, 4.0, 5.0], window=3)
    >>> scaler = fd.data.WindowScaler.fit(x, y, relative=True)
    >>> scaler.transform(x)[0, :, 0].tolist(), scaler.inverse_transform(x, [[0.0], [0.0]]).tolist()
    ([-1.2247449159622192, 0.0, 1.2247449159622192], [[4.0], [5.0]])
    """

    def __init__(
        self,
        inputs: Standardizer,
        target: Standardizer,
        columns: Sequence[int] = (0,),
        relative: bool = False,
    ) -> None:
        if inputs.mean.ndim != 1 or target.mean.shape != (len(columns),) or not len(columns):
            raise ValueError(
                f"inputs must be of columns (C,) and target of the {len(columns)} columns, got "
                f"shapes {inputs.mean.shape} and {target.mean.shape}"
            )
        last = len(inputs.mean) - 1
        self.inputs, self.target = inputs, target
        self.columns = [check.integer(column, "columns", 0, last) for column in columns]
        self.relative = check.flag(relative, "relative")

    @classmethod
    def fit(
        cls,
        x: ArrayLike,
        y: ArrayLike,
        columns: Sequence[int] | None = None,
        relative: bool = False,
    ) -> WindowScaler:
        """Means and deviations of training windows.

        Parameters
        ----------
        x : array (N, window, C)
            Windows, from `sliding_windows` or `chronological_split`.
        y : array (N, horizon * K)
            What follows them.
        columns : sequence of int, optional
            The columns that are the targets; by default all C.
        relative : bool, default False
            See the class.

        Returns
        -------
        WindowScaler

        Raises
        ------
        TypeError, ValueError
            The arrays are empty, not finite, or of other shapes.
        """
        windows, after = check.finite_array(x, "x"), check.finite_array(y, "y")
        if windows.ndim != 3 or after.ndim != 2 or len(windows) != len(after):
            raise ValueError(
                f"x must be (N, window, C) and y (N, horizon * K), got shapes {windows.shape} and "
                f"{after.shape}"
            )
        count = windows.shape[2]
        places = list(range(count)) if columns is None else list(columns)
        if not places or after.shape[1] % len(places):
            raise ValueError(
                f"y must hold the {len(places)} targets of each step, got shape {after.shape}"
            )
        found = cls(
            Standardizer(np.zeros(count), np.ones(count)),
            Standardizer(np.zeros(len(places)), np.ones(len(places))),
            places,
            relative,
        )
        inputs, target = found.transform(windows), found.transform_targets(windows, after)
        return cls(
            Standardizer.fit(inputs.reshape(-1, count)),
            Standardizer.fit(target.reshape(-1, len(places))),
            places,
            relative,
        )

    def transform(self, x: ArrayLike) -> Float32Array:
        """Standardise windows.

        Parameters
        ----------
        x : array (N, window, C)
            In the units of the series.

        Returns
        -------
        float32 array (N, window, C)

        Raises
        ------
        TypeError, ValueError
            x is not finite, or has another number of columns.
        """
        windows = self._windows(x)
        if self.relative:
            windows = windows - windows[:, -1:]
        flat = windows.reshape(-1, windows.shape[2])
        return self.inputs.transform(flat).reshape(windows.shape)

    def transform_targets(self, x: ArrayLike, y: ArrayLike) -> Float32Array:
        """Standardise what follows windows.

        Parameters
        ----------
        x : array (N, window, C)
            The windows, in the units of the series.
        y : array (N, horizon * K)
            What follows them.

        Returns
        -------
        float32 array (N, horizon * K)

        Raises
        ------
        TypeError, ValueError
            The arrays are not finite, or their shapes do not fit.
        """
        after = np.asarray(check.finite_array(y, "y"), np.float64) - self._offset(x, y)
        flat = after.reshape(-1, len(self.columns))
        return self.target.transform(flat).reshape(after.shape)

    def inverse_transform(self, x: ArrayLike, outputs: ArrayLike) -> npt.NDArray[np.float64]:
        """The inverse of `transform_targets`: forecasts in the units of the targets.

        Parameters
        ----------
        x : array (N, window, C)
            The windows, in the units of the series.
        outputs : array (N, horizon * K)
            Standardised forecasts. Their deviations are multiplied by `scale` alone.

        Returns
        -------
        float64 array (N, horizon * K)

        Raises
        ------
        TypeError, ValueError
            As for `transform_targets`.
        """
        values = np.asarray(check.finite_array(outputs, "outputs"), np.float64)
        offset = self._offset(x, values)
        steps = values.shape[1] // len(self.columns)
        return values * self.scale(steps) + np.tile(self.target.mean, steps) + offset

    def scale(self, horizon: int = 1) -> npt.NDArray[np.float64]:
        """The deviation of each output in the units of its target.

        Parameters
        ----------
        horizon : int, default 1
            Steps that are forecast.

        Returns
        -------
        float64 array (horizon * K,)
        """
        return np.tile(self.target.scale, horizon)

    def to_dict(self) -> dict[str, Any]:
        """The standardisation as a JSON-able dict.

        Returns
        -------
        dict
            `from_dict` makes an equal WindowScaler from it.
        """
        return {
            "inputs": self.inputs.to_dict(),
            "target": self.target.to_dict(),
            "columns": self.columns,
            "relative": self.relative,
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> WindowScaler:
        """Inverse of `to_dict`. Validates untrusted input.

        Parameters
        ----------
        state : dict
            From `to_dict`.

        Returns
        -------
        WindowScaler

        Raises
        ------
        KeyError, TypeError, ValueError
            This is not what `to_dict` gives.
        """
        inputs, target = (Standardizer.from_dict(state[name]) for name in ("inputs", "target"))
        return cls(inputs, target, state["columns"], state["relative"])

    def _windows(self, x: ArrayLike) -> FloatArray:
        """Windows as float64, after a check of their shape."""
        windows = np.asarray(check.finite_array(x, "x"), np.float64)
        if windows.ndim != 3 or windows.shape[2] != len(self.inputs.mean):
            raise ValueError(
                f"x must have shape (N, window, {len(self.inputs.mean)}), got {windows.shape}"
            )
        return windows

    def _offset(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """What is subtracted from targets (N, horizon * K): 0, or the last step of their window."""
        windows, shape = self._windows(x), np.shape(y)
        count = len(self.columns)
        if len(shape) != 2 or shape[0] != len(windows) or shape[1] % count:
            raise ValueError(
                f"there must be {count} numbers for each step after each of the {len(windows)} "
                f"windows, got shape {shape}"
            )
        if not self.relative:
            return np.zeros(shape)
        return np.tile(windows[:, -1, self.columns], (1, shape[1] // count))
