import json
import zlib

import numpy as np
import pytest

from tlverify.certify.certificate import proof, read_witness, witness
from tlverify.certify.kernel.reader import parse_certificate, parse_steps
from tlverify.graph import GraphBuilder, GraphError, Type


def test_proof_is_a_line_of_json_and_a_zlib_stream():
    data = proof("ab", [{"rule": "interval", "nodes": ["y"]}], bytes([1, 2]))
    line, _, packed = data.partition(b"\n")
    steps = b'[{"nodes":["y"],"rule":"interval"}]'
    assert json.loads(line) == {
        "format": "tlverify.certificate",
        "version": 1,
        "claim": "ab",
        "kind": "proof",
        "size": len(steps) + 2,
        "steps": len(steps),
    }
    assert zlib.decompress(packed) == steps + bytes([1, 2])
    assert parse_steps(*parse_certificate(data)) == ([{"rule": "interval", "nodes": ["y"]}], bytes([1, 2]))


def test_payload_with_newlines_is_kept():
    assert parse_steps(*parse_certificate(proof("ab", [], b"\n" * 99))) == ([], b"\n" * 99)


def test_numbers_in_steps_are_integers():
    with pytest.raises(GraphError, match=r"found 0\.5"):
        proof("ab", [{"rule": "close", "multipliers": [[0.5]]}])


def test_witness_keeps_every_bit():
    builder = GraphBuilder()
    a, b = builder.input("a", Type((2,), "float32")), builder.input("b", Type((2, 1), "float32"))
    graph = builder.build(builder.node("add", a, builder.node("reshape", b, shape=(2,))))
    points = [np.array([0.1, -0.0]), np.array([[5e-324], [1e308]])]
    data = witness("ab", points)
    assert parse_certificate(data)[0]["kind"] == "witness"
    found = read_witness(data, graph)
    assert list(found) == ["a", "b"]
    for name, point in zip("ab", points, strict=True):
        assert found[name].tobytes() == point.ravel().tobytes()
