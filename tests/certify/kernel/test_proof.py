"""Steps of the calculus, and numbers at the edge of what the kernel takes."""

import tracemalloc
import zlib
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from tlverify.certify import Inequality, box
from tlverify.certify.certificate import proof, witness
from tlverify.certify.kernel import Malformed, Rejected, check, read_program
from tlverify.graph import GraphBuilder, Type, to_bytes

from ..examples import files
from .hostile import BODY, CERTIFICATE, EXAMPLE, PARAMETERS, container
from .laws import SUM, UNIT, above, affine, simple_proof

RELU = affine([[1, 1]], [0], "relu")  # of x0 + x1
WIDE = {"x": ([-1, -1], [1, 3])}  # its input is in [-2, 4]


def close(*multipliers: list[str], cuts: Sequence[int] = (), **slopes: list[int]) -> dict:
    return {"rule": "close", "multipliers": list(multipliers), "slopes": slopes, "cuts": list(cuts)}


AGAIN = "interval"


def margin(graph, claim, *steps, slopes=b"", before=()) -> Fraction:
    """The margin of a proof that begins with an interval step of everything; AGAIN stands for another one."""
    interval = {"rule": "interval", "nodes": [*before, *(node.name for node in graph.nodes)]}
    taken = [interval if step == AGAIN else step for step in (AGAIN, *steps)]
    return check(*files(graph, claim, proof(claim.digest, taken, slopes))).margin


def test_a_slope_takes_effect_and_only_its_neuron():
    scale = 1 << 20
    bad = [[Inequality((("relu_0", 0, Fraction(-scale)),), Fraction(2 * scale))]]
    claim = box(RELU, WIDE, bad)
    found = [margin(RELU, claim, close(["1"], relu_0=[0]), slopes=bytes([k])) / scale for k in (0, 64, 127)]
    assert found == [2, 1, Fraction(2, 128)]
    with pytest.raises(Rejected, match="not refuted"):
        margin(RELU, claim, close(["1"], relu_0=[0]), slopes=bytes([128]))


def test_slopes_are_taken_pass_by_pass_and_node_by_node():
    scale = Fraction(1 << 20)
    rows = [[Inequality((("relu_0", 0, -scale),), bound * scale)] for bound in (Fraction(1, 2), Fraction(3))]
    claim = box(RELU, WIDE, rows)
    assert margin(RELU, claim, close(["1"], ["1"], relu_0=[0]), slopes=bytes([0, 128])) == scale / 2
    with pytest.raises(Rejected, match="disjunct 0: not refuted"):
        margin(RELU, claim, close(["1"], ["1"], relu_0=[0]), slopes=bytes([128, 0]))


def test_a_bound_step_tightens_and_a_later_interval_step_uses_it():
    builder = GraphBuilder()
    x = builder.input("x", Type((1,), "float32"))
    plus, minus = np.array([[1]], "float32"), np.array([[-1]], "float32")
    zero = builder.parameter(np.zeros(1, "float32"))
    left = builder.node("linear", x, builder.parameter(plus), zero)
    right = builder.node("linear", x, builder.parameter(minus), zero)
    total = builder.node("add", left, right, name="total")
    graph = builder.build(builder.node("relu", total, name="y"))
    claim = box(graph, {"x": ([-1], [1])}, [[Inequality((("y", 0, Fraction(1)),), Fraction(1))]])
    with pytest.raises(Rejected, match="not refuted"):
        margin(graph, claim, close(["1"]))
    bound = {"rule": "bound", "node": "total", "lower": [0], "upper": [0], "slopes": {}, "cuts": [], "multipliers": []}
    assert margin(graph, claim, bound, AGAIN, close(["1"])) > Fraction(99, 100)


@pytest.mark.parametrize("node", ["x", "W", "y"])
def test_any_value_can_be_bounded(node):
    builder = GraphBuilder()
    x = builder.input("x", Type((2,), "float32"))
    W = builder.parameter(np.array([1, -1], "float32"), "W")
    graph = builder.build(builder.node("add", x, W, name="y"))
    claim = box(graph, UNIT, [[above(graph, 0, 3)]])
    bound = {
        "rule": "bound",
        "node": node,
        "lower": [0, 1],
        "upper": [0, 1],
        "slopes": {},
        "cuts": [],
        "multipliers": [],
    }
    assert margin(graph, claim, bound, bound, close(["1"]), before=["W"]) == 1


def test_a_property_of_inputs_only():
    claim = box(SUM, UNIT, [[Inequality((("x", 0, Fraction(1)), ("x", 1, Fraction(1))), Fraction(2), strict=True)]])
    assert check(*files(SUM, claim, simple_proof(SUM, claim, ["1"]))).margin == 0


