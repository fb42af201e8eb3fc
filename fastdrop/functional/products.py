"""Products of vectors, matrices and stacks of matrices; einsum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop.autograd.integer_tensor import are_integers, of_integers
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_any_tensor, as_tensor
from fastdrop.functional.axes import axes_of
from fastdrop.functional.broadcasting import unbroadcast
from fastdrop.functional.matmul import matmul
from fastdrop.functional.pointwise import add, mul
from fastdrop.functional.shape import permute, reshape, unsqueeze

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array


def _product(input: Tensor | ArrayLike, other: Tensor | ArrayLike, *axes: int) -> Tensor:
    """matmul of operands with these numbers of axes; integers stay integers."""
    a, b = as_any_tensor(input, "input"), as_any_tensor(other, "other")
    if (a.ndim, b.ndim) != axes:
        raise ValueError(
            f"input and other must have {axes[0]} and {axes[1]} axes, got shapes "
            f"{a.shape} and {b.shape}"
        )
    if axes[0] == 3 and a.shape[0] != b.shape[0]:
        raise ValueError(
            f"input and other must hold equally many matrices, got shapes {a.shape} and {b.shape}"
        )
    return of_integers(np.matmul, a, b) if are_integers(a, b) else matmul(a, b)


def mm(input: Tensor | ArrayLike, mat2: Tensor | ArrayLike) -> Tensor:
    """The product of two matrices.

    Parameters
    ----------
    input : Tensor or array
        (M, K)
    mat2 : Tensor or array
        (K, N)

    Returns
    -------
    Tensor
        (M, N)

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.mm([[1.0, 2.0]], [[3.0], [4.0]]).tolist()
    [[11.0]]
    """
    return _product(input, mat2, 2, 2)


def bmm(input: Tensor | ArrayLike, mat2: Tensor | ArrayLike) -> Tensor:
    """The products of the matrices of two stacks.

    Parameters
    ----------
    input : Tensor or array
        (B, M, K)
    mat2 : Tensor or array
        (B, K, N)

    Returns
    -------
    Tensor
        (B, M, N)

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.bmm([[[1.0, 2.0]]], [[[3.0], [4.0]]]).tolist()
    [[[11.0]]]
    """
    return _product(input, mat2, 3, 3)


def mv(input: Tensor | ArrayLike, vec: Tensor | ArrayLike) -> Tensor:
    """The product of a matrix and a vector.

    Parameters
    ----------
    input : Tensor or array
        (M, K)
    vec : Tensor or array
        (K,)

    Returns
    -------
    Tensor
        (M,)

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.mv([[1.0, 2.0]], [3.0, 4.0]).tolist()
    [11.0]
    """
    return _product(input, vec, 2, 1)


def dot(input: Tensor | ArrayLike, tensor: Tensor | ArrayLike) -> Tensor:
    """The sum of the products of the elements of two vectors.

    Parameters
    ----------
    input : Tensor or array
        (K,)
    tensor : Tensor or array
        (K,)

    Returns
    -------
    Tensor
        ()

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.dot([1.0, 2.0], [3.0, 4.0]).item()
    11.0
    """
    return _product(input, tensor, 1, 1)


def outer(input: Tensor | ArrayLike, vec2: Tensor | ArrayLike) -> Tensor:
    """y[i, j] = input[i] * vec2[j].

    Parameters
    ----------
    input : Tensor or array
        (M,).
    vec2 : Tensor or array
        (N,).

    Returns
    -------
    Tensor
        (M, N)

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.outer([1.0, 2.0], [3.0, 4.0]).tolist()
    [[3.0, 4.0], [6.0, 8.0]]
    """
    a, b = as_any_tensor(input, "input"), as_any_tensor(vec2, "vec2")
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(f"input and vec2 must be vectors, got shapes {a.shape} and {b.shape}")
    return mul(unsqueeze(a, 1), b)


def inner(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """The sums of products over the last axes of two tensors; of a scalar, the product.

    Parameters
    ----------
    input : Tensor or array
        (..., K).
    other : Tensor or array
        (..., K).

    Returns
    -------
    Tensor
        Input's other axes, then those of other.

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.inner([1.0, 2.0], [3.0, 4.0]).item()
    11.0
    """
    a, b = as_any_tensor(input, "input"), as_any_tensor(other, "other")
    return mul(a, b) if not a.ndim or not b.ndim else tensordot(a, b, ([-1], [-1]))


def tensordot(
    a: Tensor | ArrayLike, b: Tensor | ArrayLike, dims: int | Sequence[Any] = 2
) -> Tensor:
    """The sums of products over several axes of two tensors.

    Parameters
    ----------
    a, b : Tensor or array
    dims : int, or pair of sequences of int
        A number: the last axes of a and the first of b. A pair: the axes of each.

    Returns
    -------
    Tensor
        The other axes of a, then those of b.

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.tensordot([[1.0, 2.0]], [[3.0, 4.0]]).item()
    11.0
    """
    x, y = as_any_tensor(a, "a"), as_any_tensor(b, "b")
    if isinstance(dims, int):
        dims = (list(range(x.ndim - dims, x.ndim)), list(range(dims)))
    i, j = axes_of(tuple(dims[0]), x.ndim), axes_of(tuple(dims[1]), y.ndim)
    if [x.shape[k] for k in i] != [y.shape[k] for k in j]:
        raise ValueError(f"dims must name axes of equal lengths, got {x.shape}, {y.shape}, {dims}")
    rest_x = [k for k in range(x.ndim) if k not in i]
    rest_y = [k for k in range(y.ndim) if k not in j]
    shape = (*(x.shape[k] for k in rest_x), *(y.shape[k] for k in rest_y))
    length = math.prod(x.shape[k] for k in i)
    rows = math.prod(x.shape[k] for k in rest_x)
    columns = math.prod(y.shape[k] for k in rest_y)
    left = reshape(permute(x, (*rest_x, *i)), (rows, length))
    right = reshape(permute(y, (*j, *rest_y)), (length, columns))
    return reshape(_product(left, right, 2, 2), shape)


def scaled_sum(input: Tensor | ArrayLike, product: Tensor, beta: float, alpha: float) -> Tensor:
    """beta * input + alpha * product; input is not read where beta is 0."""
    if alpha != 1:
        product = mul(product, alpha)
    if beta == 0:
        return product
    return add(product, input if beta == 1 else mul(input, beta))


def addmm(
    input: Tensor | ArrayLike,
    mat1: Tensor | ArrayLike,
    mat2: Tensor | ArrayLike,
    *,
    beta: float = 1,
    alpha: float = 1,
) -> Tensor:
    """y = beta * input + alpha * mm(mat1, mat2).

    Parameters
    ----------
    input : Tensor or array
        Broadcast to the shape of the product; not read where beta is 0.
    mat1, mat2 : Tensor or array
        The operands of `mm`.
    beta, alpha : float, default 1

    Returns
    -------
    Tensor of the shape of the product

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.addmm([1.0], [[1.0, 2.0]], [[3.0], [4.0]]).tolist()
    [[12.0]]
    """
    return scaled_sum(input, mm(mat1, mat2), beta, alpha)


def addmv(
    input: Tensor | ArrayLike,
    mat: Tensor | ArrayLike,
    vec: Tensor | ArrayLike,
    *,
    beta: float = 1,
    alpha: float = 1,
) -> Tensor:
    """y = beta * input + alpha * mv(mat, vec).

    Parameters
    ----------
    input : Tensor or array
        Broadcast to the shape of the product; not read where beta is 0.
    mat, vec : Tensor or array
        The operands of `mv`.
    beta, alpha : float, default 1

    Returns
    -------
    Tensor of the shape of the product

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.addmv([1.0], [[1.0, 2.0]], [3.0, 4.0]).tolist()
    [12.0]
    """
    return scaled_sum(input, mv(mat, vec), beta, alpha)


def baddbmm(
    input: Tensor | ArrayLike,
    batch1: Tensor | ArrayLike,
    batch2: Tensor | ArrayLike,
    *,
    beta: float = 1,
    alpha: float = 1,
) -> Tensor:
    """y = beta * input + alpha * bmm(batch1, batch2).

    Parameters
    ----------
    input : Tensor or array
        Broadcast to the shape of the product; not read where beta is 0.
    batch1, batch2 : Tensor or array
        The operands of `bmm`.
    beta, alpha : float, default 1

    Returns
    -------
    Tensor of the shape of the product

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.baddbmm([1.0], [[[1.0, 2.0]]], [[[3.0], [4.0]]]).tolist()
    [[[12.0]]]
    """
    return scaled_sum(input, bmm(batch1, batch2), beta, alpha)


def einsum(equation: str, *operands: Any) -> Tensor:
    """Sums of products of elements, as the equation's letters say.

    Parameters
    ----------
    equation : str
        The letters of the axes of each operand, separated by commas, then perhaps "->" and those
        of the result. "..." stands for further axes, which broadcast. Without "->" the result has
        the letters that occur once, in alphabetical order.
    *operands : Tensor or array, or one list of them

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        When the equation does not fit the operands.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.einsum("ij,j->i", [[1.0, 2.0]], [3.0, 4.0]).tolist()
    [11.0]
    """
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)) and "," in equation:
        operands = tuple(operands[0])
    given = [as_any_tensor(t, "operands") for t in operands]
    inputs, output = _letters(equation, given)
    rule = ",".join(inputs) + "->" + output
    if are_integers(*given):
        return of_integers(lambda *x: np.einsum(rule, *x), *given)
    tensors = tuple(as_tensor(t, "operands") for t in given)
    arrays = tuple(t._array for t in tensors)
    sizes: dict[str, int] = {}
    for letters, array in zip(inputs, arrays, strict=True):
        for letter, n in zip(letters, array.shape, strict=True):
            if sizes.setdefault(letter, n) == 1:
                sizes[letter] = n
            if n not in (1, sizes[letter]):
                raise ValueError(f"equation {equation!r} does not fit operands of these lengths")

    def gradient(i: int, g: Float32Array, *arrays: Float32Array) -> Any:
        others = [k for k in range(len(arrays)) if k != i]
        own = "".join(dict.fromkeys(inputs[i]))
        known = "".join(x for x in own if x in output or any(x in inputs[k] for k in others))
        terms = ",".join([output, *(inputs[k] for k in others)])
        part = np.einsum(f"{terms}->{known}", g, *(arrays[k] for k in others), optimize=True)
        part = part.reshape([part.shape[known.index(x)] if x in known else 1 for x in own])
        lengths = [arrays[i].shape[inputs[i].index(x)] for x in own]
        part = unbroadcast(np.broadcast_to(part, [sizes[x] for x in own]), tuple(lengths))
        if len(own) == len(inputs[i]):
            return part
        whole = np.zeros(arrays[i].shape, np.float32)  # letters that repeat are a diagonal
        np.einsum(f"{inputs[i]}->{own}", whole)[...] = part
        return whole

    wanted = [t.requires_grad for t in tensors]

    def backward(g: Float32Array, *arrays: Float32Array) -> Any:
        return tuple(
            computed(gradient, i, g, *arrays) if want else None for i, want in enumerate(wanted)
        )

    value = computed(lambda: np.einsum(rule, *arrays, optimize=True))
    return record(np.array(value, np.float32, order="C"), tensors, backward, arrays)


def _letters(equation: str, operands: Sequence[Tensor]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with letters in place of "..."."""
    left, arrow, output = equation.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(operands):
        raise ValueError(f"equation {equation!r} has {len(inputs)} operands, got {len(operands)}")
    free = [x for x in "ZYXWVUTSRQPONMLKJIHGFEDCBA" if x not in equation]
    widest = 0
    for letters, t in zip(inputs, operands, strict=True):
        more = t.ndim - len(letters.replace("...", ""))
        if more < 0 or (more and "..." not in letters):
            raise ValueError(f"equation {equation!r} does not fit an operand of shape {t.shape}")
        widest = max(widest, more if "..." in letters else 0)
    names = "".join(free[:widest])
    if not arrow:
        seen = left.replace(",", "").replace("...", "")
        output = "..." + "".join(sorted(x for x in set(seen) if seen.count(x) == 1))
    expanded = [
        letters.replace("...", names[widest - (t.ndim - len(letters.replace("...", ""))) :])
        for letters, t in zip(inputs, operands, strict=True)
    ]
    result = output.replace("...", names)
    wrong = set(result) - set("".join(expanded))
    if wrong or not set("".join(expanded)) <= set(names) | set(equation) - set(".,->"):
        raise ValueError(f"equation {equation!r} has a result with letters of no operand")
    return expanded, result
