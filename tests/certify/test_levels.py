"""Claims about image files: inputs are 8-bit pixels divided by 255."""

from fractions import Fraction

import numpy as np
import pytest

from tlverify.certify import certify, kernel, pixel_robustness
from tlverify.certify.certificate import proof, witness
from tlverify.certify.claim import ClaimError
from tlverify.graph import GraphBuilder, Type, to_bytes

CLOSE = [{"rule": "interval", "nodes": ["y"]}, {"rule": "close", "multipliers": [["1"]], "slopes": {}, "cuts": []}]


def network():
    """y = (x0 - x1, 0): class 0 as long as pixel 0 is brighter than pixel 1."""
    builder = GraphBuilder()
    x = builder.input("x", Type((2,), "float32"))
    weight = builder.parameter(np.array([[1, -1], [0, 0]], np.float32))
    return builder.build(builder.node("linear", x, weight, builder.parameter(np.zeros(2, np.float32)), name="y"))


def test_every_level_is_what_numpy_reads():
    for number in range(256):
        assert kernel.level(number, 255) == Fraction(float(np.float32(number) / np.float32(255)))


@pytest.mark.parametrize("semantics", ["float32", "real"])
@pytest.mark.parametrize(("levels", "verdict"), [(3, "verified"), (5, "falsified")])
def test_verdicts(semantics, levels, verdict):
    graph, image = network(), np.array([[100, 92]], np.uint8)
    (claim,) = pixel_robustness(graph, image, [0], levels, semantics=semantics)
    (result,) = certify(graph, [claim])
    assert result.verdict == verdict
    if verdict == "falsified":
        pixels = result.witness["x"] * 255
        assert np.abs(pixels - np.rint(pixels)).max() < 1e-4
        assert np.abs(np.rint(pixels) - image).max() <= levels


def test_a_witness_must_be_an_image():
    graph = network()
    (claim,) = pixel_robustness(graph, np.array([[100, 92]], np.uint8), [0], 5)
    data = to_bytes(graph)
    good = [np.float32([95, 96]) / np.float32(255)]
    assert kernel.check(*data, claim.data, witness(claim.digest, good, {})).verdict == "falsified"
    for wrong in (
        np.float32([95.5, 96]) / np.float32(255),
        np.float32([94, 96]) / np.float32(255),
        good[0] * (1 + 2**-23),
    ):
        with pytest.raises(kernel.Rejected, match="outside its range"):
            kernel.check(*data, claim.data, witness(claim.digest, [wrong], {}))


def test_the_ends_are_those_of_the_levels():
    """At 4 levels the pixels may meet at 96, which is bad; at 3 they stay 2 / 255 apart, and that is proved."""
    graph = network()
    for levels, proved in ((3, True), (4, False)):
        (claim,) = pixel_robustness(graph, np.array([[100, 92]], np.uint8), [0], levels)
        data = proof(claim.digest, CLOSE)
        if proved:
            accepted = kernel.check(*to_bytes(graph), claim.data, data)
            assert abs(accepted.margin - Fraction(2, 255)) < Fraction(1, 10**6)
            assert "divided by 255" in accepted.statement
        else:
            with pytest.raises(kernel.Rejected):
                kernel.check(*to_bytes(graph), claim.data, data)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r.update(divisor=0), "divisor"),
        (lambda r: r.update(divisor=1 << 17), "divisor"),
        (lambda r: r.update(lower=[-1, 90]), "levels"),
        (lambda r: r.update(upper=[1 << 17, 90]), "levels"),
        (lambda r: r.update(lower=["1", 90]), "int"),
        (lambda r: r.update(lower=[99, 98]), "empty"),
        (lambda r: r.update(lower=[90]), "2 entries"),
    ],
)
def test_malformed_levels(change, reason):
    graph = network()
    (claim,) = pixel_robustness(graph, np.array([[100, 92]], np.uint8), [0], 3)
    region = dict(claim.region[0])
    change(region)
    wrong = type(claim)(claim.graph_digest, (region,), claim.lower, claim.upper, claim.bad, claim.semantics)
    with pytest.raises(kernel.Malformed, match=reason):
        kernel.check(*to_bytes(graph), wrong.data, proof(wrong.digest, CLOSE))


@pytest.mark.parametrize("images", [np.array([[0.5, 0.25]]), np.array([[256, 0]]), np.array([[-1, 0]])])
def test_images_are_integers(images):
    with pytest.raises(ClaimError, match="integers from 0 to 255"):
        pixel_robustness(network(), images, [0], 1)
