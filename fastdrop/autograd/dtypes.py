"""The names of dtypes, and the only device."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

float32 = np.dtype(np.float32)
int64, int32, int16 = np.dtype(np.int64), np.dtype(np.int32), np.dtype(np.int16)
int8, uint8 = np.dtype(np.int8), np.dtype(np.uint8)
float64, float16 = np.dtype(np.float64), np.dtype(np.float16)  # refused, with a sentence
double, half, long, short = float64, float16, int64, int16
bool, float, int = np.dtype(np.bool_), float32, int32


class device:  # noqa: N801 (the name in PyTorch)
    """A device: always the CPU.

    Parameters
    ----------
    type : str or device
        "cpu", or "cpu:0".

    Raises
    ------
    ValueError
        For any other device.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.tensor([1.0], device="cpu").device == fd.device("cpu")
    True
    """

    __slots__ = ("index", "type")

    def __init__(self, type: str | device) -> None:
        name, _, number = str(type).partition(":")
        if name != "cpu" or number not in ("", "0"):
            raise ValueError(f"device must be 'cpu': fastdrop runs on CPUs, got {str(type)!r}")
        self.type, self.index = "cpu", None

    def __eq__(self, other: object) -> builtins.bool:
        return isinstance(other, device)

    def __hash__(self) -> builtins.int:
        return hash("cpu")

    def __str__(self) -> str:
        return "cpu"

    def __repr__(self) -> str:
        return "device(type='cpu')"


def check_device(value: Any) -> None:
    """ValueError unless the device is None or the CPU."""
    if value is not None and not isinstance(value, device):
        device(value)


def check_dtype(value: Any, name: str = "dtype") -> np.dtype[Any] | None:
    """The dtype of a tensor: float32, an integer or bool. None stays None.

    Raises
    ------
    TypeError
        For other floats, and for what is no dtype.
    """
    if value is None:
        return None
    if value is builtins.float:  # the names of Python
        return float32
    try:
        dtype = np.dtype(value)
    except TypeError:
        raise TypeError(f"{name} must be a dtype such as fastdrop.int64, got {value!r}") from None
    if dtype.kind not in "iub" and dtype != np.float32:
        raise TypeError(
            f"{name} must be float32, an integer or bool: fastdrop computes in float32, got {dtype}"
        )
    return dtype


def convert(array: Any, dtype: np.dtype[Any] | None) -> Any:
    """The array in the dtype; without one, integers and bools as they are, floats as float32."""
    array = np.asarray(array)
    if dtype is None:
        dtype = array.dtype if array.dtype.kind in "iub" else float32
    with np.errstate(all="ignore"):
        return array.astype(dtype, copy=False)
