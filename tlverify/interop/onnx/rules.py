"""RULES: the ONNX ops that can be imported, with their attributes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from tlverify.interop.onnx import rules_elementwise as elementwise
from tlverify.interop.onnx import rules_linear as linear
from tlverify.interop.onnx import rules_shape as shape
from tlverify.interop.onnx import rules_windows as windows
from tlverify.interop.onnx.view import Rule

MANY = 1 << 16
_WINDOW = {"auto_pad": str, "dilations": list, "kernel_shape": list, "pads": list, "strides": list}
_REDUCE = {"axes": list, "keepdims": int, "noop_with_empty_axes": int}
_VALUES = ("value_float", float), ("value_floats", list), ("value_int", int), ("value_ints", list)
_SLICE = {"axes": list, "ends": list, "starts": list}

RULES: Mapping[str, Rule] = {
    # elementwise
    "Abs": Rule(elementwise.abs_),
    "Add": Rule(elementwise.add, 2, 2),
    "Cast": Rule(elementwise.cast, attributes={"saturate": int, "to": int}),
    "Clip": Rule(elementwise.clip, 1, 3, {"max": float, "min": float}),
    "Cos": Rule(elementwise.cos),
    "Div": Rule(elementwise.div, 2, 2),
    "Dropout": Rule(elementwise.dropout, 1, 3, {"ratio": float, "seed": int}),
    "Equal": Rule(partial(elementwise.binary, "equal"), 2, 2),
    "Erf": Rule(elementwise.erf),
    "Exp": Rule(elementwise.exp),
    "Greater": Rule(partial(elementwise.binary, "greater"), 2, 2),
    "Identity": Rule(elementwise.same),
    "LeakyRelu": Rule(elementwise.leaky_relu, attributes={"alpha": float}),
    "Less": Rule(elementwise.less, 2, 2),
    "Log": Rule(elementwise.log),
    "Max": Rule(partial(elementwise.variadic, "maximum"), 1, MANY),
    "Min": Rule(partial(elementwise.variadic, "minimum"), 1, MANY),
    "Mul": Rule(elementwise.mul, 2, 2),
    "Neg": Rule(elementwise.neg),
    "PRelu": Rule(elementwise.prelu, 2, 2),
    "Pow": Rule(partial(elementwise.binary, "pow"), 2, 2),
    "Relu": Rule(elementwise.relu),
    "Sigmoid": Rule(elementwise.sigmoid),
    "Sign": Rule(elementwise.sign),
    "Sin": Rule(elementwise.sin),
    "Softplus": Rule(elementwise.softplus),
    "Sqrt": Rule(elementwise.sqrt),
    "Sub": Rule(elementwise.sub, 2, 2),
    "Sum": Rule(partial(elementwise.variadic, "add"), 1, MANY),
    "Tanh": Rule(elementwise.tanh),
    "Where": Rule(elementwise.where, 3, 3),
    # linear
    "BatchNormalization": Rule(
        linear.batch_norm, 5, 5, {"epsilon": float, "momentum": float, "spatial": int, "training_mode": int}
    ),
    "Gemm": Rule(linear.gemm, 2, 3, {"alpha": float, "beta": float, "transA": int, "transB": int}),
    "MatMul": Rule(linear.matmul, 2, 2),
    # windows
    "AveragePool": Rule(windows.average_pool, attributes={**_WINDOW, "ceil_mode": int, "count_include_pad": int}),
    "Conv": Rule(windows.conv, 2, 3, {**_WINDOW, "group": int}),
    "GlobalAveragePool": Rule(windows.global_average_pool),
    "GlobalMaxPool": Rule(windows.global_max_pool),
    "MaxPool": Rule(windows.max_pool, attributes={**_WINDOW, "ceil_mode": int, "storage_order": int}),
    # reductions
    "ReduceMax": Rule(shape.reduce_max, 1, 2, _REDUCE),
    "ReduceMean": Rule(shape.reduce_mean, 1, 2, _REDUCE),
    "ReduceMin": Rule(shape.reduce_min, 1, 2, _REDUCE),
    "ReduceSum": Rule(shape.reduce_sum, 1, 2, _REDUCE),
    # shapes and constants
    "Concat": Rule(shape.concat, 1, MANY, {"axis": int}),
    "Constant": Rule(shape.constant, 0, 0, {"value": np.ndarray, **dict(_VALUES)}),
    "ConstantOfShape": Rule(shape.constant_of_shape, attributes={"value": np.ndarray}),
    "Expand": Rule(shape.expand, 2, 2),
    "Flatten": Rule(shape.flatten, attributes={"axis": int}),
    "Gather": Rule(shape.gather, 2, 2, {"axis": int}),
    "Pad": Rule(shape.pad, 1, 4, {"mode": str, "pads": list, "value": float}),
    "Range": Rule(shape.range_, 3, 3),
    "Reshape": Rule(shape.reshape, 2, 2, {"allowzero": int}),
    "Shape": Rule(shape.shape_of, attributes={"end": int, "start": int}),
    "Size": Rule(shape.size_of),
    "Slice": Rule(shape.slice_, 1, 5, _SLICE),
    "Split": Rule(shape.split, 1, 2, {"axis": int, "num_outputs": int, "split": list}),
    "Squeeze": Rule(shape.squeeze, 1, 2, {"axes": list}),
    "Transpose": Rule(shape.transpose, attributes={"perm": list}),
    "Unsqueeze": Rule(shape.unsqueeze, 1, 2, {"axes": list}),
}
