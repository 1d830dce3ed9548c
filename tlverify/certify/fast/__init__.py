"""The kernel's arithmetic on NumPy or CuPy, bit for bit: `kernel.check_with(..., fast())`."""

from __future__ import annotations

from tlverify.certify.fast.engine import Engine
from tlverify.certify.fast.tree import check_tree
from tlverify.certify.kernel import RULES, Arithmetic


def fast() -> Arithmetic:
    """The arithmetic `fast`."""
    return Arithmetic(Engine(), {**RULES, "tree": check_tree})
