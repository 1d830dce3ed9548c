"""From a graph to a PyTorch module."""

from __future__ import annotations

import re
from typing import Any

from tlverify.graph import FLOATS, Graph, Parameter
from tlverify.interop.torch.arrays import load_torch, to_tensor
from tlverify.interop.torch.errors import TorchError

_FIXED = re.compile(r"constant_\d+")
_STATISTICS = ("running_mean", "running_var")


def to_torch(graph: Graph, batch: bool = True) -> Any:
    """A `torch.nn.Module` that computes the graph; with `batch`, on inputs with a first axis of any size.

    The names in its `state_dict` are those of the graph, so that `0.weight` is that of PyTorch's Sequential. Running
    statistics, constants, integers and truth values are buffers, other values parameters to train. TorchError for an op
    that PyTorch does not have.
    """
    torch = load_torch()
    from tlverify.interop.torch.export_rules import EXPORT, NO_RULE

    for node in graph.nodes:
        if node.op not in EXPORT:
            raise TorchError(
                f"node {node.name!r}: op {node.op!r} has no counterpart: {NO_RULE.get(node.op, 'custom op')}"
            )

    class Module(torch.nn.Module):  # type: ignore[misc]
        """The ops of a graph, one after another."""

        def __init__(self) -> None:
            super().__init__()
            self.places = {parameter.name: _register(torch, self, parameter) for parameter in graph.parameters}

        def forward(self, *inputs: Any) -> Any:
            """The outputs for the inputs in the order of the graph: one tensor, or a tuple."""
            if len(inputs) != len(graph.inputs):
                names = ", ".join(value.name for value in graph.inputs)
                raise TorchError(f"expected {len(graph.inputs)} inputs ({names}), found {len(inputs)}")
            results = torch.func.vmap(self.one)(*inputs) if batch else self.one(*inputs)
            return results[0] if len(results) == 1 else results

        def one(self, *inputs: Any) -> tuple[Any, ...]:
            """The outputs for one example."""
            values = {name: _find(self, place) for name, place in self.places.items()}
            for declared, value in zip(graph.inputs, inputs, strict=True):
                values[declared.name] = value
            for node in graph.nodes:
                values[node.name] = EXPORT[node.op](*(values[name] for name in node.inputs), **node.attributes)
            return tuple(values[name] for name in graph.outputs)

    return Module()


def _register(torch: Any, module: Any, parameter: Parameter) -> str:
    """Add a tensor under its dotted name, with `_` after it where the name is taken; gives the name."""
    *path, last = parameter.name.split(".")
    tensor = to_tensor(parameter.data)
    trained = parameter.dtype in FLOATS and last not in _STATISTICS and not _FIXED.fullmatch(parameter.name)
    home, names = module, []
    for part in path:
        name = part or "_"
        while hasattr(home, name) and not isinstance(getattr(home, name), _container(torch)):
            name += "_"
        if not hasattr(home, name):
            home.add_module(name, _container(torch)())
        names.append(name)
        home = getattr(home, name)
    last = last or "_"
    while hasattr(home, last):
        last += "_"
    if trained:
        home.register_parameter(last, torch.nn.Parameter(tensor))
    else:
        home.register_buffer(last, tensor)
    return ".".join([*names, last])


def _container(torch: Any) -> Any:
    return torch.nn.ModuleDict


def _find(module: Any, place: str) -> Any:
    for part in place.split("."):
        module = getattr(module, part)
    return module
