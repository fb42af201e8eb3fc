"""A line search for a step that fulfils the strong Wolfe conditions, for L-BFGS."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array


class Point(NamedTuple):
    """A step t along the direction, with the loss, the gradient and the slope there."""

    t: float
    loss: float
    gradient: Float32Array
    slope: float


def _minimum_of_cubic(a: Point, b: Point, bounds: tuple[float, float] | None = None) -> float:
    """The step with the least value of the cubic through two points and their slopes."""
    low, high = bounds if bounds is not None else (min(a.t, b.t), max(a.t, b.t))
    if a.t > b.t:
        a, b = b, a
    with np.errstate(all="ignore"):  # points may coincide: the result is then not finite
        d1 = a.slope + b.slope - 3.0 * np.float64(a.loss - b.loss) / np.float64(a.t - b.t)
        square = d1 * d1 - a.slope * b.slope
        if not square >= 0:
            return (low + high) / 2.0
        d2 = np.sqrt(square)
        share = (b.slope + d2 - d1) / np.float64(b.slope - a.slope + 2.0 * d2)
        found = float(b.t - (b.t - a.t) * share)
    return min(max(found, low), high)


def strong_wolfe(
    evaluate: Callable[[float], tuple[float, Float32Array]],
    direction: Float32Array,
    start: Point,
    t: float,
    most: int,
    tolerance: float = 1e-9,
    c1: float = 1e-4,
    c2: float = 0.9,
) -> tuple[Point, int]:
    """A step with a sufficient decrease of the loss and of the slope.

    Parameters
    ----------
    evaluate : callable
        evaluate(t) -> (loss, gradient) after a step t along the direction.
    direction : array (N,)
    start : Point
        t = 0.
    t : float
        The first step that is tried.
    most : int
        Largest number of evaluations.
    tolerance : float, default 1e-9
        Length of the bracket, times the largest element of the direction, that ends the search.
    c1, c2 : float
        Constants of both conditions.

    Returns
    -------
    Point
        The best step that was found.
    int
        The number of evaluations.

    References
    ----------
    J. Nocedal, S. J. Wright, "Numerical optimization", 2nd edition, Springer 2006, algorithms 3.5
    and 3.6. Steps and limits as in M. Schmidt's minFunc, from which PyTorch has them.
    """
    longest = float(np.abs(direction).max(initial=0.0))

    def at(t: float) -> Point:
        loss, gradient = evaluate(t)
        return Point(t, loss, gradient.copy(), float(gradient @ direction))

    def too_high(point: Point) -> bool:
        return point.loss > start.loss + c1 * point.t * start.slope

    new, before, count, iterations = at(t), start, 1, 0
    bracket: list[Point] = []
    while iterations < most:
        if too_high(new) or (iterations > 1 and new.loss >= before.loss):
            bracket = [before, new]
            break
        if abs(new.slope) <= -c2 * start.slope:
            return new, count
        if new.slope >= 0:
            bracket = [before, new]
            break
        bounds = new.t + 0.01 * (new.t - before.t), new.t * 10.0
        t = _minimum_of_cubic(before, new, bounds)
        before, new = new, at(t)
        count += 1
        iterations += 1
    if iterations == most:
        bracket = [start, new]
    # Shrink the bracket.
    stalls = False
    low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
    while iterations < most and abs(bracket[1].t - bracket[0].t) * longest >= tolerance:
        t = _minimum_of_cubic(bracket[0], bracket[1])
        left, right = min(each.t for each in bracket), max(each.t for each in bracket)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:  # too near an end to make the bracket much shorter
            if stalls or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stalls = False
            else:
                stalls = True
        else:
            stalls = False
        new = at(t)
        count += 1
        iterations += 1
        if too_high(new) or new.loss >= bracket[low].loss:
            bracket[high] = new
            low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
            continue
        done = abs(new.slope) <= -c2 * start.slope
        if not done and new.slope * (bracket[high].t - bracket[low].t) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = new
        if done or math.isnan(new.loss):
            break
    return bracket[low], count
