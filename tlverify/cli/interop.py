"""`tlverify import` and `tlverify export`"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from rich.console import Console

from tlverify.cli.output import print_json
from tlverify.graph import TlverifyError, digest, load_graph, save_graph
from tlverify.interop.files import ONNX, is_onnx
from tlverify.interop.onnx import cross_check, from_onnx, to_onnx


def import_onnx(path: Path, out: Path, samples: int, seed: int, as_json: bool) -> None:
    """Write the graph of an ONNX model, after the comparison with onnxruntime, and say what it is."""
    if not is_onnx(path):
        raise TlverifyError(f"{path}: expected a name ending in {' or '.join(ONNX)}")
    graph = from_onnx(path)
    check = None
    if samples and importlib.util.find_spec("onnxruntime"):
        check = cross_check(graph, path, samples, seed)
    save_graph(graph, out)
    if as_json:
        found = check and {"runtime": check.runtime, "samples": check.samples, "difference": check.difference}
        print_json(
            {"graph": str(out), "digest": digest(graph), "parameters": graph.parameter_count, "cross_check": found}
        )
        return
    lines = [f"{out}: {len(graph.nodes)} nodes, {graph.parameter_count:,} parameters", f"digest {digest(graph)}"]
    if check is not None:
        agrees = f"agrees with {check.runtime} on {check.samples} random inputs"
        lines.append(f"{agrees}, to {check.difference:.1e} of the largest output")
    else:
        why = "onnxruntime is not installed" if samples else "--samples 0"
        lines.append(f"not compared with onnxruntime: {why}")
    Console().print("\n".join(lines), soft_wrap=True, highlight=False, markup=False)


def export_onnx(path: Path, out: Path, as_json: bool) -> None:
    """Write a graph as an ONNX model."""
    if out.suffix != ".onnx":
        raise TlverifyError(f"--out: expected a name ending in .onnx, found {out}")
    graph = load_graph(path)
    size = len(to_onnx(graph, out))
    if as_json:
        print_json({"model": str(out), "digest": digest(graph), "bytes": size})
    else:
        text = f"{out}: {size:,} bytes, digest {digest(graph)}"
        Console().print(text, soft_wrap=True, highlight=False, markup=False)
