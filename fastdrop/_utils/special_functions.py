"""Special functions of NumPy arrays, in float64: for float32 results without SciPy.

`fast_erf` is the rational approximation of XLA (xla/hlo, erf of float32; also Eigen's), which is
within 2 units in the last place of float32. `erf` and `erfc` follow W. J. Cody, "Rational Chebyshev
approximations for the error function", Mathematics of Computation 23 (1969), with the coefficients
of his CALERF (netlib, specfun).
`erfinv` starts from M. Giles, "Approximating the erfinv function" (GPU Computing Gems, 2010), and
does one step of Halley's method. `lgamma` is Lanczos' series with the coefficients of P. Godfrey
(g = 7, n = 9). `zeta` is the Euler-Maclaurin formula, with which `digamma` and `polygamma` agree
(Abramowitz and Stegun, 6.3.18 and 6.4.11). `i1` is the trapezoidal rule for Bessel's integral.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

# Coefficients of polynomials, from the highest power on.
CODY_NEAR = (
    (
        *(1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2),
        *(3.77485237685302021e2, 3.20937758913846947e3),
    ),
    (
        *(1.0, 2.36012909523441209e1, 2.44024637934444173e2),
        *(1.28261652607737228e3, 2.84423683343917062e3),
    ),
)
CODY_MIDDLE = (
    (
        *(2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0),
        *(6.61191906371416295e1, 2.98635138197400131e2, 8.81952221241769090e2),
        *(1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3),
    ),
    (
        *(1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2),
        *(1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3),
        *(3.43936767414372164e3, 1.23033935480374942e3),
    ),
)
CODY_FAR = (
    (
        *(1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1),
        *(1.25781726111229246e-1, 1.60837851487422766e-2, 6.58749161529837803e-4),
    ),
    (
        *(1.0, 2.56852019228982242e0, 1.87295284992346725e0),
        *(5.27905102951428412e-1, 6.05183413124413191e-2, 2.33520497626869185e-3),
    ),
)
XLA = (
    (
        *(-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06),
        *(-5.69250639462346e-05, -7.34990630326855e-04, -2.95459980854025e-03),
        -1.60960333262415e-02,
    ),
    (
        *(-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03),
        *(-7.37332916720468e-03, -1.42647390514189e-02),
    ),
)
GILES_NEAR = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
    *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
)
GILES_FAR = (
    *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
    *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
)
LANCZOS = (
    *(0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313),
    *(-176.61502916214059, 12.507343278686905, -0.13857109526572012),
    *(9.9843695780195716e-6, 1.5056327351493116e-7),
)
# B_2k / (2k)! for k = 1, 2, ...
BERNOULLI = (
    *(1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160),
    *(-691 / 1307674368000, 1 / 74724249600),
)
SQRT_PI = math.sqrt(math.pi)


def _polynomial(coefficients: Any, x: Any) -> Any:
    result = np.multiply(x, coefficients[0])
    for coefficient in coefficients[1:-1]:
        result += coefficient
        result *= x
    return result + coefficients[-1]


def _ratio(polynomials: Any, x: Any) -> Any:
    return _polynomial(polynomials[0], x) / _polynomial(polynomials[1], x)


def in_pieces(function: Callable[[Any], Any], x: Any, size: int = 16384) -> Any:
    """function(x) of float64 numbers as float32, in pieces that stay in a cache.

    1e6 numbers: `fast_erf` takes 6 ms, not 12 as a whole (a core of 2023); math.erf 110 ms.
    """
    flat = np.asarray(x).reshape(-1)
    result = np.empty(flat.shape, np.float32)
    for i in range(0, flat.size, size):
        result[i : i + size] = function(flat[i : i + size].astype(np.float64))
    return result.reshape(np.shape(x))


def fast_erf(x: Any) -> Any:
    """The error function within 2 units in the last place of float32."""
    x = np.clip(x, -4.0, 4.0)
    return np.clip(x * _ratio(XLA, x * x), -1.0, 1.0)


def _tail(y: Any) -> Any:
    """erfc(y) for y > 0.46875."""
    result = np.zeros_like(y)
    middle = y <= 4
    result[middle] = _ratio(CODY_MIDDLE, y[middle])
    far = y > 4
    w = 1 / np.square(y[far])
    result[far] = (1 / SQRT_PI - w * _ratio(CODY_FAR, w)) / y[far]
    return result * np.exp(-y * y)


def erf(x: Any) -> Any:
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    x = np.asarray(x, np.float64)
    size = np.minimum(np.abs(x), 6.0)  # erf(6) is 1; NaN stays NaN
    far = size > 0.46875
    result = np.asarray(x * _ratio(CODY_NEAR, np.square(np.where(far, 0.0, size))))
    result[far] = np.copysign(1 - _tail(size[far]), x[far])
    return result


def erfc(x: Any) -> Any:
    """1 - erf(x), exact for large x."""
    x = np.asarray(x, np.float64)
    result = np.asarray(1 - erf(x))
    far = x > 0.46875
    result[far] = _tail(np.minimum(x[far], 30.0))
    return result


def erfinv(y: Any) -> Any:
    """The x with erf(x) = y; infinite at -1 and 1, NaN outside."""
    y = np.asarray(y, np.float64)
    w = -np.log((1 - y) * (1 + y))
    x = y * np.where(
        w < 5, _polynomial(GILES_NEAR, w - 2.5), _polynomial(GILES_FAR, np.sqrt(w) - 3)
    )
    size = np.abs(x)
    error = np.where(size < 0.5, erf(size) - np.abs(y), (1 - np.abs(y)) - erfc(size))
    step = error * (SQRT_PI / 2) * np.exp(size * size)
    x = np.copysign(size - step / (1 + size * step), y)
    return np.where(np.abs(y) == 1, np.copysign(np.inf, y), x)


def lgamma(x: Any) -> Any:
    """ln |Gamma(x)|; infinite at 0, -1, -2 ..."""
    x = np.asarray(x, np.float64)
    z = np.where(x < 0.5, 1 - x, x) - 1
    series = LANCZOS[0] + sum(c / (z + i) for i, c in enumerate(LANCZOS[1:], 1))
    t = z + 7.5
    right = 0.5 * math.log(2 * math.pi) + (z + 0.5) * np.log(t) - t + np.log(series)
    # sin(pi x) of the distance to the nearest integer, so that it is 0 at integers
    left = math.log(math.pi) - np.log(np.abs(np.sin(math.pi * (x - np.round(x))))) - right
    result = np.where(x < 0.5, left, right)
    return np.where(np.isinf(x), np.inf, result)


def digamma(x: Any) -> Any:
    """The derivative of lgamma; NaN at -1, -2 ..., and infinite at 0."""
    x = np.asarray(x, np.float64)
    z = np.where(x < 0.5, 1 - x, x)
    total = np.zeros_like(z)
    for i in range(10):
        total -= 1 / (z + i)
    z = z + 10
    w = 1 / np.square(z)
    series = sum(c * math.factorial(2 * k - 1) * w**k for k, c in enumerate(BERNOULLI, 1))
    total += np.log(z) - 0.5 / z - series
    with_reflection = total - math.pi / np.tan(math.pi * (x - np.round(x)))
    result = np.where(x < 0.5, with_reflection, total)
    result = np.where((x < 0) & (x == np.round(x)), np.nan, result)
    return np.where(x == 0, np.copysign(np.inf, -x), result)


def zeta(s: int, x: Any) -> Any:
    """The sum of 1 / (x + i)^s over i = 0, 1, 2 ..., for s > 1."""
    x = np.asarray(x, np.float64)
    total = sum((x + i) ** -s for i in range(10))
    z = x + 10
    total += z ** (1.0 - s) / (s - 1) + 0.5 * z**-s
    rising, power = float(s), z ** (-1.0 - s)
    for k, c in enumerate(BERNOULLI, 1):
        total += c * rising * power
        rising *= (s + 2 * k - 1) * (s + 2 * k)
        power /= np.square(z)
    return total


def polygamma(n: int, x: Any) -> Any:
    """The derivative number n of digamma; infinite at 0, -1, -2 ..., for odd n."""
    if n == 0:
        return digamma(x)
    x = np.asarray(x, np.float64)
    sign = -1.0 if n % 2 == 0 else 1.0
    # Numbers below 0 are moved up to [0, 1) one by one: the sum of what the steps leave out.
    steps = np.where(x < 0, np.minimum(np.ceil(-x), 1000.0), 0.0)
    result = zeta(n + 1, x + steps)
    for i in range(int(np.max(steps, initial=0.0, where=np.isfinite(steps)))):
        result += np.where(i < steps, 1 / (x + i) ** (n + 1), 0.0)
    return sign * math.factorial(n) * result


def i1(x: Any) -> Any:
    """The derivative of `numpy.i0`: the mean of exp(x cos t) cos t over a circle.

    96 points on the circle: the relative error is below 1e-9 up to |x| = 100.
    """
    x = np.asarray(x, np.float64)
    size, total = np.abs(x), np.zeros_like(x)
    for i in range(96):
        cosine = math.cos(2 * math.pi * i / 96)
        total += np.exp(size * (cosine - 1)) * cosine
    return np.sign(x) * np.exp(size) * total / 96
