"""Robustness in l1 and l2 balls, end to end."""

import numpy as np
import pytest

from tlverify.certify import certify, kernel, robustness
from tlverify.certify.claim import ClaimError
from tlverify.graph import to_bytes

from .kernel.laws_balls import difference


@pytest.mark.parametrize("semantics", ["real", "float32"])
@pytest.mark.parametrize(
    ("norm", "radius", "verdict"),
    [
        ("l2", "0.69", "verified"),
        ("l2", "0.71", "falsified"),
        ("l1", "0.87", "verified"),
        ("l1", "0.88", "falsified"),
        ("linf", "0.51", "falsified"),
    ],
)
def test_a_linear_network_is_decided_up_to_the_edge(norm, radius, verdict, semantics):
    graph = difference()
    claims = robustness(graph, np.float32([[0.5, 0.5]]), [0], radius, clip=(-9, 9), norm=norm, semantics=semantics)
    (result,) = certify(graph, claims, timeout=20)
    assert result.verdict == verdict


@pytest.mark.parametrize(("norm", "radius"), [("l2", "0.1"), ("l1", "0.1")])
def test_more_is_proved_than_of_the_box(digits, norm, radius):
    graph, test = digits
    images, labels = test.x[:8].astype(np.float32), test.y[:8]
    found = list(certify(graph, robustness(graph, images, labels, radius, norm=norm, semantics="float32"), timeout=10))
    assert sum(result.verdict == "verified" for result in found) >= 6
    for result in found:
        if result.verdict != "unknown":
            accepted = kernel.check(*to_bytes(graph), result.claim.data, result.certificate)
            assert accepted.verdict == result.verdict
            assert f"the {norm} ball" in accepted.statement


def test_an_unknown_norm_is_refused():
    with pytest.raises(ClaimError, match="norm: expected one of linf, l2, l1, found 'l0'"):
        robustness(difference(), np.float32([[0.5, 0.5]]), [0], 1, norm="l0")
