"""Loading a network whatever its format."""

from __future__ import annotations

import os
from pathlib import Path

from tlverify import graph
from tlverify.graph import Graph

ONNX = (".onnx", ".onnx.gz")


def is_onnx(path: str | os.PathLike[str]) -> bool:
    """Whether the name is that of an ONNX model."""
    return Path(path).name.endswith(ONNX)


def load_graph(path: str | os.PathLike[str]) -> Graph:
    """The graph at `path`: `.graph.json` with `.safetensors` beside it, or `.onnx` or `.onnx.gz`.

    GraphError or OnnxError if it is missing, malformed, or says what a graph cannot.
    """
    if is_onnx(path):
        from tlverify.interop.onnx import from_onnx

        return from_onnx(path)
    return graph.load_graph(path)
