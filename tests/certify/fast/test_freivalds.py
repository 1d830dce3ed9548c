"""A wrong product is never believed, and right ones always are."""

from dataclasses import replace

import numpy as np
import pytest

from tlverify.certify import kernel
from tlverify.certify.fast.engine import Engine
from tlverify.certify.fast.freivalds import Freivalds, _prime, recompute
from tlverify.certify.kernel import Rejected
from tlverify.certify.kernel.backward import propagate_all
from tlverify.graph import to_bytes

from ..test_arithmetics import FAMILIES, jobs, network, root

WRONG = "a product of matrices is wrong"
TOP = 2**22


def integers(rng, *shape):
    return rng.integers(-TOP, TOP, shape).astype(float)


@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 50, 50), (16, 255, 33), (3, 5, 255)])
def test_every_wrong_entry_is_found(shape):
    """1,000 products with one entry wrong, by any power of 2 up to 2^52 or anything else."""
    m, k, n = shape
    rng = np.random.default_rng(0)
    for _ in range(10):
        left, matrix = integers(rng, m, k), integers(rng, k, n)
        check, whole = Freivalds(matrix, np), left.astype("int64")
        check.check(whole, left @ matrix)
        for _ in range(100):
            product = left @ matrix
            fault = 2.0 ** rng.integers(0, 52) if rng.random() < 0.7 else float(rng.integers(1, 2**51))
            place = rng.integers(m), rng.integers(n)
            product[place] -= np.copysign(fault, product[place])
            with pytest.raises(Rejected, match=WRONG):
                check.check(whole, product)
            with pytest.raises(Rejected, match=WRONG):
                recompute(left, matrix, product, np.zeros(m, dtype=bool))


def test_faults_that_cancel_modulo_powers_of_2_are_found():
    """Two entries of a row wrong by 2^51: modulo 2^64 one secret in 2^12 misses it, the prime does not."""
    rng = np.random.default_rng(1)
    left, matrix = np.ones((4, 3)), integers(rng, 3, 8)
    for _ in range(300):
        product = left @ matrix
        product[2, [1, 5]] += 2.0**51
        with pytest.raises(Rejected, match=WRONG):
            Freivalds(matrix, np).check(left.astype("int64"), product)


@pytest.mark.parametrize("fault", [0.5, -0.25, 2.0**64, -(2.0**70), np.inf, np.nan])
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
def test_products_that_are_no_short_integers_are_found(fault):
    left, matrix = np.ones((4, 3)), integers(np.random.default_rng(2), 3, 8)
    product = left @ matrix
    product[1, 2] += fault
    with pytest.raises(Rejected, match=WRONG):
        Freivalds(matrix, np).check(left.astype("int64"), product)
    with pytest.raises(Rejected, match=WRONG):
        recompute(left, matrix, product, np.zeros(4, dtype=bool))


def test_secrets_differ():
    matrix = np.ones((3, 64))
    one, two = Freivalds(matrix, np), Freivalds(matrix, np)
    assert (one.odd % 2 == 1).all()
    assert (one.odd != two.odd).any()
    assert one.prime.bit_length() == two.prime.bit_length() == 31


def test_primes_are_prime():
    """The least and the largest factor that a number of 31 bits can have are tried, and even numbers are not drawn."""
    drawn = iter([3 * 715827881, 46337**2, 2**31 - 1])

    class Secret:
        def randrange(self, start, stop, step):
            assert (start % 2, step, stop) == (1, 2, 2**31)
            return next(drawn)

    assert _prime(Secret()) == 2**31 - 1


def test_rows_left_to_exact_may_be_wrong():
    left = np.array([[1.0], [2.0]])
    recompute(left, np.array([3.0]), np.array([3.0, 7.0]), np.array([False, True]))
    with pytest.raises(Rejected, match=WRONG):
        recompute(left, np.array([3.0]), np.array([3.0, 7.0]), np.array([True, False]))


@pytest.mark.parametrize("family", FAMILIES)
def test_verified_products_change_no_answer(family):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        program = kernel.read_program(*to_bytes(network(family, rng)))
        bounds = root(program, rng)
        todo = jobs(program, bounds, rng, 6)
        assert Engine(verify_products=True)(program, bounds, todo) == propagate_all(program, bounds, todo)


class Faulty(np.ndarray):
    """A matrix whose products have one wrong entry in each column."""

    def __matmul__(self, right):
        result = np.asarray(self) @ np.asarray(right)
        if result.dtype == float:  # what BLAS computes
            result[0] += 2.0**40
        return result


@pytest.mark.parametrize("part", ["matrices", "vectors", "lower ends"])
def test_a_faulty_blas_is_rejected(monkeypatch, part):
    rng = np.random.default_rng(0)
    program = kernel.read_program(*to_bytes(network("plain", rng)))
    bounds = root(program, rng)
    todo = [replace(job, path=()) for job in jobs(program, bounds, rng, 6)]

    def engine(**options):
        found = Engine(**options)
        prepared = found.prepare(program, bounds)
        if part == "matrices":
            for value in program.values.values():
                for _, matrix in value.terms:
                    own = prepared.linear(matrix)
                    own.parts, own.whole = [digit.view(Faulty) for digit in own.parts], None
        else:
            relus, real = [prepared.relu(source).lower for source in prepared.relu_sources], prepared.product

            def product(rows, coefficients, undone):
                chosen = any(rows is lower for lower in relus) is (part == "lower ends")
                return real(rows.view(Faulty) if chosen else rows, coefficients, undone)

            monkeypatch.setattr(prepared, "product", product)
        return found

    right = propagate_all(program, bounds, todo)
    assert engine()(program, bounds, todo) != right
    with pytest.raises(Rejected, match=WRONG):
        engine(verify_products=True)(program, bounds, todo)
