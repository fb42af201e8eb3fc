"""Factories, selection, masks, order and diagonals have PyTorch's values, dtypes and gradients."""

import numpy as np
import pytest

import fastdrop as fd
from helpers.against_torch import compare

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
X = {shape: RNG.standard_normal(shape).astype(np.float32) for shape in [(5,), (4, 3), (2, 3, 4)]}
AXES = [((5,), 0), ((4, 3), 0), ((4, 3), -1), ((2, 3, 4), 1)]


def kind(t):
    return np.dtype(str(t.dtype).removeprefix("torch."))


def same(ours, theirs):
    """Equal values, shapes and dtypes."""
    if isinstance(theirs, tuple):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b)
        return
    assert kind(ours) == kind(theirs)
    assert ours.requires_grad == theirs.requires_grad
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-6)
    assert ours.shape == tuple(theirs.shape)


FACTORIES = {
    "zeros": lambda m: m.zeros(2, 3),
    "zeros of a sequence": lambda m: m.zeros((2, 3), dtype=m.int64),
    "ones": lambda m: m.ones([2, 0], device="cpu", requires_grad=True),
    "ones bool": lambda m: m.ones(2, dtype=m.bool),
    "zeros without axes": lambda m: m.zeros(()),
    "zeros by keyword": lambda m: m.zeros(size=(2, 3)),
    "ones by keyword": lambda m: m.ones(size=[2], dtype=m.int64),
    "view by keyword": lambda m: m.ones(2, 3).view(size=(3, 2)),
    "reshape by keyword": lambda m: m.reshape(input=m.ones(2, 3), shape=(6,)),
    "permute by keyword": lambda m: m.ones(2, 3).permute(dims=(1, 0)),
    "expand by keyword": lambda m: m.ones(1, 3).expand(size=(2, 3)),
    "tile by keyword": lambda m: m.ones(2).tile(dims=(2, 2)),
    "flip by keyword": lambda m: m.arange(3).flip(dims=(0,)),
    "new_zeros by keyword": lambda m: m.ones(2).new_zeros(size=(2, 1)),
    "full int": lambda m: m.full((2, 1), 3),
    "full bool": lambda m: m.full((2,), True),
    "full float": lambda m: m.full((2,), 0.5, requires_grad=True),
    "full tensor": lambda m: m.full((2,), m.tensor(2.5)),
    "full cut": lambda m: m.full((2,), 2.7, dtype=m.int32),
    "arange end": lambda m: m.arange(5),
    "arange": lambda m: m.arange(1, 8, 3),
    "arange down": lambda m: m.arange(5, 0, -2),
    "arange float": lambda m: m.arange(0, 1, 0.25),
    "arange float32": lambda m: m.arange(4, dtype=m.float32, requires_grad=True),
    "linspace": lambda m: m.linspace(-1, 2, 7),
    "linspace of one": lambda m: m.linspace(3, 5, 1),
    "logspace": lambda m: m.logspace(-1, 2, 4),
    "logspace base": lambda m: m.logspace(0, 3, 4, base=2),
    "eye": lambda m: m.eye(3),
    "eye 2 3": lambda m: m.eye(2, 3, dtype=m.int64),
    "zeros_like": lambda m: m.zeros_like(m.tensor([[1, 2]])),
    "zeros_like float": lambda m: m.zeros_like(m.tensor([1, 2]), dtype=m.float32),
    "ones_like": lambda m: m.ones_like(m.tensor([1.0]), requires_grad=True),
    "full_like": lambda m: m.full_like(m.tensor([1.0, 2.0]), 3),
    "full_like bool": lambda m: m.full_like(m.tensor([1, 2]), True, dtype=m.bool),
    "as_tensor": lambda m: m.as_tensor([1, 2], dtype=m.float32),
    "new_zeros": lambda m: m.tensor([1, 2]).new_zeros(2, 3),
    "new_ones": lambda m: m.tensor([1.0]).new_ones((2,)),
    "new_full": lambda m: m.tensor([1.0]).new_full((2,), 3),
    "new_tensor": lambda m: m.tensor([1]).new_tensor([4, 5], dtype=m.float32),
}


