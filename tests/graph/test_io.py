import json
import struct

import numpy as np
import pytest
import safetensors.numpy

from tlverify.graph import GraphBuilder, GraphError, Type, digest, load_graph, save_graph, write_atomic
from tlverify.graph.io import parameters_path


def build():
    builder = GraphBuilder()
    x = builder.input("x", Type((3,), "float32"))
    weight = builder.parameter(np.float32([[1, 2, 3], [4, 5, 6]]), "w")
    bias = builder.parameter(np.float32([0.5, -0.5]), "b")
    scale = builder.parameter(np.array(2.0, "float32"), "s")
    builder.parameter(np.array([True, False]), "unused")
    y = builder.node("linear", x, weight, bias)
    y = builder.node("mul", y, builder.node("broadcast_to", scale, shape=(2,)))
    return builder.build(builder.node("sum", y, axes=(0,), keepdims=0, name="y"))


GRAPH = build()


@pytest.fixture
def path(tmp_path):
    target = tmp_path / "model.graph.json"
    save_graph(GRAPH, target)
    return target


def test_a_round_trip_is_byte_identical(path, tmp_path):
    loaded = load_graph(path)
    assert digest(loaded) == digest(GRAPH)
    assert sorted(str(loaded).splitlines()) == sorted(str(GRAPH).splitlines())
    again = tmp_path / "deep" / "again.graph.json"
    save_graph(loaded, again)
    assert again.read_bytes() == path.read_bytes()
    assert parameters_path(again).read_bytes() == parameters_path(path).read_bytes()


def test_saving_twice_gives_the_same_bytes(path, tmp_path):
    for number in range(5):
        other = tmp_path / f"{number}.graph.json"
        save_graph(build(), other)
        assert parameters_path(other).read_bytes() == parameters_path(path).read_bytes()


def test_the_order_of_arrays_in_safetensors_does_not_matter(path):
    arrays = safetensors.numpy.load(parameters_path(path).read_bytes())
    turned = dict(reversed(arrays.items()))
    parameters_path(path).write_bytes(safetensors.numpy.save(turned, {"note": "anything"}))
    assert digest(load_graph(path)) == digest(GRAPH)


def test_saving_leaves_no_temporary_file(path):
    assert sorted(file.name for file in path.parent.iterdir()) == ["model.graph.json", "model.safetensors"]


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    def fail(*args):
        raise OSError("disk full")

    before = path.read_bytes()
    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, b"new")
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 2


def edit(change):
    """A hostile version of the graph file: `change` edits its JSON data."""

    def apply(raw):
        data = json.loads(raw)
        change(data)
        return json.dumps(data).encode()

    return apply


def replace(old, new):
    def apply(raw):
        assert raw.count(old) >= 1
        return raw.replace(old, new, 1)

    return apply


def set_at(*keys, value):
    def change(data):
        for key in keys[:-1]:
            data = data[key]
        data[keys[-1]] = value

    return edit(change)


