"""Writing claims: the bytes mean what the arguments say, and what does not fit the graph is refused."""

import hashlib
import json
import random
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from tlverify.certify import Claim, Inequality, box, robustness
from tlverify.certify.claim import ClaimError, exact
from tlverify.certify.kernel import read_program
from tlverify.certify.kernel.claim import read_claim
from tlverify.graph import GraphBuilder, Type, digest, to_bytes

from .examples import FAMILIES, random_claim, random_graph
from .kernel.laws import SUM, UNIT, above, affine


def read(graph, claim: Claim):
    return read_claim(claim.data, read_program(*to_bytes(graph)))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_kernel_reads_what_was_written(family):
    for seed in range(4):
        rng = random.Random(f"{family} {seed}")
        graph = random_graph(rng, family)
        claim = random_claim(rng, graph, Fraction(rng.randrange(-9, 9), 7), strict=bool(rng.randrange(2)))
        found = read(graph, claim)
        assert found.digest == claim.digest == hashlib.sha256(claim.data).hexdigest()
        assert claim.graph_digest == digest(graph)
        for name, region in found.region.items():
            assert (tuple(region.lower), tuple(region.upper)) == (claim.lower[name], claim.upper[name])
        bad = [[(tuple(row.terms), row.bound, row.strict) for row in rows] for rows in found.bad]
        assert bad == [[(row.terms, row.bound, row.strict) for row in rows] for rows in claim.bad]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.02, Fraction(1, 50)),
        (0.1 + 0.2, Fraction("0.30000000000000004")),
        ("1/3", Fraction(1, 3)),
        ("0.02", Fraction(1, 50)),
        (Decimal("1e-3"), Fraction(1, 1000)),
        (-7, Fraction(-7)),
        (1e-320, Fraction("1e-320")),
        (Fraction(2, 6), Fraction(1, 3)),
    ],
)
def test_numbers_are_what_they_are_written_as(value, expected):
    assert exact(value) == expected


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "nan", "one", "1/0", "", Decimal("NaN"), Decimal("-Infinity")]
)
def test_numbers_must_be_finite(value):
    with pytest.raises(ClaimError, match="epsilon: expected a finite number"):
        exact(value, "epsilon")


def test_inequality_takes_any_number_exactly():
    assert Inequality((("y", 0, 0.1), ("y", 1, 2)), "1/3") == Inequality(
        (("y", 0, Fraction(1, 10)), ("y", 1, Fraction(2))), Fraction(1, 3)
    )
    with pytest.raises(ClaimError, match="bound: expected a finite number"):
        Inequality((("y", 0, 1),), float("nan"))


def test_robustness():
    centers = np.array([[0.5, 0.25], [0.0, 1.0]], "float32")
    first, second = robustness(SUM, centers, np.array([0, 1]), 0.25)
    assert first.lower == {"x": (Fraction(1, 4), Fraction(0))}
    assert second.upper == {"x": (Fraction(1, 4), Fraction(1))}
    assert first.bad == ((Inequality((("y", 1, Fraction(1)), ("y", 0, Fraction(-1)))),),)
    assert second.bad == ((Inequality((("y", 0, Fraction(1)), ("y", 1, Fraction(-1)))),),)
    for claim in (first, second):
        region = read(SUM, claim).region["x"]
        assert (tuple(region.lower), tuple(region.upper)) == (claim.lower["x"], claim.upper["x"])
    assert "radius 1/4" in str(read(SUM, first))


def test_robustness_takes_the_center_as_stored_and_the_radius_as_written():
    (claim,) = robustness(SUM, np.array([[0.1, 0.1]], "float32"), [0], 0.1, clip=(-9, 9))
    assert claim.upper["x"][0] == Fraction(float(np.float32(0.1))) + Fraction(1, 10)


