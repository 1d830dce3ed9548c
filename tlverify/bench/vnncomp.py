"""What the VNN-COMP harness reads: the result file, with a witness whose numbers it parses to the same point."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tlverify.certify import kernel
from tlverify.certify.certificate import witness as witness_certificate
from tlverify.certify.claim import Claim
from tlverify.certify.decide import Decision, decide
from tlverify.certify.property import to_claims
from tlverify.certify.prove import Result
from tlverify.core import run
from tlverify.graph import Graph, to_bytes, write_atomic
from tlverify.interop import load_graph
from tlverify.interop.vnnlib import Property, read_vnnlib

SEARCH_SHARE = 0.9
"""Of the time limit: the rest is for the check of what is found last."""

Point = tuple[npt.NDArray[np.float64], ...]
"""Each input of the graph in order, flat."""


def main(network: str, prop: str, results: str, timeout: str) -> int:
    """Decide one instance and write the result file: unsat, sat, timeout, unknown or error. The exit code."""
    try:
        begin, limit = time.perf_counter(), float(timeout)
        graph, stated = load_graph(network), read_vnnlib(prop)
        claims = to_claims(stated, graph)
        share = SEARCH_SHARE * limit - (time.perf_counter() - begin)
        text = result_text(decide(graph, claims, timeout=max(0.0, share)), stated, graph)
    except Exception as error:  # the harness reads the file, whatever happened
        sys.stderr.write(f"error: {type(error).__name__}: {error}\n")
        text = "error\n"
    write_atomic(Path(results), text.encode())
    sys.stdout.write(text.partition("\n")[0] + "\n")
    return 0


def result_text(decision: Decision, prop: Property, graph: Graph) -> str:
    """unsat, sat with a witness, timeout, or unknown."""
    found = decision.counterexample
    if found is not None:
        return "sat\n" + witness_text(found, prop, graph)
    if decision.verdict == "verified":
        return "unsat\n"
    return "timeout\n" if decision.reason.rpartition("first: ")[2].startswith("timeout") else "unknown\n"


def witness_text(result: Result, prop: Property, graph: Graph) -> str:
    """The witness as ((X_0 v) ... (Y_0 v)), or as VNN-LIB 2.0 assigns its tensors.

    The inputs lie in the region as they are printed: a decimal that reads back to the very float64 that the kernel
    accepted, of float32 numbers if the network takes those and the counterexample survives it.
    """
    point = replayable(graph, result)
    arrays = [part.reshape(value.shape).astype(value.dtype) for part, value in zip(point, graph.inputs, strict=True)]
    values = {
        "X": list(_numbers(point)),
        "Y": list(_numbers([np.asarray(output, np.float64).ravel() for output in run(graph, arrays)])),
    }
    if not prop.tensors:
        lines = [f"({kind}_{index} {value})" for kind in "XY" for index, value in enumerate(values[kind])]
        return "(" + "\n".join(lines) + ")\n"
    lines, taken = [], {"X": 0, "Y": 0}
    for tensor in prop.tensors:
        start = taken[tensor.kind]
        taken[tensor.kind] += int(np.prod(tensor.shape))
        lines += [f"{tensor.name} {tensor.dtype} [{', '.join(map(str, tensor.shape))}]"]
        lines += values[tensor.kind][start : taken[tensor.kind]]
    return "\n".join(lines) + "\n"


def replayable(graph: Graph, result: Result) -> Point:
    """The witness with entries of the inputs' own type, where the kernel still accepts it; else as it was found."""
    if result.witness is None:
        raise ValueError("the result has no witness")
    found = tuple(np.asarray(result.witness[value.name], np.float64).ravel() for value in graph.inputs)
    rounded = tuple(
        _round(part, value.dtype, result.claim.lower[value.name], result.claim.upper[value.name])
        for part, value in zip(found, graph.inputs, strict=True)
    )
    if all(np.array_equal(a, b) for a, b in zip(found, rounded, strict=True)):
        return found
    return rounded if _is_bad(graph, result.claim, rounded) else found


def _round(
    values: npt.NDArray[np.float64], dtype: str, lower: Sequence[Fraction], upper: Sequence[Fraction]
) -> npt.NDArray[np.float64]:
    """The nearest numbers of the type, or the next ones inwards where those are outside the box."""
    near = values.astype(dtype)
    for index, value in enumerate(near.tolist()):
        if Fraction(value) < lower[index]:
            near[index] = np.nextafter(near[index], near.dtype.type(np.inf))
        elif Fraction(value) > upper[index]:
            near[index] = np.nextafter(near[index], near.dtype.type(-np.inf))
    return near.astype(np.float64)


def _is_bad(graph: Graph, claim: Claim, point: Point) -> bool:
    try:
        kernel.check(*to_bytes(graph), claim.data, witness_certificate(claim.digest, point, claim.sequential))
    except (kernel.Rejected, kernel.Malformed):
        return False
    return True


def _numbers(parts: Sequence[npt.NDArray[np.float64]]) -> Iterator[str]:
    return map(repr, chain.from_iterable(part.tolist() for part in parts))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: python -m tlverify.bench.vnncomp ONNX VNNLIB RESULTS TIMEOUT")
    sys.exit(main(*sys.argv[1:]))
