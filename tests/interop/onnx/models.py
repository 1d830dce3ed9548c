"""Small ONNX models for the tests."""

import numpy as np
from onnx import helper, numpy_helper

from tlverify.interop.onnx import cross_check
from tlverify.interop.onnx.importer import graph_of
from tlverify.interop.onnx.reader import read_model

ELEMENTS = {"float16": 10, "float32": 1, "float64": 11, "int64": 7, "int32": 6, "bool": 9}


def value(name, shape, dtype="float32"):
    return helper.make_tensor_value_info(name, ELEMENTS[dtype], shape)


def model(nodes, inputs, outputs=("y",), constants=None, opset=17, ir_version=8, dtype="float32"):
    """A model with inputs {name: shape} of one dtype and constants {name: array}."""
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()]
    given = [value(name, shape, dtype) for name, shape in inputs.items()]
    untyped = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph(nodes, "test", given, untyped, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


def typed(message, shapes):
    """The model with declared outputs, as onnxruntime wants them."""
    del message.graph.output[:]
    message.graph.output.extend(
        helper.make_tensor_value_info(name, ELEMENTS[dtype], shape) for name, shape, dtype in shapes
    )
    return message


def imported(message, samples=4):
    """The graph of a model, after it was compared with onnxruntime."""
    graph = graph_of(read_model(message.SerializeToString()))
    types = graph.types
    names = [entry.name for entry in message.graph.output]
    shapes = [(name, types[o].shape, types[o].dtype) for name, o in zip(names, graph.outputs, strict=True)]
    cross_check(graph, typed(message, shapes).SerializeToString(), samples)
    return graph


def ops(graph):
    return [node.op for node in graph.nodes]


node = helper.make_node
