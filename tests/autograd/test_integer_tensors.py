"""Tensors of integers and bools, dtypes, devices, and writes in place; compared with PyTorch."""

import copy
import operator
import pickle

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import nn

torch = pytest.importorskip("torch")
VALUES = {"int": [[3, -1, 2], [0, 5, 1]], "bool": [[True, False, True], [False, False, True]]}
VALUES["float"] = [[0.5, -1.0, 2.0], [3.0, 5.0, 1.0]]


def same(ours, theirs):
    """Equal values, shapes and kinds of numbers."""
    assert isinstance(ours, fd.Tensor)
    array = theirs.detach().numpy()
    assert ours.shape == array.shape and ours.dtype == array.dtype
    assert np.allclose(ours.numpy(), array, rtol=1e-6, equal_nan=True)


@pytest.mark.parametrize("kind", VALUES)
def test_dtypes_of_new_tensors(kind):
    same(fd.tensor(VALUES[kind]), torch.tensor(VALUES[kind]))
    assert isinstance(fd.tensor(VALUES[kind]), fd.IntegerTensor) == (kind != "float")
    for name in ("float32", "int64", "int32", "uint8", "bool", "long", "float", "int", "short"):
        if kind == "float" and name == "uint8":
            continue  # -1 as an unsigned number is not defined
        dtype, other = getattr(fd, name), getattr(torch, name)
        values = np.abs(VALUES[kind]) if kind == "int" else VALUES[kind]
        same(fd.tensor(values, dtype=dtype), torch.tensor(values, dtype=other))
        same(fd.tensor(values).to(dtype), torch.tensor(values).to(other))
    for method in ("float", "long", "int", "bool", "short"):
        same(
            getattr(fd.tensor(VALUES[kind]), method)(),
            getattr(torch.tensor(VALUES[kind]), method)(),
        )


@pytest.mark.parametrize(
    "name", ["add", "sub", "mul", "truediv", "lt", "le", "gt", "ge", "eq", "ne"]
)
@pytest.mark.parametrize("first", VALUES)
@pytest.mark.parametrize("second", [*VALUES, 2, 1.5])
def test_operators(name, first, second):
    f = getattr(operator, name)
    values = VALUES.get(second, second)
    numbers = not isinstance(values, list)
    theirs = torch.tensor(VALUES[first]), values if numbers else torch.tensor(values)
    ours = fd.tensor(VALUES[first]), values if numbers else fd.tensor(values)
    for order in (slice(None), slice(None, None, -1)):
        try:
            expected = f(*theirs[order])
        except RuntimeError:  # PyTorch subtracts no bools
            if first == second:
                with pytest.raises(TypeError):
                    f(*ours[order])
        else:
            with np.errstate(all="ignore"):
                same(f(*ours[order]), expected)


def test_comparisons_with_none():
    for x in (fd.tensor([1, 2]), fd.tensor([1.0, 2.0])):
        assert (x == None) is False and (x != None) is True  # noqa: E711
        with pytest.raises(TypeError):
            _ = x < None


def test_functions_keep_integers():
    for kind in ("int", "bool"):
        a, b = fd.tensor(VALUES[kind]), torch.tensor(VALUES[kind])
        for call in (
            lambda t: t.reshape(3, 2),
            lambda t: t.transpose(0, 1),
            lambda t: t.permute(1, 0),
            lambda t: t.T,
            lambda t: t.flatten(),
            lambda t: t.unsqueeze(1).squeeze(1),
            lambda t: t[1],
            lambda t: t[:, [2, 0]],
            lambda t: t.clone(),
            lambda t: t.detach(),
            lambda t: t.sum(),
            lambda t: t.sum(0),
            lambda t: t.max(),
            lambda t: t.max(1).indices,
            lambda t: t.float().argmax(1),
        ):
            same(call(a), call(b))
        same(fd.cat([a, a], 1), torch.cat([b, b], 1))
        same(fd.stack([a, a]), torch.stack([b, b]))
        same(fd.cat([a, fd.tensor(VALUES["float"])]), torch.cat([b, torch.tensor(VALUES["float"])]))
    a, b = fd.tensor(VALUES["int"]), torch.tensor(VALUES["int"])
    same(-a, -b)
    same(abs(a), abs(b))
    same(a.clamp(0, 2), b.clamp(0, 2))
    same(a**2, b**2)
    same((a > 0) & (a < 3) | ~(a == 5) ^ (a > 1), (b > 0) & (b < 3) | ~(b == 5) ^ (b > 1))
    same(a.exp(), b.exp())  # real numbers


