"""Shape rules of linear algebra on the last two axes, of Fourier transforms, and of random numbers.

A complex number is a pair (real, imaginary) on the last axis, so that every value of a graph is real.
"""

from __future__ import annotations

from tlverify.graph.errors import ShapeError
from tlverify.graph.types import FLOATS, Attributes, Type, integers, require

PAIR = 2


def cholesky(types: tuple[Type, ...], attributes: Attributes) -> Type:
    return _square("matrix", types[0])


def qr(types: tuple[Type, ...], attributes: Attributes) -> Type:
    x = _float(types[0])
    tall = len(x.shape) >= 2 and x.shape[-2] >= x.shape[-1]
    require(tall, f"expected (..., m, n) with m >= n, found {x}; transpose a wide matrix")
    return x


def solve(types: tuple[Type, ...], attributes: Attributes) -> Type:
    matrix, right = _square("matrix", types[0]), types[1]
    fits = right.dtype == matrix.dtype and len(right.shape) == len(matrix.shape)
    fits = fits and right.shape[:-1] == matrix.shape[:-1]
    require(fits, f"expected (..., n, n) and (..., n, k) of one dtype, found {matrix} and {right}")
    return right


def fft(types: tuple[Type, ...], attributes: Attributes) -> Type:
    x, inverse = _complex(types[0]), attributes["inverse"]
    require(inverse in (0, 1), f"inverse: expected 0 or 1, found {inverse!r}")
    require(x.shape[-2] > 0, f"cannot transform an axis of size 0: {x}")
    return x


def rfft(types: tuple[Type, ...], attributes: Attributes) -> Type:
    x = _float(types[0])
    require(len(x.shape) >= 1 and x.shape[-1] > 0, f"expected (..., n) with n >= 1, found {x}")
    return Type((*x.shape[:-1], x.shape[-1] // 2 + 1, PAIR), x.dtype)


def irfft(types: tuple[Type, ...], attributes: Attributes) -> Type:
    x, size = _complex(types[0]), attributes["size"]
    if not isinstance(size, int) or size < 1 or size // 2 + 1 != x.shape[-2]:
        raise ShapeError(f"size: expected n >= 1 with n // 2 + 1 = {x.shape[-2]} frequencies of {x}, found {size!r}")
    return Type((*x.shape[:-2], size), x.dtype)


def random_uniform(types: tuple[Type, ...], attributes: Attributes) -> Type:
    """A key (..., 2) int64 -> (..., *shape)."""
    key, dtype = types[0], attributes["dtype"]
    expected = key.dtype == "int64" and key.shape[-1:] == (PAIR,)
    require(expected, f"key: expected int64 (..., 2), found {key}")
    require(dtype in FLOATS, f"dtype: expected one of {', '.join(FLOATS)}, found {dtype!r}")
    return Type((*key.shape[:-1], *integers(attributes, "shape", least=0)), str(dtype))


def _float(x: Type) -> Type:
    require(x.dtype in FLOATS, f"expected a float dtype, found {x.dtype}")
    return x


def _square(name: str, x: Type) -> Type:
    square = len(x.shape) >= 2 and x.shape[-1] == x.shape[-2]
    require(square, f"{name}: expected (..., n, n), found {x}")
    return _float(x)


def _complex(x: Type) -> Type:
    pairs = len(x.shape) >= 2 and x.shape[-1] == PAIR
    require(pairs, f"expected complex numbers (..., n, 2) as real and imaginary parts, found {x}")
    return _float(x)
