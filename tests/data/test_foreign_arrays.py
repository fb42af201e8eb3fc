"""Arrays of other libraries at every door: training, prediction, losses, kernels, layers."""

import sys

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import kernels as K
from fastdrop import nn
from fastdrop._utils import validation as check

RNG = np.random.default_rng(0)
X = np.round(RNG.standard_normal((20, 3)) * 8) / 8  # numbers that bfloat16 holds
Y = np.arange(20) % 2


@pytest.fixture
def model():
    fd.manual_seed(0)
    return fd.models.mlp(3, (8,), 2, dropout=0.5)


def doors(model):
    """Functions that take samples (20, 3) and give numbers."""
    return {
        "predict": lambda x: fd.predict(model, x),
        "mc_predict": lambda x: fd.mc_predict(model, x, 4, seed=1).mean,
        "evaluate": lambda x: fd.evaluate(model, (x, Y))["loss"],
        "call": lambda x: model.eval()(x).data,
        "kernel": lambda x: K.dropout(x, 0.5, seed=1),
        "product": lambda x: K.matmul(x, np.ones((3, 2))),
        "linear": lambda x: F.linear(x, np.ones((2, 3))).data,
        "loss": lambda x: F.mse_loss(X, x).data,
        "input of a loss": lambda x: F.cross_entropy(x, Y).data,
        "batch norm": lambda x: nn.BatchNorm1d(3)(x).data,
    }


def arrays(tmp_path):
    np.save(tmp_path / "x.npy", X)
    wide = np.zeros((20, 6))
    wide[:, ::2] = X
    return {
        "float16": X.astype(np.float16),
        "big-endian": X.astype(">f8"),
        "Fortran": np.asfortranarray(X),
        "stepped": wide[:, ::2],
        "long double": X.astype(np.longdouble),
        "memory map": np.load(tmp_path / "x.npy", mmap_mode="r"),
        "list": X.tolist(),
        "Tensor": fd.tensor(X),
    }


def same_everywhere(model, x, reference=X):
    for name, door in doors(model).items():
        np.testing.assert_array_equal(door(x), door(reference), err_msg=name)


def test_layouts_and_dtypes_of_numpy(model, tmp_path):
    for x in arrays(tmp_path).values():
        same_everywhere(model, x)


def test_bfloat16_of_ml_dtypes(model):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    same_everywhere(model, X.astype(ml_dtypes.bfloat16))
    assert check.floats(np.array([1, -2], ml_dtypes.float8_e4m3fn), "x").tolist() == [1, -2]


def test_tensors_of_pytorch(model):
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
        same_everywhere(model, torch.tensor(X, dtype=dtype))
    same_everywhere(model, torch.tensor(X.T.copy()).T)
    fd.fit(model, (torch.tensor(X), torch.tensor(Y)), epochs=1, progress=False)
    for wrong, words in (
        (torch.tensor(X, requires_grad=True), r"x\.detach\(\)"),
        (torch.tensor(X).to_sparse(), r"x\.to_dense\(\)"),
    ):
        with pytest.raises(TypeError, match=words):
            fd.predict(model, wrong)


def test_data_frames(model):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abc"))
    for kind in ("float64", "float32", "Float64", "Float32"):
        same_everywhere(model, frame.astype(kind))
    same_everywhere(model, pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]}, dtype=object))
    whole = (frame * 8).astype("int64")
    for kind in ("Int64", "Int16", "int8"):
        same_everywhere(model, whole.astype(kind), whole.to_numpy())
    mixed = frame.assign(a=frame.a > 0)
    expected = mixed.astype(float).to_numpy()
    same_everywhere(model, mixed, expected)
    same_everywhere(model, mixed.astype({"a": "boolean", "b": "Float32"}), expected)
    same_everywhere(model, frame > 0, (X > 0).astype(float))
    same_everywhere(model, frame.astype(pd.SparseDtype("float64")))
    category = frame.assign(b=pd.Series([1, 2] * 10, dtype="category"))
    same_everywhere(model, category, category.astype(float).to_numpy())


def test_pyarrow_columns(model):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(X, columns=list("abc"))
    same_everywhere(model, frame.astype("float64[pyarrow]"))
    flags = frame.assign(a=(frame.a > 0).astype("bool[pyarrow]"))
    same_everywhere(model, flags, frame.assign(a=(frame.a > 0) * 1.0).to_numpy())
    assert fd.data.Dataset(frame, pd.Series(Y, dtype="int32[pyarrow]")).is_classification


