"""Errors of the ONNX reader and writer."""

from tlverify.graph import TlverifyError


class OnnxError(TlverifyError):
    """An ONNX file is malformed, or holds what the graph cannot say exactly."""