def test_masks_and_places_have_gradients_of_the_others():
    tensors = fd.tensor(VALUES["float"]), torch.tensor(VALUES["float"])
    for x in tensors:
        x.requires_grad_()
        ((x * (x > 0)).sum() + x[x > 1].sum() + (2 * x[:, x.argmax(1)]).sum()).backward()
    assert np.array_equal(*(x.grad.numpy() for x in tensors))


def test_labels_and_tokens():
    x, y = fd.Tensor(np.eye(3, dtype=np.float32)), fd.tensor([2, 0, 1])
    assert F.cross_entropy(x, y).item() == F.cross_entropy(x, np.array([2, 0, 1])).item()
    fd.manual_seed(0)
    layer = nn.Embedding(5, 2)
    assert np.array_equal(layer(fd.tensor([[1, 4]])).data, layer(np.array([[1, 4]])).data)
    loader = fd.data.DataLoader(fd.data.TensorDataset(x, y), batch_size=2)
    assert [len(labels) for _, labels in loader] == [2, 1]
    assert float((fd.argmax(x, 1) == y).float().mean()) == 0.0
    assert [10, 20, 30][y[0]] == 30 and f"{y.sum()}" == "tensor(3)" and int(y[0]) == 2
    assert bool((y > -1).sum() == 3) and y.tolist() == [2, 0, 1] and y[1].item() == 0


def test_copies():
    a = fd.tensor([1, 2])
    for other in (copy.copy(a), copy.deepcopy(a), pickle.loads(pickle.dumps(a))):
        assert isinstance(other, fd.IntegerTensor) and other.tolist() == [1, 2]
    assert copy.copy(a).data is a.data and copy.deepcopy(a).data is not a.data
    assert repr(a) == "tensor([1, 2])" and repr(a.int()) == "tensor([1, 2], dtype=int32)"


def test_what_cannot_be():
    a = fd.tensor([1, 2])
    for call in (lambda: fd.tensor([1], requires_grad=True), lambda: a.requires_grad_()):
        with pytest.raises(RuntimeError, match=r"only float32 tensors .*, got dtype int64"):
            call()
    with pytest.raises(RuntimeError, match="requires a gradient"):
        a.backward()
    for call in (
        lambda: fd.tensor([1.0], dtype=fd.float64),
        lambda: fd.Tensor([1.0]).double(),
        lambda: fd.Tensor([1.0]).half(),
        lambda: a.to(fd.float16),
    ):
        with pytest.raises(TypeError, match="float32"):
            call()
    for call in (
        lambda: a.to("cuda"),
        lambda: fd.device("cuda:0"),
        lambda: fd.tensor([1], device="mps"),
    ):
        with pytest.raises(ValueError, match="device must be 'cpu'"):
            call()
    with pytest.raises(TypeError, match="no argument"):
        a.to("cpu", memory=1)
    with pytest.raises(TypeError, match="integers or bools"):
        fd.IntegerTensor([1.5])
    assert (
        a.to("cpu") is a and a.to(fd.device("cpu"), fd.long) is a and a.device == fd.device("cpu")
    )
    assert a.to("cpu", copy=True) is not a and str(a.device) == "cpu" and not a.is_floating_point()


