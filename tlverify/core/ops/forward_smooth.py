"""Values of smooth elementwise ops that NumPy lacks, accurate to a few units in the last place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlverify.core.backend import namespace

_BLOCK = 1 << 12  # elements that are worked on while they are in the cache


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)) without overflow, and without cancellation where x is far below 0."""
    power = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, power) / (1 + power)


def softplus(x: Any) -> Any:
    """log(1 + exp(x)) without overflow."""
    return np.logaddexp(x, np.zeros_like(x))


# erf(x) / x as a polynomial in x**2 for |x| <= 1, and erfc(x) exp(x**2) as one in (x - 2) / (x + 2) from there to the
# limit, beyond which erf is 1: interpolated at Chebyshev points, to 4e-11 and 2e-19, and to 9e-12 and 9e-19 of erf.
ERF_LIMIT = {"float32": 4.2, "float64": 6.0}
ERF_NEAR = {
    "float32": (
        *(-9.667044571486996e-06, 0.00011265959025606609, -0.0008484080405535107, 0.005221031807858023),
        *(-0.026865430727670243, 0.11283782495236845, -0.3761263846802871, 1.1283791670615435),
    ),
    "float64": (
        *(5.957176147748911e-11, -1.1372848856791674e-09, 1.4659775274047436e-08, -1.6350312701054695e-07),
        *(1.6461000484121368e-06, -1.4925595266831182e-05, 0.0001205533111164271, -0.000854832698083379),
        *(0.0052239776248180145, -0.026866170645076792, 0.11283791670954879, -0.3761263890318375, 1.1283791670955126),
    ),
}
ERF_FAR = {
    "float32": (
        *(-0.0009366758146284411, -0.0008351922478528371, 0.006993588641245501, 0.003731934179645961),
        *(-0.07897846495278252, 0.2416582184679889, -0.42718584823155614, 0.25539567621539094),
    ),
    "float64": (
        *(-1.1352571477273627e-06, 1.272567661840228e-06, 4.011749647325067e-06, 1.3058577122278017e-06),
        *(-1.3998283772784976e-05, -2.7562209161129353e-05, 2.7527175557227246e-05, 0.00017435947400205157),
        *(4.355558686575482e-05, -0.0009819769411038642, -0.00084714325299195, 0.006997461736971578),
        *(0.0037328924043978336, -0.07897858101570611, 0.24165819424246585, -0.4271858474139585, 0.25539567631050575),
    ),
}


def erf(x: Any) -> Any:
    """The error function, worked out in float64: to half a unit in the last place of float32."""
    if namespace(x) is not np or x.size <= _BLOCK:
        return _erf(x)
    flat, result = x.reshape(-1), np.empty(x.size, x.dtype)
    for start in range(0, x.size, _BLOCK):
        result[start : start + _BLOCK] = _erf(flat[start : start + _BLOCK])
    return result.reshape(x.shape)


def _erf(x: Any) -> Any:
    """x P(x**2) near 0, else 1 - exp(-x**2) Q((|x| - 2) / (|x| + 2)) with the sign of x."""
    kind = str(x.dtype)
    size = np.minimum(np.abs(x.astype(np.float64)), ERF_LIMIT[kind])
    square = size * size
    far = 1 - np.exp(-square) * _polynomial((size - 2) / (size + 2), ERF_FAR[kind])
    result = np.where(size < 1, size * _polynomial(square, ERF_NEAR[kind]), far)
    return np.copysign(result, x).astype(x.dtype)


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """By Horner's rule, the coefficient of the highest power first."""
    result = x * coefficients[0]
    for c in coefficients[1:-1]:
        result += c
        result *= x
    result += coefficients[-1]
    return result
