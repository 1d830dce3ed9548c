"""Assertions for test suites: a project's certificates still hold, and its training still gives the same network."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tlverify.certify import kernel
from tlverify.certify.audit import AUTO, check_in
from tlverify.certify.claim import Claim
from tlverify.graph import Graph, digest, to_bytes
from tlverify.interop.files import is_onnx, load_graph

PathLike = str | os.PathLike[str]


def assert_certified(
    graph: PathLike | Graph,
    claim: PathLike | bytes | Claim,
    certificate: PathLike | bytes,
    verdict: str = "verified",
    arithmetic: str = AUTO,
) -> kernel.Accepted:
    """The kernel accepts the certificate of this claim about this graph, with this verdict; AssertionError if not.

    Each part is a path or the thing itself; an ONNX model is imported. `arithmetic` is that of the check: "auto" for
    the one suited to the certificate, or one of tlverify.certify.audit.ARITHMETICS. Returns what was proved, for
    further assertions.
    """
    statement = claim.data if isinstance(claim, Claim) else _bytes(claim)
    if isinstance(graph, Graph):
        structure, parameters = to_bytes(graph)
    elif is_onnx(graph):
        structure, parameters = to_bytes(load_graph(graph))
    else:
        path = Path(graph)
        structure = path.read_bytes()
        parameters = path.with_name(path.name.removesuffix(".graph.json") + ".safetensors").read_bytes()
    try:
        program = kernel.read_program(structure, parameters, kernel.contract_of(statement))
        accepted = check_in(arithmetic, program, statement, _bytes(certificate))
    except (kernel.Rejected, kernel.Malformed) as error:
        raise AssertionError(f"certificate not accepted: {error}") from None
    if accepted.verdict != verdict:
        raise AssertionError(f"expected verdict {verdict!r}, the certificate proves {accepted.verdict!r}")
    return accepted


def assert_reproducible(train: Callable[[], object], expected: str) -> None:
    """`train()` gives a Graph, or an object with a `graph`, of the expected digest; AssertionError if not."""
    result = train()
    graph = result if isinstance(result, Graph) else getattr(result, "graph", None)
    if not isinstance(graph, Graph):
        raise AssertionError(f"train() gave {type(result).__name__}, expected a Graph or an object with a graph")
    found = digest(graph)
    if found != expected:
        raise AssertionError(f"training is not reproducible: expected digest {expected}, found {found}")


def _bytes(source: PathLike | bytes) -> bytes:
    return source if isinstance(source, bytes) else Path(source).read_bytes()
