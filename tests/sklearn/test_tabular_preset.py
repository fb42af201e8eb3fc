"""preset="tabular": the recipe of RealMLP in the estimators."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

import scipy.sparse
from sklearn.base import clone
from sklearn.preprocessing import RobustScaler

import fastdrop as fd
from fastdrop import nn
from fastdrop.sklearn import DropoutClassifier, DropoutRegressor, DropoutTransformer
from helpers.estimators import BOTH_ESTIMATORS, blobs, noisy_sine

SMALL = {"preset": "tabular", "hidden_layer_sizes": (16,), "max_iter": 12, "random_state": 0}
RNG = np.random.default_rng(0)


def test_the_network_has_the_sizes_of_the_recipe():
    x, y = blobs()
    net = DropoutClassifier(preset="tabular", max_iter=2, random_state=0).fit(x, y)
    kinds = [type(layer) for layer in net.model_]
    hidden = [nn.Linear, nn.ParametricActivation, nn.Dropout]
    assert kinds == [nn.SmoothClip, nn.PeriodicEmbeddings, nn.LayerScale, *hidden * 3, nn.Linear]
    assert [m.out_features for m in net.model_ if isinstance(m, nn.Linear)] == [256, 256, 256, 3]
    assert net.model_[4].activation == "selu" and net.n_iter_ == 2 and net.n_outputs_ == 3
    assert {m.p for m in net.model_ if isinstance(m, nn.Dropout)} == {0.15}
    line = DropoutRegressor(preset="tabular", max_iter=2, random_state=0).fit(x, y)
    assert line.model_[4].activation == "mish"


def test_it_learns():
    x, y = blobs()
    options = {"preset": "tabular", "hidden_layer_sizes": (32, 32), "random_state": 0}
    assert DropoutClassifier(**options, max_iter=60).fit(x, y).score(x, y) > 0.95
    x, y = noisy_sine()
    assert DropoutRegressor(**options).fit(x, y).score(x, y) > 0.95


@BOTH_ESTIMATORS
def test_the_best_epoch_counts(kind):
    x, y = blobs()
    net = kind(**SMALL).fit(x, y)
    assert len(net.validation_scores_) == len(net.loss_curve_) == 12
    assert net.best_validation_score_ == max(net.validation_scores_)
    best = 12 - int(np.argmax(net.validation_scores_[::-1]))  # the last one of several
    again = kind(**SMALL).fit(x, y)
    np.testing.assert_array_equal(net.predict(x), again.predict(x))
    held = kind(**SMALL | {"validation_fraction": 0.5}).fit(x, y)
    assert held.t_ == 12 * len(x) // 2 and 1 <= best <= 12


@BOTH_ESTIMATORS
def test_files_copies_and_passes(kind, tmp_path):
    x, y = blobs()
    net = kind(**SMALL).fit(x, y)
    expected = net.predict(x)
    fd.save(net, tmp_path / "net.fd")
    loaded, predictor = kind.load(tmp_path / "net.fd"), fd.load(tmp_path / "net.fd")
    copies = (loaded, pickle.loads(pickle.dumps(net)), clone(net).fit(x, y))
    for copy in copies:
        np.testing.assert_array_equal(copy.predict(x), expected)
        passes = copy.predict_uncertainty(x, samples=5).mean
        np.testing.assert_array_equal(passes, net.predict_uncertainty(x, samples=5).mean)
    assert predictor.model[2].gamma.shape == (4 * x.shape[1],)
    if kind is DropoutRegressor:
        assert (net.predict(x, return_std=True)[1] > 0).all()
        np.testing.assert_allclose(predictor.predict(x), expected, rtol=1e-5)
    else:
        np.testing.assert_array_equal(predictor.predict(x), expected)


@BOTH_ESTIMATORS
def test_features_are_scaled_by_their_quartiles(kind):
    x, y = blobs()
    x[:, 2] = 7.0
    holes = RNG.random(len(x)) < 0.3
    x[holes, 1] = np.nan
    net = kind(**SMALL).fit(x, y)
    fitted, _ = split(net, x, y)
    np.testing.assert_allclose(net._input.fill, np.nanmedian(fitted, axis=0))
    scaler = RobustScaler().fit(fitted)
    np.testing.assert_allclose(net._input.scaler.scale, scaler.scale_)
    filled = np.where(np.isnan(x), net._input.fill, x)
    np.testing.assert_array_equal(net.predict(x), net.predict(filled))
    sparse = kind(**SMALL).fit(scipy.sparse.csr_matrix(x), y)
    np.testing.assert_allclose(sparse.predict(x), net.predict(x), rtol=1e-4)


def split(net, x, y):
    """The training and validation samples of an estimator with random_state=0."""
    from sklearn.utils import check_random_state

    from fastdrop.sklearn.splitting import split_validation

    generator = check_random_state(0)
    generator.randint(2**63 - 1, dtype=np.int64)
    target = y.astype(np.float64)[:, None] if net._is_regression else y
    parts, held = split_validation(0.2, [x, target], generator)
    return parts[0], held[0]


def test_half_the_range_takes_the_place_of_a_quartile_range_of_zero():
    x, y = blobs()
    x[:, 0] = 0.0
    x[::20, 0] = 8.0
    net = DropoutClassifier(**SMALL).fit(x, y)
    assert net._input.scaler.mean[0] == 0.0 and net._input.scaler.scale[0] == 4.0


@BOTH_ESTIMATORS
def test_weights(kind):
    x, y = blobs()
    weight = RNG.integers(1, 4, len(x)).astype(float)
    net = kind(**SMALL).fit(x, y, sample_weight=weight)
    scaled = kind(**SMALL).fit(x, y, sample_weight=8 * weight)
    np.testing.assert_array_equal(net.predict(x), scaled.predict(x))
    assert (net.model_[3].weight.data != kind(**SMALL).fit(x, y).model_[3].weight.data).any()
    more = np.concatenate([x, x[:9] + 100]), np.concatenate([y, y[:9]])
    zeros = kind(**SMALL).fit(*more, sample_weight=np.concatenate([weight, np.zeros(9)]))
    np.testing.assert_array_equal(net.predict(x), zeros.predict(x))
    medians = net._input.fill
    fitted, used = split_weights(net, x, y, weight)
    for j, median in enumerate(medians):
        assert used[fitted[:, j] < median].sum() <= used.sum() / 2
        assert used[fitted[:, j] > median].sum() <= used.sum() / 2


def split_weights(net, x, y, weight):
    """The training samples and their weights."""
    fitted, _ = split(net, np.column_stack([x, weight]), y)
    return fitted[:, :-1], fitted[:, -1]


@pytest.mark.parametrize(
    "x", [np.ones((100, 2)), scipy.sparse.csr_matrix((100, 2))], ids=["dense", "sparse"]
)
def test_without_a_feature_that_varies_the_defaults_train(x):
    y = np.r_[np.zeros(85), np.ones(15)]
    net = DropoutClassifier(preset="tabular", random_state=0).fit(x, y)
    assert isinstance(net.model_[0], nn.Linear)
    assert net.predict_proba(x[:1])[0, 1] == pytest.approx(0.15, abs=0.05)
    line = DropoutRegressor(preset="tabular", random_state=0).fit(x, y + 3)
    assert line.predict(x[:1])[0] == pytest.approx(3.15, abs=0.1)


def test_class_weight_and_several_labels():
    x, y = blobs()
    net = DropoutClassifier(**SMALL | {"max_iter": 60}, class_weight="balanced").fit(x, y)
    assert net.score(x, y) > 0.9
    labels = np.stack([y == 0, y > 0], axis=1).astype(int)
    several = DropoutClassifier(**SMALL | {"max_iter": 60}).fit(x, labels)
    assert several.predict(x).shape == labels.shape and several.score(x, labels) > 0.8
    weighted = DropoutClassifier(**SMALL).fit(x, labels, sample_weight=np.full(len(x), 2.0))
    assert weighted.predict_proba(x).shape == labels.shape


def test_several_targets():
    x, y = blobs()
    net = DropoutRegressor(**SMALL).fit(x, np.stack([y, -y], axis=1))
    assert net.predict(x).shape == (len(x), 2)
    assert DropoutTransformer(net).fit(x, y).transform(x).shape == (len(x), 16)


def test_given_parameters_take_the_place_of_the_recipe():
    x, y = blobs()
    given = {"activation": "tanh", "dropout": 0.3, "batch_size": 50, "learning_rate_init": 0.01}
    net = DropoutClassifier(**SMALL, **given).fit(x, y)
    assert net.model_[4].activation == "tanh" and net.model_[5].p == 0.3
    other = DropoutClassifier(**SMALL, **given, beta_2=0.9).fit(x, y)
    assert (net.predict_proba(x) != other.predict_proba(x)).any()


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (DropoutClassifier, {"solver": "sgd"}),
        (DropoutClassifier, {"warm_start": True}),
        (DropoutClassifier, {"early_stopping": True}),
        (DropoutClassifier, {"standardize": False}),
        (DropoutRegressor, {"loss": "poisson"}),
        (DropoutRegressor, {"length_scale": 1.0}),
    ],
)
def test_what_the_recipe_has_no_place_for(kind, given):
    x, y = blobs()
    (name,) = given
    with pytest.raises(ValueError, match=f"{name} must be .*, its default, with preset='tabular'"):
        kind(**SMALL, **given).fit(x, y)


def test_errors():
    x, y = blobs()
    with pytest.raises(ValueError, match="preset must be one of 'tabular', got 'best'"):
        DropoutClassifier(preset="best").fit(x, y)
    with pytest.raises(ValueError, match="activation must be"):
        DropoutClassifier(preset="tabular", activation="identity").fit(x, y)
    net = DropoutClassifier(**SMALL).fit(x, y)
    assert not any(hasattr(net, name) for name in ("partial_fit", "coefs_", "intercepts_"))
    with pytest.raises(AttributeError, match=r"preset='tabular': its network is model_"):
        net.coefs_  # noqa: B018
