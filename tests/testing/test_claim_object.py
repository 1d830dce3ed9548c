"""A claim made in the test itself, as docs/ci.md shows."""

from __future__ import annotations

import numpy as np
import pytest

from tlverify.certify import certify, robustness
from tlverify.graph import GraphBuilder, Type
from tlverify.testing import assert_certified


def test_a_claim_is_taken_as_it_is() -> None:
    builder = GraphBuilder()
    x = builder.input("x", Type((2,), "float32"))
    weight, bias = builder.parameter(np.eye(2, dtype="float32")), builder.parameter(np.zeros(2, "float32"))
    graph = builder.build(builder.node("linear", x, weight, bias))
    near, far = robustness(graph, np.array([[0.75, 0.25], [0.5, 0.25]], "float32"), [0, 0], "1/8")
    (result,) = certify(graph, [near])
    assert result.certificate is not None
    assert assert_certified(graph, near, result.certificate).verdict == "verified"
    with pytest.raises(AssertionError, match="it is for claim"):
        assert_certified(graph, far, result.certificate)