@pytest.mark.parametrize("name", FACTORIES)
def test_factories(name):
    same(FACTORIES[name](fd), FACTORIES[name](torch))


RANDOM = {
    "rand": lambda m: m.rand(2, 3),
    "randn": lambda m: m.randn((2, 3), requires_grad=True),
    "randint": lambda m: m.randint(2, 7, (4,)),
    "randint high": lambda m: m.randint(7, (4, 2), dtype=m.int32),
    "randint low": lambda m: m.randint(7, size=(4,)),
    "randperm": lambda m: m.randperm(6),
    "rand_like": lambda m: m.rand_like(m.zeros(2)),
    "randn_like": lambda m: m.randn_like(m.zeros(2)),
    "randint_like": lambda m: m.randint_like(m.zeros(2), 3),
    "bernoulli": lambda m: m.bernoulli(m.full((3,), 0.5)),
    "bernoulli method": lambda m: m.full((3,), 0.5).bernoulli(),
    "multinomial": lambda m: m.multinomial(m.ones(2, 4), 3),
    "multinomial row": lambda m: m.ones(4).multinomial(9, replacement=True),
    "normal": lambda m: m.normal(0.0, 1.0, (2, 3)),
    "normal of tensors": lambda m: m.normal(m.zeros(3), m.ones(3)),
    "empty": lambda m: m.empty(2, 3),
    "empty_like": lambda m: m.empty_like(m.tensor([1])),
    "new_empty": lambda m: m.tensor([1]).new_empty(2),
}


@pytest.mark.parametrize("name", RANDOM)
def test_random_factories(name):
    fd.manual_seed(1)
    ours, theirs = RANDOM[name](fd), RANDOM[name](torch)
    assert (ours.shape, kind(ours)) == (tuple(theirs.shape), kind(theirs))
    assert ours.requires_grad == theirs.requires_grad
    fd.manual_seed(1)
    np.testing.assert_array_equal(RANDOM[name](fd).detach().numpy(), ours.detach().numpy())


def test_tensors_without_axes():
    x, y = fd.tensor(2.0), torch.tensor(2.0)
    same(x.take(fd.tensor([0, 0])), y.take(torch.tensor([0, 0])))
    same(x.masked_select(fd.tensor([True, False])), y.masked_select(torch.tensor([True, False])))
    same(x.nonzero(as_tuple=True), y.nonzero(as_tuple=True))


class Noise(fd.nn.Module):
    def __init__(self):
        super().__init__()
        self.dropout = fd.nn.Dropout(0.5)

    def forward(self, x):
        return self.dropout(x) * 0 + fd.randn(1, 3)


def test_monte_carlo_passes_draw_their_own_numbers():
    with pytest.warns(UserWarning, match="random tensors"):
        prediction = fd.mc_predict(Noise(), np.ones((2, 3), np.float32), samples=4)
    assert (prediction.std > 0).all()


def test_distributions():
    fd.manual_seed(0)
    n = 20000
    assert abs(fd.rand(n).mean().item() - 0.5) < 0.01
    assert abs(fd.randn(n).std().item() - 1) < 0.02
    assert abs(fd.bernoulli(fd.full((n,), 0.3)).mean().item() - 0.3) < 0.02
    assert abs(fd.normal(3.0, 2.0, (n,)).mean().item() - 3) < 0.1
    assert sorted(fd.randperm(9).tolist()) == list(range(9))
    assert set(fd.randint(2, 5, (200,)).tolist()) == {2, 3, 4}
    drawn = fd.multinomial([1.0, 0.0, 3.0], n, replacement=True).numpy()
    np.testing.assert_allclose(np.bincount(drawn) / n, [0.25, 0, 0.75], atol=0.02)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int32, np.bool_])
