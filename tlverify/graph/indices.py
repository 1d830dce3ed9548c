"""Shape rules of the ops that choose, order or accumulate elements along one axis."""

from __future__ import annotations

from tlverify.graph.errors import ShapeError
from tlverify.graph.types import FLOATS, Attributes, Shape, Type, require


def argmax(types: tuple[Type, ...], attributes: Attributes) -> Type:
    x = types[0]
    place = axis_of(x, attributes)
    require(x.dtype != "bool", "expected numbers, found bool")
    require(x.shape[place] > 0, f"the maximum over an axis of size 0 does not exist: {x}")
    return Type((*x.shape[:place], *x.shape[place + 1 :]), "int64")


def argsort(types: tuple[Type, ...], attributes: Attributes) -> Type:
    x = types[0]
    axis_of(x, attributes)
    require(x.dtype != "bool", "expected numbers, found bool")
    _flag(attributes, "descending")
    return Type(x.shape, "int64")


def cumsum(types: tuple[Type, ...], attributes: Attributes) -> Type:
    x = types[0]
    axis_of(x, attributes)
    require(x.dtype != "bool", "expected numbers, found bool")
    _flag(attributes, "reverse")
    return x


def gather(types: tuple[Type, ...], attributes: Attributes) -> Type:
    """x (*B, n, *F) and indices (*B, *I) -> (*B, *I, *F), where B has `batch` axes."""
    x, indices = types
    batch = _batch(indices, attributes)
    require(len(x.shape) > len(batch), f"x: expected an axis to index after {list(batch)}, found {x}")
    require(x.shape[: len(batch)] == batch, f"expected equal first axes, found {x} and indices {indices}")
    chosen = indices.shape[len(batch) :]
    require(x.shape[len(batch)] > 0 or 0 in indices.shape, f"cannot take elements of the empty axis of {x}")
    return Type((*batch, *chosen, *x.shape[len(batch) + 1 :]), x.dtype)


def scatter_add(types: tuple[Type, ...], attributes: Attributes) -> Type:
    """The adjoint of gather: updates (*B, *I, *F) and indices (*B, *I) -> (*B, size, *F)."""
    updates, indices = types
    batch, size = _batch(indices, attributes), attributes["size"]
    require(updates.dtype in FLOATS, f"expected a float dtype, found {updates.dtype}")
    fits = updates.shape[: len(indices.shape)] == indices.shape
    require(fits, f"updates: expected axes that begin as the indices {indices}, found {updates}")
    if not isinstance(size, int) or size < 0:
        raise ShapeError(f"size: expected an integer >= 0, found {size!r}")
    require(size > 0 or 0 in indices.shape, f"size 0 leaves no place for the updates {updates}")
    return Type((*batch, size, *updates.shape[len(indices.shape) :]), updates.dtype)


def axis_of(x: Type, attributes: Attributes) -> int:
    """The attribute `axis`, which is an axis of x."""
    axis = attributes["axis"]
    if not isinstance(axis, int) or not 0 <= axis < len(x.shape):
        raise ShapeError(f"axis: expected an axis of {x}, found {axis!r}")
    return axis


def _batch(indices: Type, attributes: Attributes) -> Shape:
    batch = attributes["batch"]
    require(indices.dtype == "int64", f"indices: expected int64, found {indices.dtype}")
    if not isinstance(batch, int) or not 0 <= batch <= len(indices.shape):
        raise ShapeError(f"batch: expected a number of axes of the indices {indices}, found {batch!r}")
    return indices.shape[:batch]


def _flag(attributes: Attributes, name: str) -> None:
    require(attributes[name] in (0, 1), f"{name}: expected 0 or 1, found {attributes[name]!r}")
