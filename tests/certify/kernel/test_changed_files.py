"""Small changes to the four files of accepted certificates: what is about the statement must not survive any."""

import random
from fractions import Fraction

import numpy as np
import pytest

from tlverify.certify import box
from tlverify.certify.certificate import proof, witness
from tlverify.certify.kernel import Malformed, Rejected, check

from ..examples import Files, files
from .hostile import CERTIFICATE, CLAIM, DROP, EXAMPLE, GRAPH, SLOPES, container, edited, encode
from .laws import above, affine

PARTS = ("graph", "parameters", "claim")


def verified() -> Files:
    graph = affine([[1, 2], [1, -1], [0.5, 0.25]], [0.25, 0, -1], "relu")
    claim = box(graph, {"x": ([-1, 0], [1, Fraction(1, 3)])}, [[above(graph, 0, 4)], [above(graph, 1, 6)]])
    interval = {"rule": "interval", "nodes": ["y", "relu_0"]}
    bound = {"rule": "bound", "node": "y", "lower": [0, 2], "upper": [1], "slopes": {}, "cuts": [], "multipliers": []}
    close = {"rule": "close", "multipliers": [["3"], ["1/2"]], "slopes": {"relu_0": [0, 1]}, "cuts": []}
    return files(graph, claim, proof(claim.digest, [interval, bound, close], bytes([1, 128, 0, 64])))


def falsified() -> Files:
    graph = affine([[1, 2], [1, -1]], [0.25, 0], "relu")
    claim = box(graph, {"x": ([-1, 0], [1, Fraction(1, 3)])}, [[above(graph, 0, 1)]])
    return files(graph, claim, witness(claim.digest, [np.array([0.75, 0.125])]))


EXAMPLES = {"verified": verified(), "falsified": falsified()}


def verdict(example: Files, **changed: bytes) -> str:
    """The verdict, or "" if the files are refused; any other exception fails the test."""
    try:
        return check(*example._replace(**changed)).verdict
    except (Malformed, Rejected):
        return ""


def changes(rng: random.Random, raw: bytes, count: int | None):
    """`raw` with one byte replaced (each in turn if `count` is None), deleted, inserted, doubled, or swapped."""
    for index in range(len(raw)) if count is None else (rng.randrange(len(raw)) for _ in range(count)):
        new = rng.choice([raw[index] ^ (1 << rng.randrange(8)), rng.randrange(256), 0x20, 0x30, 0x31])
        yield raw[:index] + bytes([new if new != raw[index] else new ^ 1]) + raw[index + 1 :]
    for _ in range(count or 400):
        index = rng.randrange(len(raw))
        kind = rng.randrange(4)
        if kind == 0:
            yield raw[:index] + raw[index + 1 :]
        elif kind == 1:
            yield raw[:index] + bytes([rng.randrange(256)]) + raw[index:]
        elif kind == 2:
            end = min(len(raw), index + rng.randrange(1, 9))
            yield raw[:end] + raw[index:]
        else:
            other = rng.randrange(len(raw))
            swapped = bytearray(raw)
            swapped[index], swapped[other] = swapped[other], swapped[index]
            yield bytes(swapped)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_no_change_of_the_statement_is_accepted(name, part):
    example = EXAMPLES[name]
    assert verdict(example) == name
    rng = random.Random(f"{name} {part}")
    raw = getattr(example, part)
    tried = [changed for changed in changes(rng, raw, None) if changed != raw]
    assert len(tried) > len(raw)
    for changed in tried:
        assert not verdict(example, **{part: changed}), f"accepted with {part} {changed!r}"


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_changed_certificate_proves_the_same_or_nothing(name):
    example = EXAMPLES[name]
    rng = random.Random(name)
    found = {verdict(example, certificate=changed) for changed in changes(rng, example.certificate, None)}
    assert found <= {name, ""}


def places(value, path=()):
    """The path of every item of a JSON value."""
    for key, item in value.items() if type(value) is dict else enumerate(value) if type(value) is list else ():
        yield (*path, key)
        yield from places(item, (*path, key))


ODD = (
    DROP,
    None,
    True,
    -1,
    0,
    2,
    10**19,
    10**25,
    1.5,
    "",
    "0",
    "x",
    "z",
    "\ud800\n",
    [],
    [[]],
    ["x"],
    [0, 0],
    {},
    {"x": {}},
)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        pytest.param("graph", GRAPH, id="graph"),
        pytest.param("claim", CLAIM, id="claim"),
        pytest.param("certificate", CERTIFICATE, id="certificate"),
    ],
)
def test_any_item_replaced_by_any_kind_of_value(part, value):
    """Every item of every file replaced by a value of every type: refused, or for a certificate still a proof."""
    accepted = []
    for path in places(value):
        for odd in ODD:
            changed = edited(value, path, odd)
            data = container(changed, SLOPES) if part == "certificate" else encode(changed)
            if data != EXAMPLE[part] and verdict(Files(**EXAMPLE), **{part: data}):
                accepted.append((path, odd))
    assert part == "certificate" or not accepted


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_soak(name):
    rng = random.Random(name)
    example = EXAMPLES[name]
    for part in PARTS:
        raw = getattr(example, part)
        for changed in changes(rng, raw, 10_000):
            assert changed == raw or not verdict(example, **{part: changed})
    assert {verdict(example, certificate=changed) for changed in changes(rng, example.certificate, 10_000)} <= {
        name,
        "",
    }
