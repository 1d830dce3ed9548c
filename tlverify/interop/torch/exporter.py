"""From a graph to a PyTorch module."""

from __future__ import annotations

from typing import Any

from tlverify.graph import Graph
from tlverify.interop.torch.arrays import load_torch


def to_torch(graph: Graph, batch: bool = True) -> Any:
    """A `torch.nn.Module` that computes the graph; with `batch`, on inputs with a first axis of any size.

    The names in its `state_dict()` are those of the graph, so that `0.weight` is that of PyTorch's Sequential. Running
    statistics, constants, integers and truth values are buffers; all else are parameters, which can be trained.
    TorchError for an op that PyTorch does not have.
    """
    load_torch()
    from tlverify.interop.torch.module import GraphModule

    return GraphModule(graph, batch)
