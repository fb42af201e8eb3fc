"""scikit-learn's own checks of estimators; pipelines, searches and imports."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastdrop.sklearn import DropoutClassifier, DropoutRegressor, DropoutTransformer
from helpers.estimators import blobs, noisy_sine


def expected_failures(estimator):
    """Checks that do not hold for stochastic training, also of scikit-learn's own networks."""
    reason = "repeated samples and weighted samples have different batches and masks"
    return {
        f"check_sample_weight_equivalence_on_{data}_data": reason for data in ("dense", "sparse")
    }


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [
        DropoutClassifier(),
        DropoutRegressor(),
        DropoutClassifier((20, 10, 5), dropout=(0.1, 0.2, 0.1, 0.2)),
        DropoutRegressor(dropout=0, activation="tanh", solver="rmsprop", max_norm=2, batch_size=64),
        DropoutClassifier(dropout=0, solver="lbfgs", activation="identity", add_indicator=True),
        DropoutRegressor(
            dropout=0.1, solver="sgd", learning_rate="invscaling", learning_rate_init=0.5
        ),
        DropoutClassifier(preset="tabular", hidden_layer_sizes=(32, 32)),
        DropoutRegressor(preset="tabular", hidden_layer_sizes=(32, 32)),
        DropoutTransformer(random_state=0),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_pipeline_and_search():
    x, y = blobs()
    pipe = make_pipeline(
        StandardScaler(),
        DropoutClassifier(
            (16,), max_iter=20, learning_rate_init=0.02, random_state=0, standardize=False
        ),
    )
    search = GridSearchCV(
        pipe,
        {
            "dropoutclassifier__dropout": [0.1, 0.5],
            "dropoutclassifier__solver": ["adam", "rmsprop"],
        },
        cv=3,
        n_jobs=2,
    )
    assert search.fit(x, y).best_score_ > 0.9
    alone = clone(pipe).set_params(**search.best_params_).fit(x, y)
    np.testing.assert_array_equal(search.predict_proba(x), alone.predict_proba(x))


def test_cross_validation():
    scores = cross_val_score(
        DropoutRegressor(
            (32,), dropout=0.05, learning_rate_init=0.02, max_iter=150, random_state=0
        ),
        *noisy_sine(),
        cv=3,
        n_jobs=2,
    )
    assert scores.min() > 0.7


def test_calibration():
    x, y = blobs(150)
    net = CalibratedClassifierCV(
        DropoutClassifier((16,), max_iter=20, learning_rate_init=0.02, random_state=0), cv=3
    ).fit(x, y)
    assert net.predict_proba(x).shape == (150, 3) and net.score(x, y) > 0.9


def test_importing_fastdrop_sklearn():
    """fastdrop.sklearn is imported on first use, and an error names missing packages."""
    code = (
        "import sys, fastdrop as fd; "
        "assert 'sklearn' not in sys.modules and 'sklearn' in dir(fd); "
        "fd.sklearn.DropoutClassifier; assert 'sklearn' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert pickle.loads(b"cfastdrop.sklearn\nDropoutClassifier\n.") is DropoutClassifier
    code = (
        "import sys; sys.modules['sklearn'] = None\nimport fastdrop as fd\n"
        "try: fd.sklearn\nexcept ImportError as e: print(e)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert "pip install 'scikit-learn>=1.6', or pip install 'fastdrop-nn[sklearn]'" in said
