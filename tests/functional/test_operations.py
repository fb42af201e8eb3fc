"""Arithmetic, reductions and shapes: values and gradients against NumPy in float64."""

import numpy as np
import pytest

import fastdrop as fd
from helpers.function_cases import CASES
from helpers.gradcheck import check


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


def test_edge_cases_match_torch_without_warnings():
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
        lambda x: (x - 1).sqrt().sum(),
        lambda x: (x * 3e38).sum() * 3e38,
        lambda x: (x / 0).sum() - x.sum(),
    ):  # undefined gradients are no warnings
        x = fd.tensor([1.0, 1.0], requires_grad=True)
        with np.errstate(all="ignore"):
            y = call(x)
        y.backward()
        assert not np.isfinite(x.grad.data).any()


# Every differentiable function of the top level: (further arguments, NumPy twin, tensors).
BY_NAME = {
    "abs": ((), np.abs, (A,)),
    "add": ((), np.add, (A, floats(3, 1))),
    "amax": ((1, True), lambda a: a.max(1, keepdims=True), (A,)),
    "amin": ((), np.min, (A,)),
    "clamp": ((None, 0.4), lambda a: np.minimum(a, 0.4), (A,)),
    "div": ((), np.divide, (A, POSITIVE[0])),
    "exp": ((), np.exp, (A,)),
    "flatten": ((1, 2), lambda a: a.reshape(2, 6, 2), (floats(2, 3, 2, 2),)),
    "unflatten": ((1, (2, -1)), lambda a: a.reshape(2, 2, 3, 2), (floats(2, 6, 2),)),
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


def test_every_top_level_function_is_tested():
    elsewhere = {"dropout", "einsum", *CASES}
    assert sorted(set(fd.functional.TOP_LEVEL) - elsewhere - set(BY_NAME)) == []


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
def test_indexing_and_lists_of_tensors(function, twin, arrays):
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


def test_invalid_axes():
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
