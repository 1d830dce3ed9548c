"""ATen's functions of shapes, of places, and of one axis, and its constants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tlverify.core import ops
from tlverify.interop.torch.errors import TorchError

Value = Any
Sizes = Sequence[int]


def view(self: Value, size: Sizes) -> Value:
    return ops.reshape(self, tuple(size))


def reshape(self: Value, shape: Sizes) -> Value:
    return ops.reshape(self, tuple(shape))


def flatten(self: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    rank = max(self.ndim, 1)
    start, end = start_dim % rank, end_dim % rank
    shape = self.shape or (1,)
    return ops.reshape(self, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def unflatten(self: Value, dim: int, sizes: Sizes) -> Value:
    axis = dim % self.ndim
    known = math.prod(size for size in sizes if size != -1)
    whole = [self.shape[axis] // known if size == -1 else size for size in sizes]
    return ops.reshape(self, (*self.shape[:axis], *whole, *self.shape[axis + 1 :]))


def permute(self: Value, dims: Sizes) -> Value:
    return ops.transpose(self, tuple(dims))


def transpose(self: Value, dim0: int, dim1: int) -> Value:
    return ops.swapaxes(self, dim0, dim1) if self.ndim else self


def t(self: Value) -> Value:
    return ops.transpose(self)


def squeeze(self: Value, dim: int | Sizes | None = None) -> Value:
    """Axes of another size stay, as in ATen."""
    rank = self.ndim
    given = range(rank) if dim is None else (dim,) if isinstance(dim, int) else dim
    gone = {axis % rank for axis in given if rank and self.shape[axis] == 1}
    return ops.reshape(self, tuple(size for axis, size in enumerate(self.shape) if axis not in gone))


def unsqueeze(self: Value, dim: int) -> Value:
    return ops.expand_dims(self, dim)


def expand(self: Value, size: Sizes, *, implicit: bool = False) -> Value:
    lead = len(size) - self.ndim
    sizes = [self.shape[i - lead] if n == -1 else n for i, n in enumerate(size)]
    return ops.broadcast_to(self, tuple(sizes))


def repeat(self: Value, repeats: Sizes) -> Value:
    x = ops.reshape(self, ((1,) * (len(repeats) - self.ndim) + tuple(self.shape)))
    for axis, count in enumerate(repeats):
        x = x if count == 1 else ops.tile(x, count, axis)
    return x


def slice_(self: Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Value:
    return _cut(self, dim, slice(start, end, step))


def select(self: Value, dim: int, index: int) -> Value:
    return _cut(self, dim, index)


def split(self: Value, split_size: int | Sizes, dim: int = 0) -> Sequence[Value]:
    """Parts of one size, of which the last may be smaller, or parts of given sizes."""
    total = self.shape[dim]
    if isinstance(split_size, int):
        return ops.split(self, [min(split_size, total - i) for i in range(0, total, split_size)], dim)
    return ops.split(self, list(split_size), dim)


def split_with_sizes(self: Value, split_sizes: Sizes, dim: int = 0) -> Sequence[Value]:
    return ops.split(self, list(split_sizes), dim)


def chunk(self: Value, chunks: int, dim: int = 0) -> Sequence[Value]:
    return split(self, -(-self.shape[dim] // chunks), dim)


def unbind(self: Value, dim: int = 0) -> Sequence[Value]:
    return [_cut(self, dim, place) for place in range(self.shape[dim])]


def cat(tensors: Sequence[Value], dim: int = 0) -> Value:
    parts = [part for part in tensors if tuple(part.shape) != (0,)]
    return ops.concat(parts, dim)


def stack(tensors: Sequence[Value], dim: int = 0) -> Value:
    return ops.stack(tensors, dim)


def roll(self: Value, shifts: int | Sizes, dims: int | Sizes = ()) -> Value:
    moves, axes = _list(shifts), _list(dims)
    if not axes:
        return ops.reshape(ops.roll(ops.reshape(self, (-1,)), moves[0], 0), self.shape)
    for move, axis in zip(moves, axes, strict=True):
        self = ops.roll(self, move, axis)
    return self


def flip(self: Value, dims: Sizes) -> Value:
    for axis in dims:
        self = ops.flip(self, axis)
    return self


def pad_nd(self: Value, pad: Sizes, mode: str = "constant", value: float | None = 0) -> Value:
    """Pairs (before, after) from the last axis on."""
    if mode != "constant":
        raise TorchError(f"mode: expected constant, found {mode!r}")
    if min(pad, default=0) < 0:
        raise TorchError(f"pad: expected sizes of at least 0, found {list(pad)}")
    return ops.pad(self, list(pad), float(value or 0))


def constant_pad_nd(self: Value, pad: Sizes, value: float = 0) -> Value:
    return pad_nd(self, pad, "constant", value)


def tril(self: Value, diagonal: int = 0) -> Value:
    return ops.tril(self, diagonal)


def triu(self: Value, diagonal: int = 0) -> Value:
    return ops.triu(self, diagonal)


def index_select(self: Value, dim: int, index: Value) -> Value:
    return ops.take(self, index, dim)


def gather(self: Value, dim: int, index: Value, *, sparse_grad: bool = False) -> Value:
    return ops.take_along_axis(self, index, dim)


def index(self: Value, indices: Sequence[Value | None]) -> Value:
    """x[..., places, ...] with one array of places."""
    given = [(axis, places) for axis, places in enumerate(indices) if places is not None]
    if len(given) != 1 or str(given[0][1].dtype) != "int64":
        raise TorchError("indexing with several arrays, or with truth values, is not supported")
    axis, places = given[0]
    return ops.take(self, places, axis)


def cumsum(self: Value, dim: int, *, dtype: Any = None) -> Value:
    return ops.cumsum(self, dim)


def argmax(self: Value, dim: int | None = None, keepdim: bool = False) -> Value:
    if dim is None:
        return ops.argmax(ops.reshape(self, (-1,)), 0)
    result = ops.argmax(self, dim)
    return ops.expand_dims(result, dim) if keepdim else result


def sum_(self: Value, dim: int | Sizes | None = None, keepdim: bool = False, *, dtype: Any = None) -> Value:
    return ops.sum(self, _axes(dim), keepdim)


def mean(self: Value, dim: int | Sizes | None = None, keepdim: bool = False, *, dtype: Any = None) -> Value:
    """Over the last axes it is a pool, which divides exactly."""
    axes = sorted(axis % self.ndim for axis in _list(dim if dim not in (None, ()) else range(self.ndim)))
    if not axes or axes != list(range(axes[0], self.ndim)):
        return ops.mean(self, axes, keepdim)
    shape = self.shape[: axes[0]]
    flat = ops.reshape(self, (*shape, 1, math.prod(self.shape[axes[0] :])))
    pooled = ops.avg_pool2d(flat, flat.shape[-2:])
    return ops.reshape(pooled, (*shape, *(1,) * len(axes)) if keepdim else shape)


def var(
    self: Value, dim: int | Sizes | None = None, *, correction: float | None = None, keepdim: bool = False
) -> Value:
    return ops.var(self, _axes(dim), keepdim, 1 if correction is None else int(correction))


def amax(self: Value, dim: Sizes = (), keepdim: bool = False) -> Value:
    return ops.max(self, _axes(dim), keepdim)


def amin(self: Value, dim: Sizes = (), keepdim: bool = False) -> Value:
    return ops.min(self, _axes(dim), keepdim)


def max_(self: Value, dim: int | None = None, keepdim: bool = False) -> Any:
    """The maximum of all, or (values, places) along an axis."""
    if dim is None:
        return ops.max(self)
    return ops.max(self, dim, keepdim), argmax(self, dim, keepdim)


def min_(self: Value, dim: int | None = None, keepdim: bool = False) -> Any:
    if dim is None:
        return ops.min(self)
    return ops.min(self, dim, keepdim), argmax(ops.neg(self), dim, keepdim)


def logsumexp(self: Value, dim: Sizes, keepdim: bool = False) -> Value:
    return ops.logsumexp(self, _axes(dim), keepdim)


def vector_norm(
    self: Value,
    ord: float = 2,  # noqa: A002
    dim: int | Sizes | None = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Value:
    return ops.norm(self, _axes(dim), keepdim, float(ord))


def _axes(dim: int | Sizes | None) -> tuple[int, ...] | None:
    """None and () are all axes."""
    return None if dim is None or dim == () or dim == [] else tuple(_list(dim))


def _list(value: int | Sizes) -> list[int]:
    return [value] if isinstance(value, int) else list(value)


def _cut(x: Value, dim: int, part: int | slice) -> Value:
    whole = (slice(None),) * (dim % x.ndim)
    return ops.slice(x, *whole, part)
