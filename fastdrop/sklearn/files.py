"""Estimators in model files: parameters, preparation and network, without pickle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.data import Standardizer
from fastdrop.data.preprocessing import Preparation
from fastdrop.predictor.load import load_predictor

if TYPE_CHECKING:
    from fastdrop._utils.typing import PathLike
    from fastdrop.predictor import Predictor
    from fastdrop.sklearn.base import BaseDropoutEstimator

_KEY = "estimator"  # in the file's info, beside the entries of the preparation
# Attributes of a fitted estimator beside its network and its preparation, and their types.
_FITTED: dict[str, tuple[type, ...]] = {
    "loss_curve_": (list,),
    "loss_": (float, int),
    "n_iter_": (int,),
    "validation_scores_": (list, type(None)),
    "validation_loss_curve_": (list, type(None)),
    "_run": (dict,),
}
_FAILURES = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)


def description(estimator: BaseDropoutEstimator) -> dict[str, Any]:
    """What a model file says about a fitted estimator: a preparation, and the estimator's state.

    A `random_state` that is a generator cannot be written: the file holds None in its place.
    """
    parameters = {name: _plain(value) for name, value in estimator.get_params().items()}
    if not isinstance(parameters.get("random_state"), int):
        parameters["random_state"] = None
    attributes = {name: _plain(getattr(estimator, name)) for name in _FITTED}
    tau = getattr(estimator, "tau_", None)
    return _preparation(estimator).to_dict() | {
        _KEY: {
            "class": type(estimator).__name__,
            "parameters": parameters,
            "attributes": attributes,
            "classes_dtype": _dtype_of_classes(estimator),
            "flat": bool(getattr(estimator, "_flat", True)),
            "tau": _plain(tau),
        }
    }


def _preparation(estimator: BaseDropoutEstimator) -> Preparation:
    """The estimator's preparation as that of a table whose last column is the target."""
    count = estimator.n_features_in_
    names = getattr(estimator, "feature_names_in_", None)
    origin = None
    if names is not None:
        target = "target"
        while target in names:
            target += "_"
        origin = {
            "kind": "csv",
            "names": [*map(str, names), target],
            "width": count + 1,
            "target": count,
            "features": [{"place": i, "values": None} for i in range(count)],
        }
    target_scaling = estimator._target
    if target_scaling is not None and target_scaling.mean.shape == (1,):
        target_scaling = Standardizer(target_scaling.mean[0], target_scaling.scale[0])
    classes = None if estimator._is_regression else estimator.classes_.tolist()
    for label in classes or ():
        if type(label) not in (str, int, float, bool):
            raise TypeError(
                f"the classes of a model file must be text or numbers, got {check.describe(label)}"
            )
    return Preparation(count, origin, estimator._input, classes, target_scaling)


def _dtype_of_classes(estimator: BaseDropoutEstimator) -> str | None:
    if estimator._is_regression:
        return None
    dtype = estimator.classes_.dtype
    return "O" if dtype.kind == "O" else dtype.str


def _plain(value: Any) -> Any:
    """A value as JSON can hold it: NumPy's numbers as Python's, arrays and tuples as lists."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):  # JSON has keys of text only
        return {"pairs": [[_plain(key), _plain(item)] for key, item in value.items()]}
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _unplain(value: Any) -> Any:
    """Inverse of `_plain`: lists were tuples."""
    if isinstance(value, dict):
        return {key: _unplain(item) for key, item in value["pairs"]}
    return tuple(map(_unplain, value)) if isinstance(value, list) else value


def load_estimator(kind: type[BaseDropoutEstimator], path: PathLike) -> Any:
    """The estimator of this class in a file that `fastdrop.save` wrote. Validates the file."""
    predictor, info = load_predictor(path)
    saved = info.get(_KEY) if isinstance(info, dict) else None
    if not isinstance(saved, dict) or saved.get("class") != kind.__name__:
        held = saved.get("class") if isinstance(saved, dict) else "a model without an estimator"
        raise ValueError(
            f"{path!r} must hold a {kind.__name__}, got {held}: "
            "fastdrop.load returns a model that answers"
        )
    try:
        parameters = {name: _unplain(value) for name, value in saved["parameters"].items()}
        estimator = kind(**parameters)
        _restore(estimator, saved, predictor)
    except _FAILURES as error:
        raise ValueError(
            f"{path!r} does not describe a {kind.__name__} ({type(error).__name__}: {error})"
        ) from None
    return estimator


def _restore(estimator: Any, saved: dict[str, Any], predictor: Predictor) -> None:
    """Set the attributes of a fitted estimator."""
    preparation = predictor.preparation
    if (preparation.classes is None) != estimator._is_regression:
        raise ValueError("the targets must be those of this kind of estimator")
    for name, kinds in _FITTED.items():
        value = saved["attributes"][name]
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise TypeError(f"{name} must be {kinds[0].__name__}, got {check.describe(value)}")
        setattr(estimator, name, _unplain(value) if isinstance(value, dict) else value)
    estimator._run["seed"] = check.integer(estimator._run["seed"], "seed", 0, check.U64_MAX)
    count = preparation.features
    estimator.n_features_in_ = count
    names = predictor.feature_names
    if names is not None:
        estimator.feature_names_in_ = np.array(names, object)
    inputs = preparation.inputs
    estimator._input = Standardizer(np.zeros(count), np.ones(count)) if inputs is None else inputs
    estimator._target = None
    if estimator._is_regression:
        target = preparation.target
        assert target is not None
        estimator._target = Standardizer(np.atleast_1d(target.mean), np.atleast_1d(target.scale))
        estimator._n_outputs = target.mean.size
        estimator._flat = check.flag(saved["flat"], "flat")
        tau = saved["tau"]
        estimator.tau_ = np.array(tau, np.float64) if isinstance(tau, list) else tau
    else:
        dtype = saved["classes_dtype"]
        if not isinstance(dtype, str) or np.dtype(dtype).kind not in "OUiufb":
            raise TypeError(f"classes_dtype must be a dtype of labels, got {dtype!r}")
        estimator.classes_ = np.array(preparation.classes, np.dtype(dtype))
    estimator.model_ = predictor.model
