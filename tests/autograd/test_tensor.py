"""Tensors, the tape, arithmetic."""

import copy
import pickle
import threading

import numpy as np
import pytest
from helpers.gradcheck import check

import fastdrop as fd
from fastdrop._utils import buffers


def floats(*shape, seed=0, low=None):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) if low is None else rng.uniform(low, low + 2, shape)


A, B = floats(3, 4), floats(3, 4, seed=1)
POSITIVE = floats(3, 4, low=0.3)
softmax = lambda x, axis: np.exp(x) / np.exp(x).sum(axis, keepdims=True)  # noqa: E731
INDEX = np.array([0, 2, 2, 1])
MASK = A > 0


@pytest.mark.parametrize(
    ("function", "twin", "arrays"),
    [
        (lambda a, b: a + b, np.add, (A, B)),
        (lambda a, b: a + b, np.add, (A, floats(4))),
        (lambda a, b: a - b, np.subtract, (floats(3, 1), floats(4))),
        (lambda a, b: a * b, np.multiply, (A, floats(1, 1))),
        (lambda a, b: a * b, np.multiply, (A, np.array(2.0))),
        (lambda a, b: a / b, np.divide, (A, POSITIVE)),
        (lambda a, b: a / b, np.divide, (floats(2, 3, 4), floats(3, 1, low=1.0))),
        (lambda a: 2 - a, lambda a: 2 - a, (A,)),
        (lambda a: 3 / a, lambda a: 3 / a, (POSITIVE,)),
        (lambda a: -a, np.negative, (A,)),
        (lambda a: a**3, lambda a: a**3, (A,)),
        (lambda a, b: a**b, np.power, (POSITIVE, B)),
        (lambda a: 2**a, lambda a: 2**a, (A,)),
        (lambda a, b: a @ b, np.matmul, (A, floats(4, 5))),
        (lambda a, b: a @ b, np.matmul, (floats(4), floats(4, seed=1))),
        (lambda a, b: a @ b, np.matmul, (A, floats(4))),
        (lambda a, b: a @ b, np.matmul, (floats(4), floats(4, 2))),
        (lambda a, b: a @ b, np.matmul, (floats(2, 3, 4), floats(2, 4, 2))),
        (lambda a, b: a @ b, np.matmul, (floats(2, 3, 4), floats(4, 2))),
        (lambda a: a.exp(), np.exp, (A,)),
        (lambda a: a.log(), np.log, (POSITIVE,)),
        (lambda a: a.sqrt(), np.sqrt, (POSITIVE,)),
        (lambda a: a.abs(), np.abs, (A,)),
        (lambda a: a.tanh(), np.tanh, (A,)),
        (lambda a: a.sigmoid(), lambda a: 1 / (1 + np.exp(-a)), (A,)),
        (lambda a: a.relu(), lambda a: np.maximum(a, 0), (A,)),
        (lambda a: a.clamp(-0.5, 0.7), lambda a: np.clip(a, -0.5, 0.7), (A,)),
        (fd.maximum, np.maximum, (A, B)),
        (lambda a: a.softmax(-1), lambda a: softmax(a, -1), (A,)),
        (lambda a: a.softmax(0), lambda a: softmax(a, 0), (A,)),
        (lambda a: a.log_softmax(1), lambda a: np.log(softmax(a, 1)), (A,)),
        (lambda a: a.sum(), np.sum, (A,)),
        (lambda a: a.sum(0), lambda a: a.sum(0), (A,)),
        (
            lambda a: a.sum(dim=(0, 2), keepdim=True),
            lambda a: a.sum((0, 2), keepdims=True),
            (floats(2, 3, 4),),
        ),
        (lambda a: a.sum(axis=-1, keepdims=True), lambda a: a.sum(-1, keepdims=True), (A,)),
        (lambda a: a.mean(), np.mean, (A,)),
        (lambda a: a.mean(1), lambda a: a.mean(1), (A,)),
        (lambda a: a.var(0), lambda a: a.var(0, ddof=1), (A,)),
        (lambda a: a.std(), lambda a: a.std(ddof=1), (A,)),
        (lambda a: a.max(1)[0], lambda a: a.max(1), (A,)),
        (lambda a: a.min(), np.min, (A,)),
        (lambda a: a.max(0, keepdim=True).values, lambda a: a.max(0, keepdims=True), (A,)),
        (lambda a: fd.amin(a, (0, 1)), np.min, (A,)),
        (lambda a: a * (a > 0), lambda a: np.maximum(a, 0), (A,)),
        (lambda a: MASK - a, lambda a: MASK - a, (A,)),
        (lambda a: a.reshape(2, -1), lambda a: a.reshape(2, -1), (A,)),
        (lambda a: a.view((6, 2)), lambda a: a.reshape(6, 2), (A,)),
        (lambda a: a.flatten(1), lambda a: a.reshape(2, 12), (floats(2, 3, 4),)),
        (lambda a: a.permute(2, 0, 1), lambda a: a.transpose(2, 0, 1), (floats(2, 3, 4),)),
        (lambda a: a.transpose(0, 1), lambda a: a.T, (A,)),
        (lambda a: a.T, lambda a: a.T, (A,)),
        (lambda a: a.unsqueeze(1), lambda a: a[:, None], (A,)),
        (lambda a: a.squeeze(), np.squeeze, (floats(1, 3, 1),)),
        (lambda a: a[1], lambda a: a[1], (A,)),
        (lambda a: a[1:, ::2], lambda a: a[1:, ::2], (A,)),
        (lambda a: a[None, ..., -1], lambda a: a[None, ..., -1], (A,)),
        (lambda a: a[INDEX], lambda a: a[INDEX], (A,)),
        (lambda a: a[INDEX, 1], lambda a: a[INDEX, 1], (A,)),
        (lambda a: a[MASK], lambda a: a[MASK], (A,)),
        (lambda a, b: fd.cat([a, b, a], 1), lambda a, b: np.concatenate([a, b, a], 1), (A, B)),
        (lambda a, b: fd.stack([a, b]), lambda a, b: np.stack([a, b]), (A, B)),
        (lambda a: a.clone() * a.detach(), lambda a: a * A.astype(np.float32), (A,)),
        (lambda a: (a * a + a).sum() * a, lambda a: (a * a + a).sum() * a, (floats(3),)),
    ],
)
def test_values_and_gradients(function, twin, arrays):
    check(function, twin, *arrays)


