"""Random programs that mix operations in place with others, against the same programs of PyTorch.

A program holds some tensors of one shape, some of them views of others, and picks an operation at
each step. Both libraries run the same steps.
"""

import numpy as np
import pytest

import fastdrop as fd

torch = pytest.importorskip("torch")
SHAPE = (3, 4)

# Operations without and with a second tensor. Their values stay of moderate size.
UNARY = {
    "relu": lambda x: x.relu(),
    "sigmoid": lambda x: x.sigmoid(),
    "tanh": lambda x: x.tanh(),
    "exp": lambda x: (x * 0.1).exp(),
    "sqrt": lambda x: (x * x + 1.0).sqrt(),
    "view": lambda x: x.reshape(4, 3).reshape(3, 4),
    "half": lambda x: x * 0.5,
    "all of it": lambda x: x[:, :],
    "transposed twice": lambda x: x.t().t(),
    "a part of a view": lambda x: x.reshape(1, 3, 4)[0],
    "matmul": lambda x: x.reshape(3, 4) @ x.reshape(4, 3) @ x * 0.1,
}
BINARY = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y * 0.5,
    "div": lambda x, y: x / (y * y + 1.0),
}
UNARY_IN_PLACE = {
    "relu_": lambda x: x.relu_(),
    "sigmoid_": lambda x: x.sigmoid_(),
    "tanh_": lambda x: x.tanh_(),
    "abs_": lambda x: x.abs_(),
    "neg_": lambda x: x.neg_(),
    "clamp_": lambda x: x.clamp_(-0.7, 0.9),
    "zero_": lambda x: x.zero_(),
    "mul_ number": lambda x: x.mul_(0.5),
    "sin_": lambda x: x.sin_(),
    "square_": lambda x: x.square_(),
    "pow_": lambda x: x.pow_(2.0),
    "row number": lambda x: x.__setitem__(1, 0.25),
    "round_": lambda x: x.round_(),
    "tril_": lambda x: x.tril_(),
    "cumsum_": lambda x: x.cumsum_(1),
    "row in place": lambda x: x[1].mul_(0.5),
    "column in place": lambda x: x[:, 2].sigmoid_(),
    "element in place": lambda x: x[1][2].fill_(0.5),
    "transposed in place": lambda x: x.t()[1:].tanh_(),
    "diagonal in place": lambda x: x.diagonal().mul_(0.5),
    "narrowed in place": lambda x: x.narrow(1, 2, 2).neg_(),
    "view relu_": lambda x: x.reshape(2, 6).relu_(),
    "view row": lambda x: x.reshape(4, 3).__setitem__(2, 0.5),
}


def _row(x, y):
    x[1] = y[2]


def _column(x, y):
    x[:, 1:3] *= y[:, 0:1].clone()


def _own_row(x, y):
    x[0] = x[1].clone() * y[0].clone()  # else PyTorch's x[1] has changed, as it is a view


def _add_operator(x, y):
    x += y
    x *= 0.5


def _divide_operator(x, y):
    x /= y * y + 1.0


BINARY_IN_PLACE = {
    "add_": lambda x, y: x.add_(y),
    "sub_": lambda x, y: x.sub_(y),
    "mul_": lambda x, y: x.mul_(y.clone()),  # x.mul_(x) has no gradient in PyTorch
    "copy_": lambda x, y: x.copy_(y),
    "copy_ row": lambda x, y: x.copy_(y[0] * 1.0),
    "div_": lambda x, y: x.div_(y * y + 1.0),
    "lerp_": lambda x, y: x.lerp_(y, 0.25),
    "addcmul_": lambda x, y: x.addcmul_(y.clone(), y.clone(), value=0.1),
    "fill_": lambda x, y: x.fill_(y.sum()),
    "row": _row,
    "column": _column,
    "own row": _own_row,
    "+=": _add_operator,
    "/=": _divide_operator,
}
VIEWS = ("view", "all of it", "transposed twice", "a part of a view")
KINDS = (UNARY, BINARY, UNARY_IN_PLACE, BINARY_IN_PLACE)


def program(seed, length):
    """The steps: (kind, name, number of the first tensor, number of the second one)."""
    rng = np.random.default_rng(seed)
    count, steps = 3, []
    for _ in range(length):
        kind = int(rng.choice(4, p=(0.25, 0.25, 0.2, 0.3)))
        name = str(rng.choice(list(KINDS[kind])))
        steps.append((kind, name, int(rng.integers(count)), int(rng.integers(count))))
        count += kind < 2
    return steps


def run(make, steps, seed, no_grad):
    """The values of all tensors and the gradients of the leaves, or the place of the error."""
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(SHAPE).astype(np.float32) for _ in range(3)]
    leaves = [make(a.copy(), i != 1) for i, a in enumerate(arrays)]
    tensors = list(leaves)
    found = []
    for i, (kind, name, a, b) in enumerate(steps):
        function, operands = KINDS[kind][name], [tensors[a], tensors[b]][: 1 + kind % 2]
        if name in VIEWS and not tensors[a].requires_grad:
            # PyTorch takes it for a leaf that requires a gradient once its base does.
            function = UNARY["half"]
        try:
            if no_grad and i % 3 == 1 and kind >= 2:
                with no_grad():
                    result = function(*operands)
            else:
                result = function(*operands)
        except RuntimeError:
            found.append(i)  # and the program goes on
            result = operands[0] * 1.0
        if kind < 2:
            tensors.append(result)
    values = [t.detach().numpy().copy() for t in tensors]
    needs = [t.requires_grad for t in tensors]
    total = sum((t * (0.1 + 0.1 * i)).sum() for i, t in enumerate(tensors))
    try:
        total.backward()
    except RuntimeError:
        return found, values, needs, None
    zeros = np.zeros(SHAPE, np.float32)
    grads = [zeros if t.grad is None else t.grad.numpy() for t in leaves if t.is_leaf]
    return found, values, needs, grads


def ours(array, requires_grad):
    return fd.tensor(array, requires_grad=requires_grad)


def theirs(array, requires_grad):
    return torch.tensor(array, requires_grad=requires_grad)


@pytest.mark.parametrize("length", (4, 12))
@pytest.mark.parametrize("with_no_grad", (False, True))
def test_programs(length, with_no_grad):
    refused = 0
    for seed in range(400):
        steps = program(seed, length)
        a = run(ours, steps, seed, fd.no_grad if with_no_grad else None)
        b = run(theirs, steps, seed, torch.no_grad if with_no_grad else None)
        assert a[0] == b[0] and a[2] == b[2], (seed, steps)
        for x, y in zip(a[1], b[1], strict=True):
            np.testing.assert_allclose(x, y, 1e-4, 1e-5, err_msg=f"{seed} {steps}")
        assert (a[3] is None) == (b[3] is None), (seed, steps)
        refused += a[3] is None
        for x, y in zip(a[3] or (), b[3] or (), strict=True):
            np.testing.assert_allclose(x, y, 2e-3, 1e-4, err_msg=f"{seed} {steps}")
    assert 20 < refused < 380
