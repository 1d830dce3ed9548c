"""Loading a network by the name of its file."""

import gzip

import numpy as np
import pytest

import tlverify
from tlverify.graph import GraphBuilder, GraphError, Type, digest, save_graph
from tlverify.interop import load_graph
from tlverify.interop.files import is_onnx
from tlverify.interop.onnx import OnnxError, to_onnx


@pytest.fixture
def graph():
    builder = GraphBuilder()
    x = builder.input("x", Type((2,), "float32"))
    return builder.build(builder.node("add", x, builder.parameter(np.ones(2, "float32"))))


def test_each_format_gives_the_same_graph(graph, tmp_path):
    save_graph(graph, tmp_path / "a.graph.json")
    data = to_onnx(graph, tmp_path / "a.onnx")
    (tmp_path / "a.onnx.gz").write_bytes(gzip.compress(data))
    for name in ("a.graph.json", "a.onnx", "a.onnx.gz"):
        assert digest(load_graph(tmp_path / name)) == digest(graph)
        assert digest(tlverify.load_graph(str(tmp_path / name))) == digest(graph)


@pytest.mark.parametrize(("name", "expected"), [("a.onnx", True), ("a.onnx.gz", True), ("a.graph.json", False)])
def test_is_onnx(name, expected):
    assert is_onnx(name) is expected


def test_errors_name_the_file(tmp_path):
    with pytest.raises(OnnxError, match=r"a\.onnx: cannot be read"):
        load_graph(tmp_path / "a.onnx")
    with pytest.raises(GraphError, match=r"a\.graph\.json: cannot be read"):
        load_graph(tmp_path / "a.graph.json")
