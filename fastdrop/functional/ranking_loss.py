"""Losses of pairs and triplets: of embeddings that shall be near or far, and of ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.distance import order_of, pairwise_distance
from fastdrop.functional.element_loss import checked_shapes, loss_of_elements, reduced_loss
from fastdrop.functional.loss import REDUCTIONS, must_be_constant
from fastdrop.functional.pointwise import add, clamp, div, maximum, mul, neg, sqrt, sub
from fastdrop.functional.reduction import sum

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array

    Distance = Callable[[Tensor, Tensor], Tensor]


def hinge_embedding_loss(
    input: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    margin: float = 1.0,
    reduction: str = "mean",
) -> Tensor:
    """Loss of distances: l = x where t = 1, max(0, margin - x) where t = -1.

    Parameters
    ----------
    input : Tensor or array
        x, distances.
    target : Tensor or array of 1 and -1
        t, whether a pair is similar; of a shape that broadcasts with input's. It must not require a
        gradient.
    margin : float, default 1.0
        The distance from which on pairs that are not similar cost nothing.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of the broadcast shape.

    Raises
    ------
    RuntimeError
        When the target requires a gradient.
    TypeError, ValueError
        When an argument has the wrong type, shapes do not broadcast, or the reduction is unknown.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.hinge_embedding_loss([0.5, 0.25, 3.0], [1, -1, -1], reduction="none").tolist()
    [0.5, 0.75, 0.0]
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    limit = np.float32(check.real(margin, "margin"))
    x, t = checked_shapes(("input", input), ("target", target))
    must_be_constant(t, "target")

    def values(x: Float32Array, t: Float32Array) -> Any:
        near, far = np.where(t != -1, x, 0), np.where(t != 1, np.maximum(limit - x, 0), 0)
        return near + far

    def of_input(x: Float32Array, t: Float32Array) -> Any:
        return (t != -1) * np.float32(1.0) - ((t != 1) & (x <= limit))

    return loss_of_elements((x, t), values, (of_input, None), reduction)


def margin_ranking_loss(
    input1: Tensor | ArrayLike,
    input2: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    margin: float = 0,
    reduction: str = "mean",
) -> Tensor:
    """Loss of the order of two scores: l = max(0, margin - t (x1 - x2)).

    Parameters
    ----------
    input1, input2 : Tensor or array
        x1 and x2.
    target : Tensor or array of 1 and -1
        t: 1 where x1 shall be the larger one.
    margin : float, default 0
        The difference from which on a pair costs nothing.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of the broadcast shape.

    Raises
    ------
    TypeError
        When an argument has the wrong type.
    ValueError
        When the inputs have different numbers of axes, their shapes do not broadcast, or the
        reduction is unknown.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.margin_ranking_loss([2.0, 0.5], [1.0, 1.0], [1, 1], 0.25, "none").tolist()
    [0.0, 0.75]
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    limit = np.float32(check.real(margin, "margin"))
    inputs = checked_shapes(("input1", input1), ("input2", input2), ("target", target))
    if len({x.ndim for x in inputs}) > 1:
        raise ValueError(
            "input1, input2 and target must have the same number of axes, got shapes "
            f"{inputs[0].shape}, {inputs[1].shape} and {inputs[2].shape}"
        )

    def inside(x: Float32Array, y: Float32Array, t: Float32Array) -> Any:
        return (limit - t * (x - y) >= 0) * np.float32(1.0)

    def values(x: Float32Array, y: Float32Array, t: Float32Array) -> Any:
        return np.maximum(limit - t * (x - y), 0)

    slopes = (
        lambda x, y, t: -t * inside(x, y, t),
        lambda x, y, t: t * inside(x, y, t),
        lambda x, y, t: (y - x) * inside(x, y, t),
    )
    return loss_of_elements(inputs, values, slopes, reduction)


def cosine_embedding_loss(
    input1: Tensor | ArrayLike,
    input2: Tensor | ArrayLike,
    target: Tensor | ArrayLike,
    margin: float = 0,
    reduction: str = "mean",
) -> Tensor:
    """Loss of the angle of two embeddings: l = 1 - cos where t = 1, max(0, cos - margin) where -1.

    cos = x1 . x2 / sqrt((|x1|^2 + 1e-12) (|x2|^2 + 1e-12)).

    Parameters
    ----------
    input1, input2 : Tensor or array (N, D) or (D,)
        x1 and x2.
    target : Tensor or array of 1 and -1 (N,) or ()
        t, whether a pair is similar. It must not require a gradient.
    margin : float, default 0
        The cosine up to which pairs that are not similar cost nothing; from -1 to 1, usually 0 to
        0.5.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of target's shape.

    Raises
    ------
    RuntimeError
        When the target requires a gradient.
    TypeError, ValueError
        When an argument has the wrong type or shape, or the reduction is unknown.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> x, y = [[1.0, 0.0], [1.0, 0.0]], [[0.0, 2.0], [3.0, 0.0]]
    >>> F.cosine_embedding_loss(x, y, [1, -1], 0.25, "none").tolist()
    [1.0, 0.75]
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    limit = np.float32(check.real(margin, "margin"))
    x, y = checked_shapes(("input1", input1), ("input2", input2))
    t = as_tensor(target, "target", from_table=True)
    must_be_constant(t, "target")
    if x.ndim not in (1, 2) or y.ndim not in (1, 2) or t.ndim != max(x.ndim, y.ndim) - 1:
        raise ValueError(
            "input1 and input2 must have shape (N, D) and target (N,), or (D,) and (), "
            f"got {x.shape}, {y.shape} and {t.shape}"
        )
    squares = (add(sum(mul(v, v), -1), 1e-12) for v in (x, y))
    cosine, t = checked_shapes(
        ("input", div(sum(mul(x, y), -1), sqrt(mul(*squares)))), ("target", t)
    )

    def values(c: Float32Array, t: Float32Array) -> Any:
        return np.where(t == 1, 1 - c, 0) + np.where(t == -1, np.maximum(c - limit, 0), 0)

    def of_cosine(c: Float32Array, t: Float32Array) -> Any:
        return ((t == -1) & (c >= limit)) * np.float32(1.0) - (t == 1)

    return loss_of_elements((cosine, t), values, (of_cosine, None), reduction)


