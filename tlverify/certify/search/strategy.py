"""The order in which certificates are proposed: cheap ones first, each claim leaving when one is accepted."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.certify import certificate
from tlverify.certify.search.attack import attack
from tlverify.certify.search.bounds import Floats, Table, backward, interval_step, root_table, unstable
from tlverify.certify.search.problem import Problem
from tlverify.certify.search.slopes import optimize_slopes, quantized
from tlverify.certify.search.witnesses import Witnesses

MIN_GAIN = 1e-9  # a bound that improves by less than this part of its width is not worth a step


@dataclass
class Progress:
    """Which claims are still open (the caller clears them), and the best bound found for each."""

    open: npt.NDArray[np.bool_]
    margin: Floats
    deadline: float = math.inf

    def late(self) -> bool:
        """Whether the search must stop."""
        return time.perf_counter() > self.deadline

    @property
    def rows(self) -> npt.NDArray[np.intp]:
        return np.flatnonzero(self.open)


@dataclass(frozen=True)
class Proposal:
    """A certificate for claim number `index` of the problem."""

    index: int
    data: bytes


def propose(problem: Problem, progress: Progress, rng: np.random.Generator) -> Iterator[Proposal]:
    """Proposals in order of cost. The caller checks each and clears `progress.open` when it is accepted."""
    if not progress.open.any():
        return
    network = problem.network
    names = [node.name for node in network.graph.nodes]
    table = root_table(network, problem.lower, problem.upper)
    steps: list[list[dict[str, Any]]] = [[{"rule": "interval", "nodes": names}] for _ in problem.claims]
    yield from _close(problem, progress, table, steps)

    rows = progress.rows[_has_points(problem, progress.rows)]
    if len(rows) and not progress.late():
        points, score = attack(problem.take(rows), rng)
        for position, index in enumerate(rows):
            if score[position] >= 0:
                claim = problem.claims[index]
                names = [value.name for value in network.graph.inputs]
                witnesses = Witnesses.of(claim, names)
                point = np.concatenate([points[name][position] for name in names])
                yield Proposal(int(index), witnesses.certificate(witnesses.moved(point[None])[0]))

    if progress.open.any() and not progress.late():
        for index in progress.rows:
            if progress.late():
                return
            part = problem.take(np.array([index]))
            single = table.take(np.array([index]))
            tightened = _tighten(part, single)
            if tightened:
                steps[index] += tightened
                for name in network.nodes:
                    table.lower[name][index] = single.lower[name][0]
                    table.upper[name][index] = single.upper[name][0]
        yield from _close(problem, progress, table, steps)

    if progress.open.any() and not progress.late():
        rows = progress.rows
        yield from _close_with_slopes(problem, progress, table.take(rows), rows, steps)


def _has_points(problem: Problem, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Which claims have a region with a floating-point number in it, where a witness could be."""
    ends = [(problem.inner_lower[name][rows], problem.inner_upper[name][rows]) for name in problem.inner_lower]
    found: npt.NDArray[np.bool_] = np.logical_and.reduce([(low <= high).all(1) for low, high in ends])
    return found


def _objective(problem: Problem) -> tuple[dict[str, Floats], Floats]:
    """The rows to be bounded from below: -g > 0 refutes a row."""
    return {name: -rows for name, rows in problem.rows.items()}, problem.bound


def _tighten(problem: Problem, table: Table) -> list[dict[str, Any]]:
    """Backward bounds of the unstable neurons of one claim, node by node; the steps that gained something."""
    steps: list[dict[str, Any]] = []
    network = problem.network
    order = [node.name for node in network.graph.nodes]
    for node in network.piecewise:
        source = node.inputs[0]
        chosen = np.flatnonzero(unstable(table, node)[0])
        if not len(chosen) or source not in network.nodes:
            continue
        unit = np.zeros((1, len(chosen), network.sizes[source]))
        unit[0, np.arange(len(chosen)), chosen] = 1
        start = {source: np.concatenate([unit, -unit], 1)}
        found = backward(network, table, start, np.zeros((1, 2 * len(chosen))))[0][0]
        low, high = found[: len(chosen)], -found[len(chosen) :]
        old_low, old_high = table.lower[source][0, chosen], table.upper[source][0, chosen]
        least = MIN_GAIN * (old_high - old_low)
        lower, upper = chosen[low > old_low + least], chosen[high < old_high - least]
        if not len(lower) and not len(upper):
            continue
        steps.append(
            {
                "rule": "bound",
                "node": source,
                "lower": lower.tolist(),
                "upper": upper.tolist(),
                "slopes": {},
                "cuts": [],
                "multipliers": [],
            }
        )
        table.lower[source] = table.lower[source].copy()
        table.upper[source] = table.upper[source].copy()
        table.lower[source][0, chosen] = np.maximum(low, old_low)
        table.upper[source][0, chosen] = np.minimum(high, old_high)
        later = order[order.index(source) + 1 :]
        interval_step(network, table, later)
        steps.append({"rule": "interval", "nodes": later})
    return steps


def _refuted(problem: Problem, bounds: Floats) -> tuple[Floats, list[npt.NDArray[np.intp]]]:
    """For each claim the least over disjuncts of the best row's bound, and for each disjunct that row."""
    best = [rows[bounds[:, rows].argmax(1)] for rows in problem.disjuncts]
    batch = np.arange(len(bounds))
    return np.min([bounds[batch, row] for row in best], 0), best


def _multipliers(problem: Problem, best: list[npt.NDArray[np.intp]], position: int) -> list[list[str]]:
    return [
        ["1" if row == chosen[position] else "0" for row in rows]
        for rows, chosen in zip(problem.disjuncts, best, strict=True)
    ]


def _close(problem: Problem, progress: Progress, table: Table, steps: list[list[dict[str, Any]]]) -> Iterator[Proposal]:
    """Close with the default slopes wherever the search's bounds say that it will do."""
    start, constant = _objective(problem)
    bounds = backward(problem.network, table, start, constant)[0]
    margin, best = _refuted(problem, bounds)
    progress.margin[:] = np.maximum(progress.margin, margin)
    for index in progress.rows:
        if margin[index] > 0:
            multipliers = _multipliers(problem, best, index)
            close = {"rule": "close", "multipliers": multipliers, "slopes": {}, "cuts": []}
            yield Proposal(int(index), certificate.proof(problem.claims[index].digest, [*steps[index], close]))


def _close_with_slopes(
    problem: Problem,
    progress: Progress,
    table: Table,
    rows: npt.NDArray[np.intp],
    steps: list[list[dict[str, Any]]],
) -> Iterator[Proposal]:
    """Close with slopes optimised for each row."""
    part = problem.take(rows)
    start, constant = _objective(part)
    slopes, bounds = optimize_slopes(part.network, table, start, constant)
    margin, best = _refuted(part, bounds)
    progress.margin[rows] = np.maximum(progress.margin[rows], margin)
    for position, index in enumerate(rows):
        if margin[position] > 0:
            multipliers = _multipliers(part, best, position)
            used = [int(chosen[position]) for chosen in best]
            listing, payload = quantized(part.network, table, slopes, position, used)
            close = {"rule": "close", "multipliers": multipliers, "slopes": listing, "cuts": []}
            data = certificate.proof(problem.claims[index].digest, [*steps[index], close], payload)
            yield Proposal(int(index), data)
