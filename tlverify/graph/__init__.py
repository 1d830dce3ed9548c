"""The shared language: an op-tagged, single-assignment graph with a canonical form and a digest."""

from tlverify.graph.builder import GraphBuilder as GraphBuilder
from tlverify.graph.canonical import canonical_json as canonical_json
from tlverify.graph.canonical import digest as digest
from tlverify.graph.dot import to_dot as to_dot
from tlverify.graph.errors import GraphError as GraphError
from tlverify.graph.errors import ShapeError as ShapeError
from tlverify.graph.errors import TlverifyError as TlverifyError
from tlverify.graph.graph import Array as Array
from tlverify.graph.graph import Graph as Graph
from tlverify.graph.graph import Input as Input
from tlverify.graph.graph import Node as Node
from tlverify.graph.graph import Parameter as Parameter
from tlverify.graph.io import load_graph as load_graph
from tlverify.graph.io import save_graph as save_graph
from tlverify.graph.io import to_bytes as to_bytes
from tlverify.graph.io import write_atomic as write_atomic
from tlverify.graph.ops import DTYPES as DTYPES
from tlverify.graph.ops import FLOATS as FLOATS
from tlverify.graph.ops import OPS as OPS
from tlverify.graph.ops import Attribute as Attribute
from tlverify.graph.ops import Shape as Shape
from tlverify.graph.ops import Type as Type
from tlverify.graph.ops import infer as infer
