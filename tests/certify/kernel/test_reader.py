"""What the readers accept. What they refuse is in test_hostile.py."""

import json
import random
import struct
from fractions import Fraction

import numpy as np
import pytest

from tlverify.certify.kernel import read_program
from tlverify.certify.kernel.arithmetic import decode
from tlverify.certify.kernel.reader import parse_certificate, parse_json, parse_safetensors, parse_steps, rational
from tlverify.graph import GraphBuilder, Type, canonical_json, digest, to_bytes

from ..examples import FAMILIES, random_graph
from .hostile import BODY, DATA, EXAMPLE, GRAPH, HEADER, SLOPES, STEPS, encode, tensor_file
from .laws import fractions


@pytest.mark.parametrize(
    "value", [0, -5, 10**19, "", "\x00\u20ac\U0001f600\ud800", [], {}, [[{"a": {"b": []}}]], {"": 1, "a": 2}]
)
def test_canonical_json_is_read_back(value):
    assert parse_json(canonical_json(value), "it") == value


@pytest.mark.parametrize("text", ["0", "-7", "1/3", "-22/7", "9" * 400, "1/" + "3" * 398])
def test_rational(text):
    assert rational(text, "it") == Fraction(text)


def test_tensors_in_any_order_and_header_padded_with_spaces():
    header = {"b": {"dtype": "F32", "shape": [2], "data_offsets": [16, 24]}, "W": HEADER["W"]}
    text = json.dumps(header, separators=(",", ":")).encode() + b"     "
    found = parse_safetensors(tensor_file(text, DATA))
    assert bytes(found["W"].data) == DATA[:16]
    assert bytes(found["b"].data) == DATA[16:]


def test_certificate_container():
    header, body = parse_certificate(EXAMPLE["certificate"])
    assert body == BODY
    assert header["size"] == len(BODY)
    assert parse_steps(header, body) == (STEPS, SLOPES)


@pytest.mark.parametrize("family", FAMILIES)
def test_graph_and_kernel_agree_on_the_digest_and_on_every_number(family):
    for seed in range(4):
        graph = random_graph(random.Random(f"{family} {seed}"), family)
        network = read_program(*to_bytes(graph))
        assert network.digest == digest(graph)
        assert network.inputs == tuple(value.name for value in graph.inputs)
        assert network.outputs == graph.outputs
        tensors = parse_safetensors(to_bytes(graph)[1])
        for parameter in graph.parameters:
            vector = decode(tensors[parameter.name].dtype, tensors[parameter.name].data, "it")
            assert fractions(vector.integers, vector.exponent) == [Fraction(v) for v in parameter.data.ravel().tolist()]


def test_digest_does_not_depend_on_the_order_in_the_files():
    graph = {**GRAPH, "parameters": GRAPH["parameters"][::-1]}
    header = {
        "W": {"dtype": "F32", "shape": [2, 2], "data_offsets": [8, 24]},
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
    }
    moved = read_program(encode(graph), tensor_file(header, DATA[16:] + DATA[:16]))
    assert moved.digest == read_program(EXAMPLE["graph"], EXAMPLE["parameters"]).digest


def test_digest_depends_on_every_parameter_bit():
    seen = set()
    for bit in range(8 * len(DATA)):
        data = bytearray(DATA)
        data[bit // 8] ^= 1 << bit % 8
        if all(np.isfinite(struct.unpack("<6f", data))):
            seen.add(read_program(EXAMPLE["graph"], tensor_file(HEADER, bytes(data))).digest)
    seen.add(read_program(EXAMPLE["graph"], EXAMPLE["parameters"]).digest)
    assert len(seen) > 180


def test_scalars_and_minus_zero():
    builder = GraphBuilder()
    x = builder.input("x", Type((), "float64"))
    graph = builder.build(builder.node("add", x, builder.parameter(np.array(-0.0))))
    network = read_program(*to_bytes(graph))
    assert network.values["x"].size == 1
    assert list(network.values["constant_0"].bias.integers) == [0]
    assert network.digest == digest(graph)
