"""Accuracy of elementwise functions in float32."""

import numpy as np
import pytest

from tlverify.core.binary32 import Binary32Error, accuracy
from tlverify.core.binary32.accuracy import FUNCTIONS, measure
from tlverify.core.ops.forward import FORWARD


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_sample_is_within_a_few_ulp(function):
    found = measure(function, every=100_003)
    assert found.inputs > 42_000
    assert found.ulps < 4 if function != "softplus" else found.ulps < 64
    assert found.special == 0


def test_a_square_root_is_correctly_rounded():
    assert measure("sqrt", every=10_007).ulps <= 0.5 + accuracy.GRANTED


def test_a_wrong_function_is_found(monkeypatch):
    monkeypatch.setitem(FORWARD, "exp", lambda x: np.exp(x) * x.dtype.type(1 + 2.0**-20 * (x.dtype == np.float32)))
    assert measure("exp", every=100_003).ulps > 7
    monkeypatch.setitem(
        FORWARD, "exp", lambda x: np.where(x == x[7], np.nan, np.exp(x)) if x.itemsize == 4 else np.exp(x)
    )
    assert measure("exp", every=100_003).special > 0


def test_all_of_one_chunk_is_compared(monkeypatch):
    monkeypatch.setattr(accuracy, "LAST", 1 << 10)  # zero and the least numbers
    done = []
    found = measure("tanh", progress=done.append)
    assert (found.inputs, done) == (1 << 10, [1 << 10])
    assert found.ulps < 1


@pytest.mark.parametrize(("name", "every"), [("gamma", 1), ("exp", 0)])
def test_what_cannot_be_measured(name, every):
    with pytest.raises(Binary32Error, match="expected"):
        measure(name, every)
