"""Piecewise linear ops written with ReLU. Each identity is a lemma in `proofs/`.

|x| = 2 relu(x) - x              max(a, b) = b + relu(a - b)
leaky(x) = s x + (1 - s) relu(x)  min(a, b) = a - relu(a - b)
clamp(x) = lo + relu(x - lo) - relu(x - hi), lo <= hi
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

from tlverify.certify.kernel.arithmetic import Interval, Vector, outward
from tlverify.certify.kernel.errors import Malformed
from tlverify.certify.kernel.lowering import Lowering, Node, Terms, gather, negated, scaled
from tlverify.certify.kernel.rules_affine import binary, groups, pooled

Direct = Callable[[Sequence[Interval]], Interval]


def relu(node: Node, context: Lowering) -> None:
    context.relu(node.name, context.source(node.inputs[0]))


def leaky_relu(node: Node, context: Lowering) -> None:
    x, (slope, exponent) = context.source(node.inputs[0]), binary(node, "slope")
    positive = context.relu(context.part(node), x)
    one = 1 << -exponent
    terms: Terms = [(x, scaled(node.size, slope, exponent)), (positive, scaled(node.size, one - slope, exponent))]
    context.affine(node.name, terms, products=0)


def abs_(node: Node, context: Lowering) -> None:
    x = context.source(node.inputs[0])
    positive = context.relu(context.part(node), x)

    def direct(bounds: Sequence[Interval]) -> Interval:
        (b,) = bounds
        ends = list(zip(b.lower, b.upper, strict=True))
        return Interval([max(low, -high, 0) for low, high in ends], [max(-low, high) for low, high in ends], b.exponent)

    context.affine(node.name, [(x, scaled(node.size, -1)), (positive, scaled(node.size, 2))], None, direct, [x])


def clamp(node: Node, context: Lowering) -> None:
    x, (low, p), (high, q) = context.source(node.inputs[0]), binary(node, "minimum"), binary(node, "maximum")
    exponent = min(p, q)
    low, high = low << p - exponent, high << q - exponent
    if low > high:
        raise Malformed(f"node {node.name!r}: minimum is above maximum")
    above_low = context.affine(context.part(node), [(x, scaled(node.size))], Vector([-low] * node.size, exponent))
    over_low = context.relu(context.part(node), above_low)
    above_high = context.affine(context.part(node), [(x, scaled(node.size))], Vector([-high] * node.size, exponent))
    over_high = context.relu(context.part(node), above_high)

    def direct(bounds: Sequence[Interval]) -> Interval:
        (b,) = bounds
        unit = min(b.exponent, exponent)
        a, c = b.exponent - unit, exponent - unit

        def clip(end: Sequence[int]) -> list[int]:
            return [min(max(v << a, low << c), high << c) for v in end]

        return outward(clip(b.lower), clip(b.upper), unit)

    terms: Terms = [(over_low, scaled(node.size)), (over_high, scaled(node.size, -1))]
    context.affine(node.name, terms, Vector([low] * node.size, exponent), direct, [x])


def maximum(node: Node, context: Lowering) -> None:
    a, b = map(context.source, node.inputs)
    _largest(node, context, [[(a, scaled(node.size))], [(b, scaled(node.size))]], [a, b])


def minimum(node: Node, context: Lowering) -> None:
    a, b = map(context.source, node.inputs)
    difference = context.affine(context.part(node), [(a, scaled(node.size)), (b, scaled(node.size, -1))])
    over = context.relu(context.part(node), difference)

    def direct(bounds: Sequence[Interval]) -> Interval:
        return _chosen(min, *bounds)

    context.affine(node.name, [(a, scaled(node.size)), (over, scaled(node.size, -1))], None, direct, [a, b])


def max_(node: Node, context: Lowering) -> None:
    _largest_of_groups(node, context, groups(node, context))


def max_pool2d(node: Node, context: Lowering) -> None:
    _largest_of_groups(node, context, pooled(node, context))


def _largest_of_groups(node: Node, context: Lowering, members: list[list[int]]) -> None:
    """The largest of each group of entries of the source; short groups repeat their last member."""
    x, old = context.source(node.inputs[0]), context.nodes[node.inputs[0]]
    longest = max(map(len, members))
    picks = [[group[min(k, len(group) - 1)] for group in members] for k in range(longest)]

    def direct(bounds: Sequence[Interval]) -> Interval:
        (b,) = bounds
        lower, upper = ([max(end[i] for i in group) for group in members] for end in (b.lower, b.upper))
        return Interval(lower, upper, b.exponent)

    candidates: list[Terms] = [[(x, gather(pick, old.size))] for pick in picks]
    _tournament(node, context, candidates, direct, [x])


def _largest(node: Node, context: Lowering, candidates: list[Terms], sources: list[str]) -> None:
    def direct(bounds: Sequence[Interval]) -> Interval:
        return _chosen(max, *bounds)

    _tournament(node, context, candidates, direct, sources)


def _tournament(node: Node, context: Lowering, candidates: list[Terms], direct: Direct, sources: list[str]) -> None:
    """Pairs play max(a, b) = b + relu(a - b) until one is left."""
    while len(candidates) > 1:
        winners: list[Terms] = []
        for a, b in zip_longest(candidates[::2], candidates[1::2]):
            if b is None:
                winners.append(a)
                continue
            over = context.relu(context.part(node), context.affine(context.part(node), [*a, *negated(b)]))
            winners.append([*b, (over, scaled(node.size))])
        candidates = winners
    context.affine(node.name, candidates[0], None, direct, sources)


def _chosen(choose: Callable[[int, int], int], one: Interval, two: Interval) -> Interval:
    """The interval of max or min of two values: both ends are those of the op, which is monotone."""
    unit = min(one.exponent, two.exponent)
    a, b = one.exponent - unit, two.exponent - unit
    lower = [choose(x << a, y << b) for x, y in zip(one.lower, two.lower, strict=True)]
    upper = [choose(x << a, y << b) for x, y in zip(one.upper, two.upper, strict=True)]
    return outward(lower, upper, unit)
