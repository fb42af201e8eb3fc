"""Operations in place: each method against PyTorch's, views, hooks, recordings, passes."""

import functools
import warnings
import weakref

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.autograd.operation import record
from fastdrop.functional.in_place import NAMES, OPERATORS
from helpers.recorded import USUAL, Trained, refused, same

torch = pytest.importorskip("torch")

X = np.float32([[0.3, -0.8, 0.5], [0.9, 0.1, -0.4]])
Y = np.float32([[0.7, 0.2, -0.6], [-0.3, 0.4, 0.8]])
INDEX = np.array([[0, 1, 1], [1, 0, 0]])
BITS = (
    *("bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift"),
    *("bitwise_xor", "gcd", "lcm"),
)

# Arguments after the tensor: arrays of floats become tensors that require a gradient.
ARGUMENTS = {
    **dict.fromkeys(("add", "sub", "subtract", "mul", "multiply", "div", "divide"), (Y,)),
    **dict.fromkeys(("atan2", "arctan2", "fmod", "floor_divide", "hypot", "remainder"), (Y,)),
    **dict.fromkeys(
        ("eq", "ge", "greater", "greater_equal", "gt", "le", "less", "less_equal"), (Y,)
    ),
    **dict.fromkeys(("logical_and", "logical_or", "logical_xor", "lt", "ne", "not_equal"), (Y,)),
    **dict.fromkeys(("addcdiv", "addcmul"), (Y, Y + 2)),
    **dict.fromkeys(("clamp", "clip"), (-0.5, 0.4)),
    **dict.fromkeys(("cumprod", "cumsum"), (1,)),
    **dict.fromkeys(("scatter", "scatter_add"), (0, INDEX, Y)),
    **dict.fromkeys(("copysign", "ldexp", "true_divide"), (Y,)),
    "addbmm": (np.stack([Y[:, :2], X[:, :2]]), np.stack([X, Y])),
    "addmm": (Y[:, :2], X),
    "addmv": (Y, X[0]),
    "addr": (Y[:, 0], X[0]),
    **dict.fromkeys(("clamp_max", "clamp_min"), (0.2,)),
    "baddbmm": (Y[None, :, :2], X[None]),
    "index_add": (0, np.array([1, 1]), Y),
    "index_copy": (1, np.array([2, 0]), Y[:, :2]),
    "index_fill": (1, np.array([2, 0]), 0.5),
    "index_put": ((np.array([1, 0]), np.array([2, 2])), Y[0, :2]),
    "lerp": (Y, 0.3),
    "logit": (0.1,),
    "masked_fill": (X > 0.2, 0.6),
    "masked_scatter": (X > 0.2, Y),
    "mvlgamma": (2,),
    "polygamma": (1,),
    "pow": (2.0,),
    "renorm": (2, 0, 1.0),
    "xlogy": (np.abs(Y),),
    "copy": (Y,),
    "fill": (0.5,),
}
# PyTorch has no gradient of the method in place, or (the last ones) one that is not 0.
WITHOUT_GRADIENT_IN_TORCH = {
    *("acosh", "arccosh", "asinh", "arcsinh", "atanh", "arctanh", "floor_divide"),
    *("logical_and", "logical_or", "logical_xor", "logical_not"),
}
POSITIVE = {
    *("log", "log10", "log1p", "log2", "rsqrt", "sqrt", "pow", "acosh", "arccosh", "atanh"),
    *("digamma", "lgamma", "mvlgamma", "polygamma"),
}
ABOVE_1 = {"acosh", "arccosh", "mvlgamma"}
SHAPES = {"addmv": X[:, 0], "baddbmm": X[None]}


def pair(value):
    """An argument for each library."""
    if isinstance(value, tuple):
        both = [pair(each) for each in value]
        return tuple(a for a, _ in both), tuple(b for _, b in both)
    if not isinstance(value, np.ndarray):
        return value, value
    if value.dtype == np.float32:
        return (
            fd.tensor(value.copy(), requires_grad=True),
            torch.tensor(value.copy(), requires_grad=True),
        )
    return fd.tensor(value), torch.tensor(value)


def both(name):
    """A leaf and the arguments of a method for each library."""
    array = SHAPES.get(name, X)
    if name in POSITIVE:
        array = np.abs(array) + (name in ABOVE_1)
    ours, theirs = pair(array)
    arguments = [pair(value) for value in ARGUMENTS.get(name, ())]
    return (ours, [a for a, _ in arguments]), (theirs, [b for _, b in arguments])


def place_of(x):
    return x.data_ptr() if isinstance(x, torch.Tensor) else x.data.ctypes.data


