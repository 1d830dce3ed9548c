"""The kernel's arithmetic on NumPy or CuPy, bit for bit: `kernel.check_with(..., fast())`."""

from __future__ import annotations

from types import ModuleType

import numpy

from tlverify.certify.fast.ahead import check_tree
from tlverify.certify.fast.engine import Engine
from tlverify.certify.fast.selftest import SelfTestError as SelfTestError
from tlverify.certify.kernel import RULES, Arithmetic


def fast(verify_products: bool = False, xp: ModuleType = numpy) -> Arithmetic:
    """The arithmetic `fast` on NumPy or CuPy, after the self-test of its float64, which is run once in a process.

    With `verify_products`, no product of matrices is believed before it is checked with secret random vectors (a wrong
    one is kernel.Rejected), so that BLAS need not be trusted.
    """
    return Arithmetic(Engine(xp, verify_products), {**RULES, "tree": check_tree})
