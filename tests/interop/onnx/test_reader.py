"""Files, packed files, tensors and attributes."""

import builtins
import gzip

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tlverify.graph import digest
from tlverify.interop.onnx import OnnxError, from_onnx, reader
from tlverify.interop.onnx.reader import array_of, attributes_of, stored

from .models import model, node

RAW = model([node("Relu", ["x"], ["y"])], {"x": (1, 3)}).SerializeToString()


def test_paths_and_bytes_packed_or_not_give_the_same_graph(tmp_path):
    plain, packed = tmp_path / "net.onnx", tmp_path / "net.onnx.gz"
    plain.write_bytes(RAW)
    packed.write_bytes(gzip.compress(RAW))
    found = {digest(from_onnx(source)) for source in (plain, str(packed), RAW, gzip.compress(RAW))}
    assert len(found) == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it holds no graph"),
        (b"hello", "not an ONNX model"),
        (gzip.compress(RAW)[:-9], "not a valid gzip file"),
        (gzip.compress(RAW)[:20] + b"\xff" * 20, "not a valid gzip file"),
        (gzip.compress(b"hello"), "not an ONNX model"),
    ],
)
def test_malformed_data(data, reason):
    with pytest.raises(OnnxError, match=f"ONNX model: {reason}|ONNX model: .*{reason}"):
        from_onnx(data)


def test_a_packed_file_that_grows_is_limited(monkeypatch):
    monkeypatch.setattr(reader, "MAX_MODEL_BYTES", 1000)
    with pytest.raises(OnnxError, match="unpacks to more than the limit of 1000 bytes"):
        from_onnx(gzip.compress(bytes(10**6)))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(OnnxError, match=r"none\.onnx: cannot be read: No such file"):
        from_onnx(tmp_path / "none.onnx")


def test_without_the_package_onnx(monkeypatch):
    def refuse(name, *args, **options):
        if name == "onnx":
            raise ImportError(name)
        return real(name, *args, **options)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(OnnxError, match=r"need the package onnx: pip install 'tlverify\[onnx\]'"):
        from_onnx(RAW)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_a_tensor_keeps_its_bits(dtype):
    array = np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)
    found = array_of(numpy_helper.from_array(array), "t")
    assert (found.dtype.name, found.tobytes()) == (dtype, array.tobytes())


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [("float16", "float32"), ("int8", "int64"), ("uint8", "int64"), ("int32", "int64"), ("uint64", "int64")],
)
def test_a_tensor_is_widened(dtype, kept):
    array = np.array([1, 2, 100]).astype(dtype)
    found = array_of(numpy_helper.from_array(array), "t")
    assert found.dtype.name == kept
    assert found.tolist() == array.tolist()


def test_bfloat16_is_widened():
    tensor = helper.make_tensor("t", TensorProto.BFLOAT16, [2], [1.5, -0.25])
    assert (array_of(tensor, "t").dtype.name, array_of(tensor, "t").tolist()) == ("float32", [1.5, -0.25])


def test_numbers_stored_in_fields_are_read():
    tensor = helper.make_tensor("t", TensorProto.FLOAT, [2], [0.1, 0.2])
    assert array_of(tensor, "t").tolist() == np.array([0.1, 0.2], "float32").tolist()


def test_integers_beyond_int64_are_refused():
    with pytest.raises(OnnxError, match="t: holds integers beyond int64"):
        stored(np.array([1 << 63], "uint64"), "t")


def test_attributes_by_kind():
    one = node("Op", [], [], a=1, b=0.5, c="text", d=[1, 2], e=[0.5], f=numpy_helper.from_array(np.ones(2)))
    found = attributes_of(one, "node")
    assert found.pop("f").tolist() == [1, 1]
    assert found == {"a": 1, "b": 0.5, "c": "text", "d": [1, 2], "e": [0.5]}
