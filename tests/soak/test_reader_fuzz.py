"""Hostile files for the readers: each is refused or read, within 2 s and 1 GB, and raises nothing but a refusal.

TLVERIFY_SOAK is how many inputs to run in all (10^6 if not given); `pytest -m slow -s tests/soak/test_reader_fuzz.py`.
"""

from __future__ import annotations

import json
import os
import random
import time
import tracemalloc
import zlib
from collections import Counter
from typing import Any

import pytest

from tlverify.certify import kernel
from tlverify.certify.kernel.claim import read_claim
from tlverify.certify.kernel.reader import parse_certificate, parse_safetensors

from ..certify.kernel.hostile import (
    CERTIFICATE,
    CLAIM,
    EXAMPLE,
    GRAPH,
    HEADER,
    SLOPES,
    STEPS,
    container,
    encode,
    tensor_file,
)
from .test_random_mutants import places

COUNT = int(os.environ.get("TLVERIFY_SOAK", "1000000"))
PROGRAM = kernel.read_program(EXAMPLE["graph"], EXAMPLE["parameters"])
SECONDS, BYTES = 2.0, 1 << 30


def value(rng: random.Random, depth: int = 0) -> Any:
    """A random JSON value, with numbers, names and shapes that have broken readers."""
    kind = rng.randrange(9 if depth < 3 else 6)
    if kind == 0:
        return rng.choice([0, 1, -1, 2, 7, 2**28, 2**31, 2**53 + 1, 2**63, 2**64, 10**19, 10**25, -(10**18)])
    if kind == 1:
        return rng.choice(["", "0", "-0", "1/0", "1/2", "2/4", "1e9", "nan", "\u0661", "9" * 400, "1/" + "7" * 398])
    if kind == 2:
        return rng.choice(["x", "z", "h", "s", "y", "W", "b", "x#0", " ", "\u0000", "\ud800", "a" * 201])
    if kind == 3:
        return rng.choice([None, True, False, 0.5, -0.0, 1e300])
    if kind == 4:
        return rng.choice(["relu", "linear", "conv2d", "max", "slice", "pad", "float16", "float64", "box", "linf_ball"])
    if kind == 5:
        return [rng.choice([1, 2, 0, -1, 2**14, 2**28, 2**40]) for _ in range(rng.randrange(18))]
    if kind == 6:
        return {str(value(rng, 9)): value(rng, depth + 1) for _ in range(rng.randrange(4))}
    return [value(rng, depth + 1) for _ in range(rng.randrange(4))]


def edited(rng: random.Random, data: Any) -> Any:
    """One to three items replaced, left out, repeated or exchanged."""
    changed = json.loads(json.dumps(data))
    for _ in range(rng.randrange(1, 4)):
        known = places(changed)
        if not known:
            break
        *path, last = rng.choice(known)
        place = changed
        for key in path:
            place = place[key]
        action = rng.randrange(4)
        if action == 0:
            del place[last]
        elif action == 1 and type(place) is list:
            place.append(place[last])
        else:
            place[last] = value(rng)
    return changed


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Bytes replaced, inserted or cut; now and then a bomb of up to a megabyte."""
    if rng.random() < 0.001:
        size = rng.choice([1000, 30_000, 250_000])
        return rng.choice(
            [b"[" * size, b'{"a":' * size, b"[" * size + b"]" * size, b"1" * size, b'"' + b"\\u0000" * size]
        )
    raw = bytearray(data)
    for _ in range(rng.randrange(3)):
        k = rng.randrange(len(raw) + 1)
        raw[k : k + rng.randrange(3)] = rng.choice([b"", b"9", b'"', b",", b"[", b"\xff", bytes([rng.randrange(256)])])
    return bytes(raw)


def graph(rng: random.Random) -> None:
    kernel.read_program(damaged(rng, encode(edited(rng, GRAPH))), EXAMPLE["parameters"])


def parameters(rng: random.Random) -> None:
    data = EXAMPLE["parameters"][-24:]
    header = edited(rng, HEADER) if rng.random() < 0.7 else damaged(rng, encode(HEADER))
    raw = tensor_file(header, data[: rng.choice([24, 24, 23, 0])])
    if rng.random() < 0.3:
        raw = rng.randrange(2**64).to_bytes(8, "little") + raw[8:]
    parse_safetensors(raw)
    kernel.read_program(EXAMPLE["graph"], raw)


def claim(rng: random.Random) -> None:
    read_claim(damaged(rng, encode(edited(rng, CLAIM))), PROGRAM)


def certificate(rng: random.Random) -> None:
    header = edited(rng, CERTIFICATE)
    if rng.random() < 0.02:  # a body that is not what it says, or a bomb
        body = rng.choice([encode(header.get("steps")), b""]) + bytes(rng.choice([0, 1, 10**6, 5 * 10**6]))
        steps = rng.choice([len(encode(STEPS)), 0, 1, len(body), 2**32, -1])
        raw = encode({**CERTIFICATE, "size": rng.choice([len(body), 2, 2**32, 10**6]), "steps": steps}) + b"\n"
        raw += zlib.compress(body, 1)
    else:
        raw = damaged(rng, container(header, SLOPES))
    parse_certificate(raw)
    kernel.check_with(PROGRAM, EXAMPLE["claim"], raw)


READERS = {reader.__name__: reader for reader in (graph, parameters, claim, certificate)}


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_reader_fuzz(name: str) -> None:
    """Memory is traced on one input in 50 (and on all that are slow), for tracing is slow itself."""
    count, found = COUNT // len(READERS), Counter[str]()
    worst, peak, begin = 0.0, 0, time.perf_counter()
    for number in range(count):
        traced = number % 50 == 0
        if traced:
            tracemalloc.start()
        start = time.process_time()
        try:
            READERS[name](random.Random(f"{name} {number}"))
            found["read"] += 1
        except kernel.Malformed:
            found["malformed"] += 1
        except kernel.Rejected:
            found["rejected"] += 1
        taken = time.process_time() - start
        if traced:
            peak = max(peak, tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        else:
            worst = max(worst, taken)
        assert taken < SECONDS * (5 if traced else 1), f"{name} {number}: took {taken:.1f} s"
        assert peak < BYTES, f"{name} {number}: took {peak / 1e6:.0f} MB"
    seconds = time.perf_counter() - begin
    print(
        f"\n{name}: {count} inputs, {dict(found)}, slowest {worst * 1e3:.0f} ms, largest {peak / 1e6:.1f} MB,"
        f" {count / seconds:.0f}/s"
    )
    assert sum(found.values()) == count
