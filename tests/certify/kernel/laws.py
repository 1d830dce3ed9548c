"""What every kernel must do. A law takes a kernel, the real one or a wrong copy, and fails if the kernel breaks it."""

import importlib
import math
import random
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from types import SimpleNamespace

import numpy as np

from tlverify.certify import Claim, Inequality, box
from tlverify.certify.certificate import proof, witness
from tlverify.certify.tree_writer import ONE as WHOLE
from tlverify.graph import Graph, GraphBuilder, Type, to_bytes

from .. import exact
from ..examples import FAMILIES, Prover, files, random_box, random_claim, random_graph, random_terms
from ..trees import Leaf, expanded, grown, written

PARTS = (
    "arithmetic",
    "backward",
    "claim",
    "contract",
    "errors",
    "execution",
    "lowering",
    "network",
    "program",
    "proof",
    "reader",
    "rules",
    "rules_affine",
    "rules_piecewise",
    "tree",
    "witness",
)


def load(package: str = "tlverify.certify.kernel") -> SimpleNamespace:
    """The modules of a kernel, and its package as `api`."""
    parts = {part: importlib.import_module(f"{package}.{part}") for part in PARTS}
    return SimpleNamespace(api=importlib.import_module(package), **parts)


def fractions(integers, exponent: int) -> list[Fraction]:
    return [Fraction(value) * Fraction(2) ** exponent for value in integers]


# arithmetic

FLOATS = {
    "F32": [0.0, -0.0, 1.0, -1.5, 2.0**-149, -(2.0**-149), 2.0**-126 - 2.0**-149, 3.4028234663852886e38],
    "F64": [0.0, -0.0, 0.1, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -1.0, 2.0**52 + 1],
}


def decode_is_exact(kernel) -> None:
    for dtype, code in (("F32", "f"), ("F64", "d")):
        for chosen in (FLOATS[dtype], *([number] for number in FLOATS[dtype]), FLOATS[dtype][:4]):
            data = memoryview(struct.pack(f"<{len(chosen)}{code}", *chosen))
            vector = kernel.arithmetic.decode(dtype, data, "it")
            assert fractions(vector.integers, vector.exponent) == [Fraction(number) for number in chosen]


