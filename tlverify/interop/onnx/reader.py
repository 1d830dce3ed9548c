"""From a file to the protobuf message of a model, and from its tensors and attributes to arrays and Python values."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tlverify.graph import Array
from tlverify.interop.onnx.errors import MAX_ELEMENTS, MAX_RANK, OnnxError

if TYPE_CHECKING:
    import onnx

MAX_MODEL_BYTES = 1 << 30
OPSETS = range(8, 23)
DOMAINS = ("", "ai.onnx")

Source = str | os.PathLike[str] | bytes


def read_model(source: Source) -> onnx.ModelProto:
    """The model in a `.onnx` or `.onnx.gz` file, or in the bytes of either. OnnxError if it is none."""
    raw = source if isinstance(source, bytes) else _read(Path(source))
    load_onnx()
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    if raw[:2] == b"\x1f\x8b":
        raw = _unzip(raw)
    try:
        model: onnx.ModelProto = ModelProto.FromString(raw)
    except (DecodeError, ValueError) as error:
        raise OnnxError(f"not an ONNX model: {error}") from None
    if not model.HasField("graph"):
        raise OnnxError("not an ONNX model: it holds no graph")
    return model


def load_onnx() -> None:
    """OnnxError says how to get the package onnx, if it is not there."""
    try:
        import onnx  # noqa: F401
    except ImportError:
        raise OnnxError("ONNX files need the package onnx: pip install 'tlverify[onnx]'") from None


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard op set that the model uses."""
    versions = [entry.version for entry in model.opset_import if entry.domain in DOMAINS]
    if len(versions) != 1:
        raise OnnxError(f"expected one version of the standard op set, found {versions}")
    if versions[0] not in OPSETS:
        remedy = "convert the model with onnx.version_converter"
        raise OnnxError(f"op set: expected {OPSETS[0]} to {OPSETS[-1]}, found {versions[0]}; {remedy}")
    return int(versions[0])


def array_of(tensor: onnx.TensorProto, what: str) -> Array:
    """The tensor in a dtype that a graph holds: float32, float64, int64 or bool, with exactly the values stored."""
    from onnx import numpy_helper

    if tensor.data_location == tensor.EXTERNAL or tensor.external_data:
        raise OnnxError(f"{what}: its values are in another file; save the model with all tensors inside")
    if tensor.HasField("segment"):
        raise OnnxError(f"{what}: is stored in segments, which is not supported")
    dims = tuple(tensor.dims)
    if len(dims) > MAX_RANK or min(dims, default=0) < 0 or math.prod(dims) > MAX_ELEMENTS:
        raise OnnxError(f"{what}: shape {list(dims)[:MAX_RANK]} is out of range")
    try:
        array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError) as error:
        raise OnnxError(f"{what}: cannot be read: {error}") from None
    if array.shape != dims:
        raise OnnxError(f"{what}: expected shape {list(dims)}, its values have {list(array.shape)}")
    return stored(array, what)


def stored(array: Array, what: str) -> Array:
    """The array in float32, float64, int64 or bool; OnnxError where that would change a value."""
    name = array.dtype.name
    if name in ("float32", "float64", "int64", "bool"):
        return array
    if name in ("float16", "bfloat16"):
        return array.astype(np.float32)  # wider in range and precision
    if array.dtype.kind in "iu":
        if name == "uint64" and array.size and int(array.max()) >= 1 << 63:
            raise OnnxError(f"{what}: holds integers beyond int64")
        return array.astype(np.int64)
    raise OnnxError(f"{what}: expected numbers of 16 bits or more, or bool, found {name}")


def attributes_of(node: onnx.NodeProto, what: str) -> dict[str, Any]:
    """Attributes as int, float, str, list of these, or array; OnnxError for another kind."""
    import onnx

    kinds = onnx.AttributeProto
    result: dict[str, Any] = {}
    for entry in node.attribute:
        if entry.name in result or entry.ref_attr_name:
            raise OnnxError(f"{what}: attribute {entry.name!r} is given twice or by reference")
        if entry.type == kinds.INT:
            result[entry.name] = entry.i
        elif entry.type == kinds.FLOAT:
            result[entry.name] = entry.f
        elif entry.type == kinds.STRING:
            result[entry.name] = entry.s.decode("utf-8", "replace")
        elif entry.type == kinds.INTS:
            result[entry.name] = list(entry.ints)
        elif entry.type == kinds.FLOATS:
            result[entry.name] = list(entry.floats)
        elif entry.type == kinds.TENSOR:
            result[entry.name] = array_of(entry.t, f"{what}: attribute {entry.name!r}")
        else:
            kind = kinds.AttributeType.Name(entry.type)
            raise OnnxError(f"{what}: attribute {entry.name!r} of kind {kind} is not supported")
    return result


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_MODEL_BYTES:
            raise OnnxError(f"{size} bytes is over the limit of {MAX_MODEL_BYTES}")
        return path.read_bytes()
    except OSError as error:
        raise OnnxError(f"cannot be read: {error.strerror}") from None


def _unzip(raw: bytes) -> bytes:
    import io

    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
            data = file.read(MAX_MODEL_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise OnnxError(f"not a valid gzip file: {error}") from None
    if len(data) > MAX_MODEL_BYTES:
        raise OnnxError(f"unpacks to more than the limit of {MAX_MODEL_BYTES} bytes")
    return data
