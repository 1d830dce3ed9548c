"""Writing certificates: a line of canonical JSON and a compressed body. The kernel has its own reader."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.certify.kernel.errors import FREE_STEPS, STEPS_PER_BYTE
from tlverify.graph import Graph, canonical_json

LEVEL = 6  # of the compression: 9 takes eight times as long for 3 % less


def proof(claim_digest: str, steps: Sequence[dict[str, Any]], payload: bytes = b"") -> bytes:
    """A proof of a claim: the steps, and the bytes that they take from the payload in order."""
    listed = canonical_json(list(steps))
    data = _certificate(claim_digest, "proof", listed + payload, steps=len(listed))
    count = len(steps) + sum(step["nodes"] for step in steps if step["rule"] == "tree")
    if count > FREE_STEPS + STEPS_PER_BYTE * len(data):  # as it is, the kernel would call it too much work
        line, _, _ = data.partition(b"\n")
        return line + b"\n" + zlib.compress(listed + payload, 0)
    return data


def witness(
    claim_digest: str,
    inputs: Sequence[npt.NDArray[np.floating[Any]]],
    orders: Mapping[str, Mapping[str, Any]] | None = None,
) -> bytes:
    """A counterexample to a claim: every input of the graph in order, kept as float64, which is exact.

    For a claim about float32, `orders` says in which order the sums of values are executed, {} that all are sequential.
    """
    body = b"".join(np.ascontiguousarray(value, dtype="<f8").tobytes() for value in inputs)
    return _certificate(claim_digest, "witness", body, **({} if orders is None else {"orders": orders}))


def read_witness(data: bytes, graph: Graph) -> dict[str, npt.NDArray[np.float64]]:
    """The point of an accepted witness, flat, by input name."""
    numbers = np.frombuffer(zlib.decompress(data.partition(b"\n")[2]), "<f8")
    sizes = [math.prod(value.shape) for value in graph.inputs]
    parts = np.split(numbers, np.cumsum(sizes)[:-1])
    return {value.name: part for value, part in zip(graph.inputs, parts, strict=True)}


def _certificate(claim_digest: str, kind: str, body: bytes, **extra: Any) -> bytes:
    header = {
        "format": "tlverify.certificate",
        "version": 1,
        "claim": claim_digest,
        "kind": kind,
        "size": len(body),
        **extra,
    }
    return canonical_json(header) + b"\n" + zlib.compress(body, LEVEL)