POINT = np.zeros((1, 2))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((np.zeros((1, 3)), [0], "0.1"), r"centers: expected numbers of shape \['n', 2\], found float64\[1, 3\]"),
        ((np.zeros(2), [0], "0.1"), "centers: expected numbers of shape"),
        ((np.array([["0", "1"]]), [0], "0.1"), "centers: expected numbers of shape"),
        ((np.array([[0, np.nan]]), [0], "0.1"), "example 0 holds a NaN or an infinity"),
        ((POINT, [0, 1], "0.1"), "labels: expected 1, one for each center, found 2"),
        ((POINT, [2], "0.1"), "example 0 has label 2, the graph has 2 classes"),
        ((POINT, [-1], "0.1"), "example 0 has label -1"),
        ((POINT, [0], "-0.1"), "epsilon: expected a radius >= 0"),
        ((POINT, [0], "much"), "epsilon: expected a finite number"),
        ((POINT, [0], "0.1", (1, 2)), "example 0 is farther than epsilon from the clip range"),
    ],
)
def test_robustness_refuses(arguments, reason):
    with pytest.raises(ClaimError, match=reason):
        robustness(SUM, *arguments)


def test_robustness_needs_one_input_and_one_output():
    builder = GraphBuilder()
    a, b = (builder.input(name, Type((2,), "float32")) for name in "ab")
    graph = builder.build(builder.node("add", a, b))
    with pytest.raises(ClaimError, match="needs one input and one output, found 2 and 1"):
        robustness(graph, POINT, [0], "0.1")


def test_data_is_canonical_and_holds_no_number_but_integers():
    claim = box(SUM, UNIT, [[above(SUM, 0, Fraction(1, 3), strict=True)]])
    data = json.loads(claim.data, parse_float=pytest.fail)
    assert json.dumps(data, sort_keys=True, separators=(",", ":")).encode() == claim.data
    assert data["bad"] == [[{"terms": [["y", 0, "1"]], "bound": "1/3", "strict": 1}]]
    assert data["region"] == [{"kind": "box", "input": "x", "lower": ["0", "0"], "upper": ["1", "1"]}]


@pytest.mark.parametrize(
    ("ranges", "bad"),
    [
        ({}, [[above(SUM, 0, 1)]]),
        ({"x": ([0], [1])}, [[above(SUM, 0, 1)]]),
        ({"x": ([0, 0], [1])}, [[above(SUM, 0, 1)]]),
        ({"x": ([1, 1], [0, 0])}, [[above(SUM, 0, 1)]]),
        ({**UNIT, "other": ([0], [1])}, [[above(SUM, 0, 1)]]),
        (UNIT, []),
        (UNIT, [[]]),
        (UNIT, [[above(SUM, 2, 1)]]),
        (UNIT, [[above(SUM, -1, 1)]]),
        (UNIT, [[Inequality((("nope", 0, Fraction(1)),))]]),
        (UNIT, [[Inequality((("y", 0, Fraction(1)), ("y", 0, Fraction(1))))]]),
    ],
    ids=["no range", "too few ends", "ends differ", "empty region", "unknown input", "no bad set", "empty conjunction",
         "index", "negative index", "unknown value", "repeated term"],
)  # fmt: skip
def test_box_refuses_what_does_not_fit_the_graph(ranges, bad):
    with pytest.raises(ClaimError):
        box(SUM, ranges, bad)


def test_box_takes_any_kind_of_number():
    claim = box(affine([[1, 1]], [0]), {"x": ([0.1, "1/3"], [Decimal("0.5"), 1])}, [[above(SUM, 0, 1)]])
    assert claim.lower["x"] == (Fraction(1, 10), Fraction(1, 3))


def test_numbers_of_numpy_are_taken_as_they_are_stored():
    assert exact(np.float32(0.1)) == Fraction(float(np.float32(0.1)))
    assert exact(np.int64(3)) == 3
    with pytest.raises(ClaimError, match="expected a finite number"):
        exact(np.float32("nan"))
