"""Claims in, verdicts out: every verdict is true, its certificate stands by itself, and runs repeat."""

import random
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from tlverify.certify import Claim, Inequality, box, certify, kernel, prove, robustness
from tlverify.certify.audit import check_in
from tlverify.certify.kernel.reader import parse_certificate, parse_steps
from tlverify.certify.search import bounds
from tlverify.certify.search.bounds import UnsupportedOp
from tlverify.graph import GraphBuilder, Type, to_bytes

from . import exact
from .examples import FAMILIES, files, random_box, random_claim, random_graph
from .kernel.laws import SUM, UNIT, above


def dense(*layers: tuple[np.ndarray, np.ndarray]):
    """A float32 network of linear layers (weight, bias) with relu between them."""
    builder = GraphBuilder()
    x = builder.input("x", Type((layers[0][0].shape[1],), "float32"))
    for number, layer in enumerate(layers):
        weight, bias = (builder.parameter(part.astype("float32")) for part in layer)
        x = builder.node("linear", builder.node("relu", x) if number else x, weight, bias)
    return builder.build(x)


def classifier(seed: int, *sizes: int):
    rng = np.random.default_rng(seed)
    return dense(*((rng.normal(size=(out, m)) / m**0.5, rng.normal(size=out) / 8) for m, out in pairwise(sizes)))


def best(graph, point) -> int:
    found = exact.values(graph, {"x": [Fraction(float(v)) for v in point]})[graph.outputs[0]].tolist()
    return found.index(max(found))


def just_above(graph) -> Claim:
    """What output 0 exceeds on the unit cube by far less than its bounds are loose."""
    cube = box(graph, CUBE, [[above(graph, 0, 0)]])
    found = [exact.values(graph, point)[graph.outputs[0]][0] for point in exact.points(random.Random(0), cube, 200)]
    return box(graph, CUBE, [[above(graph, 0, max(found) + Fraction(1, 20))]])


NET = classifier(4, 3, 8, 8, 3)
CENTERS = np.random.default_rng(0).random((12, 3)).astype("float32")
LABELS = [best(NET, center) for center in CENTERS]
CUBE = {"x": ([0] * 3, [1] * 3)}


@pytest.mark.parametrize("family", FAMILIES)
def test_verdicts_are_true(family):
    """On random graphs and boxes with float32 ends, with thresholds around what is attained at some point."""
    for seed in range(5):
        rng = random.Random(f"{family} {seed}")
        graph = random_graph(rng, family)
        ranges = random_box(rng, graph, widths=(Fraction(1, 64), Fraction(1, 4), Fraction(2)), steps=(8,))
        start = box(graph, ranges, random_claim(rng, graph, Fraction(0)).bad)
        found = [exact.values(graph, point) for point in exact.points(rng, start, 24)]
        reached = max(min(row) for values in found for row in exact.excess(start, values))
        spread = abs(reached) / 8 + Fraction(1, 1 << 30)
        claims = []
        for bound in (
            reached - spread,
            reached,
            reached + Fraction(1, 1 << 40),
            reached + spread,
            reached + 100 * spread,
        ):
            bad = [[Inequality(row.terms, bound) for row in rows] for rows in start.bad]
            claims.append(box(graph, ranges, bad))
        for claim, result in zip(claims, certify(graph, claims, seed=seed, timeout=0.5), strict=True):
            assert result.claim is claim
            if result.verdict == "verified":
                program = kernel.read_program(*to_bytes(graph))
                accepted = check_in(result.arithmetic, program, claim.data, result.certificate)
                assert result.margin == float(accepted.margin) > 0
                rows = [exact.excess(claim, values) for values in found]
                assert accepted.margin <= min(max(-g for g in row) for disjuncts in rows for row in disjuncts)
                assert not any(exact.is_bad(claim, values) for values in found)
            elif result.verdict == "falsified":
                assert kernel.check(*files(graph, claim, result.certificate)).verdict == "falsified"
                point = {name: [Fraction(v) for v in value.tolist()] for name, value in result.witness.items()}
                assert exact.is_bad(claim, exact.values(graph, point))
                assert all(
                    a <= p <= b for n in point for a, p, b in zip(claim.lower[n], point[n], claim.upper[n], strict=True)
                )
            else:
                assert result.verdict == "unknown"
                assert result.reason
                assert result.certificate is None


def test_easy_claims_are_decided():
    """The classifier is stable on tiny balls, is fooled on the whole cube, and wrong labels are found at once."""
    tiny = list(certify(NET, robustness(NET, CENTERS, LABELS, "1/10000")))
    assert {result.verdict for result in tiny} == {"verified"}
    everything = list(certify(NET, robustness(NET, CENTERS, LABELS, 1)))
    assert {result.verdict for result in everything} == {"falsified"}
    wrong = [(label + 1) % 3 for label in LABELS]
    assert {result.verdict for result in certify(NET, robustness(NET, CENTERS, wrong, 0))} == {"falsified"}


@pytest.fixture
def many_inputs(monkeypatch):
    """Graphs of few inputs are searched like those of many."""
    monkeypatch.setattr(prove, "FEW_INPUTS", 0)


@pytest.mark.usefixtures("many_inputs")
def test_slopes_and_intermediate_bounds_prove_more():
    results = list(certify(NET, robustness(NET, CENTERS, LABELS, "0.15")))
    used = [parse_steps(*parse_certificate(r.certificate))[0] for r in results if r.verdict == "verified"]
    assert sum(any(step["rule"] == "bound" for step in steps) for steps in used) >= 2
    assert sum(any(step.get("slopes") for step in steps) for steps in used) >= 1


