"""Values of linear algebra, Fourier transforms, indexing, and random numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tlverify.core.backend import namespace, to_numpy
from tlverify.graph import GraphError, Shape


class IndexRangeError(GraphError):
    """A gather or scatter met an index outside its axis."""


class SingularError(GraphError):
    """A matrix has no Cholesky factor, or no inverse."""


def cholesky(x: Any) -> Any:
    try:
        return np.linalg.cholesky(x)
    except np.linalg.LinAlgError:
        raise SingularError("cholesky: expected a positive definite matrix; add a small multiple of eye") from None


def qr(x: Any) -> Any:
    return np.linalg.qr(x, mode="reduced")[0]


def solve(matrix: Any, right: Any) -> Any:
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        raise SingularError("solve: expected an invertible matrix, found a singular one") from None


def fft(x: Any, *, inverse: int) -> Any:
    return _pairs((np.fft.ifft if inverse else np.fft.fft)(_complex(x)), x)


def rfft(x: Any) -> Any:
    return _pairs(np.fft.rfft(x), x)


def irfft(x: Any, *, size: int) -> Any:
    return np.fft.irfft(_complex(x), size).astype(x.dtype, copy=False)


def argmax(x: Any, *, axis: int) -> Any:
    return x.argmax(axis).astype(np.int64, copy=False)


def argsort(x: Any, *, axis: int, descending: int) -> Any:
    """A stable order: equal elements keep theirs."""
    if not descending:
        return np.argsort(x, axis, kind="stable").astype(np.int64, copy=False)
    turned = np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
    return (x.shape[axis] - 1 - turned).astype(np.int64, copy=False)


def cumsum(x: Any, *, axis: int, reverse: int) -> Any:
    if not reverse:
        return np.cumsum(x, axis, dtype=x.dtype)
    return np.flip(np.cumsum(np.flip(x, axis), axis, dtype=x.dtype), axis)


def gather(x: Any, indices: Any, *, batch: int) -> Any:
    _check_range("gather", indices, x.shape[batch])
    if batch == 0:
        return x[indices]
    rows, places = _flat(indices, batch, x.shape[batch])
    table = x.reshape(rows * x.shape[batch], *x.shape[batch + 1 :])
    return table[places].reshape(*indices.shape, *x.shape[batch + 1 :])


def scatter_add(updates: Any, indices: Any, *, batch: int, size: int) -> Any:
    _check_range("scatter_add", indices, size)
    xp = namespace(updates, indices)
    rows, places = _flat(indices, batch, size)
    rest = updates.shape[indices.ndim :]
    total = xp.zeros((rows * size, *rest), updates.dtype)
    xp.add.at(total, places, updates.reshape(places.size, *rest))
    return total.reshape(*indices.shape[:batch], size, *rest)


def random_uniform(key: Any, *, shape: Shape, dtype: str) -> Any:
    """Numbers of [0, 1) from Philox, a counter-based generator: the same bits for a key on every backend."""
    keys = to_numpy(key).astype(np.uint64).reshape(-1, 2)
    drawn = [np.random.Generator(np.random.Philox(key=pair)).random(shape, dtype) for pair in keys]  # type: ignore[call-overload]
    result = np.stack(drawn) if drawn else np.zeros((0, *shape), dtype)
    return namespace(key).asarray(result.reshape(*key.shape[:-1], *shape))


def _complex(x: Any) -> Any:
    """Pairs (..., n, 2) as complex numbers (..., n)."""
    kind = {"float32": np.complex64, "float64": np.complex128}[str(x.dtype)]
    return namespace(x).ascontiguousarray(x).view(kind)[..., 0]


def _pairs(z: Any, like: Any) -> Any:
    """Complex numbers (..., n) as pairs (..., n, 2) in the dtype of `like`."""
    return np.stack([z.real, z.imag], -1).astype(like.dtype, copy=False)


def _flat(indices: Any, batch: int, size: int) -> tuple[int, Any]:
    """Rows of the first `batch` axes joined into one, and the indices into all rows of `size` one after another."""
    rows = math.prod(indices.shape[:batch])
    starts = namespace(indices).arange(rows) * size
    places = indices.reshape(rows, math.prod(indices.shape[batch:])) + starts[:, None]
    return rows, places.reshape(places.size)


def _check_range(op: str, indices: Any, size: int) -> None:
    if indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < size:
        found = int(indices.min()) if int(indices.min()) < 0 else int(indices.max())
        raise IndexRangeError(f"{op}: expected indices from 0 to {size - 1}, found {found}")
