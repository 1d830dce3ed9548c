"""Reading and writing `NAME.graph.json` and `NAME.safetensors`."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from tlverify.graph.canonical import FORMAT, VERSION, canonical_json, structure
from tlverify.graph.errors import GraphError
from tlverify.graph.graph import Array, Graph, Input, Node, Parameter
from tlverify.graph.ops import Attribute

MAX_GRAPH_BYTES = 64 << 20
MAX_DIGITS = 20
MAX_AXES = 64
SUFFIX = ".graph.json"


def parameters_path(path: Path) -> Path:
    """`model.safetensors` beside `model.graph.json`."""
    if not path.name.endswith(SUFFIX):
        raise GraphError(f"{path}: expected a name ending in {SUFFIX}")
    return path.with_name(path.name.removesuffix(SUFFIX) + ".safetensors")


def to_bytes(graph: Graph) -> tuple[bytes, bytes]:
    """The contents of the two files. The parameters are read back and compared before they are returned."""
    import safetensors.numpy

    arrays = {p.name: np.ascontiguousarray(p.data).reshape(p.shape) for p in graph.parameters}
    blob = safetensors.numpy.save(arrays)
    stored = safetensors.numpy.load(blob)
    for name, array in arrays.items():
        if stored[name].shape != array.shape or stored[name].tobytes() != array.tobytes():
            raise GraphError(f"parameter {name!r} was not stored faithfully in safetensors")
    return canonical_json(structure(graph)), blob


def save_graph(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write the structure to `path` (ending in `.graph.json`) and the parameters beside it, each atomically."""
    target = Path(path)
    text, blob = to_bytes(graph)
    write_atomic(parameters_path(target), blob)
    write_atomic(target, text)


def load_graph(path: str | os.PathLike[str]) -> Graph:
    """Read the graph at `path` and the parameters beside it; GraphError if either is missing or malformed."""
    import safetensors
    import safetensors.numpy

    source = Path(path)
    data = parse_json(_read(source, MAX_GRAPH_BYTES), str(source))
    blob = _read(parameters_path(source), 1 << 40)
    try:
        arrays = safetensors.numpy.load(blob)
    except (safetensors.SafetensorError, ValueError, KeyError, UnicodeDecodeError) as error:
        raise GraphError(f"{parameters_path(source)}: not a valid safetensors file: {error}") from None
    try:
        return graph_from_structure(data, arrays)
    except GraphError as error:
        raise type(error)(f"{source}: {error}") from None


def graph_from_structure(data: Any, arrays: dict[str, Array]) -> Graph:
    """Rebuild a graph from its JSON data and its parameter arrays. Every field must be known and present."""
    fields = _fields(data, "graph", format=str, version=int, inputs=list, parameters=list, nodes=list, outputs=list)
    if (fields["format"], fields["version"]) != (FORMAT, VERSION):
        found = f"{fields['format']!r} version {fields['version']}"
        raise GraphError(f"expected format {FORMAT!r} version {VERSION}, found {found}")
    inputs = []
    for item in fields["inputs"]:
        row = _fields(item, "input", name=str, shape=list, dtype=str)
        inputs.append(Input(row["name"], _ints(row["shape"], row["name"]), row["dtype"]))
    parameters = []
    remaining = dict(arrays)
    for item in fields["parameters"]:
        row = _fields(item, "parameter", name=str, shape=list, dtype=str)
        name = row["name"]
        if name not in remaining:
            raise GraphError(f"parameter {name!r} is not in the safetensors file")
        parameter = Parameter(name, remaining.pop(name))
        if parameter.shape != _ints(row["shape"], name) or parameter.dtype != row["dtype"]:
            declared = f"{row['dtype']}{row['shape']}"
            raise GraphError(f"parameter {name!r}: declared {declared}, stored {parameter.type}")
        parameters.append(parameter)
    if remaining:
        raise GraphError(f"safetensors holds {sorted(remaining)[0]!r}, which the graph does not declare")
    nodes = []
    for item in fields["nodes"]:
        row = _fields(item, "node", name=str, op=str, inputs=list, attributes=dict, shape=list, dtype=str)
        name = row["name"]
        attributes = {key: _attribute(value, name) for key, value in row["attributes"].items()}
        sources, shape = _strings(row["inputs"], name), _ints(row["shape"], name)
        nodes.append(Node(name, row["op"], sources, shape, row["dtype"], MappingProxyType(attributes)))
    return Graph(tuple(inputs), tuple(parameters), tuple(nodes), _strings(fields["outputs"], "outputs"))


def parse_json(raw: bytes, where: str) -> Any:
    """Parse JSON that has no floats, no duplicate keys and bounded nesting; GraphError otherwise."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) != len(items):
            raise GraphError(f"{where}: duplicate key in a JSON object")
        return result

    def refuse(text: str) -> Any:
        raise GraphError(f"{where}: {text[:40]!r} is not an integer; numbers are integers or strings")

    def integer(text: str) -> int:
        if len(text) > MAX_DIGITS:
            raise GraphError(f"{where}: an integer of {len(text)} digits is over the limit of {MAX_DIGITS}")
        return int(text)

    try:
        return json.loads(raw, object_pairs_hook=pairs, parse_float=refuse, parse_constant=refuse, parse_int=integer)
    except RecursionError:
        raise GraphError(f"{where}: JSON is nested too deeply") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise GraphError(f"{where}: not valid JSON: {error}") from None


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a crash leaves either the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _read(path: Path, limit: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > limit:
            raise GraphError(f"{path}: {size} bytes is over the limit of {limit}")
        return path.read_bytes()
    except OSError as error:
        raise GraphError(f"{path}: cannot be read: {error.strerror}") from None


def _fields(data: Any, what: str, **types: type) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise GraphError(f"{what}: expected an object, found {type(data).__name__}")
    unknown, missing = sorted(set(data) - set(types)), sorted(set(types) - set(data))
    if unknown or missing:
        raise GraphError(f"{what}: unknown fields {unknown}, missing fields {missing}")
    for name, kind in types.items():
        if type(data[name]) is not kind:
            found = type(data[name]).__name__
            raise GraphError(f"{what}: field {name!r}: expected {kind.__name__}, found {found}")
    return data


def _typed(data: list[Any], kind: type, where: str) -> tuple[Any, ...]:
    for item in data:
        if type(item) is not kind:
            raise GraphError(f"{where!r}: expected a list of {kind.__name__}, found {item!r}")
    return tuple(data)


def _ints(data: list[Any], where: str) -> tuple[int, ...]:
    if len(data) > MAX_AXES:
        raise GraphError(f"{where!r}: {len(data)} axes are over the limit of {MAX_AXES}")
    return _typed(data, int, where)


def _strings(data: list[Any], where: str) -> tuple[str, ...]:
    return _typed(data, str, where)


def _attribute(value: Any, where: str) -> Attribute:
    if type(value) in (int, str):
        return value  # type: ignore[no-any-return]
    if isinstance(value, list):
        return _ints(value, where)
    raise GraphError(f"node {where!r}: attributes are integers, strings or integer lists, found {value!r}")
