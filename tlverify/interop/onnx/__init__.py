"""ONNX in and out.

An import is exact: every constant keeps its bits (or is only moved, as in a transposition), and what an ONNX op means
over the reals is what the ops of the graph mean that it becomes. What cannot be said exactly is refused by name.
"""

from tlverify.interop.onnx.check import CrossCheck as CrossCheck
from tlverify.interop.onnx.check import cross_check as cross_check
from tlverify.interop.onnx.errors import OnnxError as OnnxError
from tlverify.interop.onnx.exporter import to_onnx as to_onnx
from tlverify.interop.onnx.importer import from_onnx as from_onnx