IN_PLACE = {
    "add_": (2.0,),
    "sub_": (0.5,),
    "mul_": (3.0,),
    "div_": (2.0,),
    "pow_": (2.0,),
    "clamp_": (0.0, 1.0),
    "fill_": (7.0,),
    **dict.fromkeys(
        ("abs_", "neg_", "exp_", "relu_", "sigmoid_", "tanh_", "zero_", "sqrt_", "log_"), ()
    ),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place(name):
    ours, theirs = fd.tensor(VALUES["float"]), torch.tensor(VALUES["float"])
    array = ours.data
    with np.errstate(all="ignore"):
        assert getattr(ours, name)(*IN_PLACE[name]) is ours
    getattr(theirs, name)(*IN_PLACE[name])
    same(ours, theirs)
    assert ours.data is array
    leaf = fd.tensor(VALUES["float"], requires_grad=True)
    with pytest.raises(RuntimeError, match=f"{name}.*while a graph is recorded"):
        getattr(leaf, name)(*IN_PLACE[name])
    assert leaf.tolist() == VALUES["float"]


def test_operators_in_place():
    p = nn.Parameter(np.ones(2, np.float32))
    with fd.no_grad():
        q = p
        q -= 0.5
        q *= 4.0
        q += np.float32([1, 2])
        q /= 2.0
        q **= 2
    assert q is p and p.tolist() == [2.25, 4.0]
    x = fd.tensor([1.0, 2.0], requires_grad=True)
    y = z = x * 2
    y += x
    y *= x
    assert z is y and y.tolist() == [3.0, 12.0]
    y.sum().backward()
    assert x.grad.tolist() == [6.0, 12.0]
    a, b = fd.tensor(VALUES["int"]), torch.tensor(VALUES["int"])
    a += 1
    b += 1
    a.mul_(2)
    b.mul_(2)
    same(a, b)
    with pytest.raises(RuntimeError, match="does not fit int64"):
        a.add_(0.5)
    with pytest.raises(RuntimeError, match="shape"):
        a.add_(fd.tensor([[[1]]]))


def test_assignments_to_elements():
    for kind in VALUES:
        a, b = fd.tensor(VALUES[kind]), torch.tensor(VALUES[kind])
        for index, value in ((0, 1), ((slice(None), 2), [0, 1]), ((1, [0, 1]), 1), (..., 0)):
            a[index], b[index] = value, torch.as_tensor(value).to(b.dtype)
            same(a, b)
    x = fd.tensor([1.0, 2.0, 3.0])
    x[x > 1] = 0
    x[fd.tensor([0])] = fd.tensor([5])
    assert x.tolist() == [5.0, 0.0, 0.0] and x.copy_([1, 2, 3]) is x and x.tolist() == [1, 2, 3]
    leaf = fd.tensor([1.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="an assignment to elements cannot change"):
        leaf[0] = 1
    x[0] = leaf[0]
    assert x.requires_grad and x.tolist() == [1.0, 2.0, 3.0]
    fixed = np.zeros(2, np.float32)
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match="writable"):
        fd.Tensor(fixed)[0] = 1
    y = leaf * 2
    assert y.detach_() is y and not y.requires_grad and y.is_leaf


def test_a_write_after_the_forward_pass_is_noticed():
    w = fd.tensor([1.0, 2.0], requires_grad=True)
    for x in (fd.tensor([3.0, 4.0]), fd.Tensor(np.float32([3, 4]))):
        y = (w * x).sum()
        x.mul_(2)
        assert x.tolist() == [6.0, 8.0]
        with pytest.raises(RuntimeError, match="was changed by mul_"):
            y.backward()


def test_no_dtype_loses_the_wish_for_a_gradient():
    for call in (
        lambda: fd.tensor([1.5], requires_grad=True, dtype=fd.int64),
        lambda: fd.zeros(2, dtype=fd.bool, requires_grad=True),
        lambda: fd.IntegerTensor([1], True),
    ):
        with pytest.raises(RuntimeError, match="only float32 tensors"):
            call()
