"""The rule `tree`, working ahead: of lemmas about one value that follow one another, the small trees are propagated
together, as one batch.

Each tree is still refuted at its own step. What was found for it ahead is what is found there: no job of such a tree
reads the bounds of the value that the lemmas are about, and the lemmas before it add to nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy

from tlverify.certify.fast.digits import Array
from tlverify.certify.fast.engine import Batch, Engine, Pending, run
from tlverify.certify.fast.prepared import Prepared
from tlverify.certify.fast.tree import Entries, Part, check_alone, compare, gather_leaves, phases_only, take_leaves
from tlverify.certify.kernel.backward import SLOPE_BITS
from tlverify.certify.kernel.errors import Malformed, Rejected
from tlverify.certify.kernel.proof import STEPS, Disjunct, Goal, Lemma, Machine
from tlverify.certify.kernel.tree import Tree, read_tree


@dataclass(frozen=True)
class Ready:
    """A lemma's tree that was read ahead, and bounds of its leaves by a table of the goal `base` beneath the lemma. It
    takes the payload from `begin` to `end`."""

    step: Any
    base: Goal
    bad: Sequence[Disjunct]
    begin: int
    end: int
    read: Tree
    part: Part
    batch: Batch

    def fits(self, machine: Machine, goal: Goal, step: Any) -> bool:
        """It is the machine's present step."""
        top = machine.stack[-1] if machine.stack else None
        same = step is self.step and goal.bad == self.bad and machine.used == self.begin
        return same and isinstance(top, Lemma) and top.goal is self.base


def check_tree(machine: Machine, goal: Goal, step: Any, where: str) -> None:
    """Refute every disjunct at every leaf."""
    engine = machine.engine
    ready = None
    if isinstance(engine, Engine):
        known: dict[int, Ready] = engine.ahead.setdefault(machine, {})
        if machine.number not in known:
            known.clear()
            known.update(_work_ahead(machine, engine, goal))
        ready = known.pop(machine.number, None)
    if ready is None or not ready.fits(machine, goal, step):
        check_alone(machine, goal, step, where)
        return
    machine.spend(len(ready.read.nodes), where)
    machine.used = ready.end
    compare(machine, goal, ready.read, ready.part, ready.batch, where)
    machine.next_goal()


def _work_ahead(machine: Machine, engine: Engine, goal: Goal) -> dict[int, Ready]:
    """The present tree and those that follow, by the numbers of their steps; none, unless the present one is small and
    of a lemma. What is wrong with a step is left for the step itself to say."""
    lemma = machine.stack[-1] if machine.stack else None
    if not isinstance(lemma, Lemma):
        return {}
    base = lemma.goal
    prepared = engine.prepare(machine.program, goal.bounds)
    scout = copy(machine)
    scout.stack = []
    found: list[tuple[int, Sequence[Disjunct], int, int, Tree, Part]] = []
    batches: list[Batch] = []
    left, number = prepared.batch, machine.number
    while number < len(machine.steps):
        step, begin = machine.steps[number], scout.used
        try:
            if not _small(scout, step, left):
                break
            read = read_tree(scout, goal, step, "")
            if found and not _apart(machine, lemma.name, goal, read):
                break
            (leaves,) = take_leaves(scout, goal, read, left, "")
            part = leaves.part(0, goal.bad[0], slice(None))
            found.append((number, goal.bad, begin, scout.used, read, part))
            batches.append(gather_leaves(prepared, read, Entries.of(read, prepared), part))
            left -= len(leaves.nodes)
            number += 2
            after = machine.steps[number - 1] if number <= len(machine.steps) else None
            if type(after) is not dict or after.get("rule") != "lemma" or after.get("node") != lemma.name:
                break
            scout.stack.clear()
            STEPS["lemma"](scout, base, after, "")
        except (Rejected, Malformed):
            break
        if scout.goal is None:
            raise TypeError("a lemma begins with a goal")
        goal = scout.goal
    if not found:
        return {}
    batch = _joined(prepared, batches)
    run(prepared, batch)
    result, first = {}, 0
    for number, bad, begin, end, read, part in found:
        own = slice(first, first + len(part.nodes))
        first = own.stop
        cut = Batch({}, batch.total[own], batch.unit[own], batch.undone[own])
        result[number] = Ready(machine.steps[number], base, bad, begin, end, read, part, cut)
    return result


