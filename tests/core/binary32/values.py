"""Numbers at the edges of the format, random bits, and what the machine and MPFR say."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Sequence

import numpy as np

from tlverify.core.binary32.format import NAN, SIGN

_POSITIVE = [
    0x00000000, 0x00000001, 0x00000002, 0x00000003, 0x00400000, 0x007FFFFF, 0x00800000, 0x00800001, 0x00FFFFFF,
    0x01000000, 0x1A000000, 0x33800000, 0x34000000, 0x3EAAAAAB, 0x3F000000, 0x3F7FFFFF, 0x3F800000, 0x3F800001,
    0x3FC00000, 0x40490FDB, 0x4B000001, 0x4B800000, 0x5F000000, 0x7F7FFFFF,
]  # fmt: skip
EDGES = [*_POSITIVE, 0x7F800000, *(bits | SIGN for bits in _POSITIVE), 0xFF800000, NAN]


def tuples(count: int) -> np.ndarray:
    """All tuples of edge values, one per column, as bits."""
    return np.array(list(itertools.product(EDGES, repeat=count)), np.uint32).T.copy()


def random_bits(seed: int, arity: int, size: int) -> np.ndarray:
    """Random bits, half of them of nearby exponents, and for three operands 60 % with c close to -a b."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 1 << 32, (arity, size), dtype=np.uint32)
    near = rng.random(size) < 0.5
    exponent = rng.integers(0, 250, size, dtype=np.uint32) + rng.integers(0, 5, (arity, size), dtype=np.uint32)
    bits = np.where(near, (bits & 0x807FFFFF) | (exponent << np.uint32(23)), bits)
    if arity == 3:
        with np.errstate(all="ignore"):
            product = -(as_floats(bits[0]) * as_floats(bits[1]))
        moved = as_bits(product) + rng.integers(-2, 3, size).astype(np.uint32)
        bits[2] = np.where(rng.random(size) < 0.6, moved, bits[2])
    return bits.astype(np.uint32)


def as_floats(bits: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.asarray(bits, np.uint32).view(np.float32)


def as_bits(floats: np.ndarray) -> np.ndarray:
    """The bits, with one NaN."""
    floats = np.ascontiguousarray(floats, np.float32)
    return np.where(np.isnan(floats), np.uint32(NAN), floats.view(np.uint32))


_fmaf = ctypes.CDLL("libm.so.6").fmaf
_fmaf.restype, _fmaf.argtypes = ctypes.c_float, [ctypes.c_float] * 3


def machine_fma(bits: np.ndarray) -> np.ndarray:
    """The bits of a b + c by fmaf of the C library."""
    with np.errstate(all="ignore"):
        results = np.frompyfunc(_fmaf, 3, 1)(*as_floats(bits)).astype(np.float64)
        return as_bits(results.astype(np.float32))
