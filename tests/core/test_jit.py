import sys

import numpy as np
import pytest

from tlverify import jit, ops
from tlverify.core import grad, nn
from tlverify.graph import TlverifyError

MODEL = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
PARAMS = MODEL.init(np.random.default_rng(0))
X = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)


@pytest.mark.parametrize("execution", ["auto", "native", "compiled"])
def test_a_function_of_trees_is_traced_once_for_each_type(execution):
    calls = []

    def fn(params, x):
        calls.append(x.shape)
        return {"y": MODEL(params, x), "sum": ops.sum(x, 0)}

    fast = jit(fn, execution)
    for x in (X, X * 2, X[:2], X):
        found, expected = fast(PARAMS, x), fn(PARAMS, x)
        calls.pop()
        assert found["y"].dtype == np.float32
        np.testing.assert_allclose(found["y"], expected["y"], 1e-5, 1e-6)
        np.testing.assert_allclose(found["sum"], expected["sum"], 1e-5, 1e-6)
    assert calls == [(5, 3), (2, 3)]


def test_arguments_that_are_not_contiguous_and_numbers():
    fast = jit(lambda x, scale: x * scale + 1.0)
    np.testing.assert_allclose(fast(X.astype(np.float64).T, 2.0), X.T * 2.0 + 1.0, 1e-6)


def test_inside_a_trace_it_is_the_function():
    np.testing.assert_allclose(grad(lambda x: ops.sum(jit(ops.square)(x)))(X), 2 * X)


def test_errors(monkeypatch):
    with pytest.raises(TlverifyError, match="jit: execution: expected auto, native or compiled, found 'fast'"):
        jit(ops.exp, "fast")
    monkeypatch.setattr("tlverify.core.native.installed", lambda: False)
    with pytest.raises(TlverifyError, match=r"needs llvmlite; pip install 'tlverify\[native\]'"):
        jit(ops.exp, "native")(np.ones(2))
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    np.testing.assert_array_equal(jit(ops.exp)(X), np.exp(X))
