"""The outputs of a model for many samples, computed in batches: `predict`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from fastdrop import nn, random
from fastdrop._utils import inputs
from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.autograd.tensor import Tensor
from fastdrop.nn.evaluating import evaluating
from fastdrop.nn.module import checked_module

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Inputs
    from fastdrop.data.dataset import Dataset
    from fastdrop.predictor.predictor import Predictor

__all__ = ["predict"]


@overload
def predict(
    model: nn.Module, x: Tensor | ArrayLike | Inputs | Dataset, batch_size: int = 1024
) -> npt.NDArray[np.float32]: ...
@overload
def predict(model: Predictor, x: Any, batch_size: int = 1024) -> npt.NDArray[Any]: ...
def predict(model: nn.Module | Predictor, x: Any, batch_size: int = 1024) -> npt.NDArray[Any]:
    """Compute the outputs of a model for all samples, in evaluation mode and without gradients.

    Evaluation mode means that there is no dropout, and that batch norm uses its running statistics.

    Parameters
    ----------
    model : Module or Predictor
        Its mode is the same afterwards as before. A `Predictor`, which `fastdrop.load` returns for
        the file of a prepared model, gives its answers: the same as ``model.predict(x)``.
    x : array (N, ...), tuple or dict of arrays (N, ...), or Dataset
        The samples, converted to float32. A tuple is for ``model(*x)``, a dict for ``model(**x)``,
        and integers and bools among several arrays stay what they are. For a Predictor: raw rows as
        arrays, tables or dicts.
    batch_size : int, default 1024
        Samples computed at a time, at least 1. It bounds the memory. It does not change the result
        of a model that treats each sample on its own, random numbers included.

    Returns
    -------
    float32 array (N, ...)
        What the model returns. For class probabilities apply ``fd.softmax`` to scores. Of a
        Predictor: labels, or numbers in the units of the target.

    Raises
    ------
    TypeError
        `model` is not a Module, or it does not return a Tensor with one row for each sample.
    ValueError
        The samples do not fit the model.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> model = fd.models.mlp(4, [8], 3, dropout=0.5)
    >>> fd.predict(model, np.zeros((5, 4))).shape
    (5, 3)
    """
    if not isinstance(model, nn.Module):
        # Imported here: predictions of a plain network need neither readers nor files.
        from fastdrop.predictor.predictor import Predictor

        if isinstance(model, Predictor):
            return model.predict(x, batch_size)
    model = checked_module(model, "model")
    samples = inputs.floats(_samples_of(x), "x")
    rows = inputs.number_of_rows(samples)
    size = check.integer(batch_size, "batch_size", 1)
    # One call into the core for a whole chain of dense layers, where the model is one.
    if (
        isinstance(model, nn.Sequential)
        and type(samples) is np.ndarray
        and rows <= size
        and (outputs := model.evaluated(samples)) is not None
    ):
        return outputs
    result: npt.NDArray[np.float32] | None = None
    with evaluating(model), no_grad():
        for i in range(0, max(rows, 1), size):
            batch = samples if rows <= size else inputs.take(samples, slice(i, i + size))
            count = min(size, rows - i)
            with random.batch_of_rows(model, i, count):
                output: Any = inputs.call_model(model, batch)  # what the user's forward returns
            if not isinstance(output, Tensor) or output.ndim == 0 or output.shape[0] != count:
                raise TypeError(
                    "model must return a Tensor with one row for each sample, "
                    f"got {check.describe(output)}"
                )
            if result is None:
                result = np.empty((rows, *output.shape[1:]), np.float32)
            result[i : i + size] = output.data
    assert result is not None  # the loop runs at least once
    return result


def _samples_of(x: Any) -> Any:
    """The samples of a Dataset, or x itself. Nobody has a Dataset before its module is imported."""
    module = sys.modules.get("fastdrop.data.dataset")
    return x.x if module is not None and isinstance(x, module.Dataset) else x
