"""The arithmetics on the same proofs: fast is exact bit for bit, interval is never above the truth."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tlverify.certify import Claim, Inequality, box, certificate, kernel
from tlverify.certify.fast import fast
from tlverify.certify.fast.engine import Engine, gather, run
from tlverify.certify.interval import interval
from tlverify.certify.kernel.arithmetic import Interval, enclose
from tlverify.certify.kernel.backward import Bounds, Job, propagate_all
from tlverify.certify.kernel.program import Program, enclose_value
from tlverify.certify.tree_writer import ONE
from tlverify.graph import Graph, GraphBuilder, Type, to_bytes

from .interval.laws import cells, checker
from .kernel import laws
from .trees import Leaf, Split, Turns, full, grown, written

UNIT, LONG, SHORT = 1 + (42 << 10), 513 + (60 << 10), 1 + (30 << 10)  # multipliers 1, 513 * 2^18, 2^-12
FAMILIES = ("plain", "ill-scaled", "denormal", "cancelling", "double", "integers", "dyadic", "residual", "convolution")


def network(family: str, rng: np.random.Generator) -> Graph:
    """A small random network; the families are those that broke other checkers."""
    if family == "convolution":
        return _convolution(rng)
    dtype = "float64" if family == "double" else "float32"
    sizes = (3, 8, 8, 4)
    builder = GraphBuilder()
    value = builder.input("x", Type((sizes[0],), dtype))
    for layer, (m, n) in enumerate(pairwise(sizes)):
        weight = rng.standard_normal((n, m))
        if family == "ill-scaled":
            weight *= 10.0 ** rng.integers(-8, 9, (n, m))
        elif family == "denormal":
            weight *= np.where(rng.random((n, m)) < 0.5, 1e-42, 1.0)
        elif family == "cancelling":
            weight[1::2] = -weight[::2]
        elif family == "integers":
            weight = rng.integers(-1, 2, (n, m)).astype(float)
        elif family == "dyadic":  # products are whole units more often than not
            weight = np.round(weight * 8) / 8
            weight[0, 0] = 1 + 2.0**-23
        bias = rng.standard_normal(n) * (0.0 if family == "integers" else 0.3)
        before = value
        value = builder.node(
            "linear", value, builder.parameter(weight.astype(dtype)), builder.parameter(bias.astype(dtype))
        )
        if layer < len(sizes) - 2:
            value = builder.node("relu", value)
            if family == "residual" and m == n:
                value = builder.node("add", value, before)
    return builder.build(value)


def _convolution(rng: np.random.Generator) -> Graph:
    builder = GraphBuilder()
    value = builder.input("x", Type((1, 4, 4), "float32"))
    weight = builder.parameter(rng.standard_normal((2, 1, 3, 3)).astype("float32"))
    bias = builder.parameter(rng.standard_normal(2).astype("float32"))
    options = {"stride": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
    value = builder.node("relu", builder.node("conv2d", value, weight, bias, **options))
    value = builder.node("avg_pool2d", value, kernel=(3, 3), stride=(1, 1), padding=(0,) * 4, count_include_pad=0)
    value = builder.node("max_pool2d", value, kernel=(2, 2), stride=(2, 2), padding=(0,) * 4, dilation=(1, 1))
    value = builder.node("reshape", value, shape=(2,))
    last = builder.parameter(rng.standard_normal((4, 2)).astype("float32"))
    return builder.build(builder.node("linear", value, last, builder.parameter(np.zeros(4, "float32"))))


def root(program: Program, rng: np.random.Generator) -> Bounds:
    """The table after interval steps over a random box."""
    bounds = Bounds({})
    for name in program.inputs:
        center = rng.random(program.values[name].size).astype("float32")
        width = np.float32(0.2)
        ends = ([Fraction(float(v)) for v in side] for side in (center - width, center + width))
        bounds[name] = enclose(*ends)
    for value in program.values.values():
        if value.kind != "input":
            bounds[value.name] = enclose_value(value, bounds)
    return bounds


def jobs(program: Program, bounds: Bounds, rng: np.random.Generator, count: int) -> list[Job]:
    """Random objectives with slopes, multipliers on phase cuts, and halved inputs."""
    out, source = program.outputs[0], program.inputs[0]
    relus = [value for value in program.values.values() if value.kind == "relu"]
    unstable = [(v.source, n.number) for v in relus for n in bounds[v.source].phases.unstable]
    result = []
    for _ in range(count):
        row = {int(i): int(rng.integers(-(2**20), 2**20)) for i in rng.permutation(program.values[out].size)[:2]}
        rows = {out: row}
        path = []
        for k in rng.permutation(len(unstable))[:3]:
            name, index = unstable[k]
            above = bool(rng.integers(2))
            path.append((name, index, not above, 0))
            multiplier = int(rng.integers(0, 2**18)) * int(rng.integers(2))
            rows.setdefault(name, {})[index] = -multiplier if above else multiplier
        index = int(rng.integers(program.values[source].size))
        middle = (bounds[source].lower[index] + bounds[source].upper[index]) // 2
        path.append((source, index, bool(rng.integers(2)), middle))
        slopes = {v.name: {n.number: int(rng.integers(129)) for n in bounds[v.source].phases.unstable} for v in relus}
        result.append(Job(rows, int(rng.integers(-30, 5)), (int(rng.integers(-9, 9)), 0), slopes, path))
    return result


@pytest.mark.parametrize("family", FAMILIES)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_fast_is_exact_bit_for_bit(family: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    program = kernel.read_program(*to_bytes(network(family, rng)))
    bounds = root(program, rng)
    todo = jobs(program, bounds, rng, 6)
    assert Engine()(program, bounds, todo) == propagate_all(program, bounds, todo)


def test_fast_does_the_usual_networks_itself() -> None:
    for family in ("plain", "cancelling", "double", "residual", "convolution"):
        rng = np.random.default_rng(0)
        program = kernel.read_program(*to_bytes(network(family, rng)))
        prepared = Engine().prepare(program, root(program, rng))
        batch = gather(prepared, jobs(program, prepared.bounds, rng, 32))
        run(prepared, batch)
        assert batch.undone.mean() < 0.2, family


@pytest.mark.parametrize("family", FAMILIES)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_interval_is_below_what_is_attained(family: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = network(family, rng)
    program = kernel.read_program(*to_bytes(graph))
    bounds = root(program, rng)
    out, source = program.outputs[0], program.inputs[0]
    size = program.values[out].size
    todo = [Job({out: {i: sign}}, 0, (0, 0), {}) for i in range(size) for sign in (1, -1)]
    try:
        found = interval().engine(program, bounds, todo)
    except kernel.Rejected:
        assume(False)  # more range than float64 has: refused
    box_ = bounds[source]
    for _ in range(6):
        corner = [(low if rng.integers(2) else high) for low, high in zip(box_.lower, box_.upper, strict=True)]
        point = {source: type(box_)(corner, corner, box_.exponent)}
        for value in program.values.values():
            if value.kind != "input":
                point[value.name] = enclose_value(value, point, shortened=False)
        unit = Fraction(2) ** point[out].exponent
        for job, (integer, exponent) in zip(todo, found, strict=True):
            ((index, sign),) = job.rows[out].items()
            end = point[out].upper[index] if sign > 0 else point[out].lower[index]
            assert integer * Fraction(2) ** exponent <= sign * end * unit


def tree(
    graph: Graph, rng: np.random.Generator, strict: bool = False, conjuncts: int = 1
) -> tuple[Program, Claim, bytes]:
    """A random proof with a tree of phase splits, random multipliers and slopes, of a claim that is far from false: so
    far that any multipliers will do, or so that short ones will, and every bit of them is seen in the margin."""
    program = kernel.read_program(*to_bytes(graph))
    bounds = root(program, rng)
    source, out = program.inputs[0], program.outputs[0]
    scale = Fraction(2) ** bounds[source].exponent
    ends = tuple([end * scale for end in side] for side in (bounds[source].lower, bounds[source].upper))
    wild = rng.random() < 0.3
    reach = max(map(abs, (*bounds[out].lower, *bounds[out].upper)))
    far = Fraction(10) ** 40 if wild else 4 * reach * Fraction(2) ** bounds[out].exponent + 1
    bad = [
        [
            Inequality(((out, k, Fraction(1, 3)), (out, (k + d) % 4, Fraction(-1))), far, strict)
            for k in range(conjuncts)
        ]
        for d in (1, 2)
    ]
    claim = box(graph, {source: ends}, bad)
    relus = [value for value in program.values.values() if value.kind == "relu"]
    unstable = [(v.source, n.number) for v in relus for n in bounds[v.source].phases.unstable] or [(relus[0].source, 0)]
    listing = {v.name: [n.number for n in bounds[v.source].phases.unstable] for v in relus}
    count = sum(map(len, listing.values()))

    def grown(depth: int) -> Split | Leaf:
        if depth < 5 and rng.random() < 0.6:
            return Split(int(rng.integers(len(unstable))), grown(depth + 1), grown(depth + 1))
        first, last = (0, 64) if wild else (12, 24)  # powers of two
        words = [[ONE] * len(rows) + rng.integers(first << 10, last << 10, depth).tolist() for rows in bad]
        return Leaf(words, rng.integers(0, 129, (len(bad), count)).tolist())

    step, payload = written(grown(0), unstable, listing=listing, weighted=True)
    steps = [{"rule": "interval", "nodes": [n for n in program.values if n != source]}, step]
    return program, claim, certificate.proof(claim.digest, steps, payload)


@pytest.mark.parametrize("family", ["plain", "cancelling", "residual", "convolution"])
@given(seed=st.integers(0, 2**32 - 1), strict=st.booleans(), conjuncts=st.integers(1, 2))
@settings(max_examples=10, deadline=None)
def test_trees_have_one_margin_in_exact_and_fast(family: str, seed: int, strict: bool, conjuncts: int) -> None:
    rng = np.random.default_rng(seed)
    program, claim, proof = tree(network(family, rng), rng, strict, conjuncts)
    answers = [_answer(program, claim, proof, arithmetic) for arithmetic in (kernel.EXACT, fast())]
    assert answers[0] == answers[1]


def _answer(program: Program, claim: Claim, proof: bytes, arithmetic: kernel.Arithmetic) -> object:
    try:
        return kernel.check_with(program, claim.data, proof, arithmetic).margin
    except kernel.Rejected as rejection:
        return rejection.reason.partition(":")[0]


def test_input_splits_with_steps_at_the_nodes_agree() -> None:
    rng = np.random.default_rng(3)
    graph = network("plain", rng)
    program, claim, _ = tree(graph, rng)
    source = program.inputs[0]
    names = [name for name in program.values if name != source]
    relu = next(value for value in program.values.values() if value.kind == "relu")
    inner = [
        {"rule": "interval", "nodes": names[:2]},
        {"rule": "rebound", "node": relu.source},
        {"rule": "interval", "nodes": names},
    ]
    step, payload = written(full([0, 1, 2], lambda _: Leaf()), [(source, i) for i in range(3)], inner)
    proof = certificate.proof(claim.digest, [{"rule": "interval", "nodes": names}, step], payload)
    margins = [kernel.check_with(program, claim.data, proof, a).margin for a in (kernel.EXACT, fast(), interval())]
    assert margins[0] == margins[1]
    assert margins[0] is not None
    assert margins[2] is not None
    assert abs(margins[0] - margins[2]) <= margins[0] / 1000


def mixed_tree(seed: int, bound: Fraction) -> tuple[Program, Claim, bytes]:
    """A random tree of input and phase splits with weights and slopes, whose nodes bound values again."""
    rng = random.Random(seed)
    graph = network("residual" if seed % 2 else "plain", np.random.default_rng(seed))
    program = kernel.read_program(*to_bytes(graph))
    source, out = program.inputs[0], program.outputs[0]
    rows = [
        [Inequality(((out, k, Fraction(1, 3)), (out, k + 1, Fraction(-1))), bound) for k in range(count)]
        for count in (1, 2)
    ]
    claim = box(graph, {source: ([Fraction(1, 10)] * 3, [Fraction(7, 10)] * 3)}, rows)
    relus = [value for value in program.values.values() if value.kind == "relu"]
    entries = [(v.source, i) for v in relus for i in rng.sample(range(v.size), 3)] + [(source, i) for i in range(3)]
    names = [name for name in program.values if name != source]
    inner = [{"rule": "interval", "nodes": names[:1]}]
    for relu in relus:
        inner += [{"rule": "rebound", "node": relu.source}, {"rule": "interval", "nodes": names}]
    listing = {v.name: sorted(rng.sample(range(v.size), 3)) for v in relus}

    def leaf(phases: int) -> Leaf:
        words = [
            [ONE] * count + [rng.choice([0, rng.randrange(28 << 10, 34 << 10)]) for _ in range(phases)]
            for count in (1, 2)
        ]
        return Leaf(words, [[rng.randrange(129) for _ in range(3 * len(relus))] for _ in rows])

    root = grown(rng, rng.randrange(1, 12), entries, [source], leaf)
    step, payload = written(root, entries, inner, listing, weighted=True)
    return program, claim, certificate.proof(claim.digest, [{"rule": "interval", "nodes": names}, step], payload)


@pytest.mark.parametrize("seed", range(12))
def test_mixed_trees_with_steps_at_the_nodes_agree(seed: int) -> None:
    arithmetics = kernel.EXACT, fast(), interval()
    program, claim, proof = mixed_tree(seed, Fraction(1000))
    margins = [kernel.check_with(program, claim.data, proof, arithmetic).margin for arithmetic in arithmetics]
    assert margins[0] == margins[1]
    assert None not in margins
    assert abs(margins[0] - margins[2]) <= margins[0] / 1000
    low, high = (
        Fraction(-1000),
        Fraction(1000),
    )  # where `fast` stops accepting; binary, for the multipliers are of the rows scaled to integers
    while high - low > Fraction(1, 100):
        middle = (low + high) / 2
        low, high = (low, middle) if _accepts(seed, middle, arithmetics[1]) else (middle, high)
    for bound in (low - Fraction(1, 8), low, high, high + Fraction(1, 8)):
        answers = [_accepts(seed, bound, arithmetic) for arithmetic in arithmetics]
        assert answers[0] == answers[1] == (bound >= high)
        assert answers[2] == answers[0] or low <= bound <= high


def _accepts(seed: int, bound: Fraction, arithmetic: kernel.Arithmetic) -> bool:
    answer = _answer(*mixed_tree(seed, bound), arithmetic)
    assert isinstance(answer, Fraction) or "node" in str(answer)
    return isinstance(answer, Fraction)


@pytest.mark.parametrize("name", ["fast", "interval"])
@pytest.mark.parametrize(
    "law",
    [
        laws.every_disjunct_counts,
        laws.every_leaf_is_refuted,
        laws.trees_are_trees,
        laws.phases_are_cut,
        laws.tables_are_inherited,
    ],
)
def test_trees_obey_the_laws_in_every_arithmetic(name: str, law: Callable[[object], None]) -> None:
    law(checker({"fast": fast, "interval": interval}[name]()))


def test_trees_mean_their_steps_in_fast() -> None:
    laws.trees_mean_their_steps(checker(fast()))


def test_a_split_of_what_the_bad_set_does_not_use_counts() -> None:
    """x is in [-2, 2] and never 3. The cuts are x >= 1 and x <= 1, each with weight 1/2: 3 - x - (x - 1) / 2 >= 1/2."""
    builder = GraphBuilder()
    x = builder.input("x", Type((1,), "float32"))
    y = builder.node("neg", x, name="y")
    minus, one = builder.parameter(np.float32([[-1]])), builder.parameter(np.float32([1]))
    z = builder.node("linear", x, minus, one, name="z")
    graph = builder.build(y, builder.node("relu", z, name="h"))
    claim = box(graph, {"x": ([-2], [2])}, [[Inequality((("y", 0, Fraction(-1)),), Fraction(3))]])
    leaf = Leaf([[ONE, ONE - 1024]])
    step, payload = written(Split(0, leaf, leaf), [("z", 0)], weighted=True)
    proof = certificate.proof(claim.digest, [{"rule": "interval", "nodes": ["y", "z", "h"]}, step], payload)
    program = kernel.read_program(*to_bytes(graph))
    for arithmetic in (kernel.EXACT, fast(), interval()):
        margin = kernel.check_with(program, claim.data, proof, arithmetic).margin
        assert Fraction(499, 1000) < margin <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("words", "bounds", "coefficients"),
    [
        ((UNIT,) * 3, (2**52 - 5, 2**52 - 6, 2**52 - 6), (1, 1, 1)),
        ((UNIT,) * 6, (9,) * 6, (2**52 - 5, 2**52 - 6, 2**52 - 6, *(7 - 2**52,) * 3)),
        ((LONG, SHORT), (2**14, 2**50 - 1), (1, 1)),
        ((LONG, SHORT, LONG), (9, 9, 9), (2**14, 2**50 - 1, -(2**14))),
    ],
)
def test_combinations_beyond_what_floats_hold_agree(words: Any, bounds: Any, coefficients: Any) -> None:
    """The sums of multipliers times bounds, or coefficients, pass 2^53, and come back or not."""
    graph = laws.affine([[1]], [0], "relu")
    rows = [
        Inequality(((graph.outputs[0], 0, Fraction(c)),), Fraction(b))
        for b, c in zip(bounds, coefficients, strict=True)
    ]
    for end in (0, Fraction(1, 2**60)):
        claim = box(graph, {"x": ([end], [end])}, [rows])
        step, payload = written(Leaf([words]), [("y", 0)], weighted=True)
        proof = certificate.proof(claim.digest, laws.machine_steps(step, graph=graph), payload)
        program = kernel.read_program(*to_bytes(graph))
        assert _answer(program, claim, proof, kernel.EXACT) == _answer(program, claim, proof, fast())


def test_paths_that_split_a_neuron_again_agree() -> None:
    """Each of its splits has a multiplier, and all count; also where other paths split no neuron twice."""
    graph = laws.affine([[1, 0], [0, 1]], [0, 0], "relu")
    ranges = {"x": ([-2, -2], [2, 2])}
    row = Inequality((("relu_0", 0, Fraction(1)), ("relu_0", 1, Fraction(-1))), Fraction(9))
    program = kernel.read_program(*to_bytes(graph))
    margins = set()
    for seed in range(40):
        rng = random.Random(seed)

        def leaf(turns: Turns, rng: random.Random = rng) -> Leaf:
            return Leaf([[ONE, *(rng.choice([0, ONE - 1024, ONE]) for _ in turns)]])

        claim = box(graph, ranges, [[row]])
        step, payload = written(full(rng.choice([[0, 0], [0, 1, 0]]), leaf), [("y", 0), ("y", 1)], weighted=True)
        proof = certificate.proof(claim.digest, laws.machine_steps(step, graph=graph), payload)
        answer = _answer(program, claim, proof, kernel.EXACT)
        assert answer == _answer(program, claim, proof, fast()), seed
        margins.add(answer)
    assert len(margins) > 5


@pytest.mark.parametrize("ends", [(-1, 2), (0, 2), (1, 2), (-2, 0), (-2, 1), (-1, 1), (-1, 0), (0, 0)])
def test_phases_at_the_edge_agree(ends: tuple[int, int]) -> None:
    """A neuron whose ends are 0 or a unit from it, with and without a cut at 0."""
    program = kernel.read_program(*to_bytes(laws.affine([[1]], [0], "relu")))
    (out,), (low, high) = program.outputs, ends
    known = Interval([low], [high], -40)
    bounds = Bounds({"x": known, "y": known, out: Interval([max(low, 0)], [max(high, 0)], -40)})
    todo = [
        Job({out: {0: sign}}, 0, (0, 0), {}, path)
        for sign in (1, -1)
        for path in ((), (("y", 0, True, 0),), (("y", 0, False, 0),), (("y", 0, True, 0), ("y", 0, False, 0)))
    ]
    assert Engine()(program, bounds, todo) == propagate_all(program, bounds, todo)


@pytest.mark.parametrize("cell", [0, 700, 1535, 2047])
def test_one_bad_leaf_among_many_is_named(cell: int) -> None:
    for width, holds in ((Fraction(1, 4096), False), (-Fraction(1, 1 << 20), True)):
        graph, claim, proof, node = cells(cell, width)
        program = kernel.read_program(*to_bytes(graph))
        for arithmetic in (kernel.EXACT, interval()):
            answer = _answer(program, claim, proof, arithmetic)
            assert isinstance(answer, Fraction) == holds
            assert holds or str(answer).endswith(f"node {node}")


def test_interval_refuses_what_overflows_without_a_warning() -> None:
    builder = GraphBuilder()
    value = builder.input("x", Type((2,), "float64"))
    for layer in range(3):
        weight = builder.parameter(np.array([[1.0, 1.0], [1.0, -1.0]]) * 2.0**400)
        value = builder.node("linear", value, weight, builder.parameter(np.zeros(2)), name=f"z{layer}")
        value = builder.node("relu", value, name=f"h{layer}")
    graph = builder.build(value)
    small = Fraction(1, 2**900)
    claim = box(graph, {"x": ([0, -small], [small, small])}, [[laws.above(graph, 0, Fraction(2) ** 400)]])
    names = ["z0", "h0", "z1", "h1", "z2", "h2"]
    step, payload = written(Split(0, Leaf(), Leaf()), [("x", 0)], [{"rule": "rebound", "node": "z1"}])
    program = kernel.read_program(*to_bytes(graph))
    for steps, part in (([step], payload), ([laws.CLOSE], b""), ([{"rule": "rebound", "node": "z1"}, laws.CLOSE], b"")):
        proof = certificate.proof(claim.digest, [{"rule": "interval", "nodes": names}, *steps], part)
        assert isinstance(_answer(program, claim, proof, kernel.EXACT), Fraction)
        with pytest.raises(kernel.Rejected, match="too large for float64"):
            kernel.check_with(program, claim.data, proof, interval())


@pytest.mark.parametrize("inner", [{"rule": "interval", "nodes": ["y#e"]}, {"rule": "rebound", "node": "y#e"}])
def test_no_step_names_a_rounding_error(inner: dict[str, Any]) -> None:
    """The table has it under a name of its own; neither a step nor a node of a tree can bound it."""
    graph = laws.affine([[1]], [0])
    claim = box(graph, {"x": ([-1], [1])}, [[laws.above(graph, 0, 2)]], "float32")
    program = kernel.read_program(*to_bytes(graph), kernel.contract_of(claim.data))
    first = {"rule": "interval", "nodes": ["y"]}
    step, payload = written(Split(0, Leaf(), Leaf()), [("x", 0)], [inner])
    for steps, part in (([inner], b""), ([step], payload)):
        proof = certificate.proof(claim.digest, [first, *steps], part)
        for arithmetic in (kernel.EXACT, fast(), interval()):
            with pytest.raises(kernel.Rejected, match=r"y#e.* is not a"):
                kernel.check_with(program, claim.data, proof, arithmetic)


def test_a_tree_about_what_has_no_bounds_is_refused() -> None:
    graph = laws.affine([[1]], [0])
    claim = box(graph, {"x": ([-1], [1])}, [[laws.above(graph, 0, 2)]])
    step, payload = written(Leaf(), [])
    proof = certificate.proof(claim.digest, [step], payload)
    for arithmetic in (kernel.EXACT, fast(), interval()):
        with pytest.raises(kernel.Rejected, match="'y' has none yet"):
            kernel.check_with(kernel.read_program(*to_bytes(graph)), claim.data, proof, arithmetic)


def test_interval_refuses_a_coefficient_beyond_float64() -> None:
    """That of a batch norm is an integer of units, which no float holds if it is above 2^1024."""
    builder = GraphBuilder()
    x = builder.input("x", Type((1, 1), "float64"))
    given = [builder.parameter(np.float64([v])) for v in (0, 1e-300, 1e300, 0)]
    graph = builder.build(builder.node("batch_norm", x, *given, axis=0, epsilon=f"1/{2**1000}", name="y"))
    claim = box(graph, {"x": ([0], [Fraction(1, 2**900)])}, [[laws.above(graph, 0, Fraction(10) ** 390)]])
    proof = certificate.proof(claim.digest, [{"rule": "interval", "nodes": ["y#0", "y"]}, laws.CLOSE])
    program = kernel.read_program(*to_bytes(graph))
    assert isinstance(_answer(program, claim, proof, kernel.EXACT), Fraction)
    with pytest.raises(kernel.Rejected, match="too large for float64"):
        kernel.check_with(program, claim.data, proof, interval())


@pytest.mark.parametrize("threads", ["1", "2"])
def test_answers_do_not_depend_on_blas_threads_or_hash_seed(threads: str) -> None:
    program = (
        "import numpy as np\n"
        "from tests.certify.test_arithmetics import *\n"
        "rng = np.random.default_rng(7)\n"
        "p, c, d = tree(network('plain', rng), rng)\n"
        "print(*[kernel.check_with(p, c.data, d, a).margin for a in (kernel.EXACT, fast())])\n"
    )
    answers = set()
    for seed in ("0", "1"):
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "PYTHONHASHSEED": seed}
        for flag in ([], ["-O"]):
            done = subprocess.run(
                [sys.executable, *flag, "-c", program], env=environment, capture_output=True, text=True, check=True
            )
            answers.add(done.stdout)
    rng = np.random.default_rng(7)
    read, claim, proof = tree(network("plain", rng), rng)
    expected = kernel.check_with(read, claim.data, proof).margin
    assert answers == {f"{expected} {expected}\n"}
