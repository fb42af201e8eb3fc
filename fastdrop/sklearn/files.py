"""Estimators in model files: parameters, preparation and network, without pickle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import io
from fastdrop._utils import validation as check
from fastdrop.data import Standardizer
from fastdrop.data.preprocessing import Preparation
from fastdrop.predictor.predict import predict
from fastdrop.sklearn.inputs import InputPreparation, identity

if TYPE_CHECKING:
    from fastdrop import nn
    from fastdrop._utils.typing import PathLike
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

    A `random_state` that is a generator cannot be written: the file holds None in its place. The
    preparation is that of a `fastdrop.predictor.Predictor`.
    """
    parameters = {name: _plain(value) for name, value in estimator.get_params().items()}
    if not isinstance(parameters.get("random_state"), int):
        parameters["random_state"] = None
    attributes = {name: _plain(getattr(estimator, name)) for name in _FITTED}
    names, target = getattr(estimator, "feature_names_in_", None), estimator._target
    return _preparation(estimator).to_dict() | {
        _KEY: {
            "class": type(estimator).__name__,
            "parameters": parameters,
            "attributes": attributes | {"t_": estimator.t_},
            "classes": None if estimator._is_regression else _labels(estimator),
            "classes_dtype": _dtype_of_classes(estimator),
            "flat": bool(getattr(estimator, "_flat", True)),
            "tau": _plain(getattr(estimator, "tau_", None)),
            "noise_std": _plain(getattr(estimator, "_noise_std", None)),
            "multilabel": getattr(estimator, "_multilabel", False),
            "inputs": estimator._input.to_dict(),
            "feature_names": None if names is None else [str(name) for name in names],
            "target": None if target is None else target.to_dict(),
        }
    }


def _labels(estimator: BaseDropoutEstimator) -> list[Any]:
    """The classes as JSON can hold them."""
    classes: list[Any] = estimator.classes_.tolist()
    for label in classes:
        if type(label) not in (str, int, float, bool):
            raise TypeError(
                f"the classes of a model file must be text or numbers, got {check.describe(label)}"
            )
    return classes


def _preparation(estimator: BaseDropoutEstimator) -> Preparation:
    """The estimator's preparation as that of a table whose last column is the target."""
    count = estimator.n_features_in_
    names = getattr(estimator, "feature_names_in_", None)
    inputs = estimator._input
    features: list[dict[str, Any]] = [{"place": i, "values": None} for i in range(count)]
    scaler, missing = inputs.scaler, inputs.indicators.tolist()
    if inputs.gaps:  # indicators are inputs behind all numbers
        features = [
            {"place": i, "values": None, "fill": float(inputs.fill[i]), "part": part}
            for part, places in (("number", range(count)), ("missing", missing))
            for i in places
        ]
        scaler = Standardizer(
            np.concatenate([scaler.mean, np.zeros(len(missing))]),
            np.concatenate([scaler.scale, np.ones(len(missing))]),
        )
    origin = None
    if names is not None or inputs.gaps:
        target = "target"
        while names is not None and target in names:
            target += "_"
        origin = {
            "kind": "csv",
            "names": None if names is None else [*map(str, names), target],
            "width": count + 1,
            "target": count,
            "features": features,
        }
    target_scaling = estimator._target
    if target_scaling is not None and target_scaling.mean.shape == (1,):
        target_scaling = Standardizer(target_scaling.mean[0], target_scaling.scale[0])
    classes = None if estimator._is_regression else _labels(estimator)
    link = "sigmoid" if getattr(estimator, "_multilabel", False) else None
    if getattr(estimator, "loss", None) == "poisson":
        link, target_scaling = "exp", None
    return Preparation(len(features), origin, scaler, classes, target_scaling, link)


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
    if isinstance(value, float) and not np.isfinite(value):  # JSON has no such numbers
        return {"number": str(value)}
    return value


