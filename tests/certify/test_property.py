"""Claims from properties: what the kernel reads is what the file says."""

import re
from fractions import Fraction

import numpy as np
import pytest

from tlverify.certify import kernel
from tlverify.certify.certificate import witness
from tlverify.certify.property import to_claims
from tlverify.graph import GraphBuilder, Type, to_bytes
from tlverify.interop.vnnlib import parse_vnnlib
from tlverify.interop.vnnlib_logic import PropertyError

from .nets import HEADER, TOUCHING, TWO_REGIONS, VACUOUS, VERIFIED, difference, spec


def claims(text, graph=None):
    return to_claims(parse_vnnlib(text), graph or difference())


def accepts(claim, *point):
    """Whether the kernel takes this point as a counterexample."""
    program = kernel.read_program(*to_bytes(difference()))
    try:
        return kernel.check_with(program, claim.data, witness(claim.digest, [np.array(point)])).verdict == "falsified"
    except kernel.Rejected:
        return False


def test_claim_says_in_words_what_the_file_says():
    (claim,) = claims(VERIFIED)
    program = kernel.read_program(*to_bytes(difference()))
    words = str(kernel.claim.read_claim(claim.data, program))
    assert "never (- y[0] + y[1] >= 0)" in words
    assert claim.lower["x"] == (Fraction(1, 2), 0)
    assert claim.upper["x"] == (1, Fraction(1, 4))


def test_decimals_are_exact_to_the_last_digit():
    (claim,) = claims(spec(("0.1", "0.10000000000000000000001"), ("0", "0")))
    assert claim.upper["x"][0] - claim.lower["x"][0] == Fraction(1, 10**23)


def test_every_region_is_a_claim_and_none_if_all_are_empty():
    first, second = claims(TWO_REGIONS + "(assert (or (<= Y_0 Y_1) (>= Y_0 9)))")
    assert [len(claim.bad) for claim in (first, second)] == [2, 2]
    assert first.lower["x"] == (2, 0)
    assert claims(VACUOUS) == ()


@pytest.mark.parametrize(
    ("bad", "point", "reached"),
    [
        ("(<= Y_0 Y_1)", (0.5, 0.5), True),
        ("(< Y_0 Y_1)", (0.5, 0.5), False),
        ("(< X_0 1)", (1.0, 0.5), False),
        ("(< X_0 1)", (0.75, 0.5), True),
        ("(<= X_0 1)", (1.0, 0.5), True),
        ("(and (>= Y_0 X_1) (<= X_0 (* 2 X_1)))", (1.0, 0.5), True),
        ("(and (>= Y_0 X_1) (< X_0 (* 2 X_1)))", (1.0, 0.5), False),
        ("(= Y_0 0.5)", (1.0, 0.5), True),
        ("(distinct Y_0 0.5)", (1.0, 0.5), False),
        ("true", (1.0, 0.5), True),
    ],
)
def test_strict_and_mixed_constraints_at_points(bad, point, reached):
    (claim,) = claims(spec(("0.5", "1"), ("0", "0.5"), bad))
    assert accepts(claim, *point) is reached


def test_touching_point_only():
    (claim,) = claims(TOUCHING)
    assert accepts(claim, 0.5, 0.5)
    assert not accepts(claim, 0.5, 0.4375)


def test_several_inputs_and_outputs_are_numbered_in_order():
    builder = GraphBuilder()
    a, b = builder.input("a", Type((1,), "float32")), builder.input("b", Type((2, 1), "float32"))
    graph = builder.build(b, builder.node("neg", a, name="n"))
    text = "".join(f"(declare-const {kind}_{i} Real)" for kind in "XY" for i in range(3))
    text += "".join(f"(assert (>= X_{i} {i})) (assert (<= X_{i} 9))" for i in range(3))
    (claim,) = claims(text + "(assert (>= (+ Y_1 X_0) Y_2))", graph)
    assert claim.lower == {"a": (0,), "b": (1, 2)}
    assert {(name, index) for name, index, _ in claim.bad[0][0].terms} == {("b", 1), ("a", 0), ("n", 0)}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            HEADER + "(declare-const X_2 Real)" + VERIFIED.removeprefix(HEADER) + "(assert (= X_2 0))",
            "3 inputs, the network has 2",
        ),
        (HEADER + "(declare-const Y_2 Real)" + VERIFIED.removeprefix(HEADER), "3 outputs, the network has 2"),
    ],
)
def test_property_of_another_network_is_refused(text, reason):
    with pytest.raises(PropertyError, match=re.escape(reason)):
        claims(text)
