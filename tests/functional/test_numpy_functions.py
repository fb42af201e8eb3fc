"""NumPy's functions and operators with tensors: never a lost gradient."""

import copy

import numpy as np
import pytest

import fastdrop as fd

A = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)


@pytest.fixture
def t():
    return fd.tensor([[0.5, 1.5], [2.0, 1.0]], requires_grad=True)


@pytest.mark.parametrize(
    "function",
    [
        np.exp,
        np.sqrt,
        np.square,
        np.mean,
        np.sum,
        np.max,
        np.transpose,
        np.linalg.norm,
        lambda x: np.maximum(x, 0),
        lambda x: np.clip(x, 0, 1),
        lambda x: np.concatenate([x, x]),
        lambda x: np.stack([A, x]),
        lambda x: np.where(A > 2, x, A),
        lambda x: np.einsum("ij,jk", A, x),
        lambda x: np.add.reduce(x),
        lambda x: np.add(A, x, out=np.empty_like(A)),
        lambda x: np.dot(A, x),
    ],
)
def test_functions_refuse_tensors_with_a_gradient(function, t):
    with pytest.raises(TypeError, match=r"would lose the gradient.*detach"):
        function(t)
    expected = function(t.numpy())
    np.testing.assert_array_equal(function(t.detach()), expected)
    with fd.no_grad():
        np.testing.assert_array_equal(function(t), expected)


def test_the_error_names_the_function_of_fastdrop(t):
    for function, name in ((np.exp, "exp"), (lambda x: np.concatenate([x]), "cat")):
        with pytest.raises(TypeError, match=rf"fastdrop\.{name} keeps it"):
            function(t)


def test_operators_with_an_array_on_the_left_keep_the_gradient(t):
    weights = copy.deepcopy(A)
    for scalar in (np.float64(2), np.float32(2), np.int64(2), np.array(2.0)):
        result = scalar * t
        assert isinstance(result, fd.Tensor) and result.requires_grad
        np.testing.assert_array_equal(result.data, 2 * t.data)
    for operator in ("+", "-", "*", "/", "**", "@"):
        found = eval(f"weights {operator} t")
        expected = eval(f"fd.tensor(weights) {operator} t")
        assert isinstance(found, fd.Tensor) and found.requires_grad
        np.testing.assert_array_equal(found.data, expected.data)
        gradients = []
        for result in (found, expected):
            t.grad = None
            result.sum().backward()
            gradients.append(t.grad.data)
        np.testing.assert_array_equal(*gradients)
    with pytest.raises(TypeError, match="would lose the gradient"):
        weights += t
    np.testing.assert_array_equal(weights, A)
    weights += t.detach()
    np.testing.assert_array_equal(weights, A + t.data)


def test_functions_without_a_gradient(t):
    assert np.shape(t) == (2, 2) and np.ndim(t) == 2 and np.size(t) == 4
    assert np.greater(A, t).dtype == bool and np.array_equal(t, t) and np.allclose(A, A + 0 * t)
    assert np.isfinite(t).all() and np.argmax(t) == 2 and np.zeros_like(t).shape == (2, 2)
    assert np.asarray(t) is t.data and np.array(t) is not t.data
