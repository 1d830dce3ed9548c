"""Whether float64 on this machine is what `fast` relies on. Run once in a process, before anything is accepted.

`fast` needs sums, products, floor, frexp and ldexp to be exact on integers below 2^53, and products of matrices of them
to be exact in whatever order BLAS adds them up; those of longer integers may be off by what sums in any order are. A
library loaded into the process can change the rounding mode or flush subnormal numbers to zero; a BLAS can emulate
float64 with something shorter.
"""

from __future__ import annotations

import functools
import random
from types import ModuleType

from tlverify.certify.fast import digits
from tlverify.certify.fast.digits import DIGIT_BITS, EXACT, Array

SHAPES = ((1, 255, 1), (1, 50, 50), (7, 64, 33), (64, 255, 96))
"""(rows, inner, columns) of the products that are tried: a BLAS has different code for small and large ones."""
NEAR = ((5, 1, 7), (33, 255, 18))


class SelfTestError(RuntimeError):
    """This machine's float64 is not what `fast` relies on: use the arithmetic `exact`."""


@functools.cache
def self_test(xp: ModuleType) -> None:
    """Every test on NumPy or CuPy. SelfTestError names the first that fails."""
    for test in TESTS:
        test(xp)


def _fail(what: str, xp: ModuleType) -> SelfTestError:
    return SelfTestError(f"the arithmetic fast: {what} with {xp.__name__} on this machine; use --arithmetic exact")


def rounding_is_to_nearest(xp: ModuleType) -> None:
    """Sums that lie between two floats, above and below a half, of either sign."""
    one, ulp = xp.asarray([1.0, 1.0, 1.0, -1.0, -1.0]), 2.0**-52
    small = xp.asarray([0.25, 0.5, 0.75, -0.25, -0.75]) * ulp
    if (one + small).tolist() != [1.0, 1.0, 1.0 + ulp, -1.0, -1.0 - ulp]:
        raise _fail("rounding is not to nearest", xp)


def subnormals_are_kept(xp: ModuleType) -> None:
    """As results and as operands."""
    least = xp.asarray([2.0**-1022, 2.0**-1022 * 1.5, 2.0**-1060])
    halved, lifted = least * 0.5, least * 0.5 * 2.0**60
    if halved.tolist() != [2.0**-1023, 2.0**-1023 * 1.5, 2.0**-1061] or lifted.tolist() != [
        2.0**-963,
        2.0**-963 * 1.5,
        2.0**-1001,
    ]:
        raise _fail("subnormal numbers are flushed to zero", xp)


def _edges() -> list[int]:
    """Integers around powers of 2, of both signs, as long as any that `fast` holds."""
    return [sign * ((1 << k) + off) for k in range(53) for off in (-1, 0, 1) for sign in (1, -1)]


def lengths_are_exact(xp: ModuleType) -> None:
    """frexp, as digits.length uses it."""
    edges = _edges()
    found = digits.length(xp.asarray(edges, dtype=float), xp).tolist()
    if found != [max(v, ~v).bit_length() for v in edges]:
        raise _fail("frexp is not exact", xp)


def shifts_are_exact(xp: ModuleType) -> None:
    """ldexp and floor, as digits use them to shift right by up to 64 places."""
    exponents, powers = xp.asarray(range(-64, 65)), [2.0**k for k in range(-64, 65)]
    if xp.ldexp(xp.asarray([1.0] * len(powers)), exponents).tolist() != powers:
        raise _fail("ldexp is not exact", xp)
    if digits.power(exponents, xp).tolist() != powers:
        raise _fail("a table of powers of 2 is not exact", xp)
    edges = _edges()
    values = xp.asarray(edges, dtype=float)
    for places in range(65):
        if xp.floor(values * powers[64 - places]).tolist() != [v >> places for v in edges]:
            raise _fail("floor is not exact", xp)


def products_are_exact(xp: ModuleType) -> None:
    """Products of short integers, random ones and the largest for which a guard lets a product through, against
    products of 64-bit integers, and one row of each against Python's."""
    rng = random.Random(0)
    top = (1 << DIGIT_BITS) - 1
    for m, k, n in SHAPES:
        if k * top * top >= EXACT:
            raise ValueError(f"a product over {k} entries is not below the guard")
        for choices in (range(-top, top + 1), (top,), (top, -top)):
            left, right = rng.choices(choices, k=m * k), rng.choices(choices, k=k * n)
            floats = (_matrix(left, (m, k), xp), _matrix(right, (k, n), xp))
            found, whole = floats[0] @ floats[1], floats[0].astype("int64") @ floats[1].astype("int64")
            row = [sum(map(int.__mul__, left[:k], right[j::n])) for j in range(n)]
            if not bool((found == whole).all()) or found[0].tolist() != row:
                raise _fail(f"a product of integers ({m}, {k}) @ ({k}, {n}) is not exact", xp)


def products_are_near(xp: ModuleType) -> None:
    """A product with longer integers of many sizes is off by no more than sums in any order are."""
    rng = random.Random(1)
    for m, k, n in NEAR:
        left = [rng.randrange(-(1 << DIGIT_BITS), 1 << DIGIT_BITS) for _ in range(m * k)]
        right = [rng.randrange(-(1 << 53), 1 << 53) >> rng.randrange(40) for _ in range(k * n)]
        found = (_matrix(left, (m, k), xp) @ _matrix(right, (k, n), xp)).tolist()
        for i in range(m):
            for j in range(n):
                terms = list(map(int.__mul__, left[i * k : i * k + k], right[j::n]))
                if abs(int(found[i][j]) - sum(terms)) << 53 > (k + 2) * sum(map(abs, terms)):
                    raise _fail(f"a product ({m}, {k}) @ ({k}, {n}) is off by more than float64's order of sums", xp)


def _matrix(values: list[int], shape: tuple[int, int], xp: ModuleType) -> Array:
    return xp.asarray(values, dtype=float).reshape(shape)


TESTS = (
    rounding_is_to_nearest,
    subnormals_are_kept,
    lengths_are_exact,
    shifts_are_exact,
    products_are_exact,
    products_are_near,
)
