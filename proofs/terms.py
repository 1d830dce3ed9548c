"""Functions of the kernel written as Z3 terms."""

from __future__ import annotations

import z3


def relu(z: z3.ArithRef) -> z3.ArithRef:
    return z3.If(z >= 0, z, 0)


def absolute(z: z3.ArithRef) -> z3.ArithRef:
    return z3.If(z >= 0, z, -z)


def minimum(x: z3.ArithRef | int, y: z3.ArithRef | int) -> z3.ArithRef:
    return z3.If(x <= y, x, y)


def maximum(x: z3.ArithRef | int, y: z3.ArithRef | int) -> z3.ArithRef:
    return z3.If(x >= y, x, y)


def within(lower: z3.ArithRef, x: z3.ArithRef, upper: z3.ArithRef) -> z3.BoolRef:
    """lower <= x <= upper."""
    return z3.And(lower <= x, x <= upper)


def is_floor(k: z3.ArithRef, x: z3.ArithRef) -> z3.BoolRef:
    """The integer k is the floor of x."""
    return z3.And(k <= x, x < k + 1)


def is_ceil(k: z3.ArithRef, x: z3.ArithRef) -> z3.BoolRef:
    """The integer k is the ceiling of x."""
    return z3.And(x <= k, k < x + 1)


def is_truncation(k: z3.ArithRef, x: z3.ArithRef) -> z3.BoolRef:
    """The integer k is x rounded towards zero."""
    return z3.If(x >= 0, is_floor(k, x), is_ceil(k, x))


def is_nearest(k: z3.ArithRef, x: z3.ArithRef) -> z3.BoolRef:
    """The integer k is x rounded to nearest, halves up."""
    return z3.And(2 * k <= 2 * x + 1, 2 * x < 2 * k + 1)


def least(w: z3.ArithRef, lower: z3.ArithRef, upper: z3.ArithRef) -> z3.ArithRef:
    """The least w x for lower <= x <= upper: w+ lower + w- upper."""
    return z3.If(w >= 0, w * lower, w * upper)


def greatest(w: z3.ArithRef, lower: z3.ArithRef, upper: z3.ArithRef) -> z3.ArithRef:
    """The greatest w x for lower <= x <= upper: w+ upper + w- lower."""
    return least(w, upper, lower)