def test_construction_and_conversion():
    for given in (
        [1, 2],
        (1.5, 2),
        np.float64([1, 2]),
        np.float16([1, 2]),
        np.arange(2),
        np.array([1, 2], ">f4"),
        fd.tensor([1, 2]),
    ):
        t = fd.tensor(given)
        assert (
            t.data.dtype == np.float32
            and t.dtype == np.float32
            and t.shape == (2,)
            and t.ndim == 1
            and t.numel() == 2
            and t.size(0) == 2
        )
    source = np.ones(3, np.float32)
    assert not np.shares_memory(fd.tensor(source).data, source) and fd.Tensor(source).data is source
    for wrong in (np.array([True]), np.array([1j]), np.array([None]), "abc"):
        with pytest.raises(TypeError, match="data"):
            fd.tensor(wrong)
    with pytest.raises(TypeError, match="requires_grad"):
        fd.tensor([1.0], requires_grad=1)
    t = fd.tensor([[1.5]], requires_grad=True)
    assert (
        t.item() == 1.5
        and float(t) == 1.5
        and int(t) == 1
        and bool(t)
        and t.tolist() == [[1.5]]
        and len(t) == 1
    )
    assert (
        repr(t) == "tensor([[1.5]], requires_grad=True)"
        and np.asarray(t).dtype == np.float32
        and t.is_leaf
    )
    assert [row.item() for row in t] == [1.5]
    with pytest.raises(ValueError, match="one element"):
        fd.tensor([1.0, 2.0]).item()


