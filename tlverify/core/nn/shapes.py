"""Shapes as far as they are known before any data: None is an unknown size, `...` in front are unknown axes."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import Any

from tlverify.graph import ShapeError

PartialShape = tuple[int | EllipsisType | None, ...]


def last(layer: object, shape: PartialShape, count: int, what: str) -> list[int | None]:
    """The sizes of the last `count` axes, None where unknown; ShapeError that asks for `what` if there are fewer."""
    known: list[int | None] = [None if size is ... else size for size in shape[-count:]] if count else []
    if len(known) < count and shape[:1] != (...,):
        raise ShapeError(f"{layer} expects {what}")
    return [None] * (count - len(known)) + known


def replaced(shape: PartialShape, count: int, sizes: Sequence[int | None]) -> PartialShape:
    """`shape` with `sizes` in place of its last `count` axes."""
    explicit = len(shape) - (shape[:1] == (...,))
    lead: PartialShape = shape[: len(shape) - count] if explicit >= count else (...,)
    return (*lead, *sizes)


def agree(a: PartialShape, b: PartialShape) -> bool:
    """Whether two shapes can be the same."""
    if ... in (*a, *b):
        return True
    return len(a) == len(b) and all(m is None or n is None or m == n for m, n in zip(a, b, strict=True))


def require_size(layer: object, found: int | None, expected: int, what: str) -> None:
    """ShapeError unless the size is the expected one, or unknown."""
    if found is not None and found != expected:
        raise ShapeError(f"{layer} expects {expected} {what}")


def require_sizes(layer: object, **sizes: Any) -> None:
    """ShapeError unless every size is an integer of 1 or more."""
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            kind = type(layer).__name__
            raise ShapeError(f"{kind}: {name}: expected an integer of 1 or more, found {size!r}")


def shape_text(shape: PartialShape) -> str:
    """`8` where only the number of features is known, otherwise `[2, 8]`."""
    if len(shape) == 2 and shape[0] is ...:
        return str(shape[1])
    return "[" + ", ".join("..." if size is ... else "?" if size is None else str(size) for size in shape) + "]"
