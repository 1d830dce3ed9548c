"""Shape rules, and the lowering of affine ops. Entries of a value are numbered in row-major order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import product

from tlverify.certify.kernel.arithmetic import Vector
from tlverify.certify.kernel.errors import Malformed
from tlverify.certify.kernel.lowering import Lowering, Node, Shape, diagonal, gather, scaled
from tlverify.certify.kernel.program import Dense, Sparse
from tlverify.certify.kernel.reader import rational

BATCH_NORM_ROUNDINGS = 10  # of an execution: sum, root (4 for an approximate reciprocal), quotient, products, sums
ROOT_BITS = 60  # fraction bits of a coefficient that is not a binary fraction: 1/9, 1/sqrt(variance)


def binary(node: Node, key: str) -> tuple[int, int]:
    """An attribute that is a binary fraction, as integer and exponent."""
    value = rational(node.attributes[key], f"node {node.name!r}: {key}")
    if value.denominator & (value.denominator - 1):
        raise Malformed(f"node {node.name!r}: {key} {value} is not a binary fraction")
    return value.numerator, 1 - value.denominator.bit_length()


def indices(shape: Shape) -> list[int]:
    """Row-major strides of a shape."""
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    return strides


def _constant(node: Node, position: int, context: Lowering) -> Vector:
    """An input that must be a parameter of the graph."""
    vector = context.parameters.get(node.inputs[position])
    if vector is None:
        raise Malformed(f"node {node.name!r}: input {position} of {node.op} must be a parameter")
    return vector


def same_shape(node: Node, sources: list[Node]) -> Shape | None:
    return sources[0].shape if all(source.shape == sources[0].shape for source in sources) else None


# elementwise


def add(node: Node, context: Lowering) -> None:
    a, b = map(context.source, node.inputs)
    context.affine(node.name, [(a, scaled(node.size)), (b, scaled(node.size))], products=0)


def sub(node: Node, context: Lowering) -> None:
    a, b = map(context.source, node.inputs)
    context.affine(node.name, [(a, scaled(node.size)), (b, scaled(node.size, -1))], products=0)


def neg(node: Node, context: Lowering) -> None:
    context.affine(node.name, [(context.source(node.inputs[0]), scaled(node.size, -1))])


def scale(node: Node, context: Lowering) -> None:
    matrix = scaled(node.size, *binary(node, "factor"))
    context.affine(node.name, [(context.source(node.inputs[0]), matrix)], products=0)


def mul_shape(node: Node, sources: list[Node]) -> Shape | None:
    constants = [source for source in sources if source.op == "parameter"]
    return same_shape(node, sources) if constants else None


def mul(node: Node, context: Lowering) -> None:
    constant = 0 if node.inputs[0] in context.parameters else 1
    other = context.source(node.inputs[1 - constant])
    context.affine(node.name, [(other, diagonal(_constant(node, constant, context)))], products=0)


def batch_norm_shape(node: Node, sources: list[Node]) -> Shape | None:
    x, *statistics = sources
    axis = node.attributes["axis"]
    if not 0 <= axis < len(x.shape) or any(s.op != "parameter" for s in statistics):
        return None
    return x.shape if all(s.shape == (x.shape[axis],) for s in statistics) else None


def batch_norm(node: Node, context: Lowering) -> None:
    """scale (x - mean) / sqrt(variance + epsilon) + bias: the root is enclosed between two 2^-ROOT_BITS steps.

    Executions work out the coefficient and the offset in many ways, each with fewer roundings than BATCH_NORM_ROUNDINGS
    relative to |c| (|x| + |mean|) + |bias|: that much is granted to both parts.
    """
    mean, variance, factor, bias = (_constant(node, k, context) for k in (1, 2, 3, 4))
    axis, shape = node.attributes["axis"], node.shape
    inner = math.prod(shape[axis + 1 :])
    channel = [k // inner % shape[axis] for k in range(node.size)]
    epsilon = Fraction(*_fraction(binary(node, "epsilon")))
    coefficients = []
    for v, f in zip(variance.integers, factor.integers, strict=True):
        spread = v * Fraction(2) ** variance.exponent + epsilon
        if spread <= 0:
            raise Malformed(f"node {node.name!r}: variance + epsilon is not positive")
        square = (f * Fraction(2) ** factor.exponent) ** 2 / spread * 4**ROOT_BITS
        root = math.isqrt(math.floor(square))  # floor of the magnitude
        coefficients.append(root if f >= 0 else -root - 1)
    headroom = 0
    if context.contract is not None:
        headroom = _check_ranges(node, epsilon, (mean, variance, factor, bias), coefficients)
    shifted = context.part(node)
    source = context.source(node.inputs[0])
    minus = Vector([-mean.integers[c] for c in channel], mean.exponent)
    context.affine(
        shifted, [(source, scaled(node.size))], minus, products=1, more=BATCH_NORM_ROUNDINGS - 1, headroom=headroom
    )
    entries = [[(k, coefficients[c])] for k, c in enumerate(channel)]
    matrix = Sparse(entries, node.size, -ROOT_BITS, inexact=True)
    offset = Vector([bias.integers[c] for c in channel], bias.exponent)
    context.affine(node.name, [(shifted, matrix)], offset, products=1, more=BATCH_NORM_ROUNDINGS - 1)


def _check_ranges(node: Node, epsilon: Fraction, given: Sequence[Vector], coefficients: Sequence[int]) -> int:
    """No number on the way to the coefficient under- or overflows, and what underflows later is paid for: |scale| <=
    40 (1+|c|) for a product of x - mean and the root that is flushed before it is scaled. Returns the headroom of
    x - mean: it may be multiplied by the scale, the reciprocal root or the coefficient."""
    normal, large = Fraction(2) ** -100, Fraction(2) ** 100
    numbers = [abs(v) * Fraction(2) ** vector.exponent for vector in given for v in vector.integers]
    slopes = [Fraction(abs(c), 1 << ROOT_BITS) for c in coefficients]
    scales = [abs(v) * Fraction(2) ** given[2].exponent for v in given[2].integers]
    if (
        epsilon < normal
        or epsilon > large
        or any(0 < v < normal or v > large for v in numbers)
        or any(slope > large for slope in slopes)
        or any(scale > 40 * (1 + c) or (scale and not c) for scale, c in zip(scales, slopes, strict=True))
    ):
        raise Malformed(
            f"node {node.name!r}: its parameters are out of the range in which batch_norm has a float32 bound"
        )
    spreads = [v * Fraction(2) ** given[1].exponent + epsilon for v in given[1].integers]
    root = max(math.ceil(1 / spread) for spread in spreads).bit_length() + 1 >> 1  # 1 / spread < 4^root
    return max(root, math.ceil(max(*scales, *slopes)).bit_length() + 1)


def _fraction(pair: tuple[int, int]) -> tuple[int, int]:
    integer, exponent = pair
    return (integer << exponent, 1) if exponent >= 0 else (integer, 1 << -exponent)


# rearranging


def reshape_shape(node: Node, sources: list[Node]) -> Shape | None:
    shape = tuple(node.attributes["shape"])
    return shape if min(shape, default=1) >= 1 and math.prod(shape) == sources[0].size else None


def reshape(node: Node, context: Lowering) -> None:
    context.affine(node.name, [(context.source(node.inputs[0]), scaled(node.size))])


def transpose_shape(node: Node, sources: list[Node]) -> Shape | None:
    axes, shape = node.attributes["axes"], sources[0].shape
    return tuple(shape[a] for a in axes) if sorted(axes) == list(range(len(shape))) else None


def transpose(node: Node, context: Lowering) -> None:
    axes, old = node.attributes["axes"], context.nodes[node.inputs[0]]
    strides = indices(old.shape)
    _gather(node, context, [strides[a] for a in axes], 0)


def broadcast_shape(node: Node, sources: list[Node]) -> Shape | None:
    shape, old = tuple(node.attributes["shape"]), sources[0].shape
    padded = (1,) * (len(shape) - len(old)) + old
    fits = len(padded) == len(shape) and all(a in (1, b) for a, b in zip(padded, shape, strict=True))
    return shape if fits else None


def broadcast_to(node: Node, context: Lowering) -> None:
    old = context.nodes[node.inputs[0]].shape
    padded = (1,) * (len(node.shape) - len(old)) + old
    strides = [0 if size == 1 else stride for size, stride in zip(padded, indices(padded), strict=True)]
    _gather(node, context, strides, 0)


def slice_shape(node: Node, sources: list[Node]) -> Shape | None:
    shape = sources[0].shape
    starts, stops, steps = (node.attributes[key] for key in ("starts", "stops", "steps"))
    if not len(starts) == len(stops) == len(steps) == len(shape):
        return None
    if not all(0 <= a < b <= n and s >= 1 for a, b, s, n in zip(starts, stops, steps, shape, strict=True)):
        return None
    return tuple(-(-(b - a) // s) for a, b, s in zip(starts, stops, steps, strict=True))


def slice_(node: Node, context: Lowering) -> None:
    old = indices(context.nodes[node.inputs[0]].shape)
    first = sum(a * s for a, s in zip(node.attributes["starts"], old, strict=True))
    _gather(node, context, [k * s for k, s in zip(node.attributes["steps"], old, strict=True)], first)


def _gather(node: Node, context: Lowering, strides: Sequence[int], first: int) -> None:
    """Entry (i, j, ...) of the result is entry first + i * strides[0] + j * strides[1] + ... of the source."""
    places = [first]
    for size, stride in zip(node.shape, strides, strict=True):
        places = [place + k * stride for place in places for k in range(size)]
    context.affine(node.name, [(context.source(node.inputs[0]), gather(places, context.nodes[node.inputs[0]].size))])


def pad_shape(node: Node, sources: list[Node]) -> Shape | None:
    before, after, shape = node.attributes["before"], node.attributes["after"], sources[0].shape
    if not len(before) == len(after) == len(shape) or min([*before, *after], default=0) < 0:
        return None
    return tuple(a + n + b for a, n, b in zip(before, shape, after, strict=True))


def pad(node: Node, context: Lowering) -> None:
    before, old = node.attributes["before"], context.nodes[node.inputs[0]]
    strides, places = indices(old.shape), []
    for position in product(*map(range, node.shape)):
        inner = [p - b for p, b in zip(position, before, strict=True)]
        inside = all(0 <= p < n for p, n in zip(inner, old.shape, strict=True))
        places.append(sum(p * s for p, s in zip(inner, strides, strict=True)) if inside else None)
    integer, exponent = binary(node, "value")
    bias = Vector([integer if place is None else 0 for place in places], exponent)
    context.affine(node.name, [(context.source(old.name), gather(places, old.size))], bias)


def concat_shape(node: Node, sources: list[Node]) -> Shape | None:
    axis, first = node.attributes["axis"], sources[0].shape
    if not 0 <= axis < len(first) or any(len(s.shape) != len(first) for s in sources):
        return None
    rest = {s.shape[:axis] + s.shape[axis + 1 :] for s in sources}
    total = sum(s.shape[axis] for s in sources)
    return (*first[:axis], total, *first[axis + 1 :]) if len(rest) == 1 else None


def concat(node: Node, context: Lowering) -> None:
    axis = node.attributes["axis"]
    inner = math.prod(node.shape[axis + 1 :])
    terms: list[tuple[str, Sparse]] = []
    offset = 0
    for name in node.inputs:
        old = context.nodes[name]
        width = old.shape[axis]
        places: list[int | None] = [None] * node.size
        for k in range(old.size):
            outer, within = divmod(k, width * inner)
            places[outer * node.shape[axis] * inner + offset * inner + within] = k
        terms.append((context.source(name), gather(places, old.size)))
        offset += width
    context.affine(node.name, [*terms])


# sums of products


def reduce_shape(node: Node, sources: list[Node]) -> Shape | None:
    axes, keep, shape = node.attributes["axes"], node.attributes["keepdims"], sources[0].shape
    if keep not in (0, 1) or sorted(set(axes)) != axes or any(not 0 <= a < len(shape) for a in axes):
        return None
    return tuple(1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes)


def groups(node: Node, context: Lowering) -> list[list[int]]:
    """For each entry of a reduction over axes, the entries of the source that it reduces."""
    axes, shape = node.attributes["axes"], context.nodes[node.inputs[0]].shape
    strides = indices(shape)
    kept = [i for i in range(len(shape)) if i not in axes]
    inside = [
        sum(p * strides[a] for p, a in zip(q, axes, strict=True)) for q in product(*(range(shape[a]) for a in axes))
    ]
    result = []
    for position in product(*(range(shape[i]) for i in kept)):
        base = sum(p * strides[i] for p, i in zip(position, kept, strict=True))
        result.append([base + k for k in inside])
    return result


def sum_(node: Node, context: Lowering) -> None:
    entries = [[(k, 1) for k in group] for group in groups(node, context)]
    matrix = Sparse(entries, context.nodes[node.inputs[0]].size)
    context.affine(node.name, [(context.source(node.inputs[0]), matrix)], products=len(entries[0]))


def linear_shape(node: Node, sources: list[Node]) -> Shape | None:
    x, weight, bias = sources
    fits = len(weight.shape) == 2 and bias.shape == weight.shape[:1] and x.shape[-1:] == weight.shape[1:]
    return (*x.shape[:-1], weight.shape[0]) if fits else None


def linear(node: Node, context: Lowering) -> None:
    weight, bias = _constant(node, 1, context), _constant(node, 2, context)
    columns = context.nodes[node.inputs[1]].shape[1]
    blocks = math.prod(node.shape[:-1])
    repeated = Vector([*bias.integers] * blocks, bias.exponent)
    matrix = _dense(weight, columns, blocks)
    context.affine(node.name, [(context.source(node.inputs[0]), matrix)], repeated, products=columns)


def _dense(weight: Vector, columns: int, blocks: int) -> Dense:
    rows = [weight.integers[k : k + columns] for k in range(0, len(weight.integers), columns)]
    return Dense(rows, weight.exponent, blocks)


def matmul_shape(node: Node, sources: list[Node]) -> Shape | None:
    left, right = (source.shape for source in sources)
    if len(left) != len(right) or len(left) < 2 or left[:-2] != right[:-2] or left[-1] != right[-2]:
        return None
    return (*left[:-1], right[-1]) if any(source.op == "parameter" for source in sources) else None


def matmul(node: Node, context: Lowering) -> None:
    """One operand is a parameter: a matrix for each place of the leading axes."""
    right = node.inputs[1] in context.parameters
    weight = _constant(node, 1 if right else 0, context)
    other = context.nodes[node.inputs[0 if right else 1]]
    (m, n), k = node.shape[-2:], context.nodes[node.inputs[0]].shape[-1]
    context.expect(node.name, node.size * k)
    entries = []
    for batch, i, j in product(range(math.prod(node.shape[:-2])), range(m), range(n)):
        if right:
            pairs = [((batch * m + i) * k + t, weight.integers[(batch * k + t) * n + j]) for t in range(k)]
        else:
            pairs = [((batch * k + t) * n + j, weight.integers[(batch * m + i) * k + t]) for t in range(k)]
        entries.append(pairs)
    matrix = Sparse(entries, other.size, weight.exponent)
    context.affine(node.name, [(context.source(other.name), matrix)], products=k)


# windows of images (..., C, H, W)


def window(node: Node, old: Shape, kernel: Sequence[int]) -> list[list[int | None]]:
    """For each place (y, x) of the result, the places of an (H, W) plane under the kernel, None in the padding."""
    height, width = old[-2:]
    (down, right), (top, left, _, _) = node.attributes["stride"], node.attributes["padding"]
    grow = node.attributes.get("dilation", [1, 1])
    result: list[list[int | None]] = []
    for y, x in product(range(node.shape[-2]), range(node.shape[-1])):
        places: list[int | None] = []
        for i, j in product(range(kernel[0]), range(kernel[1])):
            row, column = y * down - top + i * grow[0], x * right - left + j * grow[1]
            inside = 0 <= row < height and 0 <= column < width
            places.append(row * width + column if inside else None)
        result.append(places)
    return result


def _window_shape(node: Node, old: Shape, kernel: Sequence[int]) -> tuple[int, int] | None:
    stride, padding = node.attributes["stride"], node.attributes["padding"]
    grow = node.attributes.get("dilation", [1, 1])
    if not len(kernel) == len(stride) == len(grow) == 2 or len(padding) != 4 or len(old) < 2:
        return None
    if min([*kernel, *stride, *grow]) < 1 or min(padding) < 0:
        return None
    sizes = [
        (old[-2 + d] + padding[d] + padding[d + 2] - grow[d] * (kernel[d] - 1) - 1) // stride[d] + 1 for d in (0, 1)
    ]
    return (sizes[0], sizes[1]) if min(sizes) >= 1 else None


def conv2d_shape(node: Node, sources: list[Node]) -> Shape | None:
    x, weight, bias = sources
    count = node.attributes["groups"]
    if len(weight.shape) != 4 or len(x.shape) < 3 or count < 1 or weight.shape[0] % count:
        return None
    if weight.shape[1] * count != x.shape[-3] or bias.shape != weight.shape[:1]:
        return None
    plane = _window_shape(node, x.shape, weight.shape[2:])
    return None if plane is None else (*x.shape[:-3], weight.shape[0], *plane)


def conv2d(node: Node, context: Lowering) -> None:
    old = context.nodes[node.inputs[0]]
    weight, bias = _constant(node, 1, context), _constant(node, 2, context)
    out, own, *kernel = context.nodes[node.inputs[1]].shape
    area, plane, channels = math.prod(kernel), math.prod(old.shape[-2:]), old.shape[-3]
    context.expect(node.name, node.size * own * area)
    places = window(node, old.shape, kernel)
    entries = []
    for image, o in product(range(math.prod(old.shape[:-3])), range(out)):
        first = image * channels + o // (out // node.attributes["groups"]) * own
        for spots in places:
            pairs = []
            for c, (t, spot) in product(range(own), enumerate(spots)):
                w = weight.integers[(o * own + c) * area + t]
                if spot is not None and w:
                    pairs.append(((first + c) * plane + spot, w))
            entries.append(pairs)
    inner = len(places)
    repeated = [b for b in bias.integers for _ in range(inner)] * math.prod(old.shape[:-3])
    matrix = Sparse(entries, old.size, weight.exponent)
    terms, offset = [(context.source(old.name), matrix)], Vector(repeated, bias.exponent)
    context.affine(node.name, [*terms], offset, products=own * area)


def pool_shape(node: Node, sources: list[Node]) -> Shape | None:
    old, kernel, padding = sources[0].shape, node.attributes["kernel"], node.attributes["padding"]
    plane = _window_shape(node, old, kernel)
    grow = node.attributes.get("dilation", [1, 1])
    if plane is None or any(padding[d] > grow[d % 2] * (kernel[d % 2] - 1) for d in range(4)):
        return None
    return (*old[:-2], *plane)


def pooled(node: Node, context: Lowering) -> list[list[int]]:
    """For each entry of a pooling, the entries of the source in its window."""
    old = context.nodes[node.inputs[0]]
    context.expect(node.name, node.size * math.prod(node.attributes["kernel"]))
    plane = math.prod(old.shape[-2:])
    places = window(node, old.shape, node.attributes["kernel"])
    windows = [[spot for spot in spots if spot is not None] for spots in places]
    if not all(windows):
        raise Malformed(f"node {node.name!r}: a window lies in the padding")
    return [[image * plane + spot for spot in spots] for image in range(old.size // plane) for spots in windows]


def avg_pool2d(node: Node, context: Lowering) -> None:
    """Means over windows; the divisor counts the padding if count_include_pad.

    A sum that is not divided yet is below |x|_1, which keeps it from overflowing.
    """
    area = math.prod(node.attributes["kernel"])
    unit, entries, divisors = 1 << ROOT_BITS, [], []
    if node.attributes["count_include_pad"] not in (0, 1):
        raise Malformed(f"node {node.name!r}: count_include_pad is 0 or 1")
    for spots in pooled(node, context):
        divisors.append(area if node.attributes["count_include_pad"] else len(spots))
        entries.append([(spot, unit // divisors[-1]) for spot in spots])
    old = context.nodes[node.inputs[0]]
    inexact = any(unit % divisor for divisor in divisors)
    matrix = Sparse(entries, old.size, -ROOT_BITS, inexact)
    terms = [(context.source(old.name), matrix)]
    context.affine(node.name, [*terms], products=area, divisors=divisors, more=1)
