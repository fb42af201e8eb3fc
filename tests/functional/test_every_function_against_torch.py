"""Every function of tensors has PyTorch's values, dtypes and gradients: a table of calls.

The table is tests/helpers/function_cases.py: 0-d, empty, broadcast and non-contiguous tensors, of
floats, integers and bools.
"""

import numpy as np
import pytest

import fastdrop as fd
from helpers.function_calls import Of
from helpers.function_cases import CASES

torch = pytest.importorskip("torch")

# They have no counterpart, make random numbers, or have tests of their own.
ELSEWHERE = {
    *("arange", "as_tensor", "bernoulli", "dropout", "empty", "empty_like", "eye", "from_numpy"),
    *("full", "linspace", "logspace", "multinomial", "normal", "ones", "rand", "rand_like"),
    *("randint", "randint_like", "randn", "randn_like", "randperm", "zeros", "einsum"),
    *("is_complex", "is_floating_point", "is_tensor", "numel", "detach"),
    *("get_default_dtype", "set_default_dtype"),
    *("cholesky_inverse", "cholesky_solve", "put", "slogdet"),  # test_linalg.py, test_writing.py
}


# PyTorch marks the result, and has no gradient or 0.
WITHOUT_GRADIENT = {"floor_divide", "heaviside", "histogram", "nextafter"}


def built(argument, library, leaves):
    """An argument for one library."""
    if isinstance(argument, Of):
        leaf, tensor = argument.tensor(library)
        leaves.append(leaf)
        return tensor
    if isinstance(argument, np.ndarray):
        return library.tensor(argument)
    if isinstance(argument, (list, tuple)):
        return type(argument)(built(each, library, leaves) for each in argument)
    return argument


def called(library, name, call, method):
    """The parts of the result, with the tensors that may have gradients."""
    leaves = []
    function = getattr(library.Tensor if method else library, name)
    args = [built(each, library, leaves) for each in call.args]
    options = {key: built(value, library, leaves) for key, value in call.options.items()}
    result = function(*args, **options)
    return list(result) if isinstance(result, (tuple, list)) else [result], leaves


def dtype_of(t):
    return str(t.dtype).removeprefix("torch.")


def agree(name, call, method=False):
    """Values, shapes, dtypes and gradients of both libraries."""
    ours, mine = called(fd, name, call, method)
    theirs, other = called(torch, name, call, method)
    assert len(ours) == len(theirs)
    rng = np.random.default_rng(1)
    total, expected = None, None
    for a, b in zip(ours, theirs, strict=True):
        if not isinstance(b, torch.Tensor):
            assert a == b
            continue
        assert a.shape == tuple(b.shape)
        assert dtype_of(a) == dtype_of(b).replace("float64", "float32")
        assert a.requires_grad == (b.requires_grad and name not in WITHOUT_GRADIENT)
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=2e-5, atol=2e-6)
        if a.requires_grad:
            weights = rng.standard_normal(a.shape).astype(np.float32)
            each, wanted = (a * weights).sum(), (b * torch.from_numpy(weights)).sum()
            total, expected = (each, wanted) if total is None else (total + each, expected + wanted)
    if total is None:
        return
    total.backward()
    expected.backward()
    for a, b in zip(mine, other, strict=True):
        if b.requires_grad:
            gradient = np.zeros(a.shape, np.float32) if a.grad is None else a.grad.numpy()
            wanted = np.zeros(a.shape, np.float32) if b.grad is None else b.grad.numpy(force=True)
            np.testing.assert_allclose(gradient, wanted, rtol=2e-4, atol=2e-5)


def test_parameters_without_axes_get_gradients():
    for shape in ((), (2, 3)):
        x, scale = np.ones(shape, np.float32), fd.Parameter(np.array(2.0, np.float32))
        for _ in range(2):
            (scale * fd.tensor(x)).sum().backward()
        assert scale.grad.shape == () and scale.grad.item() == 2 * x.size


@pytest.mark.filterwarnings("ignore:index_reduce.. is in beta")
@pytest.mark.parametrize("name", CASES)
def test_function(name):
    for call in CASES[name]:
        try:
            agree(name, call)
        except Exception as error:
            raise AssertionError(f"{name}({call}): {type(error).__name__}: {error}") from error


METHODS = [
    name
    for name, calls in CASES.items()
    if isinstance(calls[0].args[0], Of) and hasattr(torch.Tensor, name) and name != "where"
]


@pytest.mark.filterwarnings("ignore:index_reduce.. is in beta")
@pytest.mark.parametrize("name", METHODS)
def test_method(name):
    if not hasattr(fd.Tensor, name):
        raise AssertionError(f"fastdrop.Tensor has no {name}, which PyTorch has")
    agree(name, CASES[name][-1], method=True)


def test_the_table_has_every_function():
    functions = {
        name for name in fd.__all__ if callable(getattr(fd, name)) and hasattr(torch, name)
    }
    functions = {
        name for name in functions if getattr(fd, name).__module__.startswith("fastdrop.functional")
    }
    assert len(functions) > 250
    assert functions - set(CASES) - ELSEWHERE == set()
