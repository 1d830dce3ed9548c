"""From a graph to a PyTorch module."""

from __future__ import annotations

from typing import Any

from tlverify.graph import Graph
from tlverify.interop.torch.arrays import load_torch
from tlverify.interop.torch.errors import TorchError


def to_torch(graph: Graph, batch: bool = True) -> Any:
    """A `torch.nn.Module` that computes the graph; with `batch`, on inputs with a first axis of any size.

    The names in its `state_dict()` are those of the graph, so that `0.weight` is that of PyTorch's Sequential. Running
    statistics, constants, integers and truth values are buffers; all else are parameters, which can be trained.
    TorchError for an op that PyTorch does not have.
    """
    _expect_graph(graph)
    load_torch()
    from tlverify.interop.torch.module import GraphModule

    return GraphModule(graph, batch)


def _expect_graph(graph: object) -> None:
    if not isinstance(graph, Graph):
        hint = "give its .graph" if hasattr(graph, "graph") else "nn.export_graph(model, params, shape) makes one"
        raise TorchError(f"to_torch: expected a Graph, found {type(graph).__name__}; {hint}")