def test_numpy_on_the_left():
    t = fd.tensor([1.0, 2.0], requires_grad=True)
    for result in (np.ones(2) + t, np.float32(2) * t, np.ones((2, 2)) @ t, 1 - t):
        assert isinstance(result, fd.Tensor) and result.requires_grad


def test_comparisons_are_arrays():
    t = fd.tensor([1.0, 2.0, 3.0])
    for result, expected in (
        (t > 2, [0, 0, 1]),
        (t <= 2, [1, 1, 0]),
        (t == fd.tensor([1.0, 0.0, 3.0]), [1, 0, 1]),
        (t != 1, [0, 1, 1]),
    ):
        assert result.dtype == bool and result.tolist() == [bool(e) for e in expected]
    assert t.argmax() == 2
    values, places = fd.tensor(A).max(1)
    assert np.array_equal(places, A.argmax(1)) and np.array_equal(values.data, np.float32(A.max(1)))
    assert np.array_equal(fd.min(A, 0, keepdim=True).indices, A.argmin(0, keepdims=True))


def test_grad_modes():
    t = fd.tensor([1.0], requires_grad=True)
    with fd.no_grad():
        assert not fd.is_grad_enabled() and not (t * 2).requires_grad
        with fd.enable_grad():
            assert (t * 2).requires_grad
        other = []
        thread = threading.Thread(target=lambda: other.append(fd.is_grad_enabled()))
        thread.start()
        thread.join()
        assert other == [True]
    assert fd.is_grad_enabled()

    @fd.no_grad()
    def doubled(x):
        return x * 2

    assert not doubled(t).requires_grad and (t * 2).requires_grad and not t.detach().requires_grad

    @fd.no_grad
    def halved(x):
        return x / 2

    mode = fd.no_grad()
    with mode, mode:
        pass
    assert fd.is_grad_enabled() and not halved(t).requires_grad


def test_backward_errors():
    t = fd.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="requires a gradient"):
        fd.tensor([1.0]).backward()
    with pytest.raises(RuntimeError, match="single element"):
        (t * 2).backward()
    with pytest.raises(ValueError, match="gradient"):
        (t * 2).backward(np.ones(3))
    with pytest.raises(ValueError, match="grad"):
        t.grad = np.ones(3)
    loss = (t * t).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    assert t.grad.tolist() == [4.0, 8.0]
    with pytest.raises(RuntimeError, match="retain_graph"):
        loss.backward()
    assert t.grad.tolist() == [4.0, 8.0]


def test_deep_and_shared_graphs():
    t = x = fd.tensor(1.0, requires_grad=True)
    for _ in range(5000):
        x = x + t * 0
    x.backward()
    assert t.grad.item() == 1.0
    y = fd.tensor(2.0, requires_grad=True)
    a = y * y
    b = a * a + a  # y^4 + y^2
    b.backward()
    assert y.grad.item() == 4 * 8 + 4


def test_a_parameters_gradient_memory_is_kept():
    w = fd.Parameter(floats(70, 70))
    x = floats(5, 70)
    seen = set()
    for _ in range(4):
        w.grad = None
        fd.functional.linear(x, w).sum().backward()
        seen.add(w.grad.data.ctypes.data)
    assert len(seen) == 1
    held = w.grad
    values = held.data.copy()
    w.grad = None
    fd.functional.linear(2 * x, w).sum().backward()
    assert np.array_equal(held.data, values) and np.allclose(w.grad.data, 2 * values, rtol=1e-6)
    fd.functional.linear(x, w).sum().backward()
    assert np.allclose(w.grad.data, 3 * values, rtol=1e-5)


