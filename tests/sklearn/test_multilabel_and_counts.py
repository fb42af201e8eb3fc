"""Several labels a sample, and counts: predictions, uncertainty, files."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

import scipy.sparse
from sklearn.base import clone

import fastdrop as fd
from fastdrop.cli.main import main
from fastdrop.sklearn import DropoutClassifier, DropoutRegressor
from helpers.commands import read

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 4))
LABELS = np.stack([X[:, 0] > 0, X[:, 1] + X[:, 2] > 1, X[:, 3] < 0.5], axis=1).astype(int)
COUNTS = RNG.poisson(np.exp(1 + 0.5 * X[:, 0] - 0.3 * X[:, 1]))
OPTIONS = dict(dropout=0.1, learning_rate_init=0.01, random_state=0)


@pytest.fixture(scope="module")
def labelled():
    return DropoutClassifier((32,), max_iter=60, **OPTIONS).fit(X, LABELS)


@pytest.fixture(scope="module")
def counted():
    return DropoutRegressor((32,), loss="poisson", max_iter=60, **OPTIONS).fit(X, COUNTS)


def test_labels_are_learned(labelled):
    assert labelled.classes_.tolist() == [0, 1, 2] and labelled.n_outputs_ == 3
    assert labelled.score(X, LABELS) > 0.85  # all three labels right
    p = labelled.predict_proba(X)
    np.testing.assert_array_equal(labelled.predict(X), p > 0.5)
    assert labelled.predict(X).shape == LABELS.shape
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-labelled.decision_function(X))))
    np.testing.assert_allclose(labelled.predict_log_proba(X), np.log(p), rtol=1e-5)


def test_the_loss_is_the_sum_of_the_labels():
    """The first epoch of full batches has the loss of the initial network."""
    options = dict(dropout=0, max_iter=1, batch_size=300, learning_rate_init=1e-30, random_state=0)
    net = DropoutClassifier((8,), **options).fit(X, LABELS)
    p = net.predict_proba(X)
    entropies = -np.where(LABELS == 1, np.log(p), np.log(1 - p))
    assert net.loss_ == pytest.approx(entropies.sum(1).mean(), rel=1e-5)
    # The biases begin at the logarithms of the odds.
    shares = LABELS.mean(0)
    np.testing.assert_allclose(net.intercepts_[-1], np.log(shares / (1 - shares)), rtol=1e-5)


def test_uncertainty_of_labels(labelled):
    mc = labelled.predict_uncertainty(X, samples=30)
    assert mc.mean.shape == (300, 3, 2) and mc.entropy.shape == (300, 3)
    np.testing.assert_allclose(mc.mean.sum(-1), 1)
    assert (mc.mutual_information > 0).any() and mc.variation_ratio.max() <= 0.5
    assert np.abs(mc.mean[..., 1] - labelled.predict_proba(X)).mean() < 0.05
    passes = fd.mc_predict(
        labelled.model_,
        labelled._input.transform(X),
        30,
        seed=labelled._run["seed"],
        output="raw",
        keep=True,
        progress=False,
    ).passes
    p = 1 / (1 + np.exp(-passes.astype(np.float64)))
    np.testing.assert_allclose(mc.mean[..., 1], p.mean(1))
    np.testing.assert_allclose(mc.std[..., 1], p.std(1))
    entropies = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    np.testing.assert_allclose(mc.expected_entropy, entropies.mean(1), atol=1e-9)
    votes = (p > 0.5).mean(1)
    np.testing.assert_allclose(mc.variation_ratio, np.minimum(votes, 1 - votes), atol=1e-12)
    kept = labelled.predict_uncertainty(X[:5], samples=7, keep=True)
    assert kept.passes.shape == (5, 7, 3, 2)
    for name in ("tolerance", "tau"):
        with pytest.raises(ValueError, match=f"{name} must be None for several labels"):
            labelled.predict_uncertainty(X, **{name: 0.1})


def test_early_stopping_and_weights_of_labels():
    net = DropoutClassifier((16,), early_stopping=True, max_iter=30, **OPTIONS)
    net.fit(X, LABELS, sample_weight=RNG.random(300) + 0.5)
    best = int(np.argmin(net.validation_loss_curve_))
    assert min(net.validation_scores_) >= 0 and net.best_validation_score_ <= 1
    assert net.validation_scores_[best] > 0.5
    net = DropoutClassifier((16,), max_iter=3, **OPTIONS)
    weight = RNG.integers(0, 3, 300)
    a = clone(net).fit(X, LABELS, sample_weight=weight)
    b = clone(net).fit(X[weight > 0], LABELS[weight > 0], sample_weight=weight[weight > 0])
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))


def test_labels_as_a_sparse_matrix_and_in_parts(labelled):
    net = clone(labelled).fit(X, scipy.sparse.csr_array(LABELS))
    np.testing.assert_array_equal(net.predict_proba(X), labelled.predict_proba(X))
    steps = DropoutClassifier((16,), **OPTIONS)
    for _ in range(30):
        steps.partial_fit(X, LABELS, classes=[0, 1, 2])
    assert steps.score(X, LABELS) > 0.7
    with pytest.raises(ValueError, match="y must have the 3 labels of the first fit, got 2"):
        steps.partial_fit(X, LABELS[:, :2])
    with pytest.raises(ValueError, match="several labels a sample exactly where"):
        steps.partial_fit(X, LABELS[:, 0])
    with pytest.raises(ValueError, match="one label for each sample, or 0 and 1 for each label"):
        DropoutClassifier().fit(X, LABELS * [1, 2, 3])
    with pytest.raises(ValueError, match="class_weight must be None for several labels"):
        DropoutClassifier(class_weight="balanced").fit(X, LABELS)


def test_counts_are_learned(counted):
    rate = np.exp(1 + 0.5 * X[:, 0] - 0.3 * X[:, 1])
    found = counted.predict(X)
    assert (found > 0).all() and np.corrcoef(found, rate)[0, 1] > 0.9
    z = counted._outputs(X)[:, 0]
    np.testing.assert_allclose(found, np.exp(z))
    several = clone(counted).fit(X, np.stack([COUNTS, 2 * COUNTS], axis=1))
    assert several.predict(X).shape == (300, 2) and several.n_outputs_ == 2
    ratio = several.predict(X).mean(0)
    assert ratio[1] / ratio[0] == pytest.approx(2, rel=0.1)
    assert (several.coefs_[-1].shape, several.out_activation_) == ((32, 2), "exp")
    with pytest.raises(ValueError, match="y must be at least 0 with loss='poisson', got -1"):
        clone(counted).fit(X, COUNTS - 1.0)


def test_uncertainty_of_counts(counted):
    mc = counted.predict_uncertainty(X, samples=40)
    mean, std = counted.predict(X, return_std=True)
    assert mc.mean.shape == (300, 1) and not mc.is_classification
    np.testing.assert_allclose(mc.aleatoric, mc.mean)  # the variance of a count is its mean
    np.testing.assert_allclose(mc.total_variance, mc.variance + mc.mean)
    np.testing.assert_allclose(std**2, mean + counted.predict_uncertainty(X).variance[:, 0])
    z = (COUNTS - mean) / std
    assert 0.8 < z.std() < 1.2
    parts = [counted.predict_uncertainty(X[i : i + 150], row0=i).mean for i in (0, 150)]
    np.testing.assert_allclose(np.concatenate(parts), counted.predict_uncertainty(X).mean)


def test_early_stopping_scores_counts_behind_the_exponential():
    net = DropoutRegressor((16,), loss="poisson", early_stopping=True, max_iter=40, **OPTIONS)
    net.fit(X, COUNTS)
    assert net.best_validation_score_ > 0.2


@pytest.mark.parametrize("name", ["labelled", "counted"])
def test_files(name, request, tmp_path):
    net, path = request.getfixturevalue(name), tmp_path / "net.safetensors"
    fd.save(net, path)
    again = type(net).load(path)
    np.testing.assert_array_equal(again.predict(X), net.predict(X))
    np.testing.assert_array_equal(
        again.predict_uncertainty(X).mean, net.predict_uncertainty(X).mean
    )
    assert again.get_params() == net.get_params() and again.t_ == net.t_
    assert again.best_loss_ == net.best_loss_ and again.n_outputs_ == net.n_outputs_
    for mine, other in zip(again.coefs_, net.coefs_, strict=True):
        np.testing.assert_array_equal(mine, other)
    again.partial_fit(X, LABELS if name == "labelled" else COUNTS)
    predictor = fd.load(path)
    np.testing.assert_allclose(predictor.predict(X), net.predict(X), rtol=1e-6)
    mc = predictor.mc_predict(X, 5, seed=3)
    np.testing.assert_array_equal(mc.mean, net.predict_uncertainty(X, samples=5, seed=3).mean)


def test_the_command_answers_with_labels(labelled, tmp_path, capsys):
    """All labels above 1/2; the entropies of a row are sums over its labels."""
    fd.save(labelled, tmp_path / "net")
    np.save(tmp_path / "x.npy", X[:20])
    command = ["predict", str(tmp_path / "net"), str(tmp_path / "x.npy")]
    assert main([*command, "--html", str(tmp_path / "p.html")]) == 0
    rows = read(capsys.readouterr().out)
    p = labelled.predict_proba(X[:20])
    assert list(rows[0]) == ["prediction", "0", "1", "2"]
    assert [row["prediction"] for row in rows] == [
        ";".join(str(c) for c in range(3) if q[c] > 0.5) for q in p
    ]
    np.testing.assert_allclose([[float(row[c]) for c in "012"] for row in rows], p, rtol=1e-5)
    shares = [f"<td class='n'>{100 * share:.1f} %</td>" for share in (p > 0.5).mean(0)]
    assert all(share in (tmp_path / "p.html").read_text() for share in shares)
    assert main([*command, "--mc", "5"]) == 0
    entropies = [float(row["entropy"]) for row in read(capsys.readouterr().out)]
    mc = labelled.predict_uncertainty(X[:20], samples=5, seed=0)
    np.testing.assert_allclose(entropies, mc.entropy.sum(1), rtol=1e-5)
    with pytest.raises(ValueError, match="tolerance must be None for several labels"):
        fd.load(tmp_path / "net").mc_predict(X, 5, tolerance=0.1)


def test_the_command_answers_with_the_means_of_counts(counted, tmp_path, capsys):
    fd.save(counted, tmp_path / "net")
    np.save(tmp_path / "x.npy", X[:20])
    command = ["predict", str(tmp_path / "net"), str(tmp_path / "x.npy")]
    for more, mean in (
        ([], counted.predict(X[:20])),
        (["--mc", "5"], counted.predict_uncertainty(X[:20], samples=5, seed=0).mean[:, 0]),
    ):
        assert main([*command, *more]) == 0
        told = [float(row["prediction"]) for row in read(capsys.readouterr().out)]
        np.testing.assert_allclose(told, mean, rtol=1e-6)
