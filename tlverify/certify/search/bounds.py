"""Bound propagation in float64 for many boxes at once: intervals forward, CROWN backward.

Values are flat: bounds of a node are arrays (batch, n), coefficient rows are (batch, rows, n). One table row per op
and direction. These bounds only guide the search; the kernel derives its own.

CROWN: Zhang, Weng, Chen, Hsieh, Daniel 2018. Adaptive lower slope: slope 1 if u > -l, else 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.graph import Graph, Node, TlverifyError

Floats = npt.NDArray[np.float64]


class UnsupportedOp(TlverifyError):
    """The search has no rule for an op of the graph."""


@dataclass(frozen=True)
class Network:
    """A graph prepared for the search: parameters as flat float64 values, weights as matrices (out, in)."""

    graph: Graph
    nodes: Mapping[str, Node]
    values: Mapping[str, Floats]
    sizes: Mapping[str, int]

    @property
    def piecewise(self) -> list[Node]:
        """Nodes that need a relaxation, in graph order."""
        return [node for node in self.graph.nodes if node.op == "relu"]


def supported(graph: Graph) -> bool:
    """Whether the search has a rule for every op of the graph."""
    return all(node.op in FORWARD for node in graph.nodes)


def prepare(graph: Graph) -> Network:
    """Raises UnsupportedOp, naming the node, if the search cannot handle the graph."""
    for node in graph.nodes:
        if node.op not in FORWARD:
            known = ", ".join(sorted(FORWARD))
            raise UnsupportedOp(f"node {node.name!r}: no bound rule for op {node.op!r}; supported: {known}")
    values = {p.name: p.data.astype(np.float64) for p in graph.parameters}
    sizes = {name: int(np.prod(type_.shape)) for name, type_ in graph.types.items()}
    return Network(graph, {node.name: node for node in graph.nodes}, values, sizes)


@dataclass(frozen=True)
class Table:
    """Bounds of every value so far: lower and upper ends, each (batch, n)."""

    lower: dict[str, Floats]
    upper: dict[str, Floats]

    def copy(self) -> Table:
        return Table(dict(self.lower), dict(self.upper))

    def take(self, rows: npt.NDArray[np.intp]) -> Table:
        """The bounds of a part of the batch."""
        return Table({k: v[rows] for k, v in self.lower.items()}, {k: v[rows] for k, v in self.upper.items()})


@dataclass
class Rows:
    """Coefficient rows being propagated backward, with the constant gathered so far, (batch, rows)."""

    pending: dict[str, Floats]
    constant: Floats
    seen: dict[str, Floats] = field(default_factory=dict)


def root_table(network: Network, lower: Mapping[str, Floats], upper: Mapping[str, Floats]) -> Table:
    """Interval bounds of every node from boxes (batch, n) of the inputs."""
    table = Table(dict(lower), dict(upper))
    batch = len(next(iter(lower.values())))
    for name, value in network.values.items():
        flat = np.broadcast_to(value.reshape(1, -1), (batch, value.size))
        table.lower[name] = table.upper[name] = flat
    interval_step(network, table, [node.name for node in network.graph.nodes])
    return table


def interval_step(network: Network, table: Table, names: Sequence[str]) -> None:
    """Recompute the listed nodes from their inputs, keeping what was known if it is tighter."""
    for name in names:
        low, high = FORWARD[network.nodes[name].op](network, network.nodes[name], table)
        if name in table.lower:
            low, high = np.maximum(low, table.lower[name]), np.minimum(high, table.upper[name])
        table.lower[name], table.upper[name] = low, high


def backward(
    network: Network,
    table: Table,
    start: Mapping[str, Floats],
    constant: Floats,
    slopes: Mapping[str, Floats] | None = None,
) -> tuple[Floats, Rows]:
    """Lower bounds (batch, rows) of sum(start . values) + constant, and the coefficients on the way.

    `slopes[node]` is (batch, rows, n) in [0, 1], or absent for the adaptive slope. `Rows.seen[node]` holds the
    coefficients on each value when it was reached.
    """
    rows = Rows(dict(start), constant.copy())
    for name in reversed([*network.graph.types]):
        coefficients = rows.pending.pop(name, None)
        if coefficients is None:
            continue
        rows.seen[name] = coefficients
        node = network.nodes.get(name)
        if node is not None:
            given = None if slopes is None else slopes.get(name)
            for source, part in BACKWARD[node.op](network, node, table, rows, coefficients, given):
                known = rows.pending.get(source)
                rows.pending[source] = part if known is None else known + part
        else:
            low, high = table.lower[name][:, None, :], table.upper[name][:, None, :]
            rows.constant += (np.maximum(coefficients, 0) * low + np.minimum(coefficients, 0) * high).sum(-1)
    return rows.constant, rows


def relaxation(table: Table, node: Node) -> tuple[Floats, Floats, Floats]:
    """For a relu: bounds l of its input, adaptive lower slope, and chord slope, each (batch, n)."""
    low, high = table.lower[node.inputs[0]], table.upper[node.inputs[0]]
    adaptive = np.where(low >= 0, 1.0, np.where(high <= 0, 0.0, (high > -low).astype(np.float64)))
    width = np.where((low < 0) & (high > 0), high - low, 1.0)
    chord = np.where(low >= 0, 1.0, np.where(high <= 0, 0.0, high / width))
    return low, adaptive, chord


def unstable(table: Table, node: Node) -> npt.NDArray[np.bool_]:
    """Which neurons of a relu have an input that can be of either sign, (batch, n)."""
    return (table.lower[node.inputs[0]] < 0) & (table.upper[node.inputs[0]] > 0)


Ends = tuple[Floats, Floats]
Parts = list[tuple[str, Floats]]


def _linear_forward(network: Network, node: Node, table: Table) -> Ends:
    x, weight, bias = node.inputs
    W, b = network.values[weight], network.values[bias]
    low, high = (end.reshape(-1, W.shape[1]) for end in (table.lower[x], table.upper[x]))
    center, radius = (low + high) / 2 @ W.T + b, (high - low) / 2 @ np.abs(W).T
    batch = len(table.lower[x])
    return (center - radius).reshape(batch, -1), (center + radius).reshape(batch, -1)


def _linear_backward(
    network: Network, node: Node, table: Table, rows: Rows, coefficients: Floats, slopes: Floats | None
) -> Parts:
    W, b = network.values[node.inputs[1]], network.values[node.inputs[2]]
    blocks = coefficients.reshape(*coefficients.shape[:2], -1, W.shape[0])
    rows.constant += (blocks @ b).sum(-1)
    return [(node.inputs[0], (blocks @ W).reshape(*coefficients.shape[:2], -1))]


def _add_forward(network: Network, node: Node, table: Table) -> Ends:
    a, b = node.inputs
    return table.lower[a] + table.lower[b], table.upper[a] + table.upper[b]


def _add_backward(
    network: Network, node: Node, table: Table, rows: Rows, coefficients: Floats, slopes: Floats | None
) -> Parts:
    return [(source, coefficients) for source in node.inputs]


def _reshape_forward(network: Network, node: Node, table: Table) -> Ends:
    return table.lower[node.inputs[0]], table.upper[node.inputs[0]]


def _reshape_backward(
    network: Network, node: Node, table: Table, rows: Rows, coefficients: Floats, slopes: Floats | None
) -> Parts:
    return [(node.inputs[0], coefficients)]


def _relu_forward(network: Network, node: Node, table: Table) -> Ends:
    return np.maximum(table.lower[node.inputs[0]], 0), np.maximum(table.upper[node.inputs[0]], 0)


def _relu_backward(
    network: Network, node: Node, table: Table, rows: Rows, coefficients: Floats, slopes: Floats | None
) -> Parts:
    low, adaptive, chord = relaxation(table, node)
    below = adaptive[:, None, :] if slopes is None else slopes
    taken = np.minimum(coefficients, 0) * chord[:, None, :]
    rows.constant -= (taken * np.where(unstable(table, node), low, 0.0)[:, None, :]).sum(-1)
    return [(node.inputs[0], np.maximum(coefficients, 0) * below + taken)]


FORWARD: Mapping[str, Callable[[Network, Node, Table], Ends]] = {
    "add": _add_forward,
    "linear": _linear_forward,
    "relu": _relu_forward,
    "reshape": _reshape_forward,
}

BACKWARD: Mapping[str, Callable[[Network, Node, Table, Rows, Floats, Any], Parts]] = {
    "add": _add_backward,
    "linear": _linear_backward,
    "relu": _relu_backward,
    "reshape": _reshape_backward,
}
