"""scikit-learn estimators: networks with dropout, and the uncertainty of their predictions.

`DropoutClassifier` and `DropoutRegressor` have the parameters of scikit-learn's MLPClassifier and
MLPRegressor and work in pipelines, searches, cross-validation and calibration. They add
``dropout`` and `predict_uncertainty`. `DropoutTransformer` gives the features of a hidden layer.
"""

try:
    from sklearn.utils.validation import validate_data  # noqa: F401 (new in 1.6)
except ImportError as error:
    from fastdrop._utils.optional import install_hint

    raise ImportError(
        f"fastdrop.sklearn needs scikit-learn 1.6 or newer ({error}): "
        + install_hint("'scikit-learn>=1.6'", "sklearn")
    ) from None

from fastdrop.sklearn.classifier import DropoutClassifier
from fastdrop.sklearn.regressor import DropoutRegressor
from fastdrop.sklearn.transformer import DropoutTransformer

__all__ = ["DropoutClassifier", "DropoutRegressor", "DropoutTransformer"]
