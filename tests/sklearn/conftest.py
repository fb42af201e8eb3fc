"""A fitted regressor for several tests."""

import pytest


@pytest.fixture(scope="session")
def regressor():
    pytest.importorskip("sklearn")
    from fastdrop.sklearn import DropoutRegressor
    from helpers.estimators import noisy_sine

    return DropoutRegressor(
        (50, 50),
        dropout=0.05,
        learning_rate_init=0.01,
        max_iter=300,
        n_iter_no_change=300,
        random_state=0,
    ).fit(*noisy_sine())