HOSTILE_JSON = {
    "duplicate key": (replace(b'"version":1', b'"version":1,"version":1'), "duplicate key in a JSON object"),
    "nested duplicate key": (replace(b'"keepdims":0', b'"keepdims":0,"keepdims":1'), "duplicate key"),
    "NaN": (replace(b'"version":1', b'"version":NaN'), "'NaN' is not an integer"),
    "infinity": (replace(b'"version":1', b'"version":-Infinity'), "'-Infinity' is not an integer"),
    "float": (replace(b'"version":1', b'"version":1.0'), "'1.0' is not an integer"),
    "exponent": (replace(b'"version":1', b'"version":1e0'), "'1e0' is not an integer"),
    "true": (replace(b'"keepdims":0', b'"keepdims":true'), "attributes are integers, strings or integer lists"),
    "null": (replace(b'"keepdims":0', b'"keepdims":null'), "attributes are integers, .* found None"),
    "true as a size": (replace(b'"shape":[3]', b'"shape":[true]'), "'x': expected a list of int, found True"),
    "negative size": (replace(b'"shape":[3]', b'"shape":[-3]'), "is not a known dtype and shape"),
    "integer of 10 MB": (
        replace(b'"version":1', b'"version":' + b"1" * 10_000_000),
        "an integer of 10000000 digits is over the limit of 20",
    ),
    "many axes": (set_at("inputs", 0, "shape", value=[1] * 65), "'x': 65 axes are over the limit of 64"),
    "nesting bomb": (lambda raw: b"[" * 200_000, "JSON is nested too deeply"),
    "nesting bomb of objects": (lambda raw: b'{"a":' * 200_000, "JSON is nested too deeply"),
    "truncated": (lambda raw: raw[:-1], "not valid JSON"),
    "empty": (lambda raw: b"", "not valid JSON"),
    "trailing data": (lambda raw: raw + b"{}", "not valid JSON: Extra data"),
    "not UTF-8": (replace(b'"format"', b'"\xff\xfe\xfa"'), "not valid JSON"),
    "a list": (lambda raw: b"[]", "graph: expected an object, found list"),
    "unknown field": (edit(lambda d: d.update(extra=1)), r"graph: unknown fields \['extra'\], missing fields \[\]"),
    "unknown field of a node": (set_at("nodes", 0, "comment", value="x"), r"node: unknown fields \['comment'\]"),
    "missing field": (edit(lambda d: d.pop("outputs")), r"graph: unknown fields \[\], missing fields \['outputs'\]"),
    "missing field of an input": (edit(lambda d: d["inputs"][0].pop("dtype")), r"input: .*missing fields \['dtype'\]"),
    "field of another type": (set_at("inputs", value={}), "field 'inputs': expected list, found dict"),
    "input that is not an object": (set_at("inputs", value=["x"]), "input: expected an object, found str"),
    "unknown format": (set_at("format", value="onnx"), "expected format 'tlverify.graph' version 1, found 'onnx'"),
    "unknown version": (set_at("version", value=2), "expected format .* version 1, found .* version 2"),
    "unknown op": (
        set_at("nodes", 0, "op", value="exec"),
        "node 'broadcast_to_0': unknown op 'exec'|unknown op 'exec'",
    ),
    "unknown dtype": (set_at("inputs", 0, "dtype", value="float16"), r"'x': float16\[3\] is not a known dtype"),
    "unknown output": (set_at("outputs", value=["z"]), r"outputs \['z'\]: expected one or more bound names"),
    "no output": (set_at("outputs", value=[]), r"outputs \[\]: expected one or more"),
    "output that is not a string": (set_at("outputs", value=[1]), "'outputs': expected a list of str, found 1"),
    "wrong shape": (set_at("nodes", -1, "shape", value=[1]), r"node 'y': declared float32\[1\], its op gives"),
    "unbound input": (set_at("nodes", 0, "inputs", 0, value="z"), "uses 'z' before it is bound"),
    "name bound twice": (set_at("inputs", 0, "name", value="w"), "value 'w': expected a new, non-empty name"),
    "attribute of objects": (set_at("nodes", -1, "attributes", "axes", value=[{}]), "'y': expected a list of int"),
    "parameter not stored": (set_at("parameters", 0, "name", value="c"), "parameter 'c' is not in the safetensors"),
    "parameter not declared": (
        edit(lambda d: d["parameters"].pop()),
        "safetensors holds 'w', which the graph does not declare",
    ),
    "parameter of another shape": (
        set_at("parameters", 0, "shape", value=[1, 2]),
        r"parameter 'b': declared float32\[1, 2\], stored float32\[2\]",
    ),
    "parameter of another dtype": (
        set_at("parameters", 0, "dtype", value="float64"),
        r"parameter 'b': declared float64\[2\], stored float32\[2\]",
    ),
}


