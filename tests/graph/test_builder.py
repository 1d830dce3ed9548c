import numpy as np
import pytest

from tlverify.graph import GraphBuilder, GraphError, ShapeError, Type

VECTOR = Type((3,), "float32")


def test_names_are_generated_for_each_op_and_skip_those_taken():
    builder = GraphBuilder()
    x = builder.input("relu_0", VECTOR)
    assert builder.node("relu", x) == "relu_1"
    assert builder.node("neg", x) == "neg_0"
    assert builder.node("relu", x) == "relu_2"
    assert builder.parameter(np.ones(3)) == "constant_0"


def test_build_leaves_out_what_no_output_needs_but_keeps_inputs():
    builder = GraphBuilder()
    x, unused = builder.input("x", VECTOR), builder.input("unused", VECTOR)
    builder.node("add", unused, builder.parameter(np.ones(3, "float32"), "dead"))
    kept = builder.node("add", x, builder.parameter(np.ones(3, "float32"), "live"), name="y")
    graph = builder.build(kept)
    assert [value.name for value in graph.values] == ["x", "unused", "live", "y"]


def test_a_builder_knows_its_values():
    builder = GraphBuilder()
    builder.input("x", VECTOR)
    assert "x" in builder
    assert "y" not in builder
    assert builder.type_of(builder.node("sum", "x", axes=(0,), keepdims=0)) == Type((), "float32")


def test_a_name_is_bound_once():
    builder = GraphBuilder()
    builder.input("x", VECTOR)
    with pytest.raises(GraphError, match="value 'x' is bound twice; choose another name"):
        builder.node("relu", "x", name="x")


def test_a_node_that_does_not_fit_is_refused_when_it_is_added():
    builder = GraphBuilder()
    x, y = builder.input("x", VECTOR), builder.input("y", Type((4,), "float32"))
    with pytest.raises(ShapeError, match=r"add: expected equal shapes .* float32\[3\] and float32\[4\]"):
        builder.node("add", x, y)
