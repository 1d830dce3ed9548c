"""The arithmetic `interval`: rigorous float64 with a-priori error bounds, for many boxes at once.

Its bounds are sound but not those of `exact`: it may fail where `exact` succeeds by less than a rounding error.
"""

from __future__ import annotations

from tlverify.certify.interval.engine import Engine
from tlverify.certify.interval.tree import check_tree
from tlverify.certify.kernel import RULES, Arithmetic


def interval() -> Arithmetic:
    """For `kernel.check_with`."""
    return Arithmetic(Engine(), {**RULES, "tree": check_tree})