def test_conjuncts_are_used_together():
    """y0 >= 9/4 and -x1 >= -1/2 exclude each other, though neither is impossible."""
    graph = affine([[1, 2]], [0])
    rows = [above(graph, 0, Fraction(9, 4)), Inequality((("x", 1, Fraction(-1)),), Fraction(-1, 2))]
    claim = box(graph, UNIT, [rows])
    with pytest.raises(Rejected, match="not refuted"):
        check(*files(graph, claim, simple_proof(graph, claim, ["1", "0"])))
    with pytest.raises(Rejected, match="not refuted"):
        check(*files(graph, claim, simple_proof(graph, claim, ["0", "1"])))
    assert check(*files(graph, claim, simple_proof(graph, claim, ["1/4", "1/2"]))).margin > 0


def test_what_an_accepted_certificate_says():
    accepted = check(**EXAMPLE)
    assert accepted.statement.startswith("for every x in the box of 2 intervals")
    assert "(y[1] - 1/3 x[0] >= 50 and x[0] > 0)" in accepted.statement
    assert accepted.graph == read_program(EXAMPLE["graph"], PARAMETERS).digest


HUGE = Fraction(10) ** 390


@pytest.mark.parametrize(
    "claim",
    [box(SUM, UNIT, [[above(SUM, 0, -HUGE)]]), box(SUM, {"x": ([-HUGE] * 2, [HUGE] * 2)}, [[above(SUM, 0, 1)]])],
)
def test_an_unproved_bound_may_be_beyond_every_float(claim):
    with pytest.raises(Rejected, match="not refuted"):
        check(*files(SUM, claim, simple_proof(SUM, claim, ["1"])))


def test_a_common_denominator_that_could_not_be_printed_is_refused():
    terms = tuple(("x", i, Fraction(1, 10**390 + 2 * i + 1)) for i in range(12))
    graph = affine([[1] * 12], [0])
    claim = box(graph, {"x": ([0] * 12, [1] * 12)}, [[Inequality(terms, Fraction(1))]])
    with pytest.raises(Malformed, match="common denominator"):
        check(*files(graph, claim, simple_proof(graph, claim, ["1"])))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_chord_is_precise_whatever_the_scale_of_the_row(sign):
    """relu(x0 + x1) <= 4 and >= -2 on the box, by chord and slope; the coefficient is 1."""
    claim = box(RELU, WIDE, [[Inequality((("relu_0", 0, Fraction(sign)),), Fraction(5 if sign > 0 else 2))]])
    found = margin(RELU, claim, close(["1"], relu_0=[0]), slopes=bytes([64]))
    assert found == pytest.approx(1, abs=1e-4)


def test_small_files_cannot_ask_for_huge_values():
    """A kilobyte or two that declare a value of 2^24 entries, computed from 2^16, from 2^8, from one."""
    builder = GraphBuilder()
    x = builder.input("x", Type((1, 1), "float32"))
    W, b = builder.parameter(np.ones((256, 1), "float32")), builder.parameter(np.zeros(256, "float32"))
    for power in (8, 16, 24):
        x = builder.node("reshape", builder.node("linear", x, W, b), shape=(1 << power, 1))
    with pytest.raises(Malformed, match="limit"):
        read_program(*to_bytes(builder.build(x)))


def test_a_witness_of_a_deep_network_has_a_limit_on_digits():
    builder = GraphBuilder()
    x = builder.input("x", Type((1,), "float64"))
    W, b = builder.parameter(np.array([[1e300 / 3]])), builder.parameter(np.array([1e-300]))
    for _ in range(300):
        x = builder.node("linear", x, W, b)
    graph = builder.build(x)
    claim = box(graph, {"x": ([0], [1])}, [[Inequality(((x, 0, Fraction(1)),), Fraction(0))]])
    with pytest.raises(Rejected, match=r"limit|bits"):
        check(*files(graph, claim, witness(claim.digest, [np.array([1.0])])))


def test_rationals_without_common_denominators_have_a_limit():
    graph = affine([[1] * 200], [0])
    terms = tuple(("x", i, Fraction(1, 10**390 + 2 * i + 1)) for i in range(200))
    claim = box(graph, {"x": ([0] * 200, [1] * 200)}, [[Inequality(terms, Fraction(1))]])
    with pytest.raises((Rejected, Malformed), match=r"limit|bits|digits"):
        check(*files(graph, claim, simple_proof(graph, claim, ["1"])))


def test_a_bomb_is_not_inflated_beyond_its_stated_size():
    line = EXAMPLE["certificate"].partition(b"\n")[0]
    bomb = line + b"\n" + zlib.compress(bytes(64 << 20), 9)
    tracemalloc.start()
    with pytest.raises(Malformed, match=f"body is not exactly the {len(BODY)} bytes"):
        check(**{**EXAMPLE, "certificate": bomb})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_a_bomb_of_its_stated_size_is_refused_too():
    header = {**CERTIFICATE, "size": 1 << 31}
    with pytest.raises(Malformed, match="within limits"):
        check(**{**EXAMPLE, "certificate": container(header, b"")})