def test_a_users_gradient_is_never_overwritten():
    w, mine = fd.Parameter(floats(3, 3)), np.zeros((2, 3, 3), np.float32)
    w.grad = mine[0]
    w.grad = None
    fd.functional.linear(np.ones((1, 3)), w).sum().backward()
    assert not mine.any() and w.grad.data.all()


def test_buffers_that_are_kept_are_bounded(monkeypatch):
    monkeypatch.setattr(buffers, "BYTES", 100_000)
    buffers._pool.by_shape.clear()
    buffers._pool.bytes = 0
    held = (
        [buffers.empty((64, 65)) for _ in range(20)]
        + [buffers.empty((n, 100)) for n in range(50, 150)]
        + [buffers.empty((999, 100))]
    )
    assert len({a.ctypes.data for a in held}) == len(held)
    kept = sum(a.nbytes for arrays in buffers._pool.by_shape.values() for a in arrays)
    assert kept == buffers._pool.bytes <= 100_000


def test_buffers_are_used_again_only_when_nobody_holds_them():
    first = buffers.empty((100, 100))
    view = first[3:]
    address = first.ctypes.data
    assert buffers.empty((100, 100)).ctypes.data != address
    del first
    assert buffers.empty((100, 100)).ctypes.data != address  # a view still holds it
    del view
    assert buffers.empty((100, 100)).ctypes.data == address


def test_copies_and_pickles():
    p = fd.Parameter([1.0, 2.0])
    for copied in (copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        assert (
            type(copied) is fd.Parameter and copied.requires_grad and copied.tolist() == [1.0, 2.0]
        )
        copied.data[0] = 5
    assert p.tolist() == [1.0, 2.0]
    with pytest.raises(RuntimeError, match="leaf"):
        copy.deepcopy(p * 2)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda t: t.sum(3), "dim"),
        (lambda t: t.sum((0, 0)), "dim"),
        (lambda t: t.reshape(5), "shape"),
        (lambda t: t.permute(0), "dims"),
        (lambda t: t @ t, "other"),
        (lambda t: t.clamp(), "min"),
        (lambda t: fd.tensor(np.empty((0, 2))).max(), "max"),
        (lambda t: fd.cat([]), "tensors"),
        (lambda t: fd.cat([t, t[0]]), "tensors"),
        (lambda t: fd.cat([t[0, 0]]), "dim"),
        (lambda t: t[0, 0].transpose(0, 1), "dim"),
        (lambda t: t.flatten(1, 0), "end_dim"),
        (lambda t: t.softmax(2), "dim"),
    ],
)
def test_errors_name_the_argument(call, word):
    with pytest.raises(ValueError, match=word):
        call(fd.tensor(A))


def test_empty_tensors():
    e = fd.tensor(np.empty((0, 4)), requires_grad=True)
    (e.sum() + e.exp().sum() + e.softmax(1).sum() + fd.relu(e).sum()).backward()
    assert e.grad.shape == (0, 4) and np.isnan(e.mean().item()) and e.log_softmax(1).shape == (0, 4)
    assert set(fd.Tensor.__dict__) >= {"sum", "mean", "__add__"}


def test_edges_have_torchs_values_and_no_warnings():
    for function, value, grad in (
        (lambda x: 1 / x, np.inf, -np.inf),
        (lambda x: x**0, 1, 0),
        (lambda x: x**2, 0, 0),
        (lambda x: x**3, 0, 0),
        (lambda x: fd.pow(0.0, x), 1, 0),
        (lambda x: x.log(), -np.inf, np.inf),
        (lambda x: x.sqrt(), 0, np.inf),
        (lambda x: x.abs(), 0, 0),
    ):
        x = fd.tensor(0.0, requires_grad=True)
        y = function(x)
        y.backward()
        assert y.item() == value and x.grad.item() == grad and type(x.grad.data) is np.ndarray
    for scores in ([np.inf, 1.0], [-np.inf, -np.inf]):
        assert (
            np.isnan(fd.softmax(scores).data).all() and np.isnan(fd.log_softmax(scores).data).any()
        )
    assert fd.softmax([-np.inf, 1.0]).tolist() == [0.0, 1.0]
    for call in (
        lambda x: x.std(),
        lambda x: (x * 3e38).sum() * 3e38,
        lambda x: (x / 0).sum() - x.sum(),
    ):  # undefined gradients are no warnings
        x = fd.tensor([1.0, 1.0], requires_grad=True)
        with np.errstate(all="ignore"):
            y = call(x)
        y.backward()
        assert not np.isfinite(x.grad.data).any()


