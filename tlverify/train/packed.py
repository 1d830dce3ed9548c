"""States of training whose arrays lie in one piece of memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from tlverify.core import pytree
from tlverify.core.native.memory import ALIGN, address, aligned
from tlverify.core.pytree import TreeDef
from tlverify.graph import Type
from tlverify.train.state import TrainState

Numbers = tuple[float, ...]
Memory = tuple[Any, int]
"""An array of bytes, and its address."""


class Store(Protocol):
    """Where states lie."""

    def memory(self, size: int) -> Memory:
        """So many bytes."""

    def view(self, memory: Any, offset: int, type_: Type) -> Any:
        """An array in an array of bytes."""


class Host:
    """The memory of NumPy's arrays."""

    def memory(self, size: int) -> Memory:
        array = aligned(size)
        return array, address(array)

    def view(self, memory: Any, offset: int, type_: Type) -> Any:
        return np.ndarray(type_.shape, type_.dtype, memory, offset)


@dataclass(eq=False)
class Layout:
    """Where the leaves of (params, buffers, optimizer) lie: an offset in bytes and a type, None for a number. `free` is
    memory of this size that no state uses."""

    tree: TreeDef
    leaves: tuple[tuple[int, Type] | None, ...]
    size: int
    store: Store
    free: list[Memory] = field(default_factory=list)

    def memory(self) -> Memory:
        """Some that nothing uses."""
        return self.free.pop() if self.free else self.store.memory(self.size)

    def pack(self, leaves: Sequence[Any]) -> Memory:
        """The arrays among the leaves in memory of their own."""
        memory = self.memory()
        for leaf, place in zip(leaves, self.leaves, strict=True):
            if place is not None:
                self._view(memory, place)[...] = leaf
        return memory

    def unpack(self, memory: Memory, numbers: Numbers) -> Any:
        """(params, buffers, optimizer), whose arrays share the memory."""
        rest = iter(numbers)
        leaves = [next(rest) if place is None else self._view(memory, place) for place in self.leaves]
        return pytree.unflatten(self.tree, leaves)

    def _view(self, memory: Memory, place: tuple[int, Type]) -> Any:
        return self.store.view(memory[0], *place)


class PackedState(TrainState):
    """A TrainState whose trees are made when they are asked for. Its memory is used again if they never were."""

    layout: Layout
    memory: Memory
    numbers: Numbers
    trees: Any

    def __new__(cls, *args: Any, **kwargs: Any) -> TrainState:  # type: ignore[misc]
        """A changed copy, as of dataclasses.replace, is a usual one."""
        return TrainState(*args, **kwargs)

    def __del__(self) -> None:
        if self.trees is None:
            self.layout.free.append(self.memory)

    @property
    def params(self) -> Any:
        return self._all()[0]

    @property
    def buffers(self) -> Any:
        return self._all()[1]

    @property
    def optimizer(self) -> Any:
        return self._all()[2]

    def _all(self) -> Any:
        if self.trees is None:
            object.__setattr__(self, "trees", self.layout.unpack(self.memory, self.numbers))
        return self.trees


def packed(state: TrainState, layout: Layout) -> PackedState:
    """The same state in memory of the layout."""
    leaves, _ = pytree.flatten((state.params, state.buffers, state.optimizer))
    numbers = tuple(leaf for leaf, place in zip(leaves, layout.leaves, strict=True) if place is None)
    return packed_state(state.step, layout, layout.pack(leaves), numbers)


def layout_of(state: TrainState, store: Store) -> Layout:
    """One for states with leaves of these types, which lie in the store."""
    leaves, tree = pytree.flatten((state.params, state.buffers, state.optimizer))
    places: list[tuple[int, Type] | None] = []
    total = 0
    for leaf in leaves:
        if isinstance(leaf, bool | int | float):
            places.append(None)
            continue
        places.append((total, type_of(leaf)))
        total += -(-leaf.nbytes // ALIGN) * ALIGN
    return Layout(tree, tuple(places), total, store)


def packed_state(step: int, layout: Layout, memory: Memory, numbers: Numbers) -> PackedState:
    state: PackedState = object.__new__(PackedState)
    values = {"step": step, "layout": layout, "memory": memory, "numbers": numbers, "trees": None}
    object.__setattr__(state, "__dict__", values)
    return state


def type_of(array: Any) -> Type:
    return Type(array.shape, array.dtype.name)
