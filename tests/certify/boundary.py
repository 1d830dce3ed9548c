"""Claims at the boundary of truth, decided exactly, and their proofs: the subjects of the mutants.

Networks have two input entries in all, so the region falls into polygons on which every value is affine. Corners are
rational, so whether a claim holds, and the least value of an output, are known without any rounding.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import combinations, product
from typing import Any

import numpy as np

from tlverify.certify import Claim, Inequality, box, kernel
from tlverify.certify.certificate import proof, witness
from tlverify.graph import Graph, GraphBuilder, Type, digest, to_bytes

from .exact import inside, is_bad, values
from .examples import Files, files
from .trees import Leaf, Turns, full, written

Corner = tuple[Fraction, Fraction]
Form = tuple[Fraction, Fraction, Fraction]
"""a, b, c: the affine function a x + b y + c of the two input entries."""
Forms = dict[str, list[Form]]
ZERO, ONE = Fraction(0), Fraction(1)
LEAF_SLOPES = [64, 32]  # of the first two neurons, at every leaf of `phase_tree`


def at(form: Form, corner: Corner) -> Fraction:
    return form[0] * corner[0] + form[1] * corner[1] + form[2]


def combined(weights: Sequence[Fraction], forms: Sequence[Form], constant: Fraction = ZERO) -> Form:
    a, b, c = (sum((w * f[k] for w, f in zip(weights, forms, strict=True) if w), ZERO) for k in range(3))
    return a, b, c + constant


def clip(polygon: Sequence[Corner], form: Form) -> list[Corner]:
    """The part of a convex polygon (or segment, or point) where the form is >= 0 (Sutherland and Hodgman, 1974)."""
    kept: list[Corner] = []
    ends = [at(form, corner) for corner in polygon]
    for k, (corner, end) in enumerate(zip(polygon, ends, strict=True)):
        before, previous = polygon[k - 1], ends[k - 1]
        if previous * end < 0:
            share = previous / (previous - end)
            kept.append(tuple(p + share * (q - p) for p, q in zip(before, corner, strict=True)))
        if end >= 0:
            kept.append(corner)
    return kept


def negative(form: Form) -> Form:
    return -form[0], -form[1], -form[2]


def region(graph: Graph, claim: Claim) -> tuple[list[Corner], Forms]:
    """The polygon of a claim and the inputs as forms."""
    names = [value.name for value in graph.inputs]
    (x, a), (y, b) = [ends for name in names for ends in zip(claim.lower[name], claim.upper[name], strict=True)]
    unit: list[Form] = [(ONE, ZERO, ZERO), (ZERO, ONE, ZERO)]
    forms = {}
    for name in names:
        size = len(claim.lower[name])
        forms[name], unit = unit[:size], unit[size:]
    polygon = [(x, y), (a, y), (a, b), (x, b)]
    for plane, _ in planes(claim):
        polygon = clip(polygon, plane)
    return polygon, forms


def planes(claim: Claim) -> list[tuple[Form, list[str]]]:
    """The forms that are >= 0 in an l1 ball about the two input entries, and their directions; none for a box."""
    found = []
    for data in claim.region:
        if data["kind"] == "l1_ball":
            (x, y), radius = map(Fraction, data["center"]), Fraction(data["radius"])
            for s, t in product((1, -1), repeat=2):
                found.append(((Fraction(-s), Fraction(-t), radius + s * x + t * y), [str(s), str(t)]))
    return found


def extended(graph: Graph, forms: Forms) -> str | None:
    """Add the values that follow by affine nodes; the first relu that does not, or None."""
    stored = {parameter.name: parameter.data for parameter in graph.parameters}
    for node in graph.nodes:
        if node.name in forms:
            continue
        if node.op == "relu":
            return node.name
        if node.op == "linear":
            source, weight, bias = node.inputs
            forms[node.name] = [
                combined([Fraction(float(w)) for w in row], forms[source], Fraction(float(b)))
                for row, b in zip(stored[weight], stored[bias], strict=True)
            ]
        else:
            assert node.op == "add", node.op
            left, right = (forms[source] for source in node.inputs)
            forms[node.name] = [combined([ONE, ONE], pair) for pair in zip(left, right, strict=True)]
    return None


def pieces(graph: Graph, polygon: Sequence[Corner], forms: Forms) -> Iterator[tuple[Sequence[Corner], Forms]]:
    """Polygons that cover the region with all values as forms on each."""
    forms = dict(forms)
    name = extended(graph, forms)
    if name is None:
        yield polygon, forms
        return
    source = next(node.inputs[0] for node in graph.nodes if node.name == name)
    parts: list[tuple[Sequence[Corner], list[Form]]] = [(polygon, [])]
    for form in forms[source]:
        halves = []
        for part, known in parts:
            for half, result in ((form, form), (negative(form), (ZERO, ZERO, ZERO))):
                rest = clip(part, half)
                if rest:
                    halves.append((rest, [*known, result]))
        parts = halves
    for part, known in parts:
        yield from pieces(graph, part, {**forms, name: known})


def left(row: Inequality, forms: Forms) -> Form:
    """Left side minus bound."""
    return combined([c for *_, c in row.terms], [forms[name][i] for name, i, _ in row.terms], -row.bound)


def least(graph: Graph, claim: Claim, terms: Sequence[tuple[str, int, Fraction]]) -> Fraction:
    """The exact minimum of a linear function of values over the region."""
    row = Inequality(tuple(terms))
    return min(
        at(left(row, forms), corner) for polygon, forms in pieces(graph, *region(graph, claim)) for corner in polygon
    )


def counterexample(graph: Graph, claim: Claim) -> Corner | None:
    """A point of the region that is bad, if there is one: decided exactly, and replayed by `exact`."""
    for polygon, forms in pieces(graph, *region(graph, claim)):
        for conjuncts in claim.bad:
            part = list(polygon)
            for row in conjuncts:
                part = clip(part, left(row, forms))
            if not part:
                continue
            strict = [left(row, forms) for row in conjuncts if row.strict]
            best = [max(part, key=lambda corner, form=form: at(form, corner)) for form in strict] or part[:1]
            if all(at(form, corner) > 0 for form, corner in zip(strict, best, strict=False)):
                found = (sum(p for p, _ in best) / len(best), sum(q for _, q in best) / len(best))
                rest = list(found)
                point = {name: [rest.pop(0) for _ in ends] for name, ends in claim.lower.items()}
                assert inside(claim, point)
                assert is_bad(claim, values(graph, point))
                return found
    return None


# Proofs


Cut = tuple[Form, int | None]
"""A form that is >= 0 in the region, and its number among the cuts of the goal (None: a side of the box)."""


def duals(objective: Form, polygon: Sequence[Corner], cuts: Sequence[Cut]) -> dict[int, Fraction]:
    """Multipliers of the cuts by which the objective is least at a corner of the polygon."""
    corner = min(polygon, key=lambda c: at(objective, c))
    active = [(form, number) for form, number in cuts if at(form, corner) == 0]
    if objective[:2] == (0, 0):
        return {}
    for (one, i), (two, j) in combinations(active, 2):
        det = one[0] * two[1] - one[1] * two[0]
        if det:
            a = (objective[0] * two[1] - objective[1] * two[0]) / det
            b = (one[0] * objective[1] - one[1] * objective[0]) / det
            if a >= 0 and b >= 0:
                found: dict[int, Fraction] = {}
                for number, weight in ((i, a), (j, b)):
                    if number is not None:
                        found[number] = found.get(number, ZERO) + Fraction(round(weight * 2**20), 2**20)
                return found
    raise AssertionError("no multipliers")


@dataclass
class Writer:
    """Writes proofs by phase splits whose bounds are the exact ones, up to the rounding of multipliers to 2^-20."""

    graph: Graph
    claim: Claim
    steps: list[dict[str, Any]] = field(default_factory=list)
    payload: bytearray = field(default_factory=bytearray)
    slopes: bool = False

    @cached_property
    def listing(self) -> dict[str, list[int]]:
        relus = [node for node in self.graph.nodes if node.op == "relu"] if self.slopes else []
        return {node.name: [0, 1] for node in sorted(relus, key=lambda node: node.name)}

    @cached_property
    def sides(self) -> list[Cut]:
        (low, high), (bottom, top) = [
            ends
            for name in self.claim.lower
            for ends in zip(self.claim.lower[name], self.claim.upper[name], strict=True)
        ]
        sides = [(ONE, ZERO, -low), (-ONE, ZERO, high), (ZERO, ONE, -bottom), (ZERO, -ONE, top)]
        return [(side, None) for side in sides]

    def start(self, cases: bool = False, lemma: tuple[str, int] | None = None) -> None:
        polygon, forms = region(self.graph, self.claim)
        if lemma:
            self.lemma(*lemma)
        beside: list[Cut] = []
        for form, direction in planes(self.claim):
            self.steps.append({"rule": "ball", "input": self.graph.inputs[0].name, "direction": direction})
            beside.append((form, len(beside)))
        if not cases:
            return self.goal(polygon, forms, beside, self.claim.bad, len(beside))
        self.steps.append({"rule": "cases"})
        for conjuncts in self.claim.bad:
            part, cuts = list(polygon), []
            for number, row in enumerate(conjuncts):
                if all(name in forms for name, *_ in row.terms):
                    part = clip(part, left(row, forms))
                    cuts.append((left(row, forms), number))
            self.goal(part, forms, cuts, [conjuncts], len(conjuncts))
        return None

    def lemma(self, name: str, index: int) -> None:
        """value[index] is at most a little more than its maximum."""
        self.interval()
        most = -least(self.graph, self.claim, [(name, index, -ONE)]) + Fraction(1, 2**10)
        self.steps.append({"rule": "lemma", "node": name, "index": index, "side": "upper", "at": str(most)})
        polygon, forms = region(self.graph, self.claim)
        self.goal(polygon, forms, [], [[Inequality(((name, index, ONE),), most)]])

    def interval(self) -> None:
        self.steps.append({"rule": "interval", "nodes": [node.name for node in self.graph.nodes]})

    def goal(self, polygon, forms, cuts, bad, count=0) -> None:
        self.interval()
        self.neurons(polygon, dict(forms), [], [*self.sides, *cuts], bad, count)

    def neurons(self, polygon, forms, done, cuts, bad, count) -> None:
        """Decide the neurons of the next relu one by one (`done` are decided), then close."""
        name = extended(self.graph, forms)
        if name is None:
            return self.close(polygon, forms, cuts, bad, count)
        source = next(node.inputs[0] for node in self.graph.nodes if node.name == name)
        index = len(done)
        if index == len(forms[source]):
            return self.neurons(polygon, {**forms, name: done}, [], cuts, bad, count)
        form = forms[source][index]
        ends = [at(form, corner) for corner in polygon]
        if min(ends) < 0 < max(ends):
            self.steps.append({"rule": "split", "node": source, "index": index, "at": "0"})
            for sign, result in ((negative(form), (ZERO, ZERO, ZERO)), (form, form)):
                self.interval()
                rest = clip(polygon, sign)
                self.neurons(rest, dict(forms), [*done, result], [*cuts, (sign, count)], bad, count + 1)
            return None
        if len(cuts) > len(self.sides):
            chosen = [number for _, number in cuts if number is not None]
            active = min(ends) >= 0
            found = duals(form if active else negative(form), polygon, cuts)
            for relu in self.listing.values():
                self.payload += bytes([128, 0][: len(relu)])
            self.steps.append(
                {
                    "rule": "bound",
                    "node": source,
                    "lower": [index] if active else [],
                    "upper": [] if active else [index],
                    "slopes": self.listing,
                    "cuts": chosen,
                    "multipliers": [[str(found.get(number, ZERO)) for number in chosen]],
                }
            )
            self.interval()
        result = form if min(ends) >= 0 else (ZERO, ZERO, ZERO)
        return self.neurons(polygon, forms, [*done, result], cuts, bad, count)

    def close(self, polygon, forms, cuts, bad, count) -> None:
        chosen = [number for _, number in cuts if number is not None]
        multipliers = []
        for conjuncts in bad:
            found = duals(negative(left(conjuncts[0], forms)), polygon, cuts)
            own = ["1", *["0"] * (len(conjuncts) - 1 + len(planes(self.claim)))]
            multipliers.append(own + [str(found.get(number, ZERO)) for number in chosen])
            for relu in self.listing.values():
                self.payload += bytes([0, 128][: len(relu)])
        self.steps.append({"rule": "close", "multipliers": multipliers, "slopes": self.listing, "cuts": chosen})


def short(weight: Fraction) -> int:
    """A multiplier of a weighted tree, rounded down to ten bits."""
    if not weight:
        return 0
    power = max(-42, (weight.numerator.bit_length() - weight.denominator.bit_length()) - 8)
    integer = int(weight / Fraction(2) ** power)
    if integer > 1023:
        power, integer = power + 1, integer // 2
    return integer | (power + 42) << 10


def phase_tree(graph: Graph, claim: Claim) -> tuple[list[dict[str, Any]], bytes]:
    """The full tree over all neurons of the only relu, with multipliers at its leaves (Farkas' where it is empty)."""
    polygon, forms = region(graph, claim)
    name = extended(graph, forms)
    assert name is not None
    source = next(node.inputs[0] for node in graph.nodes if node.name == name)
    neurons = range(len(forms[source]))
    sides = Writer(graph, claim).sides

    def leaf(turns: Turns) -> Leaf:
        part, cuts, words = list(polygon), list(sides), [short(ONE), *[0] * (len(claim.bad[0]) - 1)]
        for (number, above), form in zip(turns, forms[source], strict=True):
            sign = form if above else negative(form)
            if not clip(part, sign):
                weights = {**duals(negative(sign), part, cuts), number: ONE}
                words = [0] * len(claim.bad[0])
                break
            part, cuts = clip(part, sign), [*cuts, (sign, number)]
        else:
            result = [f if above else (ZERO,) * 3 for f, (_, above) in zip(forms[source], turns, strict=True)]
            known = {**forms, name: result}
            extended(graph, known)
            weights = duals(negative(left(claim.bad[0][0], known)), part, cuts)
        return Leaf([[*words, *(short(weights.get(number, ZERO)) for number in neurons)]], [LEAF_SLOPES])

    entries = [(source, index) for index in neurons]
    step, payload = written(full(neurons, leaf), entries, listing={name: [0, 1]}, weighted=True)
    return [{"rule": "interval", "nodes": [node.name for node in graph.nodes]}, step], payload


def input_tree(graph: Graph, depth: int) -> tuple[list[dict[str, Any]], bytes]:
    """Halve the inputs in turn, and bound again in every box."""
    relus = [node for node in graph.nodes if node.op == "relu"]
    interval = {"rule": "interval", "nodes": [node.name for node in graph.nodes]}
    inner = [step for node in relus for step in (interval, {"rule": "rebound", "node": node.inputs[0]})]
    entries = [(value.name, index) for value in graph.inputs for index in range(value.shape[0])]
    root = full([level % 2 for level in range(depth)], lambda _: Leaf())
    step, payload = written(root, entries, [*inner, interval])
    return [interval, step], payload


# Subjects


@dataclass(frozen=True)
class Base:
    """A graph, a claim that is just true with its proof, and one that is just false.

    A witness has no steps; its claim that is just "true" is the one that it shows to be false.
    """

    name: str
    graph: Graph
    true: Claim
    false: Claim
    steps: list[dict[str, Any]] | None
    payload: bytes

    def certificate(self, claim: Claim, steps: Any = None, payload: bytes | None = None) -> bytes:
        payload = self.payload if payload is None else payload
        if self.steps is None:
            return witness(claim.digest, [np.frombuffer(payload, "<f8")])
        return proof(claim.digest, self.steps if steps is None else steps, payload)

    def files(self, claim: Claim, steps: Any = None, payload: bytes | None = None) -> Files:
        return files(self.graph, claim, self.certificate(claim, steps, payload))


def network(rng: random.Random, *sizes: int, inputs: int = 1, choices: Sequence[float] = (), dtype="float64") -> Graph:
    """Linear and relu layers z0, h0, z1, ..., y with weights that are multiples of 1/4."""
    choices = choices or [k / 4 for k in range(-8, 9)]
    builder = GraphBuilder()

    def linear(source: str, m: int, n: int, name: str) -> str:
        weight = np.array([[rng.choice(choices) for _ in range(m)] for _ in range(n)], dtype)
        bias = np.array([rng.choice([k / 4 for k in range(-3, 4) if k]) for _ in range(n)], dtype)
        return builder.node(
            "linear", source, builder.parameter(weight, f"W{name}"), builder.parameter(bias, f"b{name}"), name=name
        )

    if inputs == 1:
        value = linear(builder.input("x", Type((2,), dtype)), 2, sizes[0], "z0")
    else:
        p, q = (builder.input(name, Type((1,), dtype)) for name in "pq")
        value = builder.node("add", linear(p, 1, sizes[0], "zp"), linear(q, 1, sizes[0], "zq"), name="z0")
    for layer, size in enumerate(sizes[1:]):
        last = layer == len(sizes) - 2
        value = builder.node("relu", value, name=f"h{layer}")
        value = linear(value, sizes[layer], size, "y" if last else f"z{layer + 1}")
    return builder.build(value)


def boxed(graph: Graph, bad: Sequence[Sequence[Inequality]]) -> Claim:
    low, high = [Fraction(-1), Fraction(-1, 2)], [Fraction(1), Fraction(3, 4)]
    if len(graph.inputs) == 1:
        return box(graph, {"x": (low, high)}, bad)
    return box(graph, {"p": (low[:1], high[:1]), "q": (low[1:], high[1:])}, bad)


def balled(graph: Graph, bad: Sequence[Sequence[Inequality]], radius: Fraction = Fraction(5, 4)) -> Claim:
    """Around the origin by the norm l1, where no entry is over 3/4."""
    data = {"kind": "l1_ball", "input": "x", "center": ["0", "0"], "radius": str(radius), "clip": ["-1", "3/4"]}
    ends = {"x": (max(-radius, Fraction(-1)),) * 2}, {"x": (min(radius, Fraction(3, 4)),) * 2}
    return Claim(digest(graph), (data,), *ends, tuple(map(tuple, bad)))


def below(bound: Fraction, strict: bool = False, index: int = 0) -> Inequality:
    """y[index] <= bound."""
    return Inequality((("y", index, -ONE),), -bound, strict)


def _accepted(base: Base) -> Fraction | None:
    try:
        return kernel.check(*base.files(base.true)).margin
    except kernel.Rejected:
        return None


def _two_sided(graph: Graph) -> tuple[Claim, Claim]:
    """(y <= a and x0 >= 1/4) or y >= b: just true; just false at the first."""
    rows = below(ZERO), Inequality((("x", 0, ONE),), Fraction(1, 4))
    whole = boxed(graph, [[rows[0]]])
    half = box(graph, {"x": ([Fraction(1, 4), *whole.lower["x"][1:]], whole.upper["x"])}, [[rows[0]]])
    least_y = least(graph, half, [("y", 0, ONE)])
    most_y = -least(graph, whole, [("y", 0, -ONE)])
    gap = Fraction(1, 2**8)

    def claim(a: Fraction) -> Claim:
        return boxed(graph, [[below(a), rows[1]], [Inequality((("y", 0, ONE),), most_y + gap)]])

    return claim(least_y - gap), claim(least_y)


def bases() -> dict[str, Base]:
    """All subjects, each accepted for its true claim."""
    found: dict[str, Base] = {}

    def keep(name: str, graph: Graph, claims: tuple[Claim, Claim], steps: Any, payload: bytes) -> bool:
        base = Base(name, graph, *claims, steps, bytes(payload))
        if counterexample(graph, claims[0]) or not counterexample(graph, claims[1]) or _accepted(base) is None:
            return False
        found[name] = base
        return True

    def pair(
        graph: Graph, gap: Fraction = Fraction(1, 2**8), strict: bool = False, within: Callable[..., Claim] = boxed
    ) -> tuple[Claim, Claim]:
        minimum = least(graph, within(graph, [[below(ZERO)]]), [("y", 0, ONE)])
        return within(graph, [[below(minimum - gap, strict)]]), within(graph, [[below(minimum)]])

    def interesting(steps: Sequence[dict[str, Any]], splits: int) -> bool:
        return splits <= sum(step["rule"] == "split" for step in steps) <= splits + 3

    recipes: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
        ("split", (3, 1), {}),
        ("deep", (3, 2, 1), {}),
        ("slopes", (2, 2, 1), {}),
        ("strict", (3, 1), {}),
        ("inputs", (3, 1), {"inputs": 2}),
        ("lemma", (2, 2, 1), {}),
        ("cases", (3, 1), {"choices": [-1, -0.5, 0.5, 1, 1.5]}),
        ("single", (3, 1), {"dtype": "float32"}),
        ("ball", (3, 1), {}),
        ("float32", (3, 1), {"dtype": "float32"}),
    ]
    for name, sizes, options in recipes:
        for seed in range(400):
            graph = network(random.Random(f"{name} {seed}"), *sizes, **options)
            if name == "cases":
                claims = _two_sided(graph)
            elif name == "strict":
                claims = pair(graph, ZERO, strict=True)
            else:
                claims = pair(graph, within=balled if name == "ball" else boxed)
            if name == "float32":  # what is false for real numbers is not proved of executions
                claims = claims[0].under("float32"), claims[1].under("float32")
            writer = Writer(graph, claims[0], slopes=name == "slopes")
            writer.start(name == "cases", ("z1", 0) if name == "lemma" else None)
            if interesting(writer.steps, 3) and keep(name, graph, claims, writer.steps, bytes(writer.payload)):
                break
    for seed in range(400):
        graph = network(random.Random(f"tree {seed}"), 3, 1, choices=[-1, -0.5, 0.5, 1, 2])
        claims = pair(graph, Fraction(1, 2**6))
        if keep("tree", graph, claims, *phase_tree(graph, claims[0])):
            break
    for seed in range(400):
        graph = network(random.Random(f"boxes {seed}"), 3, 2, 1)
        claims = pair(graph, Fraction(8))
        steps, payload = input_tree(graph, 2)
        margin = _accepted(Base("boxes", graph, *claims, steps, payload))
        if margin is not None and keep("boxes", graph, pair(graph, 8 - margin + Fraction(1, 2**20)), steps, payload):
            break
    graph = found["split"].graph
    corner = [-1.0, 0.75]
    exact = values(graph, {"x": [Fraction(v) for v in corner]})["y"].ravel()[0]
    held, missed = boxed(graph, [[below(exact)]]), boxed(graph, [[below(exact, strict=True)]])
    found["witness"] = Base("witness", graph, held, missed, None, np.array(corner, "<f8").tobytes())
    return found


def rebound(base: Base, graph: Graph) -> Base:
    """The same claims about another graph with the same values."""
    name = to_bytes(graph)
    assert name
    digest = boxed(graph, base.true.bad).graph_digest
    return replace(
        base, graph=graph, true=replace(base.true, graph_digest=digest), false=replace(base.false, graph_digest=digest)
    )