def gradients(leaf, arguments):
    found = [leaf, *(a for a in arguments if getattr(a, "requires_grad", False))]
    return [None if t.grad is None else np.array(t.grad.tolist()) for t in found]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    [n for n in NAMES if n not in BITS] + ["copy", "fill", "zero"],
)
def test_each_method_has_the_values_and_gradients_of_torch(name):
    found = []
    for leaf, arguments in both(name):
        x = leaf * 1.0
        before = x * 3.0  # reads x, and its gradient does not need x
        place = place_of(x)
        if isinstance(x, torch.Tensor) and name in WITHOUT_GRADIENT_IN_TORCH:
            x = getattr(x, name)(*arguments).float()
        else:
            assert getattr(x, name + "_")(*arguments) is x and x.requires_grad and not x.is_leaf
            assert place_of(x) == place
        if name == "floor_divide" and isinstance(x, torch.Tensor):
            x = x.detach()
        ((x * x).sum() + before.sum()).backward()
        found.append((np.array(x.tolist()), gradients(leaf, arguments)))
    np.testing.assert_allclose(found[0][0], found[1][0], 1e-5, 1e-6)
    for a, b in zip(found[0][1], found[1][1], strict=True):
        zero = np.zeros(())  # None in one library, zeros in the other
        np.testing.assert_allclose(zero if a is None else a, zero if b is None else b, 1e-4, 1e-5)


@pytest.mark.parametrize("name", BITS)
def test_bits(name):
    arguments = [np.array([5, 6])] * (name != "bitwise_not")
    ours, theirs = fd.tensor([3, 12]), torch.tensor([3, 12])
    getattr(ours, name + "_")(*map(fd.tensor, arguments))
    getattr(theirs, name + "_")(*map(torch.tensor, arguments))
    assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize("method", OPERATORS)
def test_operators_change_the_tensor_itself(method):
    found = []
    for library in (fd, torch):
        leaf = library.tensor([1.5, 2.0, 3.0], requires_grad=True)
        x = y = leaf * 2.0
        if method == "__ifloordiv__" and library is torch:  # which has no gradient of it
            x = y = x.detach() + leaf * 0.0
            with torch.no_grad():
                x //= library.tensor([2.0, 3.0, 0.5])
        else:
            x = getattr(x, method)(library.tensor([2.0, 3.0, 0.5]))
        assert x is y
        x.sum().backward()
        found.append((y.tolist(), leaf.grad.tolist()))
    np.testing.assert_allclose(found[0], found[1], 1e-5)


@pytest.mark.parametrize("accumulate", (False, True))
def test_index_put_and_the_methods_that_leave_the_tensor(accumulate):
    found = []
    for library in (fd, torch):
        leaf = library.tensor(X.tolist(), requires_grad=True)
        v = library.tensor([2.0, 3.0], requires_grad=True)
        places = (library.tensor([1, 0]), library.tensor([2, 2]))
        x = leaf * 1.0
        y = x.index_put(places, v, accumulate)
        assert x.tolist() == leaf.tolist()
        x.index_put_(places, v, accumulate)
        y = y + x.index_fill(0, library.tensor([1]), 3.0)
        y = y * x.index_copy(0, library.tensor([0]), library.ones((1, 3)))
        y.sum().backward()
        found.append([y.tolist(), leaf.grad.tolist()])
        found[-1] = [*map(np.array, found[-1]), np.array(v.grad.tolist())]
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, 1e-5)


# ---- errors ----


def test_what_is_refused():
    leaf = fd.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"\+= cannot change a leaf .* graph is recorded"):
        leaf += 1.0
    with pytest.raises(RuntimeError, match="zero_ cannot change a view of a leaf"):
        leaf.reshape(1, 2).zero_()
    assert leaf.tolist() == [1.0, 2.0]
    x = leaf * 2.0
    with pytest.raises(RuntimeError, match=r"add_ needs a result of the tensor's shape \(2,\)"):
        x.add_(fd.ones(3, 2))
    y = x.exp()
    y.add_(1.0)
    with pytest.raises(RuntimeError, match=r"backward\(\) needs was changed by add_"):
        y.sum().backward()
    assert leaf.grad is None
    fixed = np.zeros(2, np.float32)
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match="add_ changes must be writable"):
        fd.Tensor(fixed).add_(1)
    with fd.no_grad():
        leaf.add_(1.0)
    assert leaf.is_leaf and leaf.requires_grad and leaf.tolist() == [2.0, 3.0]


def test_an_operation_that_fails_forgets_nothing():
    leaf = fd.tensor([1.0, 2.0], requires_grad=True)
    x = leaf * 1.0
    y = (x * x).sum()
    with pytest.raises(RuntimeError, match="needs a result of the tensor's shape"):
        x.mul_(fd.ones(2, 2))
    x.mul_(2.0)
    with pytest.raises(RuntimeError, match="changed by mul_"):
        y.backward()