def packed_is_exact(kernel) -> None:
    rng = random.Random(1)
    for factor_bits in (1, 23, 46):
        top = (1 << factor_bits) - 1
        for count, columns, entry_bits in (
            (1, 1, 1),
            (3, 4, 24),
            (8, 2, 300),
            (255, 3, 7),
            (256, 1, 8),
            (9, 4, 39),
            (9, 4, 40),
        ):
            limit = (1 << entry_bits) - 1
            extreme = [[rng.choice([limit, -limit]) for _ in range(columns)] for _ in range(count)]
            usual = [[rng.randint(-limit, limit) for _ in range(columns)] for _ in range(count)]
            same = [[-limit] * columns] * count
            few = [[limit >> 9 << 9] * columns for _ in range(count)]  # only few have the last bits
            few[-1][-1] = rng.choice([1, -1])
            few[count // 2][0] -= 3
            for rows in (extreme, usual, same, few):
                packed = kernel.arithmetic.Packed(rows, columns, factor_bits)
                for factors in (
                    [top] * count,
                    [-top] * count,
                    [rng.randint(-top, top) for _ in range(count)],
                    [0] * count,
                ):
                    expected = [sum(f * row[j] for f, row in zip(factors, rows, strict=True)) for j in range(columns)]
                    assert packed.combine(factors, factor_bits) == expected


def rounding_is_outward(kernel) -> None:
    rng = random.Random(2)
    limit = 1 << kernel.arithmetic.INTERVAL_BITS
    for _ in range(200):
        scales = [rng.choice([1, 10, 44, 60, 200]) for _ in range(3)]
        lower = [rng.randint(-(1 << s), 1 << s) for s in scales]
        upper = [low + rng.choice([0, 1, rng.randrange(1 << s)]) for low, s in zip(lower, scales, strict=True)]
        exponent = rng.randrange(-80, 80)
        given = kernel.arithmetic.Interval(lower, upper, exponent)
        looser = kernel.arithmetic.Interval([v - 1 for v in lower], [v + 1 for v in upper], exponent)
        finer = kernel.arithmetic.Interval([-(1 << 260)] * 3, [1 << 260] * 3, exponent - 9)
        low, high = fractions(lower, exponent), fractions(upper, exponent)
        sevenths = [v / 7 for v in low], [v / 7 for v in high]
        for found, least, most in (
            (kernel.arithmetic.outward(lower, upper, exponent), low, high),
            (kernel.arithmetic.enclose(low, high), low, high),
            (kernel.arithmetic.enclose(*sevenths), *sevenths),
            (kernel.arithmetic.intersect(given, looser), low, high),
            (kernel.arithmetic.intersect(finer, given), low, high),
            (kernel.arithmetic.intersect(given, finer), low, high),
        ):
            _encloses(found, least, most)
            assert all(abs(v) <= limit for v in (*found.lower, *found.upper))


def _encloses(found, low: list[Fraction], high: list[Fraction]) -> None:
    unit = Fraction(2) ** found.exponent
    for a, b, least, most in zip(found.lower, found.upper, low, high, strict=True):
        assert least - 2 * unit < a * unit <= least
        assert most <= b * unit < most + 2 * unit


def shortening_is_charged(kernel) -> None:
    """Coefficients get exactly so many bits; what a floor loses is taken off the constant."""
    rng = random.Random(3)
    most = kernel.arithmetic.COEFFICIENT_BITS
    for _ in range(200):
        width = rng.choice([1, 4, most, most + 1, most + 9, 300])
        odd = [0, 1, -1, (1 << width) - 1, -(1 << width), rng.randint(-(1 << width), 1 << width)]
        row = [rng.choice(odd) for _ in range(4)]
        lower, upper = _bounds(rng, 4)
        given = kernel.arithmetic.Vector(row, rng.randrange(-9, 9))
        bounds = kernel.arithmetic.Interval(lower, upper, -5)
        short, charge = kernel.backward._shorten(given, bounds, (0, 0))
        assert kernel.arithmetic.bits(short.integers) == most or not any(row)
        for v in _within(rng, fractions(lower, -5), fractions(upper, -5)):
            left = _dot(fractions(row, given.exponent), v)
            right = _dot(fractions(short.integers, short.exponent), v) + fractions(charge[:1], charge[1])[0]
            assert right <= left
        if width <= most:
            assert fractions(short.integers, short.exponent) == fractions(row, given.exponent)


def constants_are_floored(kernel) -> None:
    """A sum of constants is never above the true one, and less than two units of its last place below."""
    rng = random.Random(5)
    for _ in range(300):
        total, exact_sum = (0, 0), Fraction(0)
        for _ in range(4):
            value = (
                rng.choice([0, 1, -1, rng.randint(-(1 << 60), 1 << 60), -(1 << 50), (1 << 50) - 1]),
                rng.randrange(-90, 90),
            )
            found = kernel.arithmetic.accumulate(total, value)
            before = sum(fractions(total[:1], total[1]) + fractions(value[:1], value[1]))
            after = fractions(found[:1], found[1])[0]
            assert before - 2 * Fraction(2) ** found[1] < after <= before
            exact_sum += fractions(value[:1], value[1])[0]
            total = found
        assert fractions(total[:1], total[1])[0] <= exact_sum


def least_and_floor_are_exact(kernel) -> None:
    rng = random.Random(4)
    for _ in range(100):
        lower, upper = _bounds(rng, 3)
        row = [rng.randint(-99, 99) for _ in range(3)]
        found = kernel.backward._least(kernel.arithmetic.Vector(row, 3), kernel.arithmetic.Interval(lower, upper, -7))
        expected = sum(min(a * low, a * high) for a, low, high in zip(row, lower, upper, strict=True))
        assert fractions(found[:1], found[1]) == [Fraction(expected, 16)]
        value, places = rng.randint(-(1 << 40), 1 << 40), rng.randrange(-20, 20)
        assert kernel.arithmetic.floor_to((value, places + 5), 5) == Fraction(value) * Fraction(2) ** places // 1


def _bounds(rng: random.Random, size: int) -> tuple[list[int], list[int]]:
    """Intervals of every phase: around zero, above, below, single points, and ends of very different size."""
    lower, upper = [], []
    for _ in range(size):
        low, high = sorted(rng.choice([-1, 1]) * rng.randrange(1 << rng.choice([1, 4, 20, 44])) for _ in range(2))
        lower.append(low)
        upper.append(rng.choice([high, high, low]))
    return lower, upper


def _within(rng: random.Random, low: list[Fraction], high: list[Fraction], count: int = 6) -> list[list[Fraction]]:
    shares = [[Fraction(rng.randrange(9), 8) for _ in low] for _ in range(count)]
    shares += [[Fraction(rng.randrange(2)) for _ in low] for _ in range(count)]
    return [[a + (b - a) * s for a, b, s in zip(low, high, share, strict=True)] for share in shares]


def _dot(a, b) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


# ops

IMAGE = {"stride": (2, 1), "padding": (1, 0, 2, 1)}
POOL = {"kernel": (3, 2), "stride": (1, 2), "padding": (2, 0, 1, 1)}
OPS: dict[str, list[tuple]] = {
    # shapes of inputs, shapes of parameters in the place of their None, attributes
    "abs": [((2, 3), {})],
    "add": [((2, 3), (2, 3), {}), ((6,), "same", {}), ((6,), [6], {})],
    "avg_pool2d": [
        ((2, 4, 3), {**POOL, "count_include_pad": 0}),
        ((1, 3, 4), {**POOL, "count_include_pad": 1}),
        ((1, 2, 4), {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0, 0, 0), "count_include_pad": 1}),
    ],
    "batch_norm": [
        ((2, 3), [3], "variance", [3], [3], {"axis": 1, "epsilon": "1/16"}),
        ((1,), [1], "variance of one", [1], [1], {"axis": 0, "epsilon": "1/16"}),
    ],
    "broadcast_to": [((2, 1), {"shape": (3, 2, 2)}), ((), {"shape": (3,)})],
    "clamp": [((6,), {"minimum": "-1/2", "maximum": "3/4"}), ((6,), {"minimum": "5", "maximum": "5"})],
    "concat": [((2, 1), (2, 2), [2, 1], {"axis": 1}), ((1, 2), (3, 2), {"axis": 0}), ((3,), {"axis": 0})],
    "conv2d": [
        ((2, 4, 3), [4, 1, 2, 2], [4], {**IMAGE, "dilation": (1, 2), "groups": 2}),
        ((1, 2, 3, 3), [1, 2, 2, 3], [1], {**IMAGE, "dilation": (1, 1), "groups": 1}),
    ],
    "leaky_relu": [((6,), {"slope": "1/8"}), ((6,), {"slope": "-3"}), ((6,), {"slope": "5/2"})],
    "linear": [((2, 3), [4, 3], [4], {}), ((3,), [2, 3], [2], {}), ([2, 3], [1, 3], [1], {})],
    "matmul": [((2, 3), [3, 2], {}), ([4, 2], (2, 3), {}), ((2, 1, 3), [2, 3, 2], {})],
    "max": [((2, 3), {"axes": (1,), "keepdims": 1}), ((2, 2, 2), {"axes": (0, 2), "keepdims": 0})],
    "max_pool2d": [
        ((1, 4, 3), {**POOL, "dilation": (1, 1)}),
        ((2, 4, 2), {**POOL, "padding": (0, 1, 0, 0), "dilation": (1, 2)}),
    ],
    "maximum": [((6,), (6,), {}), ((6,), [6], {})],
    "minimum": [((6,), (6,), {}), ([6], (6,), {})],
    "mul": [((6,), [6], {}), ([2, 3], (2, 3), {})],
    "neg": [((6,), {})],
    "pad": [((2, 2), {"before": (1, 0), "after": (0, 2), "value": "-3/8"})],
    "relu": [((2, 3), {}), ([6], {})],
    "reshape": [((2, 3), {"shape": (3, 1, 2)})],
    "scale": [((6,), {"factor": "-3/8"})],
    "slice": [((3, 4), {"starts": (1, 0), "stops": (3, 4), "steps": (1, 3)})],
    "sub": [((2, 3), (2, 3), {}), ((6,), "same", {}), ([6], (6,), {})],
    "sum": [((2, 3), {"axes": (0,), "keepdims": 0}), ((2, 2, 2), {"axes": (1, 2), "keepdims": 1})],
    "transpose": [((2, 3, 1), {"axes": (2, 0, 1)})],
}
"""For each op: its arguments (a tuple is the shape of an input, a list of a parameter) and attributes."""


