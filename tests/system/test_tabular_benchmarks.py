"""The benchmarks on tables: reading, ranks, and the comparison of folds."""

import numpy as np
import pytest

pytest.importorskip("benchmarks.cases", reason="no benchmarks beside the tests")
pytest.importorskip("sklearn")

from benchmarks import conformal, tabular

RNG = np.random.default_rng(0)


def test_ranks_are_means_over_the_folds():
    """The first has the best score in one of two folds, and the best loss in both."""
    found = {
        "a": np.array([[0.9, 0.7], [0.1, 0.1], [1, 1]]),
        "b": np.array([[0.8, 0.8], [0.2, 0.3], [1, 1]]),
        "c": np.array([[0.8, 0.6], [0.4, 0.2], [1, 1]]),
    }
    ranks = tabular.mean_ranks(found)
    assert ranks == {"a": (1.5, 1.0), "b": (1.75, 2.5), "c": (2.75, 2.5)}


def test_categories_become_indicators(tmp_path):
    pytest.importorskip("pandas")
    (tmp_path / "phoneme.csv").write_text("1.5, red, 0\n2.5, blue, 1\n3.5, red, 1\n")
    x, y = tabular.table(tmp_path, "phoneme")
    assert x.tolist() == [[1.5, 0, 1], [2.5, 1, 0], [3.5, 0, 1]] and y.tolist() == ["0", "1", "1"]
    (tmp_path / "abalone.csv").write_text("1.5, 2, 3\n2.5, 4, 5\n")
    x, y = tabular.table(tmp_path, "abalone")
    assert x.tolist() == [[1.5, 2], [2.5, 4]] and y.tolist() == [3.0, 5.0]


def test_folds_are_compared():
    x = RNG.standard_normal((60, 3))
    y = x[:, 0]
    found = tabular.compare(x, y, 2, {"max_iter": 2}, ["fastdrop", "HistGradientBoosting"])
    assert found.keys() == {"fastdrop", "HistGradientBoosting"}
    scores, losses, seconds = found["HistGradientBoosting"]
    folds = tabular.folds(x, y, 2, False)
    variances = [np.var(y[test]) for _, test in folds]
    np.testing.assert_allclose(scores, 1 - losses**2 / variances)  # R^2 and RMSE
    assert (seconds > 0).all()


@pytest.mark.parametrize("regression", [True, False])
def test_coverage_of_a_split(regression):
    x = RNG.standard_normal((200, 3))
    y = x[:, 0] if regression else np.where(x[:, 0] > 0, "a", "b")
    found = conformal.one_split(x, y, 0.9, 0)
    assert list(found) == (["normalized", "absolute"] if regression else ["thr", "aps"])
    for coverage, size, count in found.values():
        assert 0.7 < coverage <= 1 and size > 0 and count == 60
