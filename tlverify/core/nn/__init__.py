"""Layers, initialisers, and the export of a model as a graph."""

from tlverify.core.nn import init as init
from tlverify.core.nn.export import Model as Model
from tlverify.core.nn.export import export_graph as export_graph
from tlverify.core.nn.export import summary as summary
from tlverify.core.nn.layers import Flatten as Flatten
from tlverify.core.nn.layers import Layer as Layer
from tlverify.core.nn.layers import Linear as Linear
from tlverify.core.nn.layers import ReLU as ReLU
from tlverify.core.nn.layers import Sequential as Sequential
