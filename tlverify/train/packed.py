"""States of training whose arrays lie in one piece of memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from sys import getrefcount
from typing import Any, Protocol

import numpy as np

from tlverify.core import pytree
from tlverify.core.native.memory import ALIGN, address, aligned
from tlverify.core.pytree import TreeDef
from tlverify.graph import Type
from tlverify.train.state import TrainState

Numbers = tuple[float, ...]
_KINDS = {bool: "bool", int: "int64", float: "float64"}
_LATEST = 3  # pieces of memory among which one that is unused is looked for


@dataclass(eq=False, slots=True)
class Memory:
    """An array of bytes, its address, and whether anybody has seen arrays that lie in it."""

    array: Any
    address: int
    seen: bool = False


class Store(Protocol):
    """Where states lie."""

    def memory(self, size: int) -> tuple[Any, int]:
        """An array of so many bytes, and its address."""

    def view(self, memory: Any, offset: int, type_: Type) -> Any:
        """An array in an array of bytes."""


class Host:
    """The memory of NumPy's arrays."""

    def memory(self, size: int) -> tuple[Any, int]:
        array = aligned(size)
        array[...] = 0  # what lies between two leaves is worked on with them
        return array, address(array)

    def view(self, memory: Any, offset: int, type_: Type) -> Any:
        return np.ndarray(type_.shape, type_.dtype, memory, offset)


def _references() -> int:
    """How many there are, where a loop looks, to what nothing refers but the list it is over: Pythons differ in it."""
    for memory in [Memory(None, 0)]:
        return getrefcount(memory)
    return 0


_LEAST = _references()


@dataclass(eq=False)
class Layout:
    """Where the leaves of (params, buffers, optimizer) lie: an offset in bytes and a type, None for a number. Those of
    `numbers` are behind them. `latest` is memory of this size that may be used again."""

    tree: TreeDef
    leaves: tuple[tuple[int, Type] | None, ...]
    numbers: tuple[tuple[int, Type], ...]
    size: int
    store: Store
    latest: list[Memory] = field(default_factory=list)

    def memory(self) -> Memory:
        """Some that no state uses."""
        for memory in self.latest:
            if getrefcount(memory) <= _LEAST and not memory.seen:
                return memory
        memory = Memory(*self.store.memory(self.size))
        self.latest = [*self.latest[-_LATEST:], memory]
        return memory

    def keep(self, memory: Memory) -> None:
        """Never use it again."""
        memory.seen = True  # a thread that is in `memory` may put it back into the list
        self.latest = [one for one in self.latest if one is not memory]

    def pack(self, leaves: Sequence[Any], numbers: Numbers) -> Memory:
        """The arrays among the leaves, and the numbers, in memory of their own."""
        memory = self.memory()
        places = [place for place in self.leaves if place is not None] + list(self.numbers)
        arrays = [leaf for leaf, place in zip(leaves, self.leaves, strict=True) if place is not None]
        for value, place in zip([*arrays, *numbers], places, strict=True):
            self._view(memory, place)[...] = value
        return memory

    def unpack(self, memory: Memory, numbers: Numbers) -> Any:
        """(params, buffers, optimizer), whose arrays share the memory."""
        rest = iter(numbers)
        leaves = [next(rest) if place is None else self._view(memory, place) for place in self.leaves]
        return pytree.unflatten(self.tree, leaves)

    def write(self, memory: Memory, numbers: Numbers) -> None:
        """Put the numbers there."""
        for value, place in zip(numbers, self.numbers, strict=True):
            self._view(memory, place)[...] = value

    def numbers_in(self, memory: Memory) -> Numbers:
        """Those that lie there."""
        return tuple(self._view(memory, place).item() for place in self.numbers)

    def _view(self, memory: Memory, place: tuple[int, Type]) -> Any:
        return self.store.view(memory.array, *place)


class PackedState(TrainState):
    """A TrainState whose trees are made when they are asked for. Its memory is used again if they never were."""

    layout: Layout
    memory: Memory
    trees: Any
    leaves: Sequence[Any] = ()  # of the trees as they were made

    def __new__(cls, *args: Any, **kwargs: Any) -> TrainState:  # type: ignore[misc]
        """A changed copy, as of dataclasses.replace, is a usual one."""
        return TrainState(*args, **kwargs)

    def __reduce__(self) -> Any:
        """A copy, or what comes back from a pickle, is a usual one too."""
        return TrainState, (self.step, *self._all())

    @property
    def changed(self) -> bool:
        """Whether something else was put in the place of a leaf. What was written into an array is in the memory."""
        if self.trees is None:
            return False
        leaves, tree = pytree.flatten(self.trees)
        return tree != self.layout.tree or any(a is not b for a, b in zip(leaves, self.leaves, strict=True))

    @cached_property
    def numbers(self) -> Numbers:
        """Those of the leaves that are numbers of Python."""
        return self.layout.numbers_in(self.memory)

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
            self.layout.keep(self.memory)
            trees = self.layout.unpack(self.memory, self.numbers)
            self.__dict__.update(leaves=pytree.flatten(trees)[0], trees=trees)
        return self.trees


def packed(state: TrainState, layout: Layout) -> PackedState:
    """The same state in memory of the layout."""
    leaves, _ = pytree.flatten((state.params, state.buffers, state.optimizer))
    numbers = tuple(leaf for leaf, place in zip(leaves, layout.leaves, strict=True) if place is None)
    return packed_state(state.step, layout, layout.pack(leaves, numbers), numbers)


def layout_of(state: TrainState, store: Store) -> Layout:
    """One for states with leaves of these types, which lie in the store."""
    leaves, tree = pytree.flatten((state.params, state.buffers, state.optimizer))
    places: list[tuple[int, Type] | None] = []
    numbers: list[Type] = []
    total = 0
    for leaf in leaves:
        if isinstance(leaf, bool | int | float):
            places.append(None)
            numbers.append(Type((), next(dtype for kind, dtype in _KINDS.items() if isinstance(leaf, kind))))
            continue
        places.append((total, type_of(leaf)))
        total += max(-(-leaf.nbytes // ALIGN), 1) * ALIGN  # a place of its own for each
    behind = tuple((total + 8 * i, type_) for i, type_ in enumerate(numbers))
    return Layout(tree, tuple(places), behind, total + 8 * len(numbers), store)


def packed_state(step: int, layout: Layout, memory: Memory, numbers: Numbers | None = None) -> PackedState:
    """A state in the memory, where its numbers are as well unless they are given."""
    state: PackedState = _new(PackedState)
    values: dict[str, Any] = {"step": step, "layout": layout, "memory": memory, "trees": None}
    if numbers is not None:
        values["numbers"] = numbers
    _put(state, values)
    return state


_new = object.__new__
_put: Any = TrainState.__dict__["__dict__"].__set__  # past what keeps a frozen dataclass as it is


def type_of(array: Any) -> Type:
    return Type(array.shape, array.dtype.name)