def test_from_numpy_shares_memory(dtype):
    array = np.zeros(3, dtype)
    for t in (fd.from_numpy(array), fd.as_tensor(array)):
        assert np.shares_memory(t.numpy(), array)
        assert t.dtype == dtype
    t = fd.ones(2)
    assert fd.as_tensor(t) is t


LINEAR = {
    "tril": lambda m, x: m.tril(x),
    "tril 1": lambda m, x: x.tril(1),
    "triu": lambda m, x: m.triu(x, diagonal=-1),
    "diagonal": lambda m, x: m.diagonal(x),
    "diagonal 1": lambda m, x: x.diagonal(1, 0, -1),
    "diagonal -1": lambda m, x: x.diagonal(offset=-1, dim1=-1, dim2=-2),
    "take": lambda m, x: m.take(x, m.tensor([[0, -1], [3, 3]])),
    "masked_fill": lambda m, x: x.masked_fill(x > 0, -2.0),
    "masked_fill row": lambda m, x: m.masked_fill(x, x[0] > 0, float("-inf")),
    "masked_select": lambda m, x: m.masked_select(x, x > 0),
    "masked_select row": lambda m, x: x.masked_select(x[0] > 0),
    "where": lambda m, x: m.where(x > 0, x, 2 * x),
    "where number": lambda m, x: m.where(x > 0, 0.0, x),
    "where method": lambda m, x: x.where(x > 0, x[:1]),
    "msort": lambda m, x: m.msort(x),
}


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4)])
@pytest.mark.parametrize("name", LINEAR)
def test_functions_of_one_tensor(name, shape):
    compare(lambda x: LINEAR[name](fd, x), lambda x: LINEAR[name](torch, x), X[shape])
    whole = np.arange(np.prod(shape)).reshape(shape) % 5 - 2
    if name not in ("where", "where number", "where method", "masked_fill row"):
        ints = fd.tensor(whole), torch.tensor(whole)
        if name == "masked_fill":
            same(ints[0].masked_fill(ints[0] > 0, -2), ints[1].masked_fill(ints[1] > 0, -2))
        else:
            same(LINEAR[name](fd, ints[0]), LINEAR[name](torch, ints[1]))


MATRICES = {
    "trace": (lambda m, x: m.trace(x), (4, 3)),
    "diag": (lambda m, x: m.diag(x, 1), (4, 3)),
    "diag of a vector": (lambda m, x: x.diag(-1), (5,)),
    "take_along_dim": (lambda m, x: m.take_along_dim(x, m.tensor([3, 0])), (5,)),
}


@pytest.mark.parametrize("name", MATRICES)
def test_functions_of_matrices(name):
    function, shape = MATRICES[name]
    compare(lambda x: function(fd, x), lambda x: function(torch, x), X[shape])


ALONG = {
    "gather": lambda m, x, d, i: x.gather(d, i),
    "take_along_dim": lambda m, x, d, i: m.take_along_dim(x, i, d),
    "scatter number": lambda m, x, d, i: m.scatter(x, d, i, 1.5),
    "sort": lambda m, x, d, i: m.sort(x, d).values,
    "sort descending": lambda m, x, d, i: x.sort(dim=d, descending=True)[0],
    "topk": lambda m, x, d, i: m.topk(x, 2, d).values,
    "topk smallest": lambda m, x, d, i: x.topk(2, dim=d, largest=False).values,
    "kthvalue": lambda m, x, d, i: m.kthvalue(x, 2, d).values,
    "kthvalue keepdim": lambda m, x, d, i: x.kthvalue(2, d, keepdim=True).values,
    "index_select": lambda m, x, d, i: m.index_select(x, d, m.tensor([1, 0, 1])),
}


