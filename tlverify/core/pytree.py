"""Trees of arrays: dict, tuple, list, namedtuple, and frozen dataclasses marked with `register`.

A tree is its leaves in a fixed order (dict keys sorted) and a TreeDef that says how they were put together.
None is a tree without leaves. Everything else is a leaf.
"""

from __future__ import annotations

import builtins
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tlverify.graph import GraphError

T = TypeVar("T")
_MARK = "__tlverify_pytree__"
_END = object()
_PLAIN = frozenset((np.ndarray, float, int))
"""The usual types of leaves, which are told apart first: trees are walked at every step of a training."""


class TreeDef(NamedTuple):
    """How to rebuild a container of type `kind` from its children; `kind` is None for a leaf."""

    kind: type | None
    keys: tuple[str, ...] = ()
    children: tuple[TreeDef, ...] = ()
    static: tuple[tuple[str, Any], ...] = ()

    @property
    def size(self) -> int:
        """Number of leaves."""
        return 1 if self.kind is None else sum([child.size for child in self.children])


LEAF = TreeDef(None)


def register(cls: type[T]) -> type[T]:
    """Mark a frozen dataclass as a container. A field with `metadata={"static": True}` is not a child."""
    if not dataclasses.is_dataclass(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise TypeError(f"{cls.__name__}: expected a frozen dataclass")
    setattr(cls, _MARK, cls)
    return cls


def flatten(tree: Any) -> tuple[list[Any], TreeDef]:
    """The leaves of `tree` and its structure."""
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves)


def unflatten(treedef: TreeDef, leaves: Sequence[Any]) -> Any:
    """The tree with the given structure and leaves."""
    remaining = iter(leaves)
    try:
        tree = _build(treedef, remaining)
    except StopIteration:
        tree = _END
    if tree is _END or next(remaining, _END) is not _END:
        raise GraphError(f"tree: expected {treedef.size} leaves, found {len(leaves)}")
    return tree


def map(function: Callable[..., Any], tree: Any, *others: Any) -> Any:  # noqa: A001
    """`function` applied to corresponding leaves of trees of one structure."""
    try:
        return _mapped(function, tree, others)
    except _TreesDifferError:
        first = flatten(tree)[1]
        found = next(one for one in (flatten(other)[1] for other in others) if one != first)
        raise GraphError(f"trees differ: {paths(first)} and {paths(found)}") from None


class _TreesDifferError(Exception):
    pass


def _mapped(function: Callable[..., Any], tree: Any, others: Sequence[Any]) -> Any:
    """Dicts, tuples, lists and usual leaves one by one, and what is of other kinds by its structure."""
    kind = type(tree)
    if kind in _PLAIN and _PLAIN.issuperset(builtins.map(type, others)):
        return function(tree, *others)
    if kind is dict and {*builtins.map(type, tree)} == {str}:
        for other in others:
            if type(other) is not dict or other.keys() != tree.keys():
                raise _TreesDifferError
        return {key: _mapped(function, tree[key], [other[key] for other in others]) for key in sorted(tree)}
    if kind is tuple or kind is list:
        for other in others:
            if type(other) is not kind or len(other) != len(tree):
                raise _TreesDifferError
        rows = ((part, [other[i] for other in others]) for i, part in enumerate(tree))
        return kind([_mapped(function, part, row) for part, row in rows])
    leaves, treedef = flatten(tree)
    columns = [leaves]
    for other in others:
        column, found = flatten(other)
        if found != treedef:
            raise _TreesDifferError
        columns.append(column)
    return unflatten(treedef, [function(*row) for row in zip(*columns, strict=True)])


def paths(treedef: TreeDef, prefix: str = "") -> list[str]:
    """Names of the leaves, like `0.weight`: keys and positions joined by dots. A bare leaf has the prefix."""
    if treedef.kind is None:
        return [prefix]
    result = []
    for key, child in zip(treedef.keys, treedef.children, strict=True):
        result += paths(child, f"{prefix}.{key}" if prefix else key)
    return result


def _flatten(tree: Any, leaves: list[Any]) -> TreeDef:
    kind: Any = type(tree)
    if kind in _PLAIN:
        leaves.append(tree)
        return LEAF
    if kind is dict:
        if tree and {*builtins.map(type, tree)} != {str}:
            raise GraphError(f"tree: expected string keys in a dict, found {list(tree)}")
        keys = tuple(sorted(tree))
        return TreeDef(dict, keys, tuple([_flatten(tree[key], leaves) for key in keys]))
    if isinstance(tree, (tuple, list)):
        keys = getattr(tree, "_fields", None) or _positions(len(tree))
        return TreeDef(kind, keys, tuple([_flatten(child, leaves) for child in tree]))
    if tree is None:
        return TreeDef(type(None))
    registered = getattr(kind, _MARK, None)  # of a subclass: the class that was registered
    if registered is not None:
        keys, names = _fields(kind)
        static = tuple([(name, getattr(tree, name)) for name in names])
        return TreeDef(registered, keys, tuple([_flatten(getattr(tree, key), leaves) for key in keys]), static)
    leaves.append(tree)
    return LEAF


@functools.lru_cache(256)
def _positions(count: int) -> tuple[str, ...]:
    return tuple([str(i) for i in range(count)])


@functools.lru_cache(256)
def _fields(kind: type) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the children and of the static fields of a registered dataclass."""
    fields = dataclasses.fields(kind)
    static = tuple([field.name for field in fields if field.metadata.get("static")])
    return tuple([field.name for field in fields if field.name not in static]), static


def _build(treedef: TreeDef, leaves: Iterator[Any]) -> Any:
    kind = treedef.kind
    if kind is None:
        return next(leaves)
    children = [next(leaves) if child.kind is None else _build(child, leaves) for child in treedef.children]
    if kind is dict:
        return dict(zip(treedef.keys, children, strict=True))
    if kind is tuple or kind is list:
        return kind(children)
    if kind is type(None):
        return None
    if issubclass(kind, tuple | list):
        return kind(*children) if hasattr(kind, "_fields") else kind(children)
    return kind(**dict(zip(treedef.keys, children, strict=True)), **dict(treedef.static))
