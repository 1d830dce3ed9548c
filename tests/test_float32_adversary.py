"""Inputs in the manner of Jia and Rinard, "Exploiting Verified Neural Networks via Floating Point Numerical Error" (SAS
2021): robust in real arithmetic, which is proved, while an execution in float32 gives another class.

They are found on a line between two images where the real margin is all but 0, and caught by claims about float32.
"""

from fractions import Fraction

import numpy as np
import pytest

from tlverify import Trainer, data, losses, nn, optim
from tlverify.certify import kernel, robustness
from tlverify.certify.kernel.arithmetic import Interval
from tlverify.certify.kernel.program import enclose_value
from tlverify.certify.prove import certify
from tlverify.core import run
from tlverify.graph import to_bytes

RADIUS = "1/1000000000000"


@pytest.fixture(scope="module")
def network():
    train, test = data.digits()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    trainer = Trainer(model, optimizer=optim.Adam(lr=3e-3), loss=losses.cross_entropy, seed=0)
    return trainer.train(train, epochs=5, batch_size=64).graph, test


def margin(graph, point, label):
    """The exact margin of a label, in rational arithmetic by the kernel's reader."""
    program = kernel.read_program(*to_bytes(graph))
    exact = [Fraction(v) for v in point.ravel().tolist()]
    unit = max(v.denominator for v in exact)
    integers = [int(v * unit) for v in exact]
    found = {program.inputs[0]: Interval(integers, integers, 1 - unit.bit_length())}
    for name, value in program.values.items():
        if value.kind != "input":
            found[name] = enclose_value(value, found, shortened=False)
    out = found[program.outputs[0]]
    logits = [v * Fraction(2) ** out.exponent for v in out.lower]
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


def test_proved_for_real_numbers_and_broken_in_float32(network):
    graph, test = network
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