def test_what_was_computed_keeps_its_graph():
    leaf = fd.tensor([1.0, 2.0], requires_grad=True)
    x = leaf * 2.0
    y = x + 0.0
    x.detach_()
    assert x.is_leaf and not x.requires_grad
    constant = fd.tensor([1.0, 1.0])
    z = constant - y
    constant.mul_(leaf)
    assert constant.requires_grad
    z.sum().backward()
    assert leaf.grad.tolist() == [-2.0, -2.0]


# ---- views ----


@pytest.mark.parametrize("change", ("base", "view", "both"))
def test_views_change_with_their_base(change):
    found = []
    for library in (fd, torch):
        leaf = library.tensor(X.tolist(), requires_grad=True)
        x = leaf * 2.0
        flat = x.reshape(6)
        wide = flat.reshape(3, 2)
        if change != "view":
            x.mul_(x.detach().abs().clone())
        if change != "base":
            wide[1] = leaf[0, :2] * 3.0
            flat.sigmoid_()
        ((x * x).sum() + (flat * 0.5).sum() + wide.exp().sum()).backward()
        found.append([np.array(t.tolist()) for t in (x, flat, wide, leaf.grad)])
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, 1e-5)


def test_a_view_of_a_part():
    """Arrays that overlap in a part only: the rest keeps its gradient."""
    leaf = fd.tensor(X.tolist(), requires_grad=True)
    x = leaf * 2.0

    def backward(g):
        dx = np.zeros((2, 3), np.float32)
        dx[1] = g
        return (dx,)

    row = record(x._array[1], (x,), backward)
    row.mul_(5.0)
    assert x.tolist()[1] == row.tolist()
    x.sum().backward(retain_graph=True)
    assert leaf.grad.tolist() == [[2.0] * 3, [10.0] * 3]
    x[0] = 0.0
    row.sum().backward()
    assert leaf.grad.tolist() == [[2.0] * 3, [20.0] * 3]


def test_detached_tensors_share_values_and_not_the_graph():
    leaf = fd.tensor([1.0, 2.0], requires_grad=True)
    x = leaf * 2.0
    d = x.detach()
    y = (x * x).sum()
    z = x.sum()
    d.add_(1.0)
    assert x.tolist() == [3.0, 5.0] and not d.requires_grad
    z.backward(retain_graph=True)
    assert leaf.grad.tolist() == [2.0, 2.0]
    with pytest.raises(RuntimeError, match="changed by add_"):
        y.backward()


# ---- hooks and gradients of chosen tensors ----


def test_hooks_and_retained_gradients():
    found = []
    for library in (fd, torch):
        seen = []
        leaf = library.tensor([1.0, 2.0], requires_grad=True)
        x = leaf * 2.0
        x.register_hook(lambda g, seen=seen: seen.append(g.tolist()))
        x.retain_grad()
        x.mul_(3.0)
        x.register_hook(lambda g, seen=seen: seen.append(g.tolist()))
        assert x.retains_grad
        x.sum().backward()
        found.append((seen, x.grad.tolist(), leaf.grad.tolist()))
    assert found[0] == found[1] == ([[1.0, 1.0], [3.0, 3.0]], [1.0, 1.0], [6.0, 6.0])


def test_gradients_of_chosen_tensors():
    leaf = fd.tensor([1.0, 2.0], requires_grad=True)
    x = leaf * 2.0
    y = x * 5.0
    x.mul_(3.0)
    total = x.sum() + y.sum()
    assert [g.tolist() for g in fd.autograd.grad(total, [x, leaf])] == [[1.0] * 2, [16.0] * 2]


# ---- layers, recordings, passes, memory ----


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 8)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        h = self.first(x)
        same = h
        h += 1.0
        h.relu_()
        h = self.drop(h)
        h += 0.5
        z = other = self.second(h)
        z += h
        z *= 0.5
        return self.second(z + 0.1 * other + 0.01 * same)


def out_of_place(model, x):
    h = (model.first(x) + 1.0).relu()
    d = model.drop(h) + 0.5
    z = (model.second(d) + d) * 0.5
    return model.second(z + 0.1 * z + 0.01 * h)


def test_a_model_that_writes_in_place_learns_the_same():
    x = np.random.default_rng(0).standard_normal((5, 6)).astype(np.float32)
    found = []
    for forward in (None, out_of_place):
        fd.manual_seed(1)
        model = Residual()
        if forward is not None:
            model.forward = functools.partial(forward, model)
        (model(x) ** 2.0).sum().backward()
        found.append([p.grad.data for p in model.parameters()])
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, 1e-4, 1e-5)


