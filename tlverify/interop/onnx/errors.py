"""Errors of the ONNX reader and writer, and the limits of what they take."""

from tlverify.graph import TlverifyError

MAX_ELEMENTS = 1 << 28
MAX_RANK = 16


class OnnxError(TlverifyError):
    """An ONNX file is malformed, or holds what the graph cannot say exactly."""
