"""Tensors: operators, methods, top-level functions, gradients."""

from typing import assert_type

import numpy as np
import numpy.typing as npt

import fastdrop as fd


def half_square(t: fd.Tensor) -> fd.Tensor:
    return 0.5 * (t**2).mean()


t = fd.tensor([[1.0, -2.0], [3.0, 4.0]], requires_grad=True)
loss = half_square(t @ t.T - 1.0)
assert_type(loss, fd.Tensor)
loss.backward()
assert t.grad is not None
assert_type(t.grad.numpy(), npt.NDArray[np.float32])
assert_type(loss.item(), float)

assert_type(t > 0, fd.Tensor)
assert_type(t[0, :1], fd.Tensor)
assert_type(t.sum(dim=1, keepdim=True), fd.Tensor)
assert_type(t.max(), fd.Tensor)
values, positions = t.max(dim=1)
assert_type(values, fd.Tensor)
assert_type(positions, fd.Tensor)

assert_type(fd.relu(t), fd.Tensor)
assert_type(fd.softmax(t, dim=-1), fd.Tensor)
assert_type(fd.dropout(t, p=0.5), fd.Tensor)
assert_type(fd.cat([t, t], dim=0), fd.Tensor)
assert_type(fd.matmul(t, np.ones((2, 2))), fd.Tensor)
assert_type(fd.exp(2.0).reshape(1, 1), fd.Tensor)

with fd.no_grad():
    assert not fd.is_grad_enabled()
with fd.enable_grad():
    assert fd.is_grad_enabled()


@fd.no_grad()
def evaluate(weight: fd.Parameter, x: npt.ArrayLike) -> fd.Tensor:
    return weight * x


assert_type(evaluate(fd.Parameter([1.0, 2.0]), [3.0, 4.0]), fd.Tensor)

fd.manual_seed(7)
assert_type(fd.initial_seed(), int)
assert_type(fd.isa(), str)
assert_type(fd.available_isas(), tuple[str, ...])
assert_type(fd.get_num_threads(), int)
fd.set_num_threads(fd.get_num_threads())
assert_type(fd.get_include(), str)
assert_type(fd.__version__, str)

# Linear algebra, statistics and places
matrix: fd.Tensor = fd.zeros(size=(3, 3)) + fd.eye(3)
solution: fd.Tensor = fd.linalg.solve(matrix, fd.ones(3))
u, s, vt = fd.linalg.svd(matrix)
middle: fd.Tensor = fd.quantile(matrix, 0.5, dim=1)
again: fd.Tensor = matrix.det() + matrix.quantile(0.5) + matrix.mT.logdet()
size: int = matrix.nbytes + matrix.element_size()
