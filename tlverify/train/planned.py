"""A step of training as a straight line of NumPy's functions over memory of its own."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tlverify.core.rewrite import with_windows_kept
from tlverify.core.straight import Straight, needed_for, straight
from tlverify.graph import Node, Type
from tlverify.train.flat import Chain, chain_of
from tlverify.train.packed import Layout, PackedState, packed_state
from tlverify.train.whole import AFTER, BEFORE, LOSS, NUMBERS, WholeStep

BLOCK = 1 << 14  # elements of flat arrays that are worked on while they are in the cache
MOST_KNOWN = 4  # pairs of states whose views are kept, and so their memory

Call = tuple[Callable[..., None], tuple[Any, ...]]
Place = tuple[int, int, Type]
"""BEFORE or AFTER, an offset in bytes, and what lies there."""


class PlannedStep:
    """`state, loss = step(state, arrays, lr)` for states of the layout and leaves of arguments of the step's types.
    `reads` tells for each of these whether anything depends on it."""

    scans = False

    def __init__(self, whole: WholeStep, layout: Layout):
        self.whole, self.layout, self._lock = whole, layout, threading.Lock()
        self._numbers: Any = np.zeros(8 * whole.count, np.uint8)
        self._loss: Any = np.zeros((), whole.loss_type)
        self._known: dict[tuple[int, int], list[Call]] = {}
        graph = with_windows_kept(whole.graph)
        used = {name for node in graph.nodes for name in node.inputs} | set(graph.outputs)
        self._given = [f"given.{number}" for number in range(len(whole.given))]
        self.reads = [name in used for name in self._given]
        parameters = layout.tree.children[0].size
        chain = chain_of(whole, graph, layout, sum(leaf is not None for leaf in layout.leaves[:parameters]))
        self._chain = chain

        # Where everything lies that no statement makes.
        self._constants = {parameter.name: parameter.data for parameter in graph.parameters}
        self._fixed = {"loss": self._loss}
        self._moving: dict[str, Place] = {}
        for value, (piece, offset) in zip(graph.inputs, whole.inputs, strict=True):
            if piece == NUMBERS:
                self._fixed[value.name] = np.ndarray((), value.dtype, self._numbers, offset)
            elif piece == BEFORE:
                self._moving[value.name] = piece, offset, value.type
        outputs = []
        for name, (piece, offset) in zip(graph.outputs, whole.outputs, strict=True):
            target = "loss" if piece == LOSS else f"new.{offset}"
            if piece == AFTER:
                self._moving[target] = piece, offset, graph.types[name]
            if chain is None or offset not in chain.done or piece == LOSS:
                outputs.append((name, target))
        self._flat: list[tuple[Straight, int, int]] = []
        if chain is not None:
            outputs += self._hand_over(chain, graph.types)
            self._flat = list(self._straight_flat(chain))
        self._body = self._straight_body(graph.nodes, outputs)

    def __call__(self, state: PackedState, arrays: Sequence[Any], lr: float) -> tuple[PackedState, float]:
        count, after = self.whole.count, self.layout.memory()
        with self._lock:
            values = self.whole.evaluate(lr, *state.numbers)
            self.whole.format.pack_into(self._numbers, 0, *values[:count])
            key = state.memory.address, after.address
            if key not in self._known:
                if len(self._known) >= MOST_KNOWN:
                    del self._known[next(iter(self._known))]
                self._known[key] = self._calls(state.memory.array, after.array)
            (body, views), *rest = self._known[key]
            body(*views, *arrays)
            for run, arguments in rest:
                run(*arguments)
            loss = self._loss.item()
        self.layout.write(after, values[count:])
        return packed_state(state.step + 1, self.layout, after, values[count:]), loss

    def _hand_over(self, chain: Chain, types: Mapping[str, Type]) -> list[tuple[str, str]]:
        """Memory for what the chain reads of the body, and which values go there."""
        outputs = []
        for name in chain.numbers - self._constants.keys() - self._fixed.keys():
            self._fixed[f"number.{name}"] = np.zeros(types[name].shape, types[name].dtype)
            outputs.append((name, f"number.{name}"))
        for name, lanes in chain.outer.items():
            self._fixed[name] = flat = np.zeros(chain.size, types[lanes[0]].dtype)
            for lane, start in zip(lanes, chain.starts, strict=True):
                shape = types[lane].shape
                self._fixed[f"{name}.{start}"] = flat[start : start + math.prod(shape)].reshape(shape)
                outputs.append((lane, f"{name}.{start}"))
        return outputs

    def _straight_body(self, nodes: Sequence[Node], outputs: Sequence[tuple[str, str]]) -> Straight:
        """All but the chain."""
        kept = needed_for(nodes, outputs)
        needed = {n for node in kept for n in node.inputs} | {name for pair in outputs for name in pair}
        self._moving = {name: place for name, place in self._moving.items() if name in needed}
        constants, fixed = ({n: a for n, a in d.items() if n in needed} for d in (self._constants, self._fixed))
        memory = self.layout.memory().array
        given = {n: np.zeros(t.shape, t.dtype) for n, t in zip(self._given, self.whole.given, strict=True)}
        arrays = fixed | self._moved(memory, memory) | given
        return straight(kept, constants, arrays, self._moving, self._given, outputs)

    def _straight_flat(self, chain: Chain) -> list[tuple[Straight, int, int]]:
        """Functions for parts of the flat arrays, and where these begin and end."""
        made: dict[int, Straight] = {}
        parts = []
        for start in range(0, chain.size, BLOCK):
            size = min(BLOCK, chain.size - start)
            if size not in made:
                numbers = {name: self._fixed.get(f"number.{name}", self._fixed.get(name)) for name in chain.numbers}
                numbers = {name: array.reshape(()) for name, array in numbers.items() if array is not None}
                constants = {n: self._constants[n].reshape(()) for n in chain.numbers if n in self._constants}
                moving = [*chain.old, *chain.outer, *(f"new.{offset}" for _, offset in chain.new)]
                kinds = {name: self._fixed[name].dtype for name in chain.outer}
                arrays = numbers | {name: np.zeros(size, kinds.get(name, chain.dtype)) for name in moving}
                outputs = [(name, f"new.{offset}") for name, offset in chain.new]
                nodes = [Node(n.name, n.op, n.inputs, (size,), n.dtype, n.attributes) for n in chain.nodes]
                made[size] = straight(nodes, constants, arrays, moving, (), outputs)
            parts.append((made[size], start, start + size))
        return parts

    def _moved(self, before: Any, after: Any) -> dict[str, Any]:
        """Arrays of the old and the new state in their memory."""
        pieces = {BEFORE: before, AFTER: after}
        return {n: np.ndarray(t.shape, t.dtype, pieces[piece], at) for n, (piece, at, t) in self._moving.items()}

    def _calls(self, before: Any, after: Any) -> list[Call]:
        """What to run with the memory of the old state and of the new one; the first takes the arguments as well."""
        calls: list[Call] = [(self._body.run, self._body.views(self._moved(before, after)))]
        if (chain := self._chain) is not None:
            flat = {name: np.ndarray(chain.size, chain.dtype, before, offset) for name, offset in chain.old.items()}
            flat |= {name: self._fixed[name] for name in chain.outer}
            flat |= {f"new.{at}": np.ndarray(chain.size, chain.dtype, after, at) for _, at in chain.new}
            for part, start, stop in self._flat:
                calls.append((part.run, part.views({name: array[start:stop] for name, array in flat.items()})))
        return calls
