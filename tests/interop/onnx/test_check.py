"""The comparison with onnxruntime finds what differs."""

import sys

import numpy as np
import pytest

from tlverify.graph import GraphBuilder, Type
from tlverify.interop.onnx import OnnxError, cross_check
from tlverify.interop.onnx.check import _difference
from tlverify.interop.onnx.importer import graph_of

from .models import model, node, typed

RELU = typed(model([node("Relu", ["x"], ["y"])], {"x": (2, 3)}), [("y", (2, 3), "float32")])
RAW = RELU.SerializeToString()


def graph(op, shape=(2, 3), dtype="float32", **attributes):
    builder = GraphBuilder()
    x = builder.input("x", Type(shape, dtype))
    return builder.build(builder.node(op, x, name="y", **attributes))


def test_agreement_is_reported():
    found = cross_check(graph_of(RELU), RAW, samples=3, seed=1)
    assert found.runtime.startswith("onnxruntime ")
    assert (found.samples, found.difference) == (3, 0.0)


def test_a_difference_is_found():
    with pytest.raises(OnnxError, match=r"differ by .* of the largest output, more than 0\.0001: please report"):
        cross_check(graph("leaky_relu", slope="1/1024"), RAW)


def test_another_shape_is_found():
    with pytest.raises(OnnxError, match=r"output 'y' has shape \[3, 2\], not \[2, 3\]"):
        cross_check(graph("transpose", axes=(1, 0)), RAW)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([np.nan, 1], [np.nan, 1], 0),
        ([np.inf, 1], [np.inf, 1.5], 0.5),
        ([np.nan], [1], np.inf),
        ([np.inf], [-np.inf], np.inf),
        ([], [], 0),
    ],
)
def test_difference_of_what_is_not_finite(ours, theirs, expected):
    assert _difference(np.array(ours, float), np.array(theirs, float)) == expected


def test_integers_are_refused():
    with pytest.raises(OnnxError, match="cross-check: expected float inputs, found integers or bool"):
        cross_check(graph("neg", dtype="int64"), RAW)


def test_without_onnxruntime(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(OnnxError, match=r"needs onnxruntime: pip install 'tlverify\[onnx\]'"):
        cross_check(graph_of(RELU), RAW)


def test_what_onnxruntime_lacks_is_run_by_the_reference():
    """onnxruntime has no convolution of float64."""
    constants = {"w": np.ones((1, 1, 2, 2))}
    message = model([node("Conv", ["x", "w"], ["y"])], {"x": (1, 1, 3, 3)}, constants=constants, dtype="float64")
    raw = typed(message, [("y", (1, 1, 2, 2), "float64")]).SerializeToString()
    assert cross_check(graph_of(message), raw).runtime.endswith("(reference)")


def test_a_model_that_none_can_run():
    message = model([node("Relu", ["x"], ["y"], domain="nowhere")], {"x": (2, 3)})
    raw = typed(message, [("y", (2, 3), "float32")]).SerializeToString()
    with pytest.raises(OnnxError, match="cross-check: neither onnxruntime nor onnx can run the model"):
        cross_check(graph_of(RELU), raw)


def test_a_model_that_fails_when_it_runs():
    message = model([node("Reshape", ["x", "s"], ["y"])], {"x": (2, 3)}, constants={"s": np.array([4, 2])})
    raw = typed(message, [("y", (4, 2), "float32")]).SerializeToString()
    with pytest.raises(OnnxError, match="cannot run the model"):
        cross_check(graph_of(RELU), raw)


def test_another_number_of_outputs_is_found():
    two = typed(model([node("Relu", ["x"], ["y"])], {"x": (2, 3)}), [("y", (2, 3), "float32")] * 2)
    with pytest.raises(OnnxError, match=r"the graph has \(inputs, outputs\) \(1, 1\), the model \(1, 2\)"):
        cross_check(graph_of(RELU), two.SerializeToString())
