"""Replaying a counterexample: exact membership in the region and in the bad set. No tolerance anywhere."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

from tlverify.certify.kernel.arithmetic import Vector
from tlverify.certify.kernel.claim import Claim
from tlverify.certify.kernel.errors import Rejected
from tlverify.certify.kernel.network import Network
from tlverify.certify.kernel.rules import RULES


def check_witness(network: Network, claim: Claim, payload: bytes) -> int:
    """The payload holds every input in graph order as little-endian float64. Returns the disjunct reached."""
    sizes = [network.nodes[name].size for name in network.inputs]
    if len(payload) != 8 * sum(sizes):
        raise Rejected("witness", f"expected {sum(sizes)} float64 values, found {len(payload)} bytes")
    floats = iter(struct.unpack(f"<{sum(sizes)}d", payload))
    values = dict(network.values)
    for name, size in zip(network.inputs, sizes, strict=True):
        values[name] = _inside(name, [next(floats) for _ in range(size)], claim)
    for name, node in network.nodes.items():
        if node.op in RULES:
            values[name] = RULES[node.op].value(node, [values[source] for source in node.inputs], network)

    def exact(name: str, index: int) -> Fraction:
        return values[name].integers[index] * Fraction(2) ** values[name].exponent

    for number, disjunct in enumerate(claim.bad):
        if all(inequality.holds(exact) for inequality in disjunct):
            return number
    raise Rejected("witness", "its exact outputs are not in the bad set")


def _inside(name: str, numbers: list[float], claim: Claim) -> Vector:
    box = claim.region[name]
    if not all(map(math.isfinite, numbers)):
        raise Rejected("witness", f"input {name!r} holds a NaN or an infinity")
    points = [Fraction(number) for number in numbers]
    for index, (low, point, high) in enumerate(zip(box.lower, points, box.upper, strict=True)):
        if not low <= point <= high:
            raise Rejected("witness", f"{name}[{index}] is outside its range in the region")
    exponent = -max((point.denominator.bit_length() - 1 for point in points), default=0)
    return Vector([int(point * Fraction(2) ** -exponent) for point in points], exponent)
