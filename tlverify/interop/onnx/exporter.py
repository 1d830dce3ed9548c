"""From a graph to an ONNX model, and back from a model that was written here.

A model carries its graph as metadata. It counts only where exporting that graph again gives this very model: then the
import is that graph, with the same digest. A model that was changed since is read as any other.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tlverify.graph import Graph, GraphError, canonical_json, write_atomic
from tlverify.graph.canonical import structure
from tlverify.graph.io import graph_from_structure, parse_json
from tlverify.interop.onnx.errors import OnnxError
from tlverify.interop.onnx.export_rules import EXPORT, NO_RULE
from tlverify.interop.onnx.reader import MAX_MODEL_BYTES, array_of, load_onnx
from tlverify.interop.onnx.writer import ELEMENTS, Writer

if TYPE_CHECKING:
    import onnx

OPSET, IR_VERSION = 17, 8
METADATA = "tlverify.graph"


def to_onnx(graph: Graph, path: str | os.PathLike[str] | None = None) -> bytes:
    """The graph as an ONNX model, written to `path` if one is given. `from_onnx` gives it back with the same digest.

    Inputs and outputs have the shapes of the graph: no batch axis is added. OnnxError if an op has no counterpart.
    """
    load_onnx()
    data: bytes = model_of(graph).SerializeToString(deterministic=True)
    if path is not None:
        write_atomic(Path(path), data)
    return data


def model_of(graph: Graph) -> onnx.ModelProto:
    """The graph as a protobuf message."""
    from onnx import helper

    for node in graph.nodes:
        if node.op not in EXPORT:
            raise OnnxError(f"node {node.name!r}: op {node.op!r} has no ONNX counterpart: {NO_RULE.get(node.op, '')}")
    size = sum(parameter.data.nbytes for parameter in graph.parameters)
    if size > MAX_MODEL_BYTES:
        raise OnnxError(f"{size} bytes of parameters are over the limit of {MAX_MODEL_BYTES}")
    out = Writer(graph)
    try:
        for parameter in sorted(graph.parameters, key=lambda parameter: parameter.name):  # as in the metadata
            out.store(parameter.name, parameter.data)
        for node in graph.nodes:
            EXPORT[node.op](node, out)
        computed = {node.name for node in graph.nodes}
        outputs = []
        for name in graph.outputs:
            type_ = out.types[name]
            if name not in computed:  # an input, a parameter, or an output that was there before
                name = out.emit("Identity", name, name=out.fresh(name))
            computed.discard(name)
            outputs.append(helper.make_tensor_value_info(name, ELEMENTS[type_.dtype], type_.shape))
        inputs = [helper.make_tensor_value_info(v.name, ELEMENTS[v.dtype], v.shape) for v in graph.inputs]
        body = helper.make_graph(out.nodes, "graph", inputs, outputs, out.constants)
        model = helper.make_model(
            body, producer_name="tlverify", ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)]
        )
        helper.set_model_props(model, {METADATA: canonical_json(structure(graph)).decode("ascii")})
    except UnicodeEncodeError as error:
        raise OnnxError(f"a name of the graph is not Unicode text: {error.object!r}") from None
    return model


def graph_written_here(model: onnx.ModelProto) -> Graph | None:
    """The graph that a model carries, if the model is what that graph is exported to."""
    carried = [entry.value for entry in model.metadata_props if entry.key == METADATA]
    if len(carried) != 1 or not isinstance(carried[0], str):
        return None
    try:
        data = parse_json(carried[0].encode(), METADATA)
        names = {entry["name"] for entry in data["parameters"]}
        arrays = {t.name: array_of(t, t.name) for t in model.graph.initializer if t.name in names}
        graph = graph_from_structure(data, arrays)
        same = model_of(graph).SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)
    except (GraphError, OnnxError, KeyError, TypeError):
        return None
    return graph if same else None
