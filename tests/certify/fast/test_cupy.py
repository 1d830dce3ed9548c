"""The arithmetic `fast` on a GPU gives the integers of `exact`, and sees wrong products there as well."""

from __future__ import annotations

import numpy as np
import pytest

from tlverify.certify import kernel
from tlverify.certify.fast import fast
from tlverify.certify.fast.engine import Engine
from tlverify.certify.fast.freivalds import Freivalds
from tlverify.certify.fast.selftest import TESTS
from tlverify.certify.kernel.backward import propagate_all
from tlverify.graph import to_bytes

from ..test_arithmetics import FAMILIES, jobs, network, root, tree

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.__name__)
def test_a_device_passes_the_self_test(cupy, test):
    test(cupy)


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_bounds_are_those_of_exact(cupy, family, verify):
    rng = np.random.default_rng(0)
    program = kernel.read_program(*to_bytes(network(family, rng)))
    bounds = root(program, rng)
    todo = jobs(program, bounds, rng, 40)
    assert Engine(cupy, verify)(program, bounds, todo) == propagate_all(program, bounds, todo)


@pytest.mark.parametrize("family", ["plain", "dyadic", "residual"])
def test_trees_have_the_margin_of_exact(cupy, family):
    rng = np.random.default_rng(1)
    program, claim, proof = tree(network(family, rng), rng)
    expected = kernel.check_with(program, claim.data, proof).margin
    assert kernel.check_with(program, claim.data, proof, fast(xp=cupy)).margin == expected


def test_a_wrong_product_is_found(cupy):
    rng = np.random.default_rng(2)
    left, matrix = (cupy.asarray(rng.integers(-(2**22), 2**22, shape).astype(float)) for shape in ((7, 50), (50, 33)))
    product = left @ matrix
    check = Freivalds(matrix, cupy)
    check.check(left.astype("int64"), product)
    product[3, 4] += 1
    with pytest.raises(kernel.Rejected, match="a product of matrices is wrong"):
        check.check(left.astype("int64"), product)
