"""Estimators in model files: saved by fastdrop.save, without pickle."""

import json

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import fastdrop as fd
from fastdrop.cli import main
from fastdrop.io.safetensors import read_file, save_file
from fastdrop.sklearn import DropoutClassifier, DropoutRegressor

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 4)) * [1, 100, 0.01, 5] + [0, 1000, 0, 3]
ABOVE = X[:, 1] > 1000
OPTIONS = dict(dropout=0.2, max_iter=3)

LABELS = {
    "text": np.where(ABOVE, "yes", "no"),
    "objects": np.where(ABOVE, "yes", "no").astype(object),
    "integers": np.where(ABOVE, 7, -3),
    "floats": np.where(ABOVE, 1.0, 2.0),
    "bools": ABOVE,
    "many": np.arange(90) % 11,
}


@pytest.mark.parametrize("name", LABELS)
def test_a_classifier_predicts_as_before(tmp_path, name):
    y, path = LABELS[name], tmp_path / "net.safetensors"
    net = DropoutClassifier((8,), random_state=0, **OPTIONS).fit(X, y)
    fd.save(net, path)
    predictor, again = fd.load(path), DropoutClassifier.load(path)
    for found in (predictor.predict(X), again.predict(X)):
        assert found.tolist() == net.predict(X).tolist()
    np.testing.assert_allclose(predictor.predict_proba(X), net.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(again.predict_proba(X), net.predict_proba(X))
    assert again.classes_.dtype == net.classes_.dtype
    assert again.get_params() == net.get_params()
    np.testing.assert_array_equal(
        again.predict_uncertainty(X).entropy, net.predict_uncertainty(X).entropy
    )
    assert again.loss_curve_ == net.loss_curve_ and again.n_iter_ == net.n_iter_
    again.partial_fit(X, y)
    clone(again).fit(X, y)


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("standardize", [True, False])
def test_a_regressor_predicts_as_before(tmp_path, targets, standardize):
    y = X[:, 1] if targets == 1 else X[:, [1, 3]]
    path = tmp_path / "net.safetensors"
    net = DropoutRegressor(8, random_state=0, standardize=standardize, length_scale=2.0, **OPTIONS)
    net.fit(X, y)
    fd.save(net, path)
    predictor, again = fd.load(path), DropoutRegressor.load(path)
    np.testing.assert_array_equal(predictor.predict(X), net.predict(X))
    for found, expected in zip(
        again.predict(X, return_std=True), net.predict(X, return_std=True), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(again.tau_, net.tau_)
    assert again.predict(X).shape == y.shape


@pytest.mark.parametrize(
    "options",
    [
        {"n_iter_no_change": np.inf, "max_iter": 4},
        {"solver": "lbfgs", "dropout": 0, "activation": "identity", "max_fun": 500, "max_iter": 99},
        {"solver": "sgd", "learning_rate": "adaptive", "power_t": 0.3},
        {"early_stopping": True, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-6},
        {"class_weight": {"yes": 2.0, "no": 0.5}},
    ],
)
def test_all_parameters_and_attributes_come_back(tmp_path, options):
    path = tmp_path / "net.safetensors"
    net = DropoutClassifier((8,), random_state=0, **OPTIONS | options).fit(X, LABELS["text"])
    fd.save(net, path)
    again = DropoutClassifier.load(path)
    assert again.get_params() == net.get_params()
    hidden = {"_optimizer", "_no_improvement_count", "model_", "_input"}
    for name in vars(net).keys() - net.get_params().keys() - hidden:
        expected, found = getattr(net, name), getattr(again, name)
        if isinstance(expected, np.ndarray):
            assert found.tolist() == expected.tolist() and found.dtype == expected.dtype
        else:
            assert found == expected, name
    np.testing.assert_array_equal(again.predict_proba(X), net.predict_proba(X))


def test_files_from_before_the_inputs_were_described(tmp_path):
    """The scale of the inputs, the classes and the names stand in the preparation alone."""
    path = tmp_path / "net.safetensors"
    for net, y in (
        (DropoutClassifier((8,), random_state=0, **OPTIONS), LABELS["text"]),
        (DropoutRegressor((8,), random_state=0, **OPTIONS), X[:, 1]),
    ):
        fd.save(net.fit(X, y), path)
        tensors, metadata = read_file(path)
        about = json.loads(metadata["fastdrop.model"])
        old = about["info"]["estimator"]
        for name in ("inputs", "classes", "target", "feature_names", "multilabel", "noise_std"):
            del old[name]
        del old["attributes"]["t_"]
        for name in ("learning_rate", "power_t", "beta_1", "beta_2", "epsilon", "max_fun"):
            del old["parameters"][name]
        save_file(tensors, path, {"format": "fastdrop", "fastdrop.model": json.dumps(about)})
        again = type(net).load(path)
        np.testing.assert_array_equal(again.predict(X), net.predict(X))
        assert again.get_params() == net.get_params() and again.t_ == 0


def test_names_of_a_data_frame(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=["a", "target", "c", "d"])
    net = DropoutRegressor(8, random_state=0, **OPTIONS).fit(frame, X[:, 1])
    path = tmp_path / "net.safetensors"
    fd.save(net, path)
    predictor = fd.load(path)
    assert predictor.feature_names == list(frame.columns)
    np.testing.assert_array_equal(
        predictor.predict(frame[["d", "c", "target", "a"]]), net.predict(frame)
    )
    np.testing.assert_array_equal(predictor.predict(X), net.predict(frame))
    again = DropoutRegressor.load(path)
    assert again.feature_names_in_.tolist() == list(frame.columns)
    np.testing.assert_array_equal(again.predict(frame), net.predict(frame))
    with pytest.raises(ValueError, match="no column 'c'"):
        predictor.predict(frame[["a", "target", "d"]])


def test_the_command_line_reads_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    net = DropoutClassifier((8,), random_state=0, **OPTIONS).fit(X, LABELS["text"])
    fd.save(net, "net.safetensors")
    np.save("x.npy", X)
    assert main(["predict", "net.safetensors", "x.npy"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header == "prediction,no,yes"
    assert [line.split(",")[0] for line in lines] == net.predict(X).tolist()


def test_what_a_file_cannot_hold(tmp_path):
    path = tmp_path / "net.safetensors"
    with pytest.raises(NotFittedError):
        fd.save(DropoutClassifier(), path)
    net = DropoutClassifier((8,), random_state=np.random.RandomState(0), **OPTIONS)
    fd.save(net.fit(X, LABELS["text"]), path)
    assert DropoutClassifier.load(path).random_state is None  # a generator is no number
    with pytest.raises(ValueError, match="info must be left out for a DropoutClassifier"):
        fd.save(net, path, info={})


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    fd.save(DropoutClassifier((8,), **OPTIONS).fit(X, LABELS["text"]), path)
    with pytest.raises(ValueError, match="must hold a DropoutRegressor, got DropoutClassifier"):
        DropoutRegressor.load(path)
    tensors, metadata = read_file(path)
    about = json.loads(metadata["fastdrop.model"])
    for change in (
        {"parameters": {"colour": 1}},
        {"parameters": [1]},
        {"attributes": {}},
        {"attributes": about["info"]["estimator"]["attributes"] | {"_run": {"seed": -1}}},
        {"attributes": about["info"]["estimator"]["attributes"] | {"n_iter_": "x"}},
        {"classes_dtype": "V8"},
        {"classes_dtype": 3},
        {"classes_dtype": None},
        {"inputs": {}},
        {"inputs": about["info"]["estimator"]["inputs"] | {"fill": [0.0]}},
        {"inputs": about["info"]["estimator"]["inputs"] | {"indicators": [4]}},
        {"inputs": about["info"]["estimator"]["inputs"] | {"indicators": [1, 0]}},
        {"classes": ["a", "b", "c"]},
        {"feature_names": ["a"]},
        {"multilabel": 1},
        {"parameters": {"tol": {"number": "x"}}},
    ):
        info = about["info"] | {"estimator": about["info"]["estimator"] | change}
        text = json.dumps(about | {"info": info})
        save_file(tensors, path, {"format": "fastdrop", "fastdrop.model": text})
        with pytest.raises(ValueError, match="does not describe a DropoutClassifier"):
            DropoutClassifier.load(path)
    fd.save(fd.nn.Linear(4, 2), path)
    with pytest.raises(ValueError, match="must hold a DropoutClassifier, got a model without"):
        DropoutClassifier.load(path)
