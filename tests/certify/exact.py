"""What a graph and a claim mean, in rationals: written for the tests, sharing no code with the kernel."""

from fractions import Fraction
from itertools import product

from tlverify.certify import Claim
from tlverify.graph import Graph

Values = dict[str, list[Fraction]]


def values(graph: Graph, point: Values) -> Values:
    """Every value of the graph at a point, flat and exact."""
    found = {name: list(numbers) for name, numbers in point.items()}
    for parameter in graph.parameters:
        found[parameter.name] = [Fraction(number) for number in parameter.data.ravel().tolist()]
    for node in graph.nodes:
        sources = [found[name] for name in node.inputs]
        found[node.name] = MEANING[node.op](*sources)
    return found


def _linear(x: list[Fraction], weight: list[Fraction], bias: list[Fraction]) -> list[Fraction]:
    width = len(weight) // len(bias)
    return [
        sum((weight[row * width + k] * x[start + k] for k in range(width)), bias[row])
        for start in range(0, len(x), width)
        for row in range(len(bias))
    ]


MEANING = {
    "add": lambda a, b: [p + q for p, q in zip(a, b, strict=True)],
    "linear": _linear,
    "relu": lambda x: [v if v > 0 else Fraction(0) for v in x],
    "reshape": lambda x: x,
}


def excess(claim: Claim, found: Values) -> list[list[Fraction]]:
    """Left side minus bound of each inequality, by disjunct."""
    return [
        [sum((c * found[name][i] for name, i, c in row.terms), -row.bound) for row in conjuncts]
        for conjuncts in claim.bad
    ]


def is_bad(claim: Claim, found: Values) -> bool:
    """Whether these values are in the bad set."""
    return any(
        all(g > 0 if row.strict else g >= 0 for row, g in zip(conjuncts, parts, strict=True))
        for conjuncts, parts in zip(claim.bad, excess(claim, found), strict=True)
    )


def points(rng, claim: Claim, count: int) -> list[Values]:
    """Points of the region: all corners if there are few, else some, and as many from the inside."""
    ends = [
        (name, i, claim.lower[name][i], claim.upper[name][i]) for name in claim.lower for i in range(_size(claim, name))
    ]
    choices = list(product((0, 1), repeat=len(ends))) if 2 ** len(ends) <= count else []
    shares = [[Fraction(bit) for bit in corner] for corner in choices]
    shares += [[Fraction(rng.randrange(2)) for _ in ends] for _ in range(count - len(shares))]
    shares += [[Fraction(rng.randrange(65), 64) for _ in ends] for _ in range(count)]
    result = []
    for share in shares:
        point: Values = {name: [Fraction(0)] * _size(claim, name) for name in claim.lower}
        for (name, i, low, high), part in zip(ends, share, strict=True):
            point[name][i] = low + (high - low) * part
        result.append(point)
    return result


def _size(claim: Claim, name: str) -> int:
    return len(claim.lower[name])