def test_columns_of_text_and_missing_values(model):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abc"))
    for column in (["x"] * 20, pd.date_range("2020", periods=20)):
        with pytest.raises(TypeError, match="column 'b' of x must hold real numbers"):
            fd.predict(model, frame.assign(b=column))
    missing = frame.astype("Float64")
    missing.iloc[3, 1] = pd.NA
    assert np.isnan(fd.predict(model, missing)[3]).all()
    with pytest.raises(ValueError, match=r"x must be finite.*row 3"):
        fd.fit(model, (missing, Y), epochs=1, progress=False)
    with pytest.raises(ValueError, match="y must be finite"):
        fd.data.Dataset(X, pd.Series([None, *Y[1:]], dtype="Int64"))


def test_sparse_matrices_are_refused_with_the_remedy(model):
    sparse = pytest.importorskip("scipy.sparse")
    for wrong in (sparse.csr_matrix(X), sparse.coo_array(X)):
        for name, door in doors(model).items():
            with pytest.raises(TypeError, match=r"toarray\(\).*SciPy sparse matrix"):
                door(wrong)
                pytest.fail(name)
        with pytest.raises(TypeError, match="SciPy sparse matrix"):
            fd.fit(model, (wrong, Y), epochs=1, progress=False)


@pytest.mark.parametrize("loss", [None, nn.CrossEntropyLoss(label_smoothing=0.1)])
def test_bool_labels(model, loss):
    labels = Y > 0
    history = fd.fit(model, (X, labels), epochs=2, loss=loss, progress=False)
    fd.manual_seed(0)
    other = fd.models.mlp(3, (8,), 2, dropout=0.5)
    assert history["loss"] == fd.fit(other, (X, Y), epochs=2, loss=loss, progress=False)["loss"]
    assert fd.evaluate(model, (X, labels)) == fd.evaluate(model, (X, Y))
    p = np.full((20, 2), 0.5)
    assert fd.calibration(p, labels).nll == fd.calibration(p, Y).nll
    found = fd.mc_predict(model, X, 5, seed=1, output="softmax")
    np.testing.assert_array_equal(found.log_likelihood(labels), found.log_likelihood(Y))
    scores = RNG.standard_normal((20, 2))
    for function in (F.cross_entropy, F.nll_loss):
        assert function(scores, labels).item() == function(scores, Y).item()
    logits = scores[:, 0]
    for function in (F.binary_cross_entropy_with_logits, F.mse_loss, F.huber_loss):
        assert function(logits, labels).item() == function(logits, Y).item()
    objects = labels.astype(object)
    assert fd.data.Dataset(X, objects).y.tolist() == Y.tolist()


def test_bool_arrays_are_numbers_for_training_and_masks_for_kernels(model):
    flags = X > 0
    np.testing.assert_array_equal(fd.predict(model, flags), fd.predict(model, flags * 1.0))
    fd.fit(model, (flags, Y), epochs=1, progress=False)
    for call in (lambda: K.dropout(flags, 0.5), lambda: fd.Tensor(flags), lambda: F.relu(flags)):
        with pytest.raises(TypeError, match="must hold real numbers"):
            call()


def test_lists_of_tensors_are_refused(model):
    pair = [fd.tensor(X[0], requires_grad=True), fd.tensor(X[1])]
    for name, door in doors(model).items():
        several = name in ("predict", "mc_predict", "evaluate")  # a tuple is several inputs there
        for wrong in (pair, pair if several else tuple(pair), [[pair[0]], [pair[1]]]):
            with pytest.raises(TypeError, match=r"fastdrop\.stack"):
                door(wrong)
                pytest.fail(name)
    for call in (lambda: fd.tensor(pair), lambda: nn.Parameter(pair), lambda: pair[0] + pair):
        with pytest.raises(TypeError, match=r"fastdrop\.stack"):
            call()
    assert F.linear(fd.stack(pair), np.ones((2, 3))).requires_grad


def test_no_library_is_imported():
    before = set(sys.modules)
    check.floats([[1, 2]], "x")
    assert not {name.partition(".")[0] for name in set(sys.modules) - before} & {
        *("pandas", "torch", "scipy", "ml_dtypes")
    }
