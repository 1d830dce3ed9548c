"""Optimising the lower slopes of unstable neurons (alpha-CROWN: Xu et al. 2021) by projected Adam.

The derivative of the bound by the slope of neuron i is max(a_i, 0) z_i, where a_i is the coefficient on the neuron's
output and z_i its input at the minimising corner, under the same relaxation.
"""

from __future__ import annotations

import numpy as np

from tlverify.certify.search.bounds import (
    FORWARD,
    Floats,
    Network,
    Rows,
    Table,
    backward,
    relaxation,
    unstable,
)

SLOPE_ONE = 128  # the kernel's slopes are multiples of 1/128


def optimize_slopes(
    network: Network,
    table: Table,
    start: dict[str, Floats],
    constant: Floats,
    iterations: int = 30,
    rate: float = 0.2,
) -> tuple[dict[str, Floats], Floats]:
    """Slopes (batch, rows, n) of every piecewise node, multiples of 1/128, and the bounds that they give."""
    rows = constant.shape[1]
    slopes = {}
    for node in network.piecewise:
        adaptive = relaxation(table, node)[1]
        slopes[node.name] = np.repeat(adaptive[:, None, :], rows, 1)
    best = {name: value.copy() for name, value in slopes.items()}
    best_bound = backward(network, table, start, constant, slopes)[0]
    first = {name: np.zeros_like(value) for name, value in slopes.items()}
    second = {name: np.zeros_like(value) for name, value in slopes.items()}
    for step in range(1, iterations + 1):
        seen = backward(network, table, start, constant, slopes)[1]
        values = _relaxed_values(network, table, seen, slopes)
        for node in network.piecewise:
            name = node.name
            if name not in seen.seen:
                continue
            gradient = np.maximum(seen.seen[name], 0) * values[node.inputs[0]]
            gradient = np.where(unstable(table, node)[:, None, :], gradient, 0.0)
            first[name] = 0.9 * first[name] + 0.1 * gradient
            second[name] = 0.99 * second[name] + 0.01 * gradient**2
            move = first[name] / (1 - 0.9**step) / (np.sqrt(second[name] / (1 - 0.99**step)) + 1e-12)
            slopes[name] = np.clip(slopes[name] + rate * 0.95**step * move, 0.0, 1.0)
        rounded = {name: np.round(value * SLOPE_ONE) / SLOPE_ONE for name, value in slopes.items()}
        bound = backward(network, table, start, constant, rounded)[0]
        better = bound > best_bound
        best_bound = np.where(better, bound, best_bound)
        for name in best:
            best[name] = np.where(better[:, :, None], rounded[name], best[name])
    return best, best_bound


def quantized(
    network: Network, table: Table, slopes: dict[str, Floats], claim: int, rows: list[int]
) -> tuple[dict[str, list[int]], bytes]:
    """The neurons of one claim whose slope differs from the default in any of the rows, by node, and the slopes
    of those neurons row by row, nodes by name: as the kernel takes them from the payload."""
    listing, columns = {}, []
    for node in sorted(network.piecewise, key=lambda node: node.name):
        adaptive = relaxation(table, node)[1][claim]
        chosen = slopes[node.name][claim, rows]
        neurons = np.flatnonzero(unstable(table, node)[claim] & (chosen != adaptive).any(0))
        if len(neurons):
            listing[node.name] = neurons.tolist()
            columns.append(np.round(chosen[:, neurons] * SLOPE_ONE).astype(np.uint8))
    return listing, np.concatenate(columns, 1).tobytes() if columns else b""


def _relaxed_values(network: Network, table: Table, rows: Rows, slopes: dict[str, Floats]) -> dict[str, Floats]:
    """The values (batch, rows, n) of all nodes at each row's minimising corner, through its own relaxation."""
    batch, count = rows.constant.shape
    values: dict[str, Floats] = {}
    for value in network.graph.inputs:
        low, high = table.lower[value.name][:, None, :], table.upper[value.name][:, None, :]
        coefficients = rows.seen.get(value.name, np.zeros((batch, count, 1)))
        values[value.name] = np.where(coefficients > 0, low, high)
    for name, parameter in network.values.items():
        values[name] = np.broadcast_to(parameter.reshape(1, 1, -1), (batch, count, parameter.size))
    piecewise = {node.name for node in network.piecewise}
    for node in network.graph.nodes:
        if node.name in piecewise:
            low, _, chord = (part[:, None, :] for part in relaxation(table, node))
            z = values[node.inputs[0]]
            below = slopes[node.name] * z
            above = chord * (z - np.where(unstable(table, node)[:, None, :], low, 0.0))
            values[node.name] = np.where(rows.seen.get(node.name, np.ones(1)) > 0, below, above)
        else:
            flat = {name: values[name].reshape(batch * count, -1) for name in node.inputs}
            values[node.name] = FORWARD[node.op](network, node, Table(flat, flat))[0].reshape(batch, count, -1)
    return values
