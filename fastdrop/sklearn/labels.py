"""Class labels and weights of classes: from y to the targets of the loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse  # SciPy is a dependency of scikit-learn
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight

from fastdrop._utils import validation as check

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop.sklearn.classifier import DropoutClassifier

__all__ = ["is_multilabel", "multilabel_targets", "numbered_classes", "weights_of_classes"]


def is_multilabel(y: Any) -> bool:
    """Whether y is an indicator matrix (N, labels). ValueError where y is no classification."""
    check_classification_targets(y)
    kind = type_of_target(y)
    if kind == "multiclass-multioutput":
        raise ValueError(
            "y must hold one label for each sample, or 0 and 1 for each label of a sample (a "
            f"multilabel indicator matrix), got {check.describe(y)} of other numbers"
        )
    return bool(kind == "multilabel-indicator")


def multilabel_targets(
    estimator: DropoutClassifier, y: Any, known: bool
) -> npt.NDArray[np.float32]:
    """The indicator matrix as targets (N, labels); sets ``classes_`` unless they are `known`."""
    y = y.toarray() if issparse(y) else y
    if not (known and hasattr(estimator, "model_")):
        estimator.classes_ = np.arange(y.shape[1])
    elif len(estimator.classes_) != y.shape[1]:
        raise ValueError(
            f"y must have the {len(estimator.classes_)} labels of the first fit, got {y.shape[1]}"
        )
    return np.asarray(y, np.float32)


def numbered_classes(estimator: DropoutClassifier, y: Any, known: bool) -> npt.NDArray[np.int64]:
    """The class numbers of y (N,); sets ``classes_`` unless they are `known`."""
    y = column_or_1d(y, warn=True)
    found, numbers = np.unique(y, return_inverse=True)
    if not known:
        if len(found) < 2:
            raise ValueError(
                f"y must hold at least two classes, got one class: {found.tolist()[0]!r}"
            )
        estimator.classes_ = found
    elif not np.isin(found, estimator.classes_).all():
        raise ValueError(
            f"y must hold classes among those of the first fit, {estimator.classes_}, got {found}"
        )
    return np.searchsorted(estimator.classes_, found)[numbers].astype(np.int64)


def weights_of_classes(
    estimator: DropoutClassifier, y: Any, sample_weight: Any, partial: bool
) -> npt.NDArray[Any]:
    """``sample_weight`` times the ``class_weight`` of each sample's class number y."""
    given_weights: Any = estimator.class_weight
    if isinstance(given_weights, str):
        check.choice(given_weights, "class_weight", ("balanced",))
        if partial:
            raise ValueError(
                "class_weight must be None or a dict in partial_fit, which does not know the "
                "shares of the classes in all data, got 'balanced'"
            )
    elif not isinstance(given_weights, Mapping):
        raise TypeError(
            "class_weight must be a dict of labels and weights, 'balanced' or None, "
            f"got {check.describe(given_weights)}"
        )
    if y.ndim == 2:
        raise ValueError(
            f"class_weight must be None for several labels a sample, got {given_weights!r}"
        )
    given = None if sample_weight is None else _check_sample_weight(sample_weight, y)
    classes = estimator.classes_
    if isinstance(given_weights, str):  # "balanced"
        # With sample weights, a class has the share of the sum of its weights.
        counts = np.bincount(y, given, len(classes))
        present = counts > 0
        weights = np.zeros(len(counts))
        weights[present] = counts.sum() / (present.sum() * counts[present])
    else:
        for label, weight in given_weights.items():
            check.real(weight, f"class_weight[{label!r}]", low=0.0)
        unknown = [key for key in given_weights if key not in classes.tolist()]
        if unknown:
            raise ValueError(f"class_weight must name classes among {classes}, got {unknown[0]!r}")
        weights = np.array([given_weights.get(c, 1.0) for c in classes.tolist()])
    found: npt.NDArray[Any] = weights[y] if given is None else given * weights[y]
    return found
