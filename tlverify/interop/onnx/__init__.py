"""ONNX in and out.

An import is exact: every constant keeps its bits (or is only moved, as in a transposition), and what an ONNX op means
over the reals is what the ops of the graph mean that it becomes. What cannot be said exactly is refused by name.
"""

from tlverify.interop.onnx.errors import OnnxError as OnnxError
from tlverify.interop.onnx.importer import from_onnx as from_onnx