@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_a_hostile_graph_file_is_refused_for_its_reason(name, path):
    change, reason = HOSTILE_JSON[name]
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(GraphError, match=reason) as caught:
        load_graph(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def safetensors_file(header, data=b""):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(begin, end, shape, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


GOOD = {"b": tensor(0, 8, [2]), "s": tensor(8, 12, []), "w": tensor(12, 36, [2, 3])}
HOSTILE_SAFETENSORS = {
    "empty": (b"", "not a valid safetensors file"),
    "truncated length": (b"\x10\0\0", "not a valid safetensors file"),
    "truncated header": (safetensors_file(GOOD)[:30], "not a valid safetensors file"),
    "truncated data": (safetensors_file(GOOD, bytes(35)), "not a valid safetensors file"),
    "trailing data": (safetensors_file(GOOD, bytes(37)), "not a valid safetensors file"),
    "header length beyond the file": (struct.pack("<Q", 1 << 60) + b"{}", "not a valid safetensors file"),
    "overlapping offsets": (
        safetensors_file({**GOOD, "s": tensor(4, 8, [])}, bytes(36)),
        "not a valid safetensors file",
    ),
    "hole between offsets": (
        safetensors_file({**GOOD, "w": tensor(16, 40, [2, 3])}, bytes(40)),
        "not a valid safetensors file",
    ),
    "offset out of range": (
        safetensors_file({**GOOD, "w": tensor(12, 1 << 40, [2, 3])}, bytes(36)),
        "not a valid safetensors file",
    ),
    "offsets backwards": (
        safetensors_file({**GOOD, "s": tensor(12, 8, [])}, bytes(36)),
        "not a valid safetensors file",
    ),
    "shape that overflows": (
        safetensors_file({**GOOD, "w": tensor(12, 36, [1 << 62, 1 << 62])}, bytes(36)),
        "not a valid safetensors file",
    ),
    "shape that does not match offsets": (
        safetensors_file({**GOOD, "w": tensor(12, 36, [2, 4])}, bytes(36)),
        "not a valid safetensors file",
    ),
    "unknown dtype": (
        safetensors_file({**GOOD, "w": tensor(12, 36, [2, 3], "Q32")}, bytes(36)),
        "not a valid safetensors file",
    ),
    "dtype without NumPy type": (
        safetensors_file({**GOOD, "w": tensor(12, 24, [2, 3], "BF16")}, bytes(24)),
        "not a valid safetensors file|expected dtype",
    ),
    "half precision": (
        safetensors_file({**GOOD, "w": tensor(12, 24, [2, 3], "F16")}, bytes(24)),
        "parameter 'w': expected dtype float32, float64, int64, bool, found float16",
    ),
    "header that is not JSON": (struct.pack("<Q", 2) + b"[[", "not a valid safetensors file"),
    "missing tensor": (safetensors_file({"b": tensor(0, 8, [2])}, bytes(8)), "parameter 's' is not in the safetensors"),
    "additional tensor": (
        safetensors_file({**GOOD, "z": tensor(36, 40, [])}, bytes(40)),
        "safetensors holds 'z', which the graph does not declare",
    ),
}


@pytest.mark.parametrize("name", HOSTILE_SAFETENSORS)
def test_a_hostile_parameter_file_is_refused_for_its_reason(name, path):
    blob, reason = HOSTILE_SAFETENSORS[name]
    parameters_path(path).write_bytes(blob)
    with pytest.raises(GraphError, match=reason):
        load_graph(path)


def test_the_hand_made_safetensors_file_is_accepted(path):
    parameters_path(path).write_bytes(safetensors_file(GOOD, bytes(36)))
    assert not load_graph(path).parameters[2].data.any()


@pytest.mark.parametrize("missing", ["graph", "parameters"])
def test_a_missing_file(missing, path):
    gone = path if missing == "graph" else parameters_path(path)
    gone.unlink()
    with pytest.raises(GraphError, match=f"{gone.name}: cannot be read: No such file"):
        load_graph(path)


def test_a_directory_and_a_wrong_name(path, tmp_path):
    (tmp_path / "folder.graph.json").mkdir()
    with pytest.raises(GraphError, match="cannot be read: Is a directory"):
        load_graph(tmp_path / "folder.graph.json")
    with pytest.raises(GraphError, match=r"model.json: expected a name ending in .graph.json"):
        save_graph(GRAPH, tmp_path / "model.json")


def test_a_file_over_the_limit(path, monkeypatch):
    monkeypatch.setattr("tlverify.graph.io.MAX_GRAPH_BYTES", 10)
    with pytest.raises(GraphError, match="bytes is over the limit of 10"):
        load_graph(path)