def _small(machine: Machine, step: Any, most: int) -> bool:
    """A tree of phase splits with at most so many leaves."""
    if type(step) is not dict or step.get("rule") != "tree" or step.get("steps") != []:
        return False
    nodes = step.get("nodes")
    return type(nodes) is int and nodes < 2 * most and phases_only(machine, step)


def _apart(machine: Machine, name: str, goal: Goal, read: Tree) -> bool:
    """No leaf's job reads bounds of the value, whose entry it begins with: its splits are of values that come before,
    and the one coefficient is a power of two, so that it is never floored."""
    splits = machine.program.order(tuple(sorted({entry for entry, _ in read.entries})))
    ((inequality,),) = goal.bad
    return name not in splits and all(abs(c) & (abs(c) - 1) == 0 for _, _, c in inequality.integral[0])


def _joined(prepared: Prepared, batches: Sequence[Batch]) -> Batch:
    """The jobs of several batches, which all begin with the same values, as one."""
    xp = prepared.xp
    first = numpy.cumsum([0, *(len(batch.undone) for batch in batches)]).tolist()

    def stacked(parts: Sequence[Array]) -> Array:
        return xp.concatenate(list(parts), -1)

    def moved(jobs: Sequence[tuple[int, Array]]) -> Array:
        return xp.concatenate([part + first[k] for k, part in jobs])

    pending = {}
    for name in batches[0].pending:
        rows = [batch.pending[name] for batch in batches]
        row, exponent = stacked([part.row for part in rows]), stacked([part.exponent for part in rows])
        pending[name] = Pending(row, exponent, rows[0].form)
    total, unit, undone = (stacked([getattr(b, field) for b in batches]) for field in ("total", "unit", "undone"))
    result = Batch(pending, total, unit, undone)
    for name in _names(batch.added for batch in batches):
        given = [(k, batch.added[name]) for k, batch in enumerate(batches) if name in batch.added]
        own, known = xp.full(first[-1], 100), xp.zeros(first[-1], dtype=bool)
        for k, part in given:
            own[first[k] : first[k + 1]], known[first[k] : first[k + 1]] = part[3:]
        neurons, values = (xp.concatenate([part[place] for _, part in given]) for place in (0, 2))
        result.added[name] = (neurons, moved([(k, part[1]) for k, part in given]), values, own, known)
    cut, slopes = {}, {}
    for name in _names(batch.cut for batch in batches):
        cuts = [(k, batch.cut[name]) for k, batch in enumerate(batches) if name in batch.cut]
        neurons, active = (xp.concatenate([part[place] for _, part in cuts]) for place in (1, 2))
        cut[name] = (moved([(k, part[0]) for k, part in cuts]), neurons, active)
    for name in _names(batch.slopes for batch in batches):
        default = prepared.relu(prepared.program.values[name].source).above * (1 << SLOPE_BITS)
        table = xp.repeat(default, first[-1], 1)
        some = xp.zeros(len(table), dtype=bool)
        for k, batch in enumerate(batches):
            if name in batch.slopes:
                neurons, chosen = batch.slopes[name]
                table[neurons, first[k] : first[k + 1]] = chosen
                some[neurons] = True
        (listed,) = xp.nonzero(some)
        slopes[name] = (listed, table[listed])
    result.cut, result.slopes = cut, slopes
    return result


def _names(parts: Any) -> list[str]:
    """The keys of several mappings, each once."""
    return list(dict.fromkeys(name for part in parts for name in part))