BY_NAME = {  # every differentiable function of the top level: arguments beside the tensors, the twin, the tensors
    "abs": ((), np.abs, (A,)),
    "add": ((), np.add, (A, floats(3, 1))),
    "amax": ((1, True), lambda a: a.max(1, keepdims=True), (A,)),
    "amin": ((), np.min, (A,)),
    "clamp": ((None, 0.4), lambda a: np.minimum(a, 0.4), (A,)),
    "div": ((), np.divide, (A, POSITIVE[0])),
    "exp": ((), np.exp, (A,)),
    "flatten": ((1, 2), lambda a: a.reshape(2, 6, 2), (floats(2, 3, 2, 2),)),
    "log": ((), np.log, (POSITIVE,)),
    "log_softmax": ((0,), lambda a: np.log(softmax(a, 0)), (A,)),
    "matmul": ((), np.matmul, (floats(2, 1, 3, 4), floats(5, 4, 2))),
    "max": ((), np.max, (A,)),
    "maximum": ((), np.maximum, (A, floats(4, seed=3))),
    "mean": (((0, -1), True), lambda a: a.mean((0, 2), keepdims=True), (floats(2, 3, 4),)),
    "min": ((), np.min, (A,)),
    "mul": ((), np.multiply, (A, floats(4))),
    "neg": ((), np.negative, (A,)),
    "permute": (((1, -1, 0),), lambda a: a.transpose(1, 2, 0), (floats(2, 3, 4),)),
    "pow": ((), np.power, (POSITIVE, floats(4))),
    "relu": ((), lambda a: np.maximum(a, 0), (A,)),
    "reshape": (((-1, 6),), lambda a: a.reshape(-1, 6), (A,)),
    "selu": (
        (),
        lambda a: 1.0507009873554805 * np.where(a > 0, a, 1.6732632423543772 * (np.exp(a) - 1)),
        (A,),
    ),
    "sigmoid": ((), lambda a: 1 / (1 + np.exp(-a)), (A,)),
    "softmax": ((-2,), lambda a: softmax(a, 0), (A,)),
    "sqrt": ((), np.sqrt, (POSITIVE,)),
    "squeeze": ((-1,), lambda a: a[..., 0], (floats(1, 3, 1),)),
    "std": ((0, 0, True), lambda a: a.std(0, keepdims=True), (A,)),
    "sub": ((), np.subtract, (floats(4), A)),
    "sum": (((-1, 0),), lambda a: a.sum((0, 2)), (floats(2, 3, 4),)),
    "tanh": ((), np.tanh, (A,)),
    "transpose": ((-1, 0), lambda a: a.swapaxes(0, 2), (floats(2, 3, 4),)),
    "unsqueeze": ((-1,), lambda a: a[..., None], (A,)),
    "var": (((0, 2), 2), lambda a: a.var((0, 2), ddof=2), (floats(2, 3, 4),)),
}


@pytest.mark.parametrize("name", BY_NAME)
def test_every_function_by_name(name):
    more, twin, arrays = BY_NAME[name]
    check(lambda *tensors: getattr(fd, name)(*tensors, *more), twin, *arrays)


