"""From an ONNX model to a graph."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from tlverify.graph import Graph, GraphError, Type
from tlverify.interop.onnx.errors import MAX_ELEMENTS, MAX_RANK, OnnxError
from tlverify.interop.onnx.exporter import graph_written_here
from tlverify.interop.onnx.lowering import Constant, Given, Lowering, Pending
from tlverify.interop.onnx.reader import DOMAINS, array_of, attributes_of, opset_of, read_model
from tlverify.interop.onnx.rules import RULES
from tlverify.interop.onnx.view import View

if TYPE_CHECKING:
    import onnx

DTYPES = {1: "float32", 7: "int64", 9: "bool", 10: "float32", 11: "float64", 16: "float32"}
"""The dtype of an input of the model: float16 and bfloat16 values are float32 values."""


def from_onnx(source: str | os.PathLike[str] | bytes) -> Graph:
    """The graph of an ONNX model: the path of a `.onnx` or `.onnx.gz` file, or its bytes.

    Inputs keep their declared shape; a first axis of unknown size (the batch) has size 1. OnnxError names the node and
    the reason where the model is malformed or cannot be said exactly.
    """
    try:
        model = read_model(source)
        return graph_written_here(model) or graph_of(model)
    except OnnxError as error:
        raise OnnxError(f"{_called(source)}: {error}") from None


def graph_of(model: onnx.ModelProto) -> Graph:
    """The graph of a model that has been read."""
    opset = opset_of(model)
    if model.functions:
        raise OnnxError("functions of the model's own: inline them first with onnx.inliner.inline_local_functions")
    lowering = Lowering()
    values: dict[str, Given] = {}
    for tensor in model.graph.initializer:
        _bind(values, tensor.name, Constant(tensor.name, array_of(tensor, f"initializer {tensor.name!r}")))
    if model.graph.sparse_initializer:
        raise OnnxError("sparse initializers are not supported; store them as dense tensors")
    stored = set(values)
    for entry in model.graph.input:
        if entry.name not in stored:  # before version 4 of the format, initializers were inputs too
            _bind(values, entry.name, lowering.input(entry.name, _input_type(entry)))
    for node in model.graph.node:
        _lower(node, opset, values, lowering)
    outputs = []
    for entry in model.graph.output:
        if entry.name not in values:
            raise OnnxError(f"output {entry.name!r} is computed by no node")
        value = lowering.resolve(values[entry.name])
        outputs.append(lowering.output(lowering.named(value, entry.name), entry.name))
    if not outputs:
        raise OnnxError("the model has no output")
    return lowering.build(outputs)


def _lower(node: onnx.NodeProto, opset: int, values: dict[str, Given], lowering: Lowering) -> None:
    """Bind the outputs of one node of the model."""
    what = f"node {node.name or next(iter(node.output), '')!r} ({node.op_type})"
    rule = RULES.get(node.op_type) if node.domain in DOMAINS else None
    if rule is None:
        domain = f" of domain {node.domain!r}" if node.domain not in DOMAINS else ""
        known = ", ".join(sorted(RULES))
        raise OnnxError(f"{what}: op {node.op_type!r}{domain} is not supported; supported: {known}")
    missing = [name for name in node.input if name and name not in values]
    if missing:
        raise OnnxError(f"{what}: uses {missing[0]!r} before it is computed")
    given = [values[name] if name else None for name in node.input]
    while given and given[-1] is None:
        given.pop()
    if not rule.least <= len(given) <= rule.most:
        raise OnnxError(f"{what}: expected {rule.least} to {rule.most} inputs, found {len(given)}")
    attributes = attributes_of(node, what)
    for name, value in attributes.items():
        if name not in rule.attributes:
            raise OnnxError(f"{what}: attribute {name!r} is not supported")
        if not isinstance(value, rule.attributes[name]):
            raise OnnxError(f"{what}: attribute {name!r}: unexpected kind {type(value).__name__}")
    view = View(node.op_type, opset, tuple(given), attributes, tuple(node.output), lowering)
    try:
        results = rule.lower(view)
    except (GraphError, OnnxError) as error:
        raise OnnxError(f"{what}: {error}") from None
    for position, name in enumerate(node.output):
        if not name:
            continue
        if position >= len(results):
            raise OnnxError(f"{what}: its output {position}, {name!r}, is not supported")
        result = results[position]
        _bind(values, name, result if isinstance(result, Pending) else lowering.named(result, name))


def _bind(values: dict[str, Given], name: object, value: Given) -> None:
    if not isinstance(name, str):  # protobuf gives bytes where a string is not UTF-8
        raise OnnxError(f"value {name!r}: its name is not UTF-8 text")
    if not name or name in values:
        raise OnnxError(f"value {name!r}: expected a new, non-empty name")
    values[name] = value


def _input_type(entry: onnx.ValueInfoProto) -> Type:
    what = f"input {entry.name!r}"
    tensor = entry.type.tensor_type
    if not entry.type.HasField("tensor_type") or not tensor.HasField("shape"):
        raise OnnxError(f"{what}: expected a tensor with a declared shape")
    if tensor.elem_type not in DTYPES:
        raise OnnxError(f"{what}: expected float32, float64, int64 or bool, found element type {tensor.elem_type}")
    sizes = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in tensor.shape.dim]
    if sizes and sizes[0] <= 0:
        sizes[0] = 1
    if min(sizes, default=1) < 1:
        raise OnnxError(f"{what}: only the first axis may be of unknown size; found {sizes}, give the others a size")
    if len(sizes) > MAX_RANK or math.prod(sizes) > MAX_ELEMENTS:
        raise OnnxError(f"{what}: over the limit of {MAX_RANK} axes or {MAX_ELEMENTS} entries")
    return Type(tuple(sizes), DTYPES[tensor.elem_type])


def _called(source: str | os.PathLike[str] | bytes) -> str:
    return "ONNX model" if isinstance(source, bytes) else str(source)
