"""Class numbers as vectors of zeros and a one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.integer_tensor import tensor
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike


def one_hot(input: Tensor | ArrayLike, num_classes: int = -1) -> Tensor:
    """y[..., c] = 1 where input = c, 0 elsewhere.

    Parameters
    ----------
    input : Tensor or array of int
        Class numbers, at least 0, of any shape.
    num_classes : int, default -1
        The number of classes. -1: one more than the largest number.

    Returns
    -------
    Tensor (..., num_classes)

    Raises
    ------
    TypeError
        When the input does not hold whole numbers.
    ValueError
        When a class number is out of range, or there is none and num_classes is -1.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.one_hot([1, 0], 3).tolist() == [[0, 1, 0], [1, 0, 0]]
    True
    """
    given = input._array if isinstance(input, Tensor) else check.as_array(input, "input")
    classes = check.integer(num_classes, "num_classes", -1)
    if not given.size and classes < 1:
        raise ValueError("num_classes must be given for an input without elements, got -1")
    labels = computed(_whole, given)
    if classes == -1:
        classes = int(labels.max()) + 1
    return tensor(computed(_spread, labels, classes))


def _whole(given: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    labels: npt.NDArray[np.int64] = given.astype(np.int64)
    if given.size and (given.dtype.kind not in "iuf" or not (labels == given).all()):
        raise TypeError(f"input must hold whole class numbers, got {check.describe(given)}")
    return labels


def _spread(labels: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.int64]:
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(
            f"input must hold class numbers from 0 to {classes - 1}, "
            f"got {labels.min()} to {labels.max()}"
        )
    return (labels[..., None] == np.arange(classes)).astype(np.int64)
