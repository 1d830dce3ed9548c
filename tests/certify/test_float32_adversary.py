"""Inputs in the manner of Jia and Rinard, "Exploiting Verified Neural Networks via Floating Point Numerical Error" (SAS
2021): robust in real arithmetic, which is proved, while an execution in float32 gives another class.

They are found on a line between two images where the real margin is all but 0, and caught by claims about float32.
"""

from fractions import Fraction

import numpy as np

from tlverify.certify import kernel, robustness
from tlverify.certify.prove import certify
from tlverify.core import run
from tlverify.graph import to_bytes

from . import exact

RADIUS = "1/1000000000000"


def margin(graph, point, label):
    """The exact margin of a label."""
    (source,) = graph.inputs
    found = exact.values(graph, {source.name: [Fraction(v) for v in point.ravel().tolist()]})
    logits = found[graph.outputs[0]].ravel().tolist()
    return logits[label] - max(v for k, v in enumerate(logits) if k != label)


def at_the_edge(graph, test, label):
    """A float32 point between an image of the label and one of another whose real margin is barely positive."""
    images, found = test.x.astype(np.float32), run
    ours = images[np.flatnonzero(test.y == label)]
    others = images[np.flatnonzero(test.y != label)]
    for one, other in zip(ours, others, strict=False):
        if int(np.argmax(found(graph, [one])[0])) != label or int(np.argmax(found(graph, [other])[0])) == label:
            continue
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            point = (one + np.float32(middle) * (other - one)).astype(np.float32)
            if margin(graph, point, label) > 0:
                low, best = middle, point
            else:
                high = middle
        if 0 < margin(graph, best, label) < Fraction(1, 10**6):
            yield best


def test_proved_for_real_numbers_and_broken_in_float32(digits):
    graph, test = digits
    broken = 0
    for label in range(4):
        for point in at_the_edge(graph, test, label):
            (real,) = certify(graph, robustness(graph, point[None], [label], RADIUS), timeout=10)
            (every,) = certify(graph, robustness(graph, point[None], [label], RADIUS, semantics="float32"), timeout=10)
            assert every.verdict != "verified"
            if real.verdict == "verified" and every.verdict == "falsified":
                broken += 1
                accepted = kernel.check(*to_bytes(graph), every.claim.data, every.certificate)
                assert accepted.verdict == "falsified"
            break
    assert broken >= 3