def test_no_function_is_forgotten():
    elsewhere = {"cat", "stack"}  # take lists: in the first table
    assert set(BY_NAME) | elsewhere | {"argmax", "dropout"} == set(fd.functional.TOP_LEVEL)


@pytest.mark.parametrize(
    ("function", "twin", "arrays"),
    [
        (
            lambda a, b: fd.cat((a, b), -2),
            lambda a, b: np.concatenate([a, b]),
            (floats(2, 4), floats(5, 4)),
        ),
        (lambda a, b: fd.stack((a, b, a), -1), lambda a, b: np.stack([a, b, a], -1), (A, B)),
        (lambda a: fd.cat([a, floats(3, 0)], 1), lambda a: a, (A,)),
        (lambda a: a[::-1, -3:-1], lambda a: a[::-1, -3:-1], (A,)),
        (lambda a: a[:, INDEX], lambda a: a[:, INDEX], (A,)),
        (lambda a: a[INDEX, :, None], lambda a: a[INDEX, :, None], (A,)),
        (lambda a: a[[0, 0, -1], [1, 1, -1]], lambda a: a[[0, 0, -1], [1, 1, -1]], (A,)),
        (lambda a: a[fd.tensor([2, 0, 2])], lambda a: a[[2, 0, 2]], (A,)),
        (lambda a: a[MASK[:, 0]], lambda a: a[MASK[:, 0]], (A,)),
        (lambda a: a[A < -100], lambda a: a[A < -100], (A,)),
        (lambda a: a[1][2], lambda a: a[1, 2], (A,)),
        (lambda a: a[0:0], lambda a: a[0:0], (A,)),
        (lambda a: a[...], lambda a: a, (np.array(1.5),)),
        (lambda a: a + a * a.detach(), lambda a: a + a * np.float32(0.5), (np.array(0.5),)),
        (lambda a: fd.stack(list(a)).sum(0), lambda a: a.sum(0), (A,)),
        (lambda a: a.softmax() + a.log_softmax(0), lambda a: np.ones(()) + 0 * a, (np.array(1.0),)),
    ],
)
def test_places_and_lists(function, twin, arrays):
    check(function, twin, *arrays)


@pytest.mark.parametrize(
    "extreme",
    [
        lambda t: t.max(),
        lambda t: t.max(0)[0],
        lambda t: fd.amax(t, 0),
        lambda t: -(-t).min(),
        lambda t: fd.maximum(t[:2], t[2:]).max(),
    ],
)
def test_ties_share_the_gradient(extreme):
    t = fd.tensor([2.0, 2.0, 1.0, 2.0], requires_grad=True)
    extreme(t).backward()
    assert t.grad.data.sum() == 1 and t.grad.tolist()[2] == 0 and (t.grad.data[[0, 1, 3]] > 0).all()


def test_arguments_that_are_no_axis():
    for call in (fd.max, fd.min, fd.argmax):
        for wrong, error in (
            (2, ValueError),
            (-3, ValueError),
            ((0, 1), TypeError),
            (1.0, TypeError),
            (True, TypeError),
        ):
            with pytest.raises(error, match="dim"):
                call(A, wrong)


def test_leaves_add_up_their_gradients():
    for kind in (fd.Tensor, fd.Parameter):
        t = kind(np.array([1.0, 2.0], np.float32), requires_grad=True)
        t.backward(np.array([1.0, 10.0]))  # a leaf itself
        (t * 3).sum().backward()
        first = t.grad.data
        assert t.grad.tolist() == [4.0, 13.0]
        (t * t).backward(np.array([1.0, 0.0]))
        assert t.grad.tolist() == [6.0, 13.0] and (kind is fd.Parameter) == (t.grad.data is first)
        t.grad = None
        assert t.grad is None
        t.requires_grad_(False)
        assert not (t * 2).requires_grad


