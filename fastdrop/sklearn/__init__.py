"""scikit-learn estimators: networks with dropout that predict, and say how sure they are.

`DropoutClassifier` and `DropoutRegressor` keep the parameters of scikit-learn's MLPClassifier and MLPRegressor and go wherever an estimator
goes: pipelines, searches, cross-validation, calibration. What they add is ``dropout``, and `predict_uncertainty`.
"""

try:
    from sklearn.utils.validation import validate_data  # noqa: F401 (1.6 has it first)
except ImportError as error:
    from fastdrop._utils.optional import install_hint

    raise ImportError(
        f"fastdrop.sklearn needs scikit-learn 1.6 or newer ({error}): "
        + install_hint("'scikit-learn>=1.6'", "sklearn")
    ) from None

from fastdrop.sklearn.classifier import DropoutClassifier
from fastdrop.sklearn.regressor import DropoutRegressor

__all__ = ["DropoutClassifier", "DropoutRegressor"]