WINDOW = {"stride": [1, 1], "padding": [0, 0, 0, 0], "dilation": [1, 1]}
CONV = {**WINDOW, "groups": 1}
PART = {"starts": [0, 0], "stops": [2, 3], "steps": [1, 1]}
POINTLESS: dict[str, list[tuple]] = {
    "add": [((2,), (3,), {}), ((2,), (2, 1), {})],
    "mul": [((6,), (6,), {}), ((6,), [3, 2], {})],
    "batch_norm": [
        ((2, 3), [3], [3], [3], [3], {"axis": 2}),
        ((2, 3), [3], [3], [3], [3], {"axis": -1}),
        ((2, 3), [3], [3], [3], [2], {"axis": 1}),
        ((2, 3), [2], [3], [3], [3], {"axis": 1}),
        ((2, 3), [3], (3,), [3], [3], {"axis": 1}),
    ],
    "broadcast_to": [
        ((2, 1), {"shape": [3, 3]}),
        ((2, 2), {"shape": [2, 1]}),
        ((2, 3), {"shape": [3]}),
        ((2,), {"shape": [2, 3]}),
    ],
    "concat": [
        ((2, 1), (2, 2), {"axis": 2}),
        ((2, 1), (2, 2), {"axis": -1}),
        ((2, 1), (3, 1), {"axis": 1}),
        ((2, 1), (2,), {"axis": 0}),
    ],
    "conv2d": [
        ((2, 4, 4), [4, 2, 2], [4], CONV),
        ((4, 4), [4, 1, 2, 2], [4], CONV),
        ((2, 4, 4), [4, 2, 2, 2], [4], {**CONV, "groups": 2}),
        ((4, 4, 4), [3, 2, 2, 2], [3], {**CONV, "groups": 2}),
        ((2, 4, 4), [4, 2, 2, 2], [4], {**CONV, "groups": 0}),
        ((2, 4, 4), [4, 2, 2, 2], [4], {**CONV, "groups": -1}),
        ((2, 4, 4), [4, 2, 2, 2], [1], CONV),
        ((2, 4, 4), [4, 2, 5, 2], [4], CONV),
        ((2, 4, 4), [4, 2, 2, 2], [4], {**CONV, "stride": [0, 1]}),
        ((2, 4, 4), [4, 2, 2, 2], [4], {**CONV, "stride": [1, -1]}),
        ((2, 4, 4), [4, 2, 2, 2], [4], {**CONV, "stride": [1]}),
        ((2, 4, 4), [4, 2, 2, 2], [4], {**CONV, "padding": [0, -1, 0, 0]}),
        ((2, 4, 4), [4, 2, 2, 2], [4], {**CONV, "padding": [0, 0, 0]}),
        ((2, 4, 4), [4, 2, 2, 2], [4], {**CONV, "dilation": [1, 0]}),
        ((2, 4, 4), [4, 2, 2, 2], [4], {**CONV, "dilation": [4, 1]}),
        ((2, 4, 4), [4, 2, 2, 2], [4], {**CONV, "dilation": [1, 1, 1]}),
    ],
    "linear": [((3,), [2, 3, 1], [2], {}), ((3,), [2, 3], [3], {}), ((3,), [2, 2], [2], {}), ((), [2, 3], [2], {})],
    "matmul": [
        ((2, 3), [2, 3], {}),
        ((3,), [3], {}),
        ((2, 3), [1, 3, 2], {}),
        ((2, 1, 3), [1, 3, 2], {}),
        ((2, 3), (3, 2), {}),
    ],
    "max": [
        ((2, 3), {"axes": [2], "keepdims": 0}),
        ((2, 3), {"axes": [-1], "keepdims": 0}),
        ((2, 3), {"axes": [1, 0], "keepdims": 0}),
        ((2, 3), {"axes": [0, 0], "keepdims": 0}),
        ((2, 3), {"axes": [0], "keepdims": 2}),
        ((2, 3), {"axes": [0], "keepdims": -1}),
    ],
    "max_pool2d": [
        ((1, 4, 4), {**WINDOW, "kernel": [2, 0]}),
        ((1, 4, 4), {**WINDOW, "kernel": [5, 1]}),
        ((1, 4, 4), {**WINDOW, "kernel": [2]}),
        ((4,), {**WINDOW, "kernel": [2, 2]}),
        *(((1, 4, 4), {**WINDOW, "kernel": [2, 2], "padding": [2 * (k == way) for k in range(4)]}) for way in range(4)),
    ],
    "pad": [
        ((2, 2), {"before": [1], "after": [0, 0]}),
        ((2, 2), {"before": [0, 0], "after": [0, 0, 0]}),
        ((2, 2), {"before": [-1, 0], "after": [1, 0]}),
        ((2, 2), {"before": [0, 0], "after": [0, -1]}),
    ],
    "reshape": [((2, 3), {"shape": [5]}), ((2, 3), {"shape": [-2, -3]}), ((2, 3), {"shape": []})],
    "slice": [
        *(((2, 3), {**PART, key: [1]}) for key in PART),
        ((2, 3), {**PART, "starts": [-1, 0]}),
        ((2, 3), {**PART, "starts": [2, 0]}),
        ((2, 3), {**PART, "stops": [2, 4]}),
        ((2, 3), {**PART, "steps": [1, 0]}),
        ((2, 3), {**PART, "steps": [-1, 1]}),
    ],
    "transpose": [((2, 3), {"axes": [0, 0]}), ((2, 3), {"axes": [1]}), ((2, 3), {"axes": [0, -1]})],
}
"""Inputs and attributes that an op does not take, as in OPS."""


def pointless_ops_are_refused(kernel) -> None:
    """An op gives no shape where it has no meaning, and has one next to that: the edges of what it takes."""

    def shape(op: str, case: tuple):
        *shapes, attributes = case
        kinds = [
            kernel.lowering.Node("", ("input", "parameter")[type(s) is list], (), {}, tuple(s), "") for s in shapes
        ]
        return kernel.rules.RULES[op].shape(kernel.lowering.Node("", op, (), attributes, (), ""), kinds)

    for op, cases in POINTLESS.items():
        for case in cases:
            assert shape(op, case) is None, (op, case)
    edge = {**WINDOW, "kernel": [2, 2], "padding": [1, 1, 1, 1]}
    for op, case, result in (
        ("reshape", ((1,), {"shape": []}), ()),
        ("reshape", ((), {"shape": [1, 1]}), (1, 1)),
        ("max_pool2d", ((1, 1), edge), (2, 2)),
        ("max_pool2d", ((1, 4, 4), {**WINDOW, "kernel": [4, 4]}), (1, 1, 1)),
        ("conv2d", ((2, 4, 4), [4, 2, 2, 2], [4], {**CONV, "dilation": [3, 3]}), (4, 1, 1)),
        ("conv2d", ((2, 4, 4), [4, 2, 1, 1], [4], {**CONV, "padding": [0, 1, 2, 3], "stride": [4, 9]}), (4, 2, 1)),
        ("slice", ((2, 3), {"starts": [1, 2], "stops": [2, 3], "steps": [9, 1]}), (1, 1)),
        ("pad", ((), {"before": [], "after": []}), ()),
        ("max", ((2, 3), {"axes": [0, 1], "keepdims": 0}), ()),
    ):
        assert shape(op, case) == result, (op, case)


