"""Checking products of integer matrices faster than by multiplying again (Freivalds, MFCS 1979).

If C = A W then C r = A (W r) for every r. With a secret random r the converse holds but for a small chance, so what
computed C (BLAS, a GPU) need not be trusted: an r of odd entries modulo 2^64 misses no row with a single wrong entry,
and a second vector modulo a random prime catches differences that share factors of 2.
"""

from __future__ import annotations

from random import SystemRandom
from types import ModuleType

from tlverify.certify.fast.digits import Array
from tlverify.certify.kernel.errors import Rejected

LOW_BITS = 26  # a product, below 2^52, is split into two parts of this length
HALF_BITS = 16  # and a residue into two of this


class Freivalds:
    """The check of all products with one matrix (in, out) of integers below 2^22."""

    def __init__(self, matrix: Array, xp: ModuleType) -> None:
        secret = SystemRandom()
        whole = matrix.astype("int64")
        columns = whole.shape[1]
        self.xp = xp
        self.prime = _prime(secret)
        self.odd = xp.asarray([secret.getrandbits(63) * 2 + 1 - 2**63 for _ in range(columns)], dtype="int64")
        shortest = 62 - LOW_BITS - columns.bit_length()  # sums of products with LOW_BITS parts do not overflow
        self.short = xp.asarray([secret.getrandbits(shortest) for _ in range(columns)], dtype="int64")
        self.expected = whole @ self.odd  # wraps, as all that is compared with it
        residues = (whole @ self.short) % self.prime
        self.residues = residues >> HALF_BITS, residues & ((1 << HALF_BITS) - 1)

    def check(self, left: Array, product: Array) -> None:
        """Rejected unless product = left @ matrix. `left` holds 64-bit integers below 2^22, the product floats below
        2^52."""
        whole = product.astype("int64")
        high, low = whole >> LOW_BITS, whole & ((1 << LOW_BITS) - 1)
        given = _residue(self._dot(high, self.short), self._dot(low, self.short), LOW_BITS, self.prime)
        above, below = (self._dot(left, half) for half in self.residues)
        wrong = given != _residue(above, below, HALF_BITS, self.prime)
        wrong |= self._dot(whole, self.odd) != self._dot(left, self.expected)
        if bool(wrong.any()) or bool((whole != product).any()):  # the latter: no integers at all
            raise _wrong()

    def _dot(self, rows: Array, vector: Array) -> Array:
        """rows @ vector modulo 2^64, without BLAS."""
        return self.xp.einsum("ij,j->i", rows, vector)


def recompute(left: Array, right: Array, product: Array, undone: Array) -> None:
    """Rejected unless product = left @ right, by 64-bit integers: for vectors and matrices of few columns."""
    again = left.astype("int64") @ right.astype("int64")
    wrong = again != product
    if bool(((wrong.any(1) if wrong.ndim == 2 else wrong) & ~undone).any()):
        raise _wrong()


def _wrong() -> Rejected:
    return Rejected("arithmetic", "a product of matrices is wrong: this machine, or its BLAS, does not compute right")


def _residue(high: Array, low: Array, places: int, prime: int) -> Array:
    """(high * 2^places + low) mod prime."""
    return ((high % prime << places) + low % prime) % prime


def _prime(secret: SystemRandom) -> int:
    """A random prime of 31 bits."""
    while True:
        number = secret.randrange(2**30 + 1, 2**31, 2)
        if all(number % factor for factor in range(3, 46341, 2)):
            return number