def test_runs_repeat():
    claims = robustness(NET, CENTERS, LABELS, "0.15")
    one, two = ([(r.verdict, r.certificate, r.margin) for r in certify(NET, claims, seed=5)] for _ in range(2))
    assert one == two
    assert {verdict for verdict, *_ in one} == {"verified", "falsified"}


def test_claims_of_different_form_keep_their_order():
    far, near = above(SUM, 0, 9), above(SUM, 1, -9)
    claims = [
        box(SUM, UNIT, bad) for bad in ([[far]], [[near]], [[far], [far]], [[far, near]], [[near], [far]], [[far]])
    ]
    results = list(certify(SUM, claims))
    assert [result.claim for result in results] == claims
    assert [result.verdict for result in results] == [
        "verified",
        "falsified",
        "verified",
        "verified",
        "falsified",
        "verified",
    ]


def test_known_certificates_are_not_searched_for_again():
    claims = robustness(NET, CENTERS[:3], LABELS[:3], "0.01")
    first = list(certify(NET, claims))
    known = {result.claim.digest: result.certificate for result in first}
    assert [r.certificate for r in certify(NET, claims, known=known, seed=99)] == list(known.values())
    damaged = {claim: data[:-1] for claim, data in known.items()}
    assert [r.verdict for r in certify(NET, claims, known=damaged)] == [r.verdict for r in first]


def test_a_timeout_is_unknown_and_says_so():
    hard = robustness(NET, CENTERS, LABELS, "0.3")
    results = list(certify(NET, hard, timeout=0.0))
    late = [result for result in results if result.verdict == "unknown"]
    assert late
    assert all(result.reason == "timeout after 0 s" and result.certificate is None for result in late)


@pytest.mark.usefixtures("many_inputs")
def test_unknown_has_the_best_bound():
    network, program = bounds.prepare(NET), kernel.read_program(*files(NET, just_above(NET), b"")[:2])
    (result,) = prove._certify_batch(network, program, [just_above(NET)], None, 0, {})
    assert result.verdict == "unknown"
    assert result.reason.startswith("no proof and no counterexample found; best bound -")
    assert result.margin < 1 / 20


def test_the_deep_search_proves_what_the_cheap_one_does_not():
    (result,) = certify(NET, [just_above(NET)])
    assert result.verdict == "verified"
    assert result.stats["leaves"] > 1


def test_an_op_without_a_rule_is_named():
    builder = GraphBuilder()
    graph = builder.build(builder.node("exp", builder.input("x", Type((2,), "float32"))))
    with pytest.raises(UnsupportedOp, match="node 'exp_0': the kernel has no rule for op 'exp'"):
        next(certify(graph, [box(graph, UNIT, [[above(graph, 0, 9)]])]))


def test_no_claims():
    assert list(certify(SUM, [])) == []


HUGE = Fraction(10) ** 390


def test_a_timeout_strikes_where_nothing_is_proposed():
    (result,) = certify(NET, [just_above(NET)], timeout=0.0)
    assert result.reason == "timeout after 0 s"


@pytest.mark.parametrize(
    ("ranges", "bound", "verdict"),
    [
        (UNIT, HUGE, "verified"),
        (UNIT, -HUGE, "falsified"),
        ({"x": ([0, 0], [Fraction(10) ** 40] * 2)}, 1, "falsified"),
        ({"x": ([0, 0], [HUGE] * 2)}, 1, "falsified"),
        ({"x": ([Fraction(1, 10)] * 2, [Fraction(1, 10) + Fraction(1, 10**12)] * 2)}, -1, "falsified"),
        ({"x": ([Fraction(1, 10)] * 2, [Fraction(1, 10)] * 2)}, Fraction(11, 20), "unknown"),
    ],
    ids=["far above", "far below", "beyond float32", "beyond float64", "no float32 inside", "no float inside"],
)
def test_extreme_numbers(ranges, bound, verdict):
    (result,) = certify(SUM, [box(SUM, ranges, [[above(SUM, 0, bound)]])])
    assert result.verdict == verdict


def test_a_point_that_is_a_float64_is_falsified():
    (result,) = certify(NET, robustness(NET, [[0.1, 0.2, 0.3]], [(best(NET, [0.1, 0.2, 0.3]) + 1) % 3], 0))
    assert result.verdict == "falsified"


def test_a_point_without_a_float_is_unknown_with_a_reason():
    """x = 1/10 is no float: no witness exists, and a proof does not, either."""
    tenth = {"x": ([Fraction(1, 10)] * 2, [Fraction(1, 10)] * 2)}
    (result,) = certify(SUM, [box(SUM, tenth, [[above(SUM, 0, -1)]])])
    assert result.verdict == "unknown"
    assert "certificate rejected" not in result.reason


def test_ternary_weights_are_proved_as_well_as_any():
    """CROWN's bound is 13.2; the kernel must not lose more than rounding where coefficients have few bits."""
    rng = np.random.default_rng(0)
    layers = [(rng.integers(-1, 2, (out, features)), np.zeros(out)) for features, out in ((4, 6), (6, 6), (6, 2))]
    graph = dense(*layers)
    (result,) = certify(graph, [box(graph, {"x": ([-1] * 4, [1] * 4)}, [[above(graph, 0, 16)]])])
    assert result.verdict == "verified"
