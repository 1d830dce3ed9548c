"""Every ONNX op that can be imported, against onnxruntime, with the ops of the graph that it becomes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlverify.certify.kernel import read_program
from tlverify.certify.kernel.rules import RULES as KERNEL
from tlverify.graph import to_bytes
from tlverify.interop.onnx import OnnxError
from tlverify.interop.onnx.importer import graph_of
from tlverify.interop.onnx.rules import RULES

from .models import imported, model, node, ops

rng = np.random.default_rng(3)
A, B, IMAGE, LINE = (2, 3), (2, 3), (2, 4, 6, 5), (2, 4, 7)


def f(*shape):
    return rng.normal(size=shape).astype("float32")


def i(*values):
    return np.array(values, "int64")


def case(op, inputs, constants=None, expected=None, opset=17, outputs=1, order=None, dtype="float32", **attributes):
    """One node on inputs and constants in the order given (inputs first by default)."""
    constants = constants or {}
    names = order or [*inputs, *constants]
    results = [f"y{k}" for k in range(outputs)]
    one = node(op, names, results, name="n", **attributes)
    return pytest.param(one, inputs, constants, opset, results, dtype, expected, id=f"{op}-{opset}-{expected}")


def x(*shape):
    return {"x": shape}


def xy(one, other):
    return {"x": one, "y": other}


STATISTICS = {"scale": f(4), "bias": f(4), "mean": f(4), "variance": rng.uniform(0.5, 2, 4).astype("float32")}
W1, W2 = {"w": f(6, 4, 3)}, {"w": f(6, 4, 3, 2)}
ELEMENTWISE = [
    *(case(op, x(*A), None, [made]) for op, made in (("Abs", "abs"), ("Neg", "neg"), ("Relu", "relu"))),
    *(case(op, x(*A), None, [op.lower()]) for op in ("Exp", "Log", "Sign", "Sqrt")),
    *(case(op, x(*A), None, [op.lower()]) for op in ("Cos", "Erf", "Sigmoid", "Sin", "Softplus", "Tanh")),
    case("Pow", x(*A), {"c": np.float32(2)}, None),
    *(case(op, xy(A, B), None, [op.lower()]) for op in ("Add", "Sub", "Mul", "Div")),
    *(case(op, xy(A, B), None, [op.lower()], 8) for op in ("Add", "Sub", "Mul", "Div")),
    *(case(op, xy(A, B), None, [op.lower()], 22) for op in ("Add", "Sub", "Mul", "Div")),
    case("Add", xy((2, 1, 3), (4, 1)), None, ["broadcast_to", "broadcast_to", "add"]),
    case("Add", x(*A), {"c": f(3)}, ["add"]),
    case("Sub", x(*A), {"c": f(2, 1)}, ["sub"]),
    case("Add", x(*A), {"c": np.zeros((1, 3), "float32")}, []),
    case("Add", x(*A), {"c": np.zeros((1, 3), "float32")}, [], order=["c", "x"]),
    case("Add", x(3), {"c": np.zeros((1, 3), "float32")}, ["broadcast_to", "add"]),
    case("Sub", x(*A), {"c": np.zeros(3, "float32")}, []),
    case("Sub", x(*A), {"c": np.zeros(3, "float32")}, ["sub"], order=["c", "x"]),
    case("Sub", x(*A), {"c": f(1)}, ["sub"], order=["c", "x"]),
    case("Sub", x(3), {"c": f(2, 1)}, ["broadcast_to", "sub"]),
    case("Mul", x(*A), {"c": f()}, ["scale"]),
    case("Mul", x(*A), {"c": f(1, 1)}, ["scale"], order=["c", "x"]),
    case("Mul", x(3), {"c": f(1, 1)}, ["broadcast_to", "scale"]),
    case("Mul", x(*A), {"c": f(3)}, ["mul"]),
    case("Mul", x(*A), {"c": np.float32(1)}, []),
    case("Div", x(*A), {"c": np.float32(4)}, ["scale"]),
    case("Div", x(*A), {"c": np.array([1, -0.5, 2], "float32")}, ["mul"]),
    case("Div", x(*A), {"c": np.float32(0.3081)}, ["batch_norm"]),
    case("Div", x(*A), {"c": np.float32(-3)}, ["batch_norm"]),
    case("Div", x(), {"c": np.float32(-3)}, ["reshape", "batch_norm", "reshape"]),
    case(
        "Div", x(*A), {"c": np.array([3, -3, 5], "float32")}, ["slice", "batch_norm", "slice", "batch_norm", "concat"]
    ),
    case("Div", x(*A), {"c": f(2, 3)}, None),
    case("Div", x(*A), {"c": f(2, 3)}, ["div"], order=["c", "x"]),
    case("Max", xy(A, (3,)), None, ["broadcast_to", "maximum"], 8),
    case("Max", x(*A), {"c": f(3), "d": f(1)}, ["maximum", "maximum"]),
    case("Max", x(*A), None, []),
    case("Min", xy(A, B), None, ["minimum"]),
    case("Sum", xy(A, B), {"c": f(3)}, ["add", "add"]),
    case("Identity", x(*A), None, []),
    case("Dropout", x(*A), None, [], 8, ratio=0.5),
    case("Dropout", x(*A), {"ratio": np.float32(0.5), "training": np.array(False)}, [], 13),
    case("LeakyRelu", x(*A), None, ["leaky_relu"]),
    case("LeakyRelu", x(*A), None, ["leaky_relu"], 8, alpha=0.2),
    case("PRelu", x(*A), {"slope": f(1)}, ["leaky_relu"]),
    case("PRelu", x(2, 3, 4), {"slope": f(3, 1)}, ["neg", "relu", "mul", "relu", "sub"]),
    case("Clip", x(*A), None, ["clamp"], 8, min=-0.5, max=0.25),
    case("Clip", x(*A), None, ["relu"], 8, min=0.0),
    case("Clip", x(*A), {"low": np.float32(-0.5), "high": np.float32(0.5)}, ["clamp"]),
    case("Clip", x(*A), {"low": np.float32(-0.5)}, ["maximum"]),
    case("Clip", x(*A), {"high": np.float32(0.5)}, ["minimum"], order=["x", "", "high"]),
    case("Clip", x(*A), {"low": np.float32(0)}, ["relu"]),
    case("Clip", x(*A), None, []),
    case("Equal", xy(A, B), None, ["equal"]),
    case("Greater", xy(A, B), None, ["greater"]),
    case("Less", xy(A, B), None, ["greater"]),
    case("Cast", x(*A), None, ["cast"], to=11),
    case("Cast", x(*A), None, [], to=1),
    case("Where", xy(A, B), {"c": np.array([True, False, True])}, ["where"], order=["c", "x", "y"]),
]
LINEAR = [
    case("MatMul", x(2, 3), {"w": f(3, 4)}, ["linear"]),
    case("MatMul", x(3), {"w": f(3, 4)}, ["reshape", "linear", "reshape"]),
    case("MatMul", x(2, 3), {"w": f(3)}, ["linear", "reshape"]),
    case("MatMul", x(3), {"w": f(3)}, ["reshape", "linear", "reshape"]),
    case("MatMul", x(5, 2, 3), {"w": f(3, 4)}, ["linear"], 8),
    case("MatMul", x(5, 2, 3), {"w": f(1, 3, 4)}, ["linear"]),
    case("MatMul", x(2, 3), {"w": f(1, 3, 4)}, ["broadcast_to", "matmul"]),
    case("MatMul", x(5, 2, 3), {"w": f(5, 3, 4)}, ["matmul"]),
    case("MatMul", x(3, 2), {"w": f(4, 3)}, ["matmul"], order=["w", "x"]),
    case("MatMul", x(3), {"w": f(4, 3)}, ["reshape", "matmul", "reshape"], order=["w", "x"]),
    case("MatMul", x(5, 3, 2), {"w": f(4, 3)}, ["matmul"], order=["w", "x"]),
    case("MatMul", xy((2, 3), (5, 3, 4)), None, ["broadcast_to", "matmul"]),
    case("Gemm", x(2, 3), {"w": f(3, 4), "b": f(4)}, ["linear"], 8),
    case("Gemm", x(2, 3), {"w": f(4, 3), "b": f(1, 4)}, ["linear"], transB=1),
    case("Gemm", x(3, 2), {"w": f(4, 3), "b": f(1)}, ["transpose", "linear"], transA=1, transB=1),
    case("Gemm", x(2, 3), {"w": f(3, 4)}, ["linear"]),
    case("Gemm", x(2, 3), {"w": f(3, 4), "b": f(4)}, ["scale", "linear"], alpha=0.3, beta=0.5),
    case("Gemm", x(2, 3), {"w": f(3, 4), "b": f(4)}, ["scale", "linear", "broadcast_to", "add"], beta=0.3),
    case("Gemm", x(2, 3), {"w": f(3, 4), "b": f(4)}, ["linear"], beta=0.0),
    case("Gemm", x(2, 3), {"w": f(3, 4), "b": f(2, 4)}, ["linear", "add"]),
    case("Gemm", x(2, 3), {"w": f(3, 4), "b": f(2, 1)}, ["linear", "add"]),
    case("Gemm", {**x(2, 3), "b": (4,)}, {"w": f(3, 4)}, ["linear", "broadcast_to", "add"], order=["x", "w", "b"]),
    case("Gemm", x(3, 2), {"w": f(4, 3)}, ["matmul"], order=["w", "x"]),
    case("Gemm", xy((2, 3), (4, 3)), None, ["transpose", "matmul"], transB=1),
    case("BatchNormalization", x(*IMAGE), STATISTICS, ["batch_norm"], 8),
    case("BatchNormalization", x(*IMAGE), STATISTICS, ["batch_norm"], 9, epsilon=0.25),
    case("BatchNormalization", x(3, 4), STATISTICS, ["batch_norm"], 15, momentum=0.5, training_mode=0),
]
WINDOWS = [
    case("Conv", x(*IMAGE), W2, ["conv2d"], 8),
    case("Conv", x(*IMAGE), {**W2, "b": f(6)}, ["conv2d"], strides=[2, 1], pads=[1, 0, 2, 1], dilations=[1, 2]),
    case("Conv", x(*IMAGE), {"w": f(6, 2, 3, 3), "b": f(6)}, ["conv2d"], 22, group=2, kernel_shape=[3, 3]),
    case("Conv", x(*IMAGE), {"w": f(8, 1, 2, 2)}, ["conv2d"], group=4),
    case("Conv", x(*IMAGE), W2, ["conv2d"], auto_pad="SAME_UPPER", strides=[2, 2]),
    case("Conv", x(*IMAGE), W2, ["conv2d"], auto_pad="SAME_LOWER"),
    case("Conv", x(*IMAGE), W2, ["conv2d"], auto_pad="VALID"),
    case("Conv", x(2, 4, 6, 6), {"w": f(6, 4, 1, 1)}, ["conv2d"], auto_pad="SAME_UPPER", strides=[2, 2]),
    case("Conv", x(2, 4, 6, 6), {"w": f(6, 4, 1, 1)}, ["conv2d"], auto_pad="SAME_LOWER", strides=[2, 2]),
    case("Conv", x(*LINE), W1, ["reshape", "conv2d", "reshape"], pads=[1, 2], strides=[2]),
    case("Conv", x(*LINE), {**W1, "b": f(6)}, ["reshape", "conv2d", "reshape"], auto_pad="SAME_UPPER"),
    case("MaxPool", x(*IMAGE), None, ["max_pool2d"], 8, kernel_shape=[2, 2]),
    case("MaxPool", x(*IMAGE), None, ["max_pool2d"], kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 2, 1]),
    case("MaxPool", x(*IMAGE), None, ["max_pool2d"], kernel_shape=[2, 2], dilations=[2, 3]),
    case("MaxPool", x(*IMAGE), None, ["max_pool2d"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    case("MaxPool", x(*IMAGE), None, ["max_pool2d"], kernel_shape=[2, 2], strides=[3, 3], ceil_mode=1),
    case("MaxPool", x(1, 1, 3, 3), None, ["max_pool2d"], 22, kernel_shape=[1, 1], strides=[3, 3], ceil_mode=1),
    case("MaxPool", x(*LINE), None, ["reshape", "max_pool2d", "reshape"], kernel_shape=[3], strides=[2], ceil_mode=1),
    case("MaxPool", x(*IMAGE), None, ["max_pool2d"], kernel_shape=[3, 3], auto_pad="SAME_UPPER", strides=[2, 2]),
    case("AveragePool", x(*IMAGE), None, ["avg_pool2d"], 8, kernel_shape=[2, 3]),
    case("AveragePool", x(*IMAGE), None, ["avg_pool2d"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    case("AveragePool", x(*IMAGE), None, ["avg_pool2d"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    case("AveragePool", x(*IMAGE), None, ["avg_pool2d"], kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1),
    case(
        "AveragePool",
        x(*IMAGE),
        None,
        ["pad", "avg_pool2d"],
        22,
        kernel_shape=[3, 2],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        ceil_mode=1,
        count_include_pad=1,
    ),
    case("AveragePool", x(*LINE), None, ["reshape", "avg_pool2d", "reshape"], kernel_shape=[2]),
    case("GlobalAveragePool", x(*IMAGE), None, ["avg_pool2d"]),
    case("GlobalAveragePool", x(*LINE), None, ["reshape", "avg_pool2d", "reshape"]),
    case("GlobalMaxPool", x(*IMAGE), None, ["max"]),
]
SHAPES = [
    case("Concat", xy((2, 3), (2, 1)), {"c": f(2, 2)}, ["concat"], axis=-1),
    case("Concat", x(2, 3), None, [], axis=0),
    case("Expand", x(3, 1), {"s": i(2, 1, 4)}, ["broadcast_to"]),
    case("Flatten", x(2, 3, 4), None, ["reshape"], 8),
    case("Flatten", x(2, 3, 4), None, ["reshape"], 13, axis=-1),
    case("Flatten", x(2, 3, 4), None, ["reshape"], axis=0),
    case("Gather", x(4, 3), {"i": i(2, 0, 1, -1)}, ["slice", "slice", "slice", "concat"]),
    case("Gather", x(4, 3), {"i": i(0, 2)}, ["slice"], axis=1),
    case("Gather", x(4, 3), {"i": np.array(-1)}, ["slice", "reshape"], axis=1),
    case("Gather", x(4, 3), {"i": np.array([[0, 1], [2, 3]])}, ["reshape"]),
    case("Pad", x(2, 3), None, ["pad"], 8, pads=[0, 1, 2, 0], value=1.5),
    case("Pad", x(2, 3), {"p": i(1, -1, 0, 1), "v": np.float32(2)}, ["slice", "pad"], 11),
    case("Pad", x(2, 3), {"p": i(0, 0, 0, 0)}, [], 13),
    case("Pad", x(2, 3), {"p": i(1, 2), "v": np.float32(0), "a": i(-1)}, ["pad"], 18),
    case("Reshape", x(2, 3, 4), {"s": i(0, -1)}, ["reshape"]),
    case("Reshape", x(2, 3), {"s": i(2, 3)}, []),
    case("Slice", x(6, 5), None, ["slice"], 8, starts=[1], ends=[-1], axes=[1]),
    case("Slice", x(6, 5), {"s": i(0, 1), "e": i(100, 5)}, ["slice"], 10),
    case("Slice", x(6, 5), {"s": i(-1), "e": i(-6), "a": i(1), "t": i(-2)}, ["slice"] * 3 + ["concat"], 13),
    case("Slice", x(6, 5), {"s": i(-9), "e": i(-9), "a": i(1), "t": i(-1)}, ["slice"], 13),
    case("Slice", x(6, 5), {"s": i(9), "e": i(3), "a": i(1), "t": i(1)}, ["slice"], 13),
    case("Slice", x(6, 5), {"s": i(1, 0), "e": i(6, 5), "a": i(0, 1), "t": i(3, 2)}, ["slice", "slice"]),
    case("Split", x(6, 5), None, ["slice", "slice"], 8, outputs=2),
    case("Split", x(6, 5), None, ["slice", "slice"], 11, outputs=2, axis=-1, split=[2, 3]),
    case("Split", x(6, 5), {"s": i(1, 4)}, ["slice", "slice"], 13, outputs=2, axis=1),
    case("Split", x(6, 5), None, ["slice"] * 3, 18, outputs=3, axis=1, num_outputs=3),
    case("Squeeze", x(1, 3, 1), None, ["reshape"], 8),
    case("Squeeze", x(1, 3, 1), None, ["reshape"], 11, axes=[-1]),
    case("Squeeze", x(1, 3, 1), {"a": i(0)}, ["reshape"], 13),
    case("Unsqueeze", x(3, 2), None, ["reshape"], 8, axes=[0, 2]),
    case("Unsqueeze", x(3, 2), {"a": i(-1, 0)}, ["reshape"], 13),
    case("Transpose", x(2, 3, 4), None, ["transpose"]),
    case("Transpose", x(2, 3, 4), None, ["transpose"], perm=[1, 0, 2]),
    case("Transpose", x(2, 3), None, [], perm=[0, 1]),
    case("ReduceSum", x(2, 3, 4), None, ["sum"], 11, axes=[0, -1], keepdims=0),
    case("ReduceSum", x(2, 3, 4), {"a": i(1)}, ["sum"], 13),
    case("ReduceSum", x(2, 3, 4), None, ["sum"], 13, keepdims=0),
    case("ReduceSum", x(2, 3, 4), None, [], 13, noop_with_empty_axes=1),
    case("ReduceMean", x(2, 3, 4), None, ["reshape", "avg_pool2d", "reshape"], 8, axes=[2]),
    case("ReduceMean", x(2, 3, 4), {"a": i(0)}, ["transpose", "reshape", "avg_pool2d", "reshape"], 18, keepdims=0),
    case("ReduceMean", x(2, 3, 4), {"a": i(1, 2)}, ["avg_pool2d"], 18),
    case("ReduceMean", x(2, 3, 4), None, ["reshape", "avg_pool2d", "reshape"], 13, keepdims=0),
    case("ReduceMax", x(2, 3, 4), None, ["max"], 13, axes=[1], keepdims=0),
    case("ReduceMax", x(2, 3, 4), {"a": i(1)}, ["max"], 18),
    case("ReduceMin", x(2, 3, 4), None, ["neg", "max", "neg"], 13, axes=[1]),
    case("Shape", x(2, 3, 4), None, ["reshape"], 13),
    case("Shape", x(2, 3, 4), None, ["reshape"], 15, start=-2, end=-1),
    case("Size", x(2, 3, 4), None, ["reshape"]),
    case("Constant", {}, None, ["reshape"], value_floats=[1.0, 2.5]),
    case("Constant", {}, None, ["reshape"], value_int=3),
    case("ConstantOfShape", {}, {"s": i(2, 3)}, ["reshape"]),
    case("Range", {}, {"a": np.array(1), "b": np.array(7), "c": np.array(2)}, ["reshape"]),
]
ALL = [*ELEMENTWISE, *LINEAR, *WINDOWS, *SHAPES]


@pytest.mark.parametrize(("one", "inputs", "constants", "opset", "results", "dtype", "expected"), ALL)
def test_agrees_with_onnxruntime_and_becomes_these_ops(one, inputs, constants, opset, results, dtype, expected):
    message = model([one], inputs, results, constants, opset, dtype=dtype)
    graph = imported(message)
    found = ops(graph)
    # An output of a model that is an input or a constant is carried by a node of its own.
    assert expected is None or found == expected or (found == ["reshape"] and expected == [])
    assert all(type_.dtype in ("float32", "int64", "float64", "bool") for type_ in graph.types.values())
    floats = all(type_.dtype == "float32" and 0 not in type_.shape for type_ in graph.types.values())
    if set(found) <= set(KERNEL) and len(inputs) == 1 and floats:
        read_program(*to_bytes(graph))


def test_every_rule_has_a_case():
    assert {parameters.values[0].op_type for parameters in ALL} == set(RULES)


@st.composite
def windows(draw):
    """A convolution or pooling with any attributes."""
    rank = draw(st.integers(1, 2))
    sizes = st.lists(st.integers(1, 4), min_size=rank, max_size=rank)
    op = draw(st.sampled_from(["MaxPool", "AveragePool", "Conv"]))
    attributes = {"strides": draw(sizes)}
    if op != "AveragePool":
        attributes["dilations"] = draw(sizes)
    if draw(st.booleans()):
        attributes["pads"] = draw(st.lists(st.integers(0, 3), min_size=2 * rank, max_size=2 * rank))
    elif draw(st.booleans()):
        attributes["auto_pad"] = draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    kernel, shape = draw(sizes), [draw(st.integers(1, 2)), 2, *draw(sizes), 0]
    shape = [*shape[:2], *(size + 3 for size in shape[2 : 2 + rank])]
    if op == "Conv":
        return node(op, ["x", "w"], ["y"], group=2, **attributes), shape, {"w": f(4, 1, *kernel)}
    attributes |= {"kernel_shape": kernel, "ceil_mode": draw(st.integers(0, 1))}
    if op == "AveragePool":
        attributes["count_include_pad"] = draw(st.integers(0, 1))
    return node(op, ["x"], ["y"], **attributes), shape, {}


@given(windows(), st.sampled_from([12, 17, 19, 22]))
@settings(max_examples=100, deadline=None)
def test_windows_of_any_form_agree_with_onnxruntime(window, opset):
    one, shape, constants = window
    try:
        imported(model([one], {"x": shape}, constants=constants, opset=opset), samples=1)
    except OnnxError as error:
        refused = "ambiguous", "expected less than the window", "leaves a window", "more than the padded", "cannot run"
        if not any(reason in str(error) for reason in refused):
            raise


REFUSED = [
    (node("Einsum", ["x"], ["y"]), {}, 17, r"node 'n' \(Einsum\): op 'Einsum' is not supported; supported: Abs, "),
    (
        node("Relu", ["x"], ["y"], domain="com.microsoft"),
        {},
        17,
        "op 'Relu' of domain 'com.microsoft' is not supported",
    ),
    (node("Relu", ["z"], ["y"]), {}, 17, "uses 'z' before it is computed"),
    (node("Relu", ["x"], ["x"]), {}, 17, "value 'x': expected a new, non-empty name"),
    (node("Relu", ["x", "x"], ["y"]), {}, 17, "expected 1 to 1 inputs, found 2"),
    (node("Relu", [""], ["y"]), {}, 17, "expected 1 to 1 inputs, found 0"),
    (node("Relu", ["x"], ["y"], slope=1), {}, 17, "attribute 'slope' is not supported"),
    (node("Relu", ["x"], ["y", "z"]), {}, 17, "its output 1, 'z', is not supported"),
    (node("LeakyRelu", ["x"], ["y"], alpha=[0.5]), {}, 17, "attribute 'alpha': unexpected kind list"),
    (node("LeakyRelu", ["x"], ["y"], alpha=float("nan")), {}, 17, "alpha: expected a finite float32"),
    (node("Add", ["x", "c"], ["y"]), {"c": f(7)}, 17, r"shapes \[2, 3, 4, 4\] and \[7\] do not broadcast together"),
    (node("Add", ["x", "c"], ["y"]), {"c": np.zeros(4)}, 17, "add: expected equal shapes and dtypes"),
    (
        node("Add", ["x", "c"], ["y"]),
        {"c": np.full(4, np.inf, "float32")},
        17,
        "constant 'c' holds a NaN or an infinity",
    ),
    (node("Div", ["x", "c"], ["y"]), {"c": np.float32(0)}, 17, "divisor 'c': holds 0, a NaN or an infinity"),
    (node("Div", ["x", "c"], ["y"]), {"c": np.float32(3e-45)}, 17, "too small to divide by exactly"),
    (node("Clip", ["x", "x"], ["y"]), {}, 17, "min: expected a constant, found a value that depends on the input"),
    (node("Clip", ["x", "c"], ["y"]), {"c": f(2)}, 17, "min: expected one number, found 2"),
    (node("Clip", ["x"], ["y"], min=1.0, max=0.0), {}, 8, "clamp: expected minimum <= maximum"),
    (
        node("Dropout", ["x", "", "t"], ["y"]),
        {"t": np.array(True)},
        13,
        "training_mode: expected a model for inference",
    ),
    (node("Cast", ["x"], ["y"], to=10), {}, 17, "to: expected a cast to float32, float64, int32, int64 or bool"),
    (node("Cast", ["c"], ["y"], to=1), {"c": np.array([0.1])}, 17, "constant 'c': the cast to float32 would round it"),
    (node("PRelu", ["x", "x"], ["y"]), {}, 17, "slope: expected a constant"),
    (node("MatMul", ["x", "c"], ["y"]), {"c": f(3, 2)}, 17, "their inner sizes differ"),
    (node("MatMul", ["x", "c"], ["y"]), {"c": f()}, 17, "expected matrices or vectors"),
    (node("Gemm", ["x", "c"], ["y"]), {"c": f(3, 2)}, 17, "expected matrices"),
    (node("Conv", ["x", "x"], ["y"]), {}, 17, "expected constant weights and bias"),
    (node("Conv", ["x", "c"], ["y"]), {"c": f(2, 3)}, 17, r"W: expected \(out, channels / group, ...\)"),
    (node("Conv", ["x", "c"], ["y"]), {"c": f(2, 2, 1, 1)}, 17, "conv2d: groups: expected equal groups"),
    (node("Conv", ["x", "c"], ["y"]), {"c": f(2, 3, 9, 9)}, 17, r"conv2d: kernel \[9, 9\] spans \[9, 9\], more than"),
    (node("Conv", ["x", "c"], ["y"]), {"c": f(2, 3, 2)}, 17, "kernel_shape: expected 2 sizes"),
    (
        node("Conv", ["x", "c"], ["y"], kernel_shape=[3, 3]),
        {"c": f(2, 3, 1, 1)},
        17,
        "kernel_shape: expected .1, 1. as in W",
    ),
    (
        node("Conv", ["x", "c"], ["y"], pads=[0, 0, -1, 0]),
        {"c": f(2, 3, 1, 1)},
        17,
        "pads: expected sizes of at least 0",
    ),
    (node("Conv", ["x", "c"], ["y"], auto_pad="NICE"), {"c": f(2, 3, 1, 1)}, 17, "auto_pad: expected NOTSET, VALID"),
    (node("MaxPool", ["x"], ["y"], kernel_shape=[1, 1], strides=[4, 4], auto_pad="SAME_LOWER"), {}, 17, "is ambiguous"),
    (node("MaxPool", ["x"], ["y"]), {}, 17, r"kernel_shape: expected 2 sizes .* found \[\]"),
    (node("MaxPool", ["x"], ["y", "z"], kernel_shape=[2, 2]), {}, 17, "its second output, the places of the maxima"),
    (
        node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], pads=[0, 2, 0, 0]),
        {},
        17,
        "pads: expected less than the window",
    ),
    (node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[0, 1]), {}, 17, "expected sizes of at least 1"),
    (
        node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[1]),
        {},
        17,
        r"strides: expected 2 integers, found \[1\]",
    ),
    (
        node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], dilations=[2, 2]),
        {},
        19,
        r"dilations: expected 1, found \[2, 2\]",
    ),
    (node("Reshape", ["x", "x"], ["y"]), {}, 17, "shape: expected constants, found values that depend on the input"),
    (node("Reshape", ["x", "c"], ["y"]), {"c": i(7, -1)}, 17, r"shape: .* does not fit in \[7, -1\]"),
    (node("Reshape", ["x", "c"], ["y"]), {"c": i(-1, -1)}, 17, "reshape: shape: expected sizes >= 0"),
    (node("Reshape", ["x", "c"], ["y"]), {"c": i(1, 1, 1, 1, 0)}, 17, "copies a size that"),
    (node("Reshape", ["x", "c"], ["y"]), {"c": f(2)}, 17, "shape: expected a list of integers, found float32"),
    (node("Transpose", ["x"], ["y"], perm=[0, 0, 1, 2]), {}, 17, r"transpose: axes \[0, 0, 1, 2\] do not permute"),
    (node("Flatten", ["x"], ["y"], axis=9), {}, 17, "axis: expected -4 to 4, found 9"),
    (node("Concat", ["x", "x"], ["y"]), {}, 17, "axis: is missing"),
    (node("Concat", ["x", "x"], ["y"], axis=4), {}, 17, "axis: expected -4 to 3, found 4"),
    (node("Squeeze", ["x"], ["y"], axes=[0]), {}, 11, "axes: expected axes of size 1"),
    (node("Squeeze", ["x"], ["y"], axes=[0]), {}, 13, "attribute 'axes' is an input since version 13"),
    (node("Unsqueeze", ["x"], ["y"]), {}, 11, "axes: expected a list, found none"),
    (node("Unsqueeze", ["x", "c"], ["y"]), {"c": i(0, 0)}, 13, "names an axis twice"),
    (node("Slice", ["x", "c", "c", "c", "d"], ["y"]), {"c": i(0), "d": i(0)}, 13, "a step other than 0"),
    (node("Slice", ["x", "c"], ["y"]), {"c": i(0)}, 13, "expected starts and ends of equal length"),
    (node("Gather", ["x", "c"], ["y"]), {"c": i(2)}, 13, "indices: expected integers from -2 to 1"),
    (node("Gather", ["x", "x"], ["y"]), {}, 13, "indices: expected a constant"),
    (node("Split", ["x"], ["y", "z"], axis=1), {}, 13, "cannot split 3 entries into 2 equal parts"),
    (node("Split", ["x", "c"], ["y", "z"]), {"c": i(1, 2)}, 13, r"split: expected sizes with sum 2, found \[1, 2\]"),
    (node("Pad", ["x"], ["y"], pads=[0] * 8, mode="edge"), {}, 8, "mode: expected constant, found 'edge'"),
    (node("Pad", ["x", "c"], ["y"]), {"c": i(1)}, 13, r"pads: expected 8 integers, found \[1\]"),
    (node("ReduceMax", ["x"], ["y"], axes=[1, 1]), {}, 13, "names an axis twice"),
    (node("Constant", [], ["y"]), {}, 13, "expected one attribute with the value, found"),
    (node("ConstantOfShape", ["c"], ["y"]), {"c": i(1 << 40)}, 13, "expected one value and at most"),
    (node("Range", ["a", "b", "c"], ["y"]), {k: np.array(v) for k, v in zip("abc", (0, 1, 0), strict=True)}, 13, "0"),
    (
        node("Expand", ["c", "s"], ["y"]),
        {"c": f(1), "s": i(1 << 30)},
        13,
        "constants are over the limit",
    ),
    (
        node("BatchNormalization", ["x", "s", "s", "s", "s"], ["y"], training_mode=1),
        {"s": f(3)},
        15,
        "a model for inference",
    ),
    (
        node("BatchNormalization", ["x", "s", "s", "s", "x"], ["y"]),
        {"s": f(3)},
        15,
        "var: expected a constant, found a value that depends on the input",
    ),
]


@pytest.mark.parametrize(("one", "constants", "opset", "reason"), REFUSED)
def test_refused_with_the_reason(one, constants, opset, reason):
    one.name = "n"
    with pytest.raises(OnnxError, match=reason):
        graph_of(model([one], x(2, 3, 4, 4), ["y"], constants, opset))
