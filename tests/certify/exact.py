"""What a graph and a claim mean, in rationals: written for the tests, sharing no code with the kernel.

Values are NumPy arrays of Fractions, so most ops are NumPy's own, exact on objects.
"""

import math
import random
from fractions import Fraction
from itertools import product

import numpy as np

from tlverify.certify import Claim
from tlverify.graph import Graph

Point = dict[str, list[Fraction]]
Values = dict[str, np.ndarray]

relu = np.vectorize(lambda v: v if v > 0 else Fraction(0), otypes=[object])


def values(graph: Graph, point: Point) -> Values:
    """Every value of the graph at a point (flat lists by input), exact, in its shape."""
    found = {value.name: array(point[value.name]).reshape(value.shape) for value in graph.inputs}
    for parameter in graph.parameters:
        found[parameter.name] = array(map(Fraction, parameter.data.ravel().tolist())).reshape(parameter.shape)
    for node in graph.nodes:
        found[node.name] = MEANING[node.op](*(found[name] for name in node.inputs), **node.attributes)
    return found


def array(numbers) -> np.ndarray:
    result = np.array(list(numbers), dtype=object)
    return result.reshape(len(result))


def _linear(x, weight, bias):
    return x @ weight.T + bias


def _batch_norm(x, mean, variance, scale, bias, axis, epsilon):
    """Only where variance + epsilon is a square of a rational."""
    channel = [-1 if k == axis else 1 for k in range(x.ndim)]
    spread = [v + Fraction(epsilon) for v in variance]
    roots = array(Fraction(math.isqrt(s.numerator), math.isqrt(s.denominator)) for s in spread)
    if any(root * root != s for root, s in zip(roots, spread, strict=True)):
        raise ValueError("variance + epsilon has no rational root")
    return (x - mean.reshape(channel)) * (scale / roots).reshape(channel) + bias.reshape(channel)


def _pad(x, before, after, value):
    result = np.full([a + n + b for a, n, b in zip(before, x.shape, after, strict=True)], Fraction(value), dtype=object)
    result[tuple(slice(a, a + n) for a, n in zip(before, x.shape, strict=True))] = x
    return result


def _windows(x, kernel, stride, padding, dilation=(1, 1)):
    """For each place of the window, the (row, column) pairs under it that are inside x, with their kernel index."""
    spans = [dilation[d] * (kernel[d] - 1) + 1 for d in (0, 1)]
    counts = [(x.shape[d - 2] + padding[d] + padding[d + 2] - spans[d]) // stride[d] + 1 for d in (0, 1)]
    for place in product(*map(range, counts)):
        spots = []
        for step in product(*map(range, kernel)):
            row, column = (place[d] * stride[d] - padding[d] + step[d] * dilation[d] for d in (0, 1))
            if 0 <= row < x.shape[-2] and 0 <= column < x.shape[-1]:
                spots.append((step, (row, column)))
        yield counts, place, spots


def _pool(reduce, x, kernel, stride, padding, dilation=(1, 1)):
    result = None
    for counts, place, spots in _windows(x, kernel, stride, padding, dilation):
        if result is None:
            result = np.empty((*x.shape[:-2], *counts), dtype=object)
        result[(..., *place)] = reduce([x[(..., *spot)] for _, spot in spots])
    return result


def _max_pool2d(x, kernel, stride, padding, dilation):
    return _pool(lambda parts: np.max(parts, axis=0), x, kernel, stride, padding, dilation)


def _avg_pool2d(x, kernel, stride, padding, count_include_pad):
    def mean(parts):
        return sum(parts) / Fraction(math.prod(kernel) if count_include_pad else len(parts))

    return _pool(mean, x, kernel, stride, padding)


def _conv2d(x, weight, bias, stride, padding, dilation, groups):
    out, own, *kernel = weight.shape
    result = None
    for counts, place, spots in _windows(x, kernel, stride, padding, dilation):
        if result is None:
            result = np.empty((*x.shape[:-3], out, *counts), dtype=object)
        for o in range(out):
            first = o // (out // groups) * own
            total = bias[o]
            for c, (step, (row, column)) in product(range(own), spots):
                total = total + weight[(o, c, *step)] * x[..., first + c, row, column]
            result[(..., o, *place)] = total
    return result


MEANING = {
    "abs": lambda x: relu(x) + relu(-x),
    "add": lambda a, b: a + b,
    "avg_pool2d": _avg_pool2d,
    "batch_norm": _batch_norm,
    "broadcast_to": lambda x, shape: np.broadcast_to(x, shape),
    "clamp": lambda x, minimum, maximum: np.minimum(np.maximum(x, Fraction(minimum)), Fraction(maximum)),
    "concat": lambda *parts, axis: np.concatenate(parts, axis),
    "conv2d": _conv2d,
    "leaky_relu": lambda x, slope: relu(x) - Fraction(slope) * relu(-x),
    "linear": _linear,
    "matmul": lambda a, b: np.matmul(a, b),
    "max": lambda x, axes, keepdims: np.max(x, axis=axes, keepdims=bool(keepdims)) if axes else x,
    "max_pool2d": _max_pool2d,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "mul": lambda a, b: a * b,
    "neg": lambda x: -x,
    "pad": _pad,
    "relu": relu,
    "reshape": lambda x, shape: x.reshape(shape),
    "scale": lambda x, factor: x * Fraction(factor),
    "slice": lambda x, starts, stops, steps: x[tuple(map(slice, starts, stops, steps))],
    "sub": lambda a, b: a - b,
    "sum": lambda x, axes, keepdims: np.sum(x, axis=axes, keepdims=bool(keepdims)) if axes else x,
    "transpose": lambda x, axes: np.transpose(x, axes),
}


def excess(claim: Claim, found: Values) -> list[list[Fraction]]:
    """Left side minus bound of each inequality, by disjunct."""
    flat = {name: np.asarray(value).ravel() for name, value in found.items()}
    return [
        [sum((c * flat[name][i] for name, i, c in row.terms), -row.bound) for row in conjuncts]
        for conjuncts in claim.bad
    ]


def is_bad(claim: Claim, found: Values) -> bool:
    """Whether these values are in the bad set."""
    return any(
        all(g > 0 if row.strict else g >= 0 for row, g in zip(conjuncts, parts, strict=True))
        for conjuncts, parts in zip(claim.bad, excess(claim, found), strict=True)
    )


def inside(claim: Claim, point: Point) -> bool:
    """Whether the point is in the region."""
    return all(
        low <= value <= high
        for name, numbers in point.items()
        for low, value, high in zip(claim.lower[name], numbers, claim.upper[name], strict=True)
    )


def points(rng: random.Random, claim: Claim, count: int) -> list[Point]:
    """Points of the region: all corners if there are few, else some, and as many from the inside."""
    sizes = {name: len(ends) for name, ends in claim.lower.items()}
    total = sum(sizes.values())
    shares = list(product((0, 1), repeat=total)) if 2**total <= count else []
    shares += [tuple(rng.randrange(2) for _ in range(total)) for _ in range(count - len(shares))]
    shares += [tuple(Fraction(rng.randrange(65), 64) for _ in range(total)) for _ in range(count)]
    result = []
    for share in shares:
        rest = iter(share)
        result.append(
            {
                name: [a + (b - a) * next(rest) for a, b in zip(claim.lower[name], claim.upper[name], strict=True)]
                for name in sizes
            }
        )
    return result