def _unplain(value: Any) -> Any:
    """Inverse of `_plain`: lists were tuples."""
    if isinstance(value, dict):
        if "number" in value:
            return float(value["number"])
        return {_unplain(key): _unplain(item) for key, item in value["pairs"]}
    return tuple(map(_unplain, value)) if isinstance(value, list) else value


def load_estimator(kind: type[BaseDropoutEstimator], path: PathLike) -> Any:
    """The estimator of this class in a file that `fastdrop.save` wrote. Validates the file."""
    model, info = io.load_with_info(path)
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
        _restore(estimator, _with_preparation(saved, info), model)
    except _FAILURES as error:
        raise ValueError(
            f"{path!r} does not describe a {kind.__name__} ({type(error).__name__}: {error})"
        ) from None
    return estimator


def _with_preparation(saved: dict[str, Any], info: dict[str, Any]) -> dict[str, Any]:
    """What a file says of an estimator; older files have a part of it in the preparation only."""
    if "inputs" in saved:
        return saved
    preparation = Preparation.from_dict(info)
    scaler = preparation.inputs or identity(preparation.features)
    inputs = InputPreparation(scaler, scaler.mean, np.zeros(0, np.int64))
    names = None if preparation.origin is None else preparation.origin["names"][:-1]
    target = preparation.target
    return saved | {
        "classes": preparation.classes,
        "multilabel": False,
        "inputs": inputs.to_dict(),
        "feature_names": names,
        "target": None if target is None else target.to_dict(),
    }


def _restore(estimator: Any, saved: dict[str, Any], model: nn.Module) -> None:
    """Set the attributes of a fitted estimator."""
    if (saved["classes"] is None) != estimator._is_regression:
        raise ValueError("the targets must be those of this kind of estimator")
    for name, kinds in _FITTED.items():
        value = saved["attributes"][name]
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise TypeError(f"{name} must be {kinds[0].__name__}, got {check.describe(value)}")
        setattr(estimator, name, list(_unplain(value)) if kinds[0] is list and value else value)
    estimator._run = _unplain(estimator._run)
    estimator._run["seed"] = check.integer(estimator._run["seed"], "seed", 0, check.U64_MAX)
    estimator.t_ = check.integer(saved["attributes"].get("t_", 0), "t_", 0)
    scores = estimator.validation_scores_
    estimator.best_validation_score_ = max(scores) if scores else None
    estimator.best_loss_ = None if scores else min(estimator.loss_curve_)
    estimator._input = InputPreparation.from_dict(saved["inputs"])
    estimator.n_features_in_ = count = len(estimator._input.fill)
    names = saved["feature_names"]
    if names is not None:
        if len(names) != count or not all(isinstance(name, str) for name in names):
            raise ValueError(f"feature_names must be {count} names, got {names!r}")
        estimator.feature_names_in_ = np.array(names, object)
    estimator._target = None
    if estimator._is_regression:
        target = Standardizer.from_dict(saved["target"])
        estimator._target = Standardizer(np.atleast_1d(target.mean), np.atleast_1d(target.scale))
        estimator._n_outputs = outputs = target.mean.size
        estimator._flat = check.flag(saved["flat"], "flat")
        tau = saved["tau"]
        estimator.tau_ = np.array(tau, np.float64) if isinstance(tau, list) else tau
        noise = saved.get("noise_std")
        estimator._noise_std = np.array(noise, np.float64) if isinstance(noise, list) else noise
    else:
        dtype = saved["classes_dtype"]
        if not isinstance(dtype, str) or np.dtype(dtype).kind not in "OUiufb":
            raise TypeError(f"classes_dtype must be a dtype of labels, got {dtype!r}")
        estimator.classes_ = np.array(saved["classes"], np.dtype(dtype))
        estimator._multilabel = check.flag(saved["multilabel"], "multilabel")
        outputs = len(estimator.classes_)
    shape = predict(model, np.zeros((1, estimator._input.width), np.float32)).shape
    if shape != (1, outputs):
        raise ValueError(f"the network must have {outputs} outputs, got an output of shape {shape}")
    estimator.model_ = model
