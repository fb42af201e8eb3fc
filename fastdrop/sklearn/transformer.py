"""Hidden features of a network with dropout, as a transformer: `DropoutTransformer`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
)
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from fastdrop import nn
from fastdrop._utils import validation as check
from fastdrop.predictor.predict import predict
from fastdrop.sklearn.base import BaseDropoutEstimator
from fastdrop.sklearn.classifier import DropoutClassifier
from fastdrop.sklearn.regressor import DropoutRegressor

if TYPE_CHECKING:
    from typing import Self

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike

__all__ = ["DropoutTransformer"]


class DropoutTransformer(
    ClassNamePrefixFeaturesOutMixin, MetaEstimatorMixin, TransformerMixin, BaseEstimator
):
    """Features learned by a network with dropout: the activations of one of its hidden layers.

    `fit` trains the network on y. `transform` gives the activations without dropout, of the last
    hidden layer by default, for another model behind it in a pipeline.

    Parameters
    ----------
    estimator : DropoutClassifier or DropoutRegressor, default=None
        The network, which is cloned before it is trained. None: a DropoutClassifier where y has
        classes, otherwise a DropoutRegressor, with default parameters and this `random_state`.
    layer : int, default=-1
        The hidden layer, from 0 on; negative numbers count from the last one, -1.
    random_state : int, RandomState instance or None, default=None
        Passed on to the network that is made where `estimator` is None.

    Attributes
    ----------
    estimator_ : DropoutClassifier or DropoutRegressor
        The fitted network.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen during fit, if all of them are strings.

    See Also
    --------
    DropoutClassifier, DropoutRegressor : The networks.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from fastdrop.sklearn import DropoutClassifier, DropoutTransformer
    >>> x, y = load_digits(return_X_y=True)
    >>> net = DropoutClassifier((64,), dropout=0.2, max_iter=10, random_state=0)
    >>> pipe = make_pipeline(DropoutTransformer(net), LogisticRegression(max_iter=1000))
    >>> bool(pipe.fit(x[:1500], y[:1500]).score(x[1500:], y[1500:]) > 0.9)
    True
    >>> pipe[0].transform(x[:3]).shape
    (3, 64)
    """

    estimator_: BaseDropoutEstimator
    n_features_in_: int

    def __init__(
        self,
        estimator: BaseDropoutEstimator | None = None,
        *,
        layer: int = -1,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.layer = layer
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The training samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets, as the network takes them.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        TypeError, ValueError
            A parameter or the data are not valid, or there is no such hidden layer.
        """
        if self.estimator is None:
            if y is None:
                raise ValueError(
                    "requires y to be passed, but the target y is None: the features of "
                    "DropoutTransformer are learned from it"
                )
            real = str(type_of_target(y)).startswith("continuous")
            kind = DropoutRegressor if real else DropoutClassifier
            network: Any = kind(random_state=self.random_state)
        elif isinstance(self.estimator, BaseDropoutEstimator):
            network = clone(self.estimator)
        else:
            raise TypeError(
                "estimator must be a DropoutClassifier, a DropoutRegressor or None, "
                f"got {check.describe(self.estimator)}"
            )
        self.estimator_ = network.fit(X, y, sample_weight)
        self.n_features_in_ = network.n_features_in_
        self.__dict__.pop("feature_names_in_", None)
        if hasattr(network, "feature_names_in_"):
            self.feature_names_in_ = network.feature_names_in_
        self._hidden()
        return self

    def _hidden(self) -> nn.Sequential:
        """The network up to the activation of the layer."""
        modules = list(self.estimator_.model_)
        dense = [i for i, module in enumerate(modules) if isinstance(module, nn.Linear)]
        hidden = len(dense) - 1
        layer = check.integer(self.layer, "layer", -(2**31))
        if not -hidden <= layer < hidden:
            raise ValueError(
                f"layer must be the number of one of {hidden} hidden layers, got {self.layer}"
            )
        return nn.Sequential(*modules[: dense[layer % hidden] + 2])  # with its activation

    def transform(self, X: ArrayLike) -> npt.NDArray[np.float64]:
        """The activations of the hidden layer, without dropout.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples, n_units)
            One column for each unit of the layer.
        """
        check_is_fitted(self, "estimator_")
        hidden = self._hidden()
        blocks = self.estimator_._input.blocks(self.estimator_._checked(X))
        parts = [predict(hidden, block) for block in blocks]
        return np.concatenate(parts).astype(np.float64)

    @property
    def _n_features_out(self) -> int:
        linear = [m for m in self._hidden().modules() if isinstance(m, nn.Linear)][-1]
        return linear.out_features
