"""A graph as a PyTorch module. This module needs PyTorch; `to_torch` imports it."""

from __future__ import annotations

import re
from typing import Any

import torch

from tlverify.graph import FLOATS, Graph, Parameter
from tlverify.interop.torch.arrays import to_tensor
from tlverify.interop.torch.errors import TorchError
from tlverify.interop.torch.export_rules import EXPORT, NO_RULE

_FIXED = re.compile(r"constant_\d+")
_STATISTICS = ("running_mean", "running_var")


class GraphModule(torch.nn.Module):  # type: ignore[misc]
    """The ops of a graph, one after another; with `batch`, for all examples along a first axis."""

    def __init__(self, graph: Graph, batch: bool) -> None:
        super().__init__()
        for node in graph.nodes:
            if node.op not in EXPORT:
                reason = NO_RULE.get(node.op, "it is a custom op")
                raise TorchError(f"node {node.name!r}: op {node.op!r} has no counterpart in PyTorch: {reason}")
        self.graph, self.batch = graph, batch
        self.places = {parameter.name: _register(self, parameter) for parameter in graph.parameters}

    def forward(self, *inputs: Any) -> Any:
        """The outputs for the inputs in the order of the graph: one tensor, or a tuple."""
        if len(inputs) != len(self.graph.inputs):
            names = ", ".join(value.name for value in self.graph.inputs)
            raise TorchError(f"expected {len(self.graph.inputs)} inputs ({names}), found {len(inputs)}")
        results = torch.func.vmap(self.one)(*inputs) if self.batch else self.one(*inputs)
        return results[0] if len(results) == 1 else results

    def one(self, *inputs: Any) -> tuple[Any, ...]:
        """The outputs for one example."""
        values = {name: _find(self, place) for name, place in self.places.items()}
        for declared, value in zip(self.graph.inputs, inputs, strict=True):
            if tuple(value.shape) != declared.shape:
                found = list(value.shape)
                raise TorchError(f"input {declared.name!r}: expected {list(declared.shape)} an example, found {found}")
            values[declared.name] = value
        for node in self.graph.nodes:
            values[node.name] = EXPORT[node.op](*(values[name] for name in node.inputs), **node.attributes)
        return tuple(values[name] for name in self.graph.outputs)


def _register(module: Any, parameter: Parameter) -> list[str]:
    """Add a tensor under its dotted name, with `_` after a part that is taken; gives the parts."""
    *path, last = (part or "_" for part in parameter.name.split("."))
    home, parts = module, []
    for part in path:
        while hasattr(home, part) and part not in home._modules:
            part += "_"
        if part not in home._modules:
            home.add_module(part, torch.nn.Module())
        parts.append(part)
        home = home._modules[part]
    while hasattr(home, last):
        last += "_"
    tensor = to_tensor(parameter.data)
    if parameter.dtype in FLOATS and last not in _STATISTICS and not _FIXED.fullmatch(parameter.name):
        home.register_parameter(last, torch.nn.Parameter(tensor))
    else:
        home.register_buffer(last, tensor)
    return [*parts, last]


def _find(module: Any, parts: list[str]) -> Any:
    for part in parts:
        module = getattr(module, part)
    return module
