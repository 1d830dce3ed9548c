import hashlib
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlverify.graph import Graph, GraphBuilder, GraphError, Type, canonical_json, digest


def build(weight, order="wv", name="y"):
    """y = relu(x + w) + exp(x), with its two independent nodes added in either order."""
    builder = GraphBuilder()
    x = builder.input("x", Type((2, 3), "float32"))
    w = builder.parameter(weight, "w")
    for letter in order:
        if letter == "w":
            builder.node("add", x, w, name="left")
        else:
            builder.node("exp", x, name="right")
    return builder.build(builder.node("add", builder.node("relu", "left"), "right", name=name))


WEIGHT = np.arange(6, dtype="float32").reshape(2, 3)
DIGEST = digest(build(WEIGHT))


def test_the_digest_is_the_sha256_that_is_documented():
    def node(name, op, *inputs):
        type_ = {"shape": [2, 3], "dtype": "float32"}
        return {"name": name, "op": op, "inputs": inputs, "attributes": {}, **type_}

    structure = {
        "format": "tlverify.graph",
        "version": 1,
        "inputs": [{"name": "x", "shape": [2, 3], "dtype": "float32"}],
        "parameters": [{"name": "w", "shape": [2, 3], "dtype": "float32"}],
        "nodes": [
            node("left", "add", "x", "w"),
            node("relu_0", "relu", "left"),
            node("right", "exp", "x"),
            node("y", "add", "relu_0", "right"),
        ],
        "outputs": ["y"],
    }
    hashes = {"w": hashlib.sha256(struct.pack("<6f", *range(6))).hexdigest()}
    data = json.dumps({"graph": structure, "parameters": hashes}, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(data.encode()).hexdigest() == DIGEST


def test_the_digest_does_not_depend_on_the_order_of_nodes():
    graph, other = build(WEIGHT, "wv"), build(WEIGHT, "vw")
    assert graph.nodes != other.nodes
    assert digest(graph) == digest(other)


@pytest.mark.parametrize(
    "layout",
    [
        np.asfortranarray,
        lambda w: w.astype(">f4"),
        lambda w: np.repeat(w, 2, axis=1)[:, ::2],
        lambda w: w[::-1].copy()[::-1],
        lambda w: w.T.copy().T,
        lambda w: np.frombuffer(b"\0" + w.tobytes(), dtype=np.uint8)[1:].view(np.float32).reshape(2, 3),
    ],
)
def test_the_digest_does_not_depend_on_the_layout_of_arrays(layout):
    weight = layout(WEIGHT)
    np.testing.assert_array_equal(weight, WEIGHT)
    assert digest(build(weight)) == DIGEST


def test_the_digest_does_not_depend_on_the_order_of_parameters():
    builder = GraphBuilder()
    x = builder.input("x", Type((), "float32"))
    for name in ("b", "a"):
        builder.parameter(np.ones((), "float32"), name)
    graph = builder.build(builder.node("add", builder.node("add", x, "a"), "b"))
    turned = Graph(graph.inputs, graph.parameters[::-1], graph.nodes, graph.outputs)
    assert graph.parameters[0].name != turned.parameters[0].name
    assert digest(graph) == digest(turned)


@pytest.mark.parametrize(
    "graph",
    [
        build(-WEIGHT),
        build(np.where(WEIGHT == 0, np.float32(-0.0), WEIGHT)),
        build(np.nextafter(WEIGHT, np.float32(9))),
        build(WEIGHT, name="z"),
    ],
)
def test_the_digest_depends_on_every_bit_and_name(graph):
    assert digest(graph) != DIGEST


@pytest.mark.parametrize(
    "value", [1.5, float("nan"), True, None, {"a": [0.0]}, {1: 2}, (1, 2), b"bytes", [np.int64(1)]]
)
def test_canonical_json_holds_strings_and_integers_only(value):
    with pytest.raises(GraphError, match="canonical JSON"):
        canonical_json(value)


values = st.recursive(
    st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(values)
def test_canonical_json_is_ascii_without_spaces_and_reads_back(value):
    data = canonical_json(value)
    assert json.loads(data) == value
    assert canonical_json(json.loads(data)) == data
    assert data.isascii()


def test_keys_are_sorted():
    assert canonical_json({"b": [1, "é"], "a": {}}) == b'{"a":{},"b":[1,"\\u00e9"]}'