def test_maps_in_channels_last_format():
    conv = nn.Conv2d(2, 3, 3, padding=1)
    x = np.random.default_rng(0).standard_normal((2, 2, 4, 4)).astype(np.float32)
    grads = []
    for in_place in (True, False):
        conv.zero_grad()
        h = conv(x)
        if in_place:
            h += h.clone()
            h[:, 1] = 0.0
            h.relu_()
        else:
            h = h.relu() * 2.0 * np.float32([1, 0, 1])[:, None, None]
        (h * h).sum().backward()
        grads.append(conv.weight.grad.data.copy())
    np.testing.assert_allclose(*grads, 1e-4, 1e-4)


def test_layers_of_a_sequential_before_a_module_that_writes():
    class Add(nn.Module):
        def forward(self, x):
            x += 1.0
            return x

    fd.manual_seed(0)
    for layers in ((), (nn.GELU(),), (nn.ReLU(), nn.Dropout(0.5)), (nn.BatchNorm1d(4),)):
        grads = []
        for add in (Add(), nn.Identity()):
            fd.manual_seed(0)
            model = nn.Sequential(nn.Linear(4, 4), *layers, add, nn.ReLU(), nn.Linear(4, 2))
            x = np.arange(12, dtype=np.float32).reshape(3, 4) - 7
            if type(add) is nn.Identity:
                model[-3].register_forward_hook(lambda module, args, result: result + 1.0)
            model(x).sum().backward()
            grads.append(model[0].weight.grad.data)
        np.testing.assert_allclose(*grads, 1e-5, 1e-6)
    h = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Dropout(0.5))(fd.ones(3, 4))
    h.reshape(-1).add_(1.0)
    h.sum().backward()
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), Add())  # ReLU's backward reads its result
    with pytest.raises(RuntimeError, match="needs was changed by"):
        model(fd.ones(3, 4)).sum().backward()


class OutOfPlace(Residual):
    def forward(self, x):
        return out_of_place(self, x)


class Head(nn.Module):
    """Residual blocks, and what `write` does to their result."""

    def __init__(self, write=lambda z: None):
        super().__init__()
        self.block, self.head, self.write = Residual(), nn.Linear(8, 3), write

    def forward(self, x):
        z = self.block(x)
        self.write(z)
        return self.head(z)


def test_recorded_steps_write_again():
    def write(z):
        z[:, 0] = 0.5
        z[:, 1:3] *= z[:, 0:1].clone()
        z.sigmoid_()

    same(USUAL, make=lambda: Trained(lambda: Head(write)))


def test_recorded_steps_refuse_what_replays_would_change_again_and_again():
    def write(z):
        z += fd.zeros(8).add_(1.0)

    refused("add_ changes a tensor", lambda: Trained(lambda: Head(write)))


def test_recorded_steps_refuse_places_in_arrays():
    def write(z):
        z[:, np.array([0, 2])] = 0.0

    refused("an array of its own", lambda: Trained(lambda: Head(write)))


@pytest.mark.parametrize("batch_size", (4096, 50, 7))
def test_monte_carlo_passes_write_to_their_own_rows(batch_size):
    x = np.random.default_rng(0).standard_normal((7, 6)).astype(np.float32)
    found = []
    for kind in (Residual, OutOfPlace):
        fd.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), kind(), nn.Dropout(0.3), nn.Linear(8, 2))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            prediction = fd.mc_predict(model, x, 24, batch_size=batch_size, keep=True, output="raw")
        found.append(prediction.passes)
    np.testing.assert_allclose(*found, 1e-5, 1e-6)


@pytest.mark.parametrize("batch_size", (4096, 50, 7))
def test_what_all_passes_share_is_not_changed_by_each(batch_size):
    class Write(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.drop = nn.Linear(6, 6), nn.Dropout(0.5)
            self.inner = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))

        def forward(self, x):
            h = self.inner(x)
            h += 1.0
            y = self.drop(h)
            y *= 2.0
            y[:, 0] = 1.0
            return y + h

    fd.manual_seed(0)
    model = Write()
    x = np.random.default_rng(0).standard_normal((7, 6)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        passes = fd.mc_predict(model, x, 24, batch_size=batch_size, keep=True, output="raw").passes
    h = model.inner(x).data + 1
    assert np.isclose(passes[..., 0], 1 + h[:, :1]).all()
    near = [np.isclose(passes[..., 1:], kept * h[:, None, 1:]) for kept in (1, 5)]
    assert (near[0] | near[1]).all() and near[0].any() and near[1].any()


def test_results_that_nobody_reads_are_freed():
    leaf = fd.tensor(np.ones(1000), requires_grad=True)
    x = leaf * 2.0
    dead = weakref.ref(x)
    y = x + 1.0
    del x
    assert dead() is None
    y.sum().backward()
    assert leaf.grad.tolist() == [2.0] * 1000