def windows_hold_something_and_are_not_too_many(kernel) -> None:
    """A window of padding alone is refused, and a map of very many coefficients before it is built."""

    def refused(reason: str, op: str, shape: tuple, *parameters: tuple, **attributes: object) -> None:
        builder = GraphBuilder()
        given = [builder.parameter(np.ones(size, "float32")) for size in parameters]
        x = builder.input("x", Type(shape, "float32"))
        graph = builder.build(builder.node(op, x, *given, **attributes))
        refuses(kernel, lambda: kernel.network.read_program(*to_bytes(graph)), reason)

    one = {"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1)}
    wide = {"kernel": [2, 1], "stride": [1, 1], "padding": [4, 0, 4, 0], "dilation": [4, 1]}
    source = kernel.lowering.Node("x", "input", (), {}, (1, 2, 1), "float32")  # rows -4 and 0, ..., -2 and 2, ...
    node = kernel.lowering.Node("y", "max_pool2d", ("x",), wide, (1, 6, 1), "float32")
    context = kernel.lowering.Lowering({"x": source}, {}, None)
    assert kernel.rules.RULES["max_pool2d"].shape(node, [source]) == (1, 6, 1)
    refuses(kernel, lambda: kernel.rules_affine.pooled(node, context), "a window lies in the padding")
    around = {"stride": (1, 1), "padding": (1, 1, 1, 1), "kernel": (3, 3)}
    many = "pairs is over the limit"
    refused(many, "conv2d", (64, 128, 130), (8, 64, 1, 1), (8,), **one, groups=1)
    refused(many, "max_pool2d", (1024, 1024), **around, dilation=(1, 1))
    refused(many, "avg_pool2d", (1024, 1024), **around, count_include_pad=1)
    refused(many, "matmul", (4096, 64), (64, 64))


def one_node(rng: random.Random, op: str, case: tuple, family: str) -> Graph:
    """A graph whose only node is this op."""
    builder = GraphBuilder()
    dtype = rng.choice(["float32", "float64"])
    *arguments, attributes = case
    names: list[str] = []
    for position, argument in enumerate(arguments):
        if argument == "same":
            names.append(names[0])
        elif str(argument).startswith("variance"):  # plus epsilon 1/16, these are squares of rationals
            count = 3 if argument == "variance" else 1
            names.append(
                builder.parameter(np.array([rng.choice([1 / 2, 15 / 16, 99 / 16]) for _ in range(count)], dtype))
            )
        elif isinstance(argument, tuple):
            names.append(builder.input("xyz"[position], Type(argument, dtype)))
        else:
            numbers = FAMILIES[family](rng, 1, math.prod(argument)).reshape(argument)
            names.append(builder.parameter(numbers.astype(dtype)))
    return builder.build(builder.node(op, *names, **attributes))


def table(kernel, program, boxes):
    """Bounds of every value of a program after one interval step."""
    bounds = kernel.backward.Bounds(boxes)
    step = {"rule": "interval", "nodes": [name for name in program.values if name not in boxes]}
    kernel.proof._interval(SimpleNamespace(program=program), SimpleNamespace(bounds=bounds), step, "it")
    return bounds


def op_is_right(kernel, op: str, family: str, rounds: int = 2) -> None:
    """Replayed exactly; intervals enclose; a backward bound of a row of results is below it everywhere."""
    rng = random.Random(f"{op} {family}")
    for case in OPS[op] * rounds:
        graph = one_node(rng, op, case, family)
        program = kernel.network.read_program(*to_bytes(graph))
        (output,) = graph.outputs
        boxes = {
            name: kernel.arithmetic.Interval(*_bounds(rng, program.values[name].size), rng.randrange(-160, 40))
            for name in program.inputs
        }
        bounds = table(kernel, program, boxes)
        ends = {name: (fractions(b.lower, b.exponent), fractions(b.upper, b.exponent)) for name, b in bounds.items()}
        inside = [
            dict(zip(boxes, parts, strict=True))
            for parts in zip(*(_within(rng, *ends[name]) for name in boxes), strict=True)
        ] or [{}]
        found = [exact.values(graph, point)[output].ravel() for point in inside]
        for point, result in zip(inside, found, strict=True):
            assert all(a <= v <= b for a, v, b in zip(ends[output][0], result, ends[output][1], strict=True))
            _replayed(kernel, program, point, output, list(result))
        relus = [name for name, value in program.values.items() if value.kind == "relu"]
        for number in range(10):
            size = len(found[0])
            odd = [1, -1, -(1 << 22), (1 << 22) - 1]
            a = [rng.choice([*odd, rng.randint(-(1 << 22), 1 << 22), 0]) for _ in range(size)]
            if number % 2:  # one entry alone: nothing is lost to the scale of the others
                a = [0] * size
                a[rng.randrange(size)] = rng.choice(odd)
            slopes = {
                name: {
                    i: rng.choice([0, 128, rng.randrange(129)])
                    for i in range(program.values[name].size)
                    if rng.random() < 0.6
                }
                for name in relus
            }
            job = kernel.backward.Job(
                {output: dict(enumerate(a))}, rng.randrange(-9, 9), (rng.randrange(-9, 9), 3), slopes
            )
            bound = kernel.backward.propagate(program, bounds, job)
            for result in found:
                left = _dot(fractions(a, job.exponent), result) + 8 * job.constant[0]
                assert fractions(bound[:1], bound[1])[0] <= left


def _replayed(kernel, program, point, output: str, result: list[Fraction]) -> None:
    """Without rounding, the enclosure of the values at a point is the point that they are, or barely wider."""
    found = {}
    for name, numbers in point.items():
        exponent = -max(number.denominator.bit_length() - 1 for number in numbers)
        integers = [int(number * Fraction(2) ** -exponent) for number in numbers]
        found[name] = kernel.arithmetic.Interval(integers, integers, exponent)
    inexact = False
    for name, value in program.values.items():
        if name not in found:
            found[name] = kernel.program.enclose_value(value, found, shortened=False)
            inexact = inexact or any(matrix.inexact for _, matrix in value.terms)
    bounds = found[output]
    low, high = fractions(bounds.lower, bounds.exponent), fractions(bounds.upper, bounds.exponent)
    if inexact:
        reach = sum(abs(v) for b in found.values() for v in fractions([*b.lower, *b.upper], b.exponent))
        assert all(a <= v <= b for a, v, b in zip(low, result, high, strict=True))
        assert all(b - a <= reach * Fraction(1, 1 << 50) for a, b in zip(low, high, strict=True))
    else:
        assert low == high == result


# whole proofs


def prover(kernel, rng: random.Random, graph: Graph, *kinds: str) -> Prover:
    program = kernel.api.read_program(*to_bytes(graph))
    sizes = {name: value.size for name, value in program.values.items()}
    relus = [name for name, value in program.values.items() if value.kind == "relu"]
    return Prover(rng, sizes, program.inputs, relus, *([kinds] if kinds else []))


def false_claims_are_rejected(kernel, families=tuple(FAMILIES), seeds=range(8), proofs: int = 4) -> None:
    """A bound that some point attains is never proved, by any steps."""
    for family in families:
        for seed in seeds:
            rng = random.Random(f"false {family} {seed}")
            graph = random_graph(rng, family, every_op=rng.random() < 0.5)
            start = random_claim(rng, graph, Fraction(0))
            found = [exact.values(graph, point) for point in exact.points(rng, start, 16)]
            reached = max(min(row) for values in found for row in exact.excess(start, values))
            for bound in (reached, reached - abs(reached) / 4 - Fraction(1, 1 << 20)):
                if len(str(bound)) > 380:
                    continue
                claim = again(graph, start, bound)
                assert any(exact.is_bad(claim, values) for values in found)
                for _ in range(proofs):
                    rejected(kernel, graph, claim, prover(kernel, rng, graph).write(claim), "")


def again(graph: Graph, claim: Claim, bound: Fraction) -> Claim:
    """The claim with another bound of all its inequalities."""
    bad = [[Inequality(row.terms, bound, row.strict) for row in rows] for rows in claim.bad]
    return box(graph, {name: (claim.lower[name], claim.upper[name]) for name in claim.lower}, bad)


def margins_are_proved(kernel, families=tuple(FAMILIES), seeds=range(6), proofs: int = 3) -> None:
    """No point of the region is closer to the bad set than the margin of an accepted proof; many are accepted."""
    count = 0
    for family in families:
        for seed in seeds:
            rng = random.Random(f"margin {family} {seed}")
            graph = random_graph(rng, family, every_op=rng.random() < 0.5)
            start = random_claim(rng, graph, Fraction(0))
            start = box(
                graph,
                {name: (start.lower[name], start.upper[name]) for name in start.lower},
                [rows[:1] for rows in start.bad],
            )
            found = [exact.values(graph, point) for point in exact.points(rng, start, 16)]
            reached = max(g for values in found for row in exact.excess(start, values) for g in row)
            for gap in (1, 1 + abs(reached) // 4, 1000 * (1 + abs(reached) // 1)):
                claim = again(graph, start, Fraction(reached // 1 + gap))
                for _ in range(proofs):
                    certificate = prover(kernel, rng, graph, "split", "lemma", "tree", "close").write(claim)
                    try:
                        margin = kernel.api.check(*files(graph, claim, certificate)).margin
                    except kernel.errors.Rejected:
                        continue
                    count += 1
                    assert margin <= min(-g for values in found for row in exact.excess(claim, values) for g in row)
    assert count > len(families) * len(seeds) * proofs // 2


def accepted(kernel, graph: Graph, claim: Claim, certificate: bytes):
    """What the kernel says of a certificate that it must accept."""
    try:
        return kernel.api.check(*files(graph, claim, certificate))
    except (kernel.errors.Rejected, kernel.errors.Malformed) as refusal:
        raise AssertionError(f"refused: {refusal}") from None


def rejected(kernel, graph: Graph, claim: Claim, certificate: bytes, reason: str) -> None:
    """The kernel refuses the certificate, for this reason."""
    refuses(kernel, lambda: kernel.api.check(*files(graph, claim, certificate)), reason)


def refuses(kernel, call: Callable[[], object], reason: str) -> None:
    """The call raises Malformed or Rejected with this reason, in one short printable line."""
    try:
        result = call()
    except (kernel.errors.Malformed, kernel.errors.Rejected) as refusal:
        found = str(refusal)
    else:
        raise AssertionError(f"not refused: expected {reason!r}, found {result}")
    assert reason in found, f"expected {reason!r}, found {found[:300]!r}"
    assert found.isprintable(), f"not one printable line: {found[:300]!r}"
    assert len(found) < 500, f"too long: {found[:300]!r}"


def affine(weight, bias, *after: str) -> Graph:
    """x -> W x + b, and then these ops."""
    builder = GraphBuilder()
    W, b = np.array(weight, "float32"), np.array(bias, "float32")
    value = builder.node(
        "linear",
        builder.input("x", Type((W.shape[1],), "float32")),
        builder.parameter(W),
        builder.parameter(b),
        name="y",
    )
    for op in after:
        value = builder.node(op, value)
    return builder.build(value)


def above(graph: Graph, index: int, bound, strict: bool = False) -> Inequality:
    return Inequality(((graph.outputs[0], index, Fraction(1)),), Fraction(bound), strict)


def simple_proof(graph: Graph, claim: Claim, *multipliers: list[str]) -> bytes:
    close = {"rule": "close", "multipliers": list(multipliers), "slopes": {}, "cuts": []}
    return proof(claim.digest, [{"rule": "interval", "nodes": [node.name for node in graph.nodes]}, close])


SUM = affine([[1, 2], [1, -1]], [0.25, 0])  # y0 = x0 + 2 x1 + 1/4, y1 = x0 - x1
UNIT = {"x": ([0, 0], [1, 1])}


def margins_are_exact(kernel) -> None:
    """Where nothing is rounded, the margin is the distance that can be worked out by hand."""
    relu = affine([[1, 1]], [0], "relu")
    wide = {"x": ([-1, -1], [1, 3])}  # its input is in [-2, 4]: chord 4/6, default slope 1

    def row(*coefficients: tuple[str, int, int], bound) -> Inequality:
        return Inequality(tuple((name, i, Fraction(c)) for name, i, c in coefficients), Fraction(bound))

    scale = 1 << 22
    for graph, ranges, rows, multipliers, margin, tolerance in (
        (SUM, UNIT, [[above(SUM, 0, 4)]], [["1"]], Fraction(3, 4), 0),
        (SUM, UNIT, [[above(SUM, 0, 4)], [above(SUM, 1, 2)]], [["1"], ["1"]], Fraction(3, 4), 0),
        (SUM, UNIT, [[above(SUM, 1, 2)], [above(SUM, 0, 4)]], [["1"], ["1"]], Fraction(3, 4), 0),
        (SUM, UNIT, [[above(SUM, 0, 3), above(SUM, 1, 1)]], [["1/2", "1/2"]], Fraction(3, 8), 0),
        (SUM, UNIT, [[row(("y", 0, 1), ("x", 0, -1), bound=3)]], [["1"]], Fraction(3, 4), 0),
        (SUM, UNIT, [[row(("y", 1, -1), bound=2)]], [["1"]], 1, 0),
        (relu, wide, [[row(("relu_0", 0, scale), bound=5 * scale)]], [["1"]], scale, 8),
        (relu, wide, [[row(("relu_0", 0, -scale), bound=3 * scale)]], [["1"]], scale, 8),
    ):
        claim = box(graph, ranges, rows)
        found = accepted(kernel, graph, claim, simple_proof(graph, claim, *multipliers)).margin
        assert margin - tolerance <= found <= margin


def strictness_matters(kernel) -> None:
    """At a bound that is attained exactly, `>` is refuted with margin 0, `>=` is not; beyond it both are."""
    top = Fraction(13, 4)
    for bound, strict, holds in (
        (top, True, True),
        (top, False, False),
        (top + Fraction(1, 1 << 10), False, True),
        (top - Fraction(1, 1 << 10), True, False),
    ):
        claim = box(SUM, UNIT, [[above(SUM, 0, bound, strict)]])
        certificate = simple_proof(SUM, claim, ["1"])
        if holds:
            assert accepted(kernel, SUM, claim, certificate).margin == bound - top
        else:
            rejected(kernel, SUM, claim, certificate, "not refuted")
    mixed = box(SUM, UNIT, [[above(SUM, 0, top), above(SUM, 1, -9, True)]])
    rejected(kernel, SUM, mixed, simple_proof(SUM, mixed, ["1", "0"]), "not refuted")


def every_disjunct_counts(kernel) -> None:
    fine, attained = above(SUM, 0, 9), above(SUM, 1, 0)
    for rows in ([[fine], [attained]], [[attained], [fine]], [[fine], [attained], [fine]]):
        claim = box(SUM, UNIT, rows)
        rejected(kernel, SUM, claim, simple_proof(SUM, claim, *[["1"]] * len(rows)), "not refuted")


def proofs_cannot_be_moved(kernel) -> None:
    """Not to another claim, and a claim not to another graph."""
    easy, hard = box(SUM, UNIT, [[above(SUM, 0, 9)]]), box(SUM, UNIT, [[above(SUM, 0, 8)]])
    rejected(kernel, SUM, hard, simple_proof(SUM, easy, ["1"]), "it is for claim")
    other = affine([[1, 2], [1, -1]], [0.5, 0])
    rejected(kernel, other, easy, simple_proof(SUM, easy, ["1"]), "it is about graph")
    flat = box(SUM, UNIT, [[above(SUM, 0, 1)]])
    rejected(kernel, SUM, flat, witness(easy.digest, [np.array([1.0, 1.0])]), "it is for claim")


def witnesses_are_replayed(kernel) -> None:
    """In the region and in the bad set, exactly: one unit in the last place decides."""
    third = affine([[1, 0]], [0])
    ranges = {"x": ([0, 0], [Fraction(1, 3), 1])}
    inside, outside = 1 / 3, np.nextafter(1 / 3, 1)
    least = Fraction(inside)
    for value, bound, strict, reason in (
        (inside, least, False, ""),
        (inside, least, True, "not in the bad set"),
        (inside, least + Fraction(1, 1 << 200), False, "not in the bad set"),
        (outside, 0, False, "x[0] is outside"),
        (-5e-324, -1, False, "x[0] is outside"),
    ):
        claim = box(third, ranges, [[above(third, 0, 9)], [above(third, 0, bound, strict)]])
        certificate = witness(claim.digest, [np.array([value, -0.0])])
        if reason:
            rejected(kernel, third, claim, certificate, reason)
        else:
            assert accepted(kernel, third, claim, certificate).verdict == "falsified"


def witness_needs_every_inequality(kernel) -> None:
    claim = box(SUM, UNIT, [[above(SUM, 0, 1), above(SUM, 1, 2)]])
    rejected(kernel, SUM, claim, witness(claim.digest, [np.array([1.0, 0.0])]), "not in the bad set")


def machine_steps(*steps: dict, graph: Graph = SUM) -> list[dict]:
    return [{"rule": "interval", "nodes": [node.name for node in graph.nodes]}, *steps]


CLOSE = {"rule": "close", "multipliers": [["1"]], "slopes": {}, "cuts": []}


def split(at: str, name: str = "x", index: int = 0) -> dict:
    return {"rule": "split", "node": name, "index": index, "at": at}


ONE = affine([[1]], [0])  # y = x
SYMMETRIC = {"x": ([-1], [1])}
THIRD = Fraction(1, 3)


def both_halves_are_proved(kernel) -> None:
    """A split at 1/3, which is no binary fraction: each half has its own table, and both need a proof."""
    for row, reason in (
        (above(ONE, 0, Fraction(9, 10)), "step 3 (close)"),
        (Inequality((("y", 0, Fraction(-1)),), Fraction(9, 10)), "step 2 (close)"),
    ):
        claim = box(ONE, SYMMETRIC, [[row]])
        again = {"rule": "interval", "nodes": ["y"]}
        steps = machine_steps(split("1/3"), again, CLOSE, again, CLOSE, graph=ONE)
        rejected(kernel, ONE, claim, proof(claim.digest, steps), "not refuted")
        short = machine_steps(split("1/3"), CLOSE, CLOSE, graph=ONE)
        rejected(kernel, ONE, claim, proof(claim.digest, short), reason)
    point = box(ONE, SYMMETRIC, [[above(ONE, 0, THIRD), Inequality((("y", 0, Fraction(-1)),), -THIRD)]])
    first, second = ({**CLOSE, "multipliers": [weights]} for weights in (["1", "0"], ["0", "1"]))
    rejected(kernel, ONE, point, proof(point.digest, machine_steps(split("1/3"), first, second, graph=ONE)), "step 2")
    true = box(ONE, SYMMETRIC, [[above(ONE, 0, Fraction(11, 10))]])
    accepted(kernel, ONE, true, proof(true.digest, machine_steps(split("1/3"), CLOSE, CLOSE, graph=ONE)))
    rejected(kernel, ONE, true, proof(true.digest, machine_steps(split("1/3"), CLOSE, graph=ONE)), "open goals")


def cuts_hold(kernel) -> None:
    """|x| = relu(x) + relu(-x) >= 1/2 x + 1/4 (1 - x)... by phases: a split neuron's sign is used by its multiplier."""
    graph = affine([[1, 1]], [0], "relu")
    ranges = {"x": ([-1, -1], [1, 1])}
    row = Inequality((("relu_0", 0, Fraction(-1)), ("x", 0, Fraction(1)), ("x", 1, Fraction(1))), Fraction(1, 4))
    claim = box(graph, ranges, [[row]])
    close = {"rule": "close", "multipliers": [["1", "1"]], "slopes": {}, "cuts": [0]}
    steps = machine_steps(split("0", "y"), close, {**close, "multipliers": [["1", "0"]]}, graph=graph)
    accepted(kernel, graph, claim, proof(claim.digest, steps))
    false = box(graph, ranges, [[Inequality(row.terms, Fraction(0))]])
    rejected(kernel, graph, false, proof(false.digest, steps), "not refuted")


def every_case_is_proved(kernel) -> None:
    fine, attained = above(SUM, 0, 9), above(SUM, 1, 0)
    for rows in ([[fine], [attained]], [[attained], [fine]]):
        claim = box(SUM, UNIT, rows)
        steps = machine_steps({"rule": "cases"}, CLOSE, CLOSE)
        rejected(kernel, SUM, claim, proof(claim.digest, steps), "not refuted")
        rejected(
            kernel, SUM, claim, proof(claim.digest, steps[:-1]), "not refuted" if rows[0] == [attained] else "open"
        )
    with_cut = {**CLOSE, "multipliers": [["1", "8"]], "cuts": [0]}
    claim = box(SUM, UNIT, [[fine], [attained]])
    rejected(kernel, SUM, claim, proof(claim.digest, machine_steps({"rule": "cases"}, CLOSE, with_cut)), "not refuted")


def lemmas_are_proved(kernel) -> None:
    """A lemma that some point contradicts is not accepted; one that holds tightens the table, on its own side."""
    for side, at in (("upper", "1/2"), ("lower", "-1/2"), ("upper", "-2"), ("lower", "2")):
        lemma = {"rule": "lemma", "node": "x", "index": 0, "side": side, "at": at}
        for sign in (1, -1):
            claim = box(ONE, SYMMETRIC, [[Inequality((("y", 0, Fraction(sign)),), Fraction(3, 4))]])
            steps = machine_steps(lemma, CLOSE, {"rule": "interval", "nodes": ["y"]}, CLOSE, graph=ONE)
            rejected(kernel, ONE, claim, proof(claim.digest, steps), "not refuted")
            rejected(
                kernel, ONE, claim, proof(claim.digest, machine_steps(lemma, *steps[2:], graph=ONE)), "not refuted"
            )
    lemma = {"rule": "lemma", "node": "y", "index": 0, "side": "upper", "at": "5/4"}
    claim = box(ONE, SYMMETRIC, [[above(ONE, 0, 1)]])
    inner = [split("0"), {"rule": "interval", "nodes": ["y"]}, CLOSE, {"rule": "interval", "nodes": ["y"]}, CLOSE]
    rejected(kernel, ONE, claim, proof(claim.digest, machine_steps(lemma, *inner, CLOSE, graph=ONE)), "not refuted")
    own = [
        {"rule": "cases"},
        {"rule": "bound", "node": "x", "lower": [], "upper": [0], "slopes": {}, "cuts": [0], "multipliers": [["8"]]},
    ]
    rejected(
        kernel, ONE, claim, proof(claim.digest, machine_steps(lemma, *own, CLOSE, CLOSE, graph=ONE)), "not refuted"
    )
    true = box(ONE, SYMMETRIC, [[above(ONE, 0, Fraction(11, 10))]])
    accepted(kernel, ONE, true, proof(true.digest, machine_steps(lemma, CLOSE, CLOSE, graph=ONE)))


def tree(nodes: int, *entries: list, weighted: int = 0) -> dict:
    return {"rule": "tree", "nodes": nodes, "entries": list(entries), "steps": [], "slopes": {}, "weighted": weighted}


def tree_walk(read, phases: Sequence[bool]) -> list[list[tuple[int, bool]]]:
    """Of each leaf the phase splits (entry, whether above) on its path, by recursion."""
    nodes = iter(read.nodes)

    def below(path: list[tuple[int, bool]]) -> list[list[tuple[int, bool]]]:
        entry = next(nodes)
        if entry < 0:
            return [path]
        return [leaf for side in (False, True) for leaf in below([*path, (entry, side)] if phases[entry] else path)]

    return below([])


def every_leaf_is_refuted(kernel) -> None:
    """A tree of two splits of x, three leaves: each is needed, and has its own part of the range."""
    for row in (
        above(ONE, 0, Fraction(9, 10)),
        Inequality((("y", 0, Fraction(-1)),), Fraction(9, 10)),
        Inequality((("y", 0, Fraction(-1)), ("x", 0, Fraction(3))), Fraction(9, 10)),
    ):
        claim = box(ONE, SYMMETRIC, [[row]])
        for bits, numbers in ((0b00011, b"\0\0"), (0b00101, b"\0\0")):
            steps = machine_steps(tree(5, ["x", 0]), graph=ONE)
            rejected(kernel, ONE, claim, proof(claim.digest, steps, bytes([bits]) + numbers), "not refuted")
    graph = affine([[1], [-1]], [0, 0], "relu")  # |x| <= 1 needs the phases of both neurons
    absolute = Inequality((("relu_0", 0, Fraction(1)), ("relu_0", 1, Fraction(1))), Fraction(9, 8))
    claim = box(graph, SYMMETRIC, [[absolute]])
    steps = machine_steps(tree(3, ["x", 0]), graph=graph)
    steps[1]["steps"] = [steps[0]]
    accepted(kernel, graph, claim, proof(claim.digest, steps, b"\1\0"))


def trees_are_trees(kernel) -> None:
    """Bits that leave a part of the region without a leaf are none of a tree."""
    claim = box(ONE, SYMMETRIC, [[above(ONE, 0, 9)]])
    for bits in (0b00110, 0b01100, 0b10001, 0b01001, 0b01010, 0b11000, 0b00001, 0b00111):
        steps = machine_steps(tree(5, ["x", 0]), graph=ONE)
        rejected(
            kernel,
            ONE,
            claim,
            proof(claim.digest, steps, bytes([bits, *[0] * bits.bit_count()])),
            "not those of a tree",
        )


def phases_are_cut(kernel) -> None:
    """In a tree, the multiplier of a phase split is for its neuron, and for the sign that the leaf has."""
    graph = affine([[1, 1], [1, -1]], [0, 0], "relu")
    ranges = {"x": ([-1, -1], [1, 1])}
    terms = (("relu_0", 0, Fraction(-1)), ("x", 0, Fraction(1)), ("x", 1, Fraction(1)))
    opposite = tuple((name, index, -coefficient) for name, index, coefficient in terms)
    for chosen, bound, weights, holds in (
        (terms, Fraction(1, 4), (1, 1, 1, 0), True),
        (terms, Fraction(0), (1, 1, 1, 0), False),
        (opposite, Fraction(1, 2), (1, 0, 1, 1), False),
    ):
        words = b"".join((512 + (33 << 10)).to_bytes(2, "little") if one else bytes(2) for one in weights)
        claim = box(graph, ranges, [[Inequality(chosen, bound)]])
        steps = machine_steps(tree(3, ["y", 0], weighted=1), graph=graph)
        certificate = proof(claim.digest, steps, b"\1\0" + words)
        if holds:
            accepted(kernel, graph, claim, certificate)
        else:
            rejected(kernel, graph, claim, certificate, "not refuted")


def trees_mean_their_steps(kernel) -> None:
    """A tree has the margin of the splits, interval and rebound steps and closes that it stands for."""
    for seed in range(120):
        rng = random.Random(f"tree {seed}")
        graph = random_graph(rng, rng.choice(["normal", "eighths"]))
        bad = [
            [Inequality(random_terms(rng, graph), Fraction(10**5)) for _ in range(rng.randrange(1, 3))]
            for _ in range(rng.randrange(1, 4))
        ]
        claim = box(graph, random_box(rng, graph), bad)
        program = kernel.api.read_program(*to_bytes(graph))
        writer = prover(kernel, rng, graph, "tree")
        interval = {"rule": "interval", "nodes": [name for name in writer.values if name not in writer.inputs]}
        again = [
            {"rule": "rebound", "node": name} for name in rng.sample(interval["nodes"], min(2, len(interval["nodes"])))
        ]
        stale = {"rule": "interval", "nodes": interval["nodes"][::-1]}  # users first: what a node knows, its halves use
        inner = rng.choice([[], [], [interval], [stale], again, [interval, *again, interval]])
        halved = [(name, rng.randrange(writer.values[name])) for name in rng.choices(program.inputs, k=2)]
        entries = [writer.entry(), writer.entry(), *halved] * rng.choice([1, 1, 64, 70])  # up to 256 have a byte each
        listing, weighted, disjuncts = writer.listing(), rng.random() < 0.7, [len(rows) for rows in bad]
        count = sum(map(len, listing.values()))

        def leaf(phases: int, rng=rng, disjuncts=disjuncts, count=count, writer=writer) -> Leaf:
            return Leaf(
                [
                    [WHOLE] * rows + [rng.choice([0, rng.randrange(20 << 10, 34 << 10)]) for _ in range(phases)]
                    for rows in disjuncts
                ],
                [[writer.slope() for _ in range(count)] for _ in disjuncts],
            )

        root = grown(rng, rng.randrange(6), entries, writer.inputs, leaf)
        boxes = {name: kernel.arithmetic.enclose(claim.lower[name], claim.upper[name]) for name in program.inputs}
        ends = {(n, i): pair for n, b in boxes.items() for i, pair in enumerate(zip(b.lower, b.upper, strict=True))}
        units = {name: bounds.exponent for name, bounds in boxes.items()}
        step, payload = written(root, entries, inner, listing, weighted)
        first = accepted(kernel, graph, claim, proof(claim.digest, [interval, step], payload))
        steps, payload = expanded(root, entries, inner, listing, weighted, disjuncts, ends, units)
        second = accepted(kernel, graph, claim, proof(claim.digest, [interval, *steps], payload))
        assert first.margin == second.margin, seed


def tables_are_inherited(kernel) -> None:
    """In a tree with steps at its nodes, a half starts from its parent's table, never from that of the other half."""
    graph = affine([[1], [-1]], [0, 0], "relu")
    interval = machine_steps(graph=graph)[0]
    for index, other in ((0, 1), (1, 0)):
        positive = Inequality((("relu_0", index, Fraction(1)),), Fraction(1, 2))
        claim = box(graph, SYMMETRIC, [[positive]])
        for bits, numbers in ((1, [0]), (1, [1]), (3, [0, 0]), (5, [0, 0]), (3, [1, 0]), (5, [0, 1]), (19, [0, 1, 1])):
            step = tree(2 * len(numbers) + 1, ["x", 0], ["y", other])
            step["steps"] = [interval, {"rule": "rebound", "node": "y"}, interval]
            certificate = proof(claim.digest, [interval, step], bytes([bits, *numbers]))
            rejected(kernel, graph, claim, certificate, "not refuted")
        both = Inequality((("relu_0", 0, Fraction(1)), ("relu_0", 1, Fraction(1))), Fraction(9, 8))
        claim = box(graph, SYMMETRIC, [[both]])
        certificate = proof(claim.digest, [interval, step], bytes([bits, *numbers]))
        accepted(kernel, graph, claim, certificate)


def paths_are_revised(kernel) -> None:
    """Tightened ends and phases are those of the intersection, worked out from nothing."""
    rng = random.Random(8)
    for _ in range(200):
        lower, upper = _bounds(rng, 3)
        bounds = kernel.backward.Bounds({"z": kernel.arithmetic.Interval(lower, upper, 0)})
        path = [
            ("z", rng.randrange(3), rng.random() < 0.5, rng.choice([0, 0, rng.randint(-99, 99)]))
            for _ in range(rng.randrange(1, 4))
        ]
        found = bounds.along(path)
        for _, index, above_, end in path:
            if above_:
                upper[index] = min(upper[index], end)
            else:
                lower[index] = max(lower[index], end)
        assert (list(found["z"].lower), list(found["z"].upper)) == (lower, upper)
        phases, fresh = (
            found["z"].phases,
            kernel.arithmetic.Interval(found["z"].lower, found["z"].upper, 0).phases,
        )
        assert sorted(phases.active) == list(fresh.active)
        assert sorted(phases.unstable, key=lambda neuron: neuron.number) == list(fresh.unstable)
        assert fresh.active == [i for i in range(3) if lower[i] >= 0]
        assert [neuron.number for neuron in fresh.unstable] == [i for i in range(3) if lower[i] < 0 < upper[i]]


def inexact_maps_are_charged(kernel) -> None:
    """A coefficient known to one unit only, at either end of that unit and anywhere in between."""
    rng = random.Random(9)
    for _ in range(60):
        entries = [[(k, rng.randint(-9, 9)) for k in rng.sample(range(3), rng.randrange(1, 4))] for _ in range(2)]
        matrix = kernel.program.Sparse(entries, 3, -2, inexact=True)
        value = kernel.program.Value("y", 2, "affine", [("x", matrix)])
        source = kernel.program.Value("x", 3, "input")
        program = kernel.program.Program("", {"x": source, "y": value}, ("x",), ("y",))
        lower = [rng.randint(-9, 9) for _ in range(3)]
        upper = [low + rng.randrange(5) for low in lower]
        bounds = kernel.backward.Bounds({"x": kernel.arithmetic.Interval(lower, upper, 0)})
        bounds["y"] = kernel.program.enclose_value(value, bounds)
        row = [rng.randint(-9, 9) for _ in range(2)]
        job = kernel.backward.Job({"y": dict(enumerate(row))}, 0, (0, 0), {})
        bound = kernel.backward.propagate(program, bounds, job)
        ends = [fractions(end, bounds["y"].exponent) for end in (bounds["y"].lower, bounds["y"].upper)]
        for point in _within(rng, lower, upper, 3):
            for extra in (0, 1, Fraction(1, 3)):
                result = [sum((c + extra) * point[k] for k, c in pairs) / 4 for pairs in entries]
                assert all(a <= v <= b for a, v, b in zip(ends[0], result, ends[1], strict=True))
                assert fractions(bound[:1], bound[1])[0] <= _dot(row, result)


def witnesses_are_certain(kernel) -> None:
    """Where a coefficient is irrational, a point that is bad only for some of its values is no witness."""
    builder = GraphBuilder()
    x = builder.input("x", Type((1, 3, 3), "float32"))
    window = {"kernel": (3, 3), "stride": (1, 1), "padding": (0, 0, 0, 0)}
    graph = builder.build(builder.node("avg_pool2d", x, **window, count_include_pad=1))
    (output,) = graph.outputs
    for sign in (1, -1):
        terms = ((output, 0, Fraction(sign)),)
        for gap, holds in ((Fraction(0), False), (Fraction(-1, 1 << 40), True), (Fraction(1, 1 << 40), False)):
            claim = box(graph, {"x": ([0] * 9, [1] * 9)}, [[Inequality(terms, Fraction(sign, 9) + gap)]])
            certificate = witness(claim.digest, [np.array([1.0] + [0.0] * 8)])
            if holds:
                assert accepted(kernel, graph, claim, certificate).verdict == "falsified"
            else:
                rejected(kernel, graph, claim, certificate, "not in the bad set")


LAWS = {
    law.__name__: law
    for law in (
        decode_is_exact,
        packed_is_exact,
        rounding_is_outward,
        shortening_is_charged,
        constants_are_floored,
        least_and_floor_are_exact,
        false_claims_are_rejected,
        margins_are_proved,
        margins_are_exact,
        strictness_matters,
        every_disjunct_counts,
        proofs_cannot_be_moved,
        witnesses_are_replayed,
        witness_needs_every_inequality,
        witnesses_are_certain,
        both_halves_are_proved,
        cuts_hold,
        every_case_is_proved,
        lemmas_are_proved,
        every_leaf_is_refuted,
        trees_are_trees,
        phases_are_cut,
        trees_mean_their_steps,
        tables_are_inherited,
        paths_are_revised,
        inexact_maps_are_charged,
        pointless_ops_are_refused,
        windows_hold_something_and_are_not_too_many,
    )
}
