"""Loading of model files: a `Predictor` where the file holds a preparation, otherwise a model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np

from fastdrop import io, nn
from fastdrop.predictor.predict import predict

if TYPE_CHECKING:
    from fastdrop._utils.typing import PathLike
    from fastdrop.data.preprocessing import Preparation
    from fastdrop.predictor.predictor import Predictor

__all__ = ["load", "load_predictor"]

ModuleT = TypeVar("ModuleT", bound="nn.Module")

# The entries of a Preparation's dict. Other information of the user is no preparation.
_ENTRIES = {"features", "origin", "classes", "inputs", "target"}


@overload
def load(path: PathLike, model: None = None) -> Any: ...
@overload
def load(path: PathLike, model: ModuleT) -> ModuleT: ...
def load(path: PathLike, model: nn.Module | None = None) -> Any:
    """Load a model with its weights and mode, a prepared model, or a state dict.

    Nothing is imported or run from the file.

    Parameters
    ----------
    path : str or os.PathLike
        A file written by `save`, by ``fastdrop train``, or any safetensors file.
    model : Module, optional
        Fill this model instead of building one: for weights from elsewhere (PyTorch's state dict
        in a safetensors file), and for classes of your own. A class of your own is built without
        this argument if the program defines it under the same name and in the same module as the
        program that saved it, and its constructor needs no arguments.

    Returns
    -------
    Module, Predictor, or dict of str to array
        The given model if there is one. A `fastdrop.predictor.Predictor` if the file says how
        rows are prepared, as the files of ``fastdrop train`` and of the estimators do; its
        ``model`` is the network. A dict if the file holds no model.

    Raises
    ------
    ValueError
        The file is truncated; or holds a model of a class that is neither in this library nor
        defined in this program (pass ``model=``); or its weights do not fit the model, which is
        then unchanged; or its preparation does not fit its network.
    OSError
        The file cannot be read.

    See Also
    --------
    fastdrop.io.load_with_info : the network alone, and what `save` got as `info`.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.save(fd.nn.Linear(3, 2), "model.safetensors")
    >>> fd.load("model.safetensors")
    Linear(in_features=3, out_features=2, bias=True)
    """
    found, info = io.load_with_info(path, model)
    if model is not None or not isinstance(found, nn.Module):
        return found
    if not isinstance(info, dict) or not info.keys() >= _ENTRIES:
        return found
    return _predictor(found, info, os.fsdecode(path))


def load_predictor(path: PathLike) -> tuple[Predictor, Any]:
    """A `Predictor` of any model file, with the file's ``info``, reading the file once.

    A model without a preparation takes the numbers as they are and gives its raw outputs.

    Parameters
    ----------
    path : str or os.PathLike
        A file that `load` reads.

    Returns
    -------
    (Predictor, info)
        The ``info`` is that of `save`.

    Raises
    ------
    ValueError
        As for `load`; or the file holds no model, or a model of samples that are no rows, or
        information that is no preparation.
    OSError
        The file cannot be read.
    """
    path = os.fsdecode(path)
    model, info = io.load_with_info(path)
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"{path!r} holds weights without an architecture: save the model with fastdrop.save"
        )
    return _predictor(model, info, path), info


def _predictor(model: nn.Module, info: Any, path: str) -> Predictor:
    """Network and preparation of a file, after a check that they fit each other."""
    # Imported here: files of plain networks do not need it.
    from fastdrop.predictor.predictor import Predictor

    preparation = _preparation(info, model, path)
    predictor = Predictor(model, preparation)
    wanted = None
    if preparation.target is not None:
        wanted = max(1, preparation.target.mean.size)
    elif preparation.classes is not None:
        wanted = len(preparation.classes)
    example = np.zeros((1, *preparation.example_shape), np.float32)
    try:
        shape = predict(model, example).shape[1:]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path!r} does not take samples of {preparation.features} numbers: {error}"
        ) from None
    if wanted is not None and shape != (wanted,):
        raise ValueError(f"{path!r} must give {wanted} numbers for each sample, got shape {shape}")
    return predictor


def _preparation(info: Any, model: nn.Module, path: str) -> Preparation:
    """How samples are prepared. A model without this information takes them as they are."""
    from fastdrop.data.preprocessing import Preparation

    if info is None:
        # The input (L, E) of a layer of sequences is one sample of L positions, which must not be
        # L rows.
        kinds = {
            nn.Linear: "rows",
            **dict.fromkeys((nn.Embedding, nn.MultiheadAttention, nn.RNNBase), "sequences"),
            nn.Conv1d: "sequences",
            nn.Conv2d: "images",
            nn.Conv3d: "volumes",
        }
        of_kinds = (m for m in model.modules() if isinstance(m, tuple(kinds)))
        first = next(of_kinds, None)
        if not isinstance(first, nn.Linear):
            begins = "does not begin with a dense layer"
            if first is not None:
                known = next(kind for kind in kinds if isinstance(first, kind))
                name = type(first).__name__
                name = known.__name__ if name.startswith("_") else name
                begins = f"begins with {name}, a layer of {kinds[known]}"
            raise ValueError(f"{path!r} {begins}: its samples cannot be the rows of a table")
        return Preparation(first.in_features)
    try:
        return Preparation.from_dict(info)
    # The information may be anything, so any of these may happen.
    except (
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise ValueError(
            f"{path!r} does not say how its samples are prepared ({type(error).__name__}: {error})"
        ) from None