def triplet_margin_loss(
    anchor: Tensor | ArrayLike,
    positive: Tensor | ArrayLike,
    negative: Tensor | ArrayLike,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """Loss of triplets: l = max(0, d(a, p) - d(a, n) + margin), d of `pairwise_distance`.

    Parameters
    ----------
    anchor, positive, negative : Tensor or array (N, D) or (D,)
        a, p and n: p shall be nearer to a than n is.
    margin : float, default 1.0
        By how much nearer; above 0.
    p : float, default 2
        The order of the norm.
    eps : float, default 1e-6
        Added to each difference.
    swap : bool, default False
        Whether to take d(p, n) for d(a, n) where it is smaller.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself.

    Returns
    -------
    Tensor
        0-d; with reduction "none" (N,).

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type, the shapes do not match, margin is not above 0, or the
        reduction is unknown.

    References
    ----------
    Balntas, Riba, Ponsa, Mikolajczyk, "Learning local feature descriptors with triplets and shallow
    convolutional neural networks", BMVC 2016.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.triplet_margin_loss([[0.0]], [[1.0]], [[1.5]], eps=0.0).item()
    0.5
    """
    p, eps = order_of(p), check.real(eps, "eps")
    return triplet_margin_with_distance_loss(
        anchor,
        positive,
        negative,
        distance_function=lambda x, y: pairwise_distance(x, y, p, eps),
        margin=margin,
        swap=swap,
        reduction=reduction,
    )


def triplet_margin_with_distance_loss(
    anchor: Tensor | ArrayLike,
    positive: Tensor | ArrayLike,
    negative: Tensor | ArrayLike,
    *,
    distance_function: Distance | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """Loss of triplets with a distance of your own: l = max(0, d(a, p) - d(a, n) + margin).

    Parameters
    ----------
    anchor, positive, negative : Tensor or array (N, ...)
        a, p and n: p shall be nearer to a than n is.
    distance_function : callable, optional
        d(x, y) -> Tensor. Default: `pairwise_distance`.
    margin : float, default 1.0
        By how much nearer; above 0.
    swap : bool, default False
        Whether to take d(p, n) for d(a, n) where it is smaller.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean or the sum of all l, or l itself.

    Returns
    -------
    Tensor
        0-d; with reduction "none" of the distances' shape.

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type, the numbers of axes differ, margin is not above 0, or
        the reduction is unknown.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> far = lambda x, y: (x - y).abs().sum(-1)
    >>> F.triplet_margin_with_distance_loss(
    ...     [[0.0, 0.0]], [[1.0, 0.0]], [[1.5, 0.0]], distance_function=far
    ... ).item()
    0.5
    """
    check.choice(reduction, "reduction", REDUCTIONS)
    margin = check.real(margin, "margin", low=0.0, open_low=True)
    check.flag(swap, "swap")
    if distance_function is not None and not callable(distance_function):
        raise TypeError(
            f"distance_function must be callable, got {check.describe(distance_function)}"
        )
    distance = distance_function or pairwise_distance
    a, b, c = (
        as_tensor(value, name)
        for name, value in (("anchor", anchor), ("positive", positive), ("negative", negative))
    )
    if not a.ndim == b.ndim == c.ndim:
        raise ValueError(
            "anchor, positive and negative must have the same number of axes, got shapes "
            f"{a.shape}, {b.shape} and {c.shape}"
        )
    near, far = distance(a, b), distance(a, c)
    if swap:
        far = neg(maximum(neg(far), neg(distance(b, c))))
    return reduced_loss(clamp(add(sub(near, far), margin), min=0.0), reduction)
