"""Writing certificates: a line of canonical JSON and a compressed payload. The kernel has its own reader."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.graph import canonical_json


def proof(claim_digest: str, steps: Sequence[dict[str, Any]], slopes: bytes = b"") -> bytes:
    """A proof of a claim: the steps, and the slopes that they take from the payload in order."""
    return _certificate(claim_digest, "proof", slopes, steps=list(steps))


def witness(claim_digest: str, inputs: Sequence[npt.NDArray[np.floating[Any]]]) -> bytes:
    """A counterexample to a claim: every input of the graph in order, kept as float64, which is exact."""
    payload = b"".join(np.ascontiguousarray(value, dtype="<f8").tobytes() for value in inputs)
    return _certificate(claim_digest, "witness", payload)


def _certificate(claim_digest: str, kind: str, payload: bytes, **extra: Any) -> bytes:
    header = {
        "format": "tlverify.certificate",
        "version": 1,
        "claim": claim_digest,
        "kind": kind,
        "payload": len(payload),
        **extra,
    }
    return canonical_json(header) + b"\n" + zlib.compress(payload, 9)