def test_the_users_weights_of_backward_are_not_kept():
    t, weights = fd.tensor([1.0, 2.0], requires_grad=True), np.ones(2, np.float32)
    (t + t).backward(weights)
    t.reshape(2).backward(weights)
    weights[:] = 7
    assert t.grad.tolist() == [3.0, 3.0]


def test_a_graph_of_which_a_part_is_freed():
    t = fd.tensor(3.0, requires_grad=True)
    shared = t * t
    (shared * 2).backward()
    later = shared * 5
    before = t.grad.item()
    with pytest.raises(RuntimeError, match="freed"):
        later.backward()
    assert t.grad.item() == before == 12.0
    with pytest.raises(RuntimeError, match="freed"):
        shared.backward()


def test_a_function_that_raises_restores_the_mode():
    with pytest.raises(KeyError), fd.no_grad():
        raise KeyError
    assert fd.is_grad_enabled()

    @fd.no_grad()
    def again(depth):
        """Docstring."""
        assert not fd.is_grad_enabled()
        return again(depth - 1) if depth else fd.is_grad_enabled()

    assert again(3) is False and fd.is_grad_enabled() and again.__name__ == "again"


def test_arrays_that_must_not_be_written(tmp_path):
    np.save(tmp_path / "w.npy", np.ones((3, 4), np.float32))
    held = np.load(tmp_path / "w.npy", mmap_mode="r")
    p = fd.Parameter(held)
    p.grad = held
    for _ in range(2):
        fd.functional.linear(np.ones((2, 4)), p).sum().backward()
    fd.optim.SGD([p], lr=0.1).step()
    assert (
        p.grad.tolist() == [[5.0] * 4] * 3
        and np.allclose(p.data, 0.5)
        and np.array_equal(held, np.ones((3, 4)))
    )
    p.data = held
    p.data[0] = 0
    assert held.all()
    x = np.ones(3, np.float32)
    x.flags.writeable = False
    assert fd.Tensor(x).data is x  # data that nobody trains is not copied
    with pytest.raises(ValueError, match="read-only"):
        fd.optim.SGD([fd.Tensor(x, requires_grad=True)], lr=0.1)


def test_arrays_in_and_out():
    t = fd.Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    assert (
        t.numpy() is t.data
        and np.asarray(t) is t.data
        and np.asarray(t, np.float64).dtype == np.float64
    )
    copied = np.array(t)
    assert not np.shares_memory(copied, t.data) and np.array_equal(np.exp(t), np.exp(t.data))
    t.data = [[1, 2, 3]]
    assert t.shape == (1, 3) and t.data.dtype == np.float32 and t.data.flags.c_contiguous
    with pytest.raises(TypeError, match="data"):
        t.data = "text"
    assert t.tolist() == [[1.0, 2.0, 3.0]]
    for layout in (np.asfortranarray(A), A[::-1], A.T, A[:, 1::2], np.broadcast_to(A[0], (3, 4))):
        made = fd.tensor(layout)
        assert (
            made.data.flags.c_contiguous
            and made.data.flags.writeable
            and np.array_equal(made.data, layout.astype(np.float32))
        )
    for bad in (
        lambda: len(fd.tensor(1.0)),
        lambda: list(fd.tensor(1.0)),
        lambda: hash(fd.tensor([1.0])) and fd.tensor(1.0) + "a",
        lambda: fd.tensor(1.0) @ None,
    ):
        with pytest.raises(TypeError):
            bad()
    with pytest.raises(ValueError, match="one element"):
        bool(fd.tensor([1.0, 0.0]))
    assert "Parameter containing" in repr(fd.Parameter([1.0])) and "requires_grad" not in repr(
        fd.tensor([1.0])
    )


def test_shared_parameters_stay_shared_in_a_copy():
    p = fd.Parameter([1.0])
    one, two = copy.deepcopy([p, p])
    assert one is two and one is not p
    one, two = pickle.loads(pickle.dumps([p, p]))
    assert one is two and one.grad is None