@pytest.mark.parametrize(("shape", "dim"), AXES)
@pytest.mark.parametrize("name", ALONG)
def test_functions_along_an_axis(name, shape, dim):
    index = RNG.integers(0, shape[dim], shape)
    compare(
        lambda x: ALONG[name](fd, x, dim, fd.tensor(index)),
        lambda x: ALONG[name](torch, x, dim, torch.tensor(index)),
        X[shape],
    )


@pytest.mark.parametrize(("shape", "dim"), AXES)
def test_scatter_and_index_add(shape, dim):
    order = np.argsort(RNG.random(shape), dim)
    part = tuple(slice(max(n - 1, 1)) for n in shape)
    for name, index in (("scatter", order[part]), ("scatter_add", order[part] // 2)):
        compare(
            lambda x, s, name=name, index=index: getattr(fd, name)(x, dim, fd.tensor(index), s),
            lambda x, s, name=name, index=index: getattr(x, name)(dim, torch.tensor(index), s),
            X[shape],
            RNG.standard_normal(index.shape),
        )
        large = X[shape] * 2  # PyTorch refuses the gradient of a larger source
        mine = getattr(fd, name)(X[shape], dim, index, large)
        other = torch.tensor(X[shape]), torch.tensor(index), torch.tensor(large)
        same(mine, getattr(other[0], name)(dim, *other[1:]))
    index = np.array([0, 1, 0])
    source = np.take(RNG.standard_normal(shape), index, dim)
    compare(
        lambda x, s: x.index_add(dim, fd.tensor(index), s, alpha=2),
        lambda x, s: torch.index_add(x, dim, torch.tensor(index), s, alpha=2),
        X[shape],
        source,
    )


@pytest.mark.parametrize(("shape", "dim"), AXES)
def test_places_of_order(shape, dim):
    x, y = fd.tensor(X[shape]), torch.tensor(X[shape])
    same(fd.argsort(x, dim), torch.argsort(y, dim))
    same(x.argsort(dim, True), y.argsort(dim, True))
    same(x.topk(2, dim), tuple(y.topk(2, dim)))
    same(x.kthvalue(2, dim), tuple(y.kthvalue(2, dim)))
    ties = X[shape] > 0
    for array in (ties.astype(np.int64), np.where(ties, np.nan, X[shape]).astype(np.float32)):
        for down in (False, True):
            mine = fd.sort(fd.tensor(array), dim, down, stable=True)
            same(
                mine, tuple(torch.sort(torch.tensor(array), dim=dim, descending=down, stable=True))
            )


INTEGERS = [[[3, 1, 3], [0, 1, 7]], [[0, 0, 1], [0, 0, 1]]]
SETS = {
    "nonzero": lambda m, x: m.nonzero(x),
    "nonzero tuple": lambda m, x: x.nonzero(as_tuple=True),
    "where": lambda m, x: m.where(x > 0),
    "argwhere": lambda m, x: m.argwhere(x),
    "unique": lambda m, x: m.unique(x),
    "unique all": lambda m, x: x.unique(return_inverse=True, return_counts=True),
    "unique rows": lambda m, x: m.unique(x, return_inverse=True, return_counts=True, dim=0),
    "bincount": lambda m, x: x.reshape(-1).bincount(),
    "bincount minlength": lambda m, x: m.bincount(x.reshape(-1), minlength=20),
    "bincount weights": lambda m, x: m.bincount(x[0], m.tensor([0.5, 1.0, 2.0])),
    "isin": lambda m, x: m.isin(x, m.tensor([1, 7])),
    "isin invert": lambda m, x: m.isin(x, 3, invert=True),
    "searchsorted": lambda m, x: m.searchsorted(m.tensor([0, 1, 3]), x),
    "searchsorted rows": lambda m, x: m.searchsorted(x.sort().values, x, right=True),
    "bucketize": lambda m, x: m.bucketize(x, m.tensor([1, 3]), out_int32=True),
    "bucketize right": lambda m, x: m.bucketize(x, m.tensor([1, 3]), right=True),
    "where ints": lambda m, x: m.where(x > 1, x, 0),
    "where mixed": lambda m, x: m.where(x > 1, x, 0.5),
    "where bools": lambda m, x: m.where(x > 1, True, False),
    "where int32": lambda m, x: m.where(x > 1, x.int(), 1),
    "scatter": lambda m, x: m.zeros(2, 9, dtype=m.int64).scatter(1, x, 1),
    "gather bools": lambda m, x: (x > 1).gather(1, x.masked_fill(x > 2, 0)),
    "trace": lambda m, x: m.trace(x),
}


@pytest.mark.parametrize("array", INTEGERS)
@pytest.mark.parametrize("name", SETS)
def test_functions_of_integers(name, array):
    same(SETS[name](fd, fd.tensor(array)), SETS[name](torch, torch.tensor(array)))


ERRORS = [
    (lambda: fd.from_numpy(np.zeros(2)), TypeError, "array must hold float32"),
    (lambda: fd.from_numpy([1.0]), TypeError, "array must be an array of NumPy"),
    (lambda: fd.zeros(2, dtype=np.float64), TypeError, "dtype must be float32"),
    (lambda: fd.zeros(2, device="cuda"), ValueError, "device must be 'cpu'"),
    (lambda: fd.zeros(-1), ValueError, "size must"),
    (lambda: fd.arange(3, requires_grad=True), RuntimeError, "only float32 tensors"),
    (lambda: fd.arange(3, 0), ValueError, "step must lead from start to end"),
    (lambda: fd.randint(3, 3, (2,)), ValueError, "high must be larger than low"),
    (lambda: fd.bernoulli([2.0]), ValueError, "input must hold probabilities"),
    (lambda: fd.multinomial([1.0, 0.0], 2), ValueError, "num_samples must be at most"),
    (lambda: fd.multinomial([-1.0, 2.0], 1), ValueError, "input must hold weights >= 0"),
    (lambda: fd.normal(0.0, -1.0), ValueError, "std must not be negative"),
    (lambda: fd.gather([1.0], 0, [1]), IndexError, r"index must lie in \[0, 1\)"),
    (lambda: fd.gather([1.0], 0, [[0]]), ValueError, "index must have at most the lengths"),
    (lambda: fd.gather([1.0], 0, [0.5]), TypeError, "index must hold integers"),
    (lambda: fd.scatter([1.0], 0, [0, 0], [1.0]), ValueError, "src must have at least"),
    (lambda: fd.index_add([1.0], 0, [0], [1.0, 2.0]), ValueError, "source must have shape"),
    (lambda: fd.index_select([1.0], 0, [[0]]), ValueError, "index must have one axis"),
    (lambda: fd.masked_fill([1.0], [1.0], 0), TypeError, "mask must hold bools"),
    (lambda: fd.masked_fill([1.0], [True], [0.0]), ValueError, "value must be a single number"),
    (lambda: fd.where([True], 1.0), TypeError, "needs both input and other"),
    (lambda: fd.topk([1.0], 2), ValueError, "k must"),
    (lambda: fd.bincount([0.5]), TypeError, "input must hold integers"),
    (lambda: fd.bincount([-1]), ValueError, "input must hold integers >= 0"),
    (lambda: fd.bucketize([1.0], 2.0), ValueError, "boundaries must have one axis"),
    (lambda: fd.searchsorted([[1.0]], [1.0, 2.0]), ValueError, "sorted_sequence must be"),
    (lambda: fd.tril([1.0]), ValueError, "input must have at least 2 axes"),
    (lambda: fd.trace([1.0]), ValueError, "input must be a matrix"),
    (lambda: fd.diag(1.0), ValueError, "input must have 1 or 2 axes"),
    (lambda: fd.diagonal([[1.0]], 0, 1, 1), ValueError, "dim1 and dim2 must be two axes"),
]


@pytest.mark.parametrize(("call", "error", "sentence"), ERRORS)
def test_errors(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
