"""Examples in memory, checked once, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.graph import Shape, TlverifyError

Array = npt.NDArray[Any]


class DataError(TlverifyError):
    """Data that cannot be used: the message names the array, what was expected and what was found."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples `x` (n, *features) with `y`: labels (n, ...) int64, or targets (n, *outputs) float32.

    `x` is float32, or int64 for indices such as tokens.
    """

    x: Array
    y: Array

    def __len__(self) -> int:
        return len(self.x)

    @property
    def features(self) -> Shape:
        """Shape of one example."""
        return self.x.shape[1:]

    @property
    def labelled(self) -> bool:
        """Whether `y` holds integer labels of classes."""
        return self.y.dtype == np.int64

    @property
    def classes(self) -> int:
        """One more than the largest label."""
        if not self.labelled:
            raise DataError("y: expected integer labels to count the classes of, found float targets")
        return int(self.y.max()) + 1

    def take(self, indices: npt.ArrayLike | slice) -> Dataset:
        """The examples at `indices` (a slice, integers, or n truth values), in that order. DataError for others."""
        index = indices if isinstance(indices, slice) else np.asarray(indices)
        if not isinstance(index, slice):
            _check_indices(index, len(self))
        x, y = self.x[index], self.y[index]
        for array in (x, y):
            array.setflags(write=False)
        return Dataset(x, y)

    def split(self, count: int, rng: np.random.Generator | None = None) -> tuple[Dataset, Dataset]:
        """`count` examples and the rest: the first ones, or those that a permutation by `rng` puts first."""
        if not isinstance(count, int | np.integer) or isinstance(count, bool):
            raise DataError(
                f"split: expected a count of examples, found {count!r}; for a fraction: int(0.2 * len(data))"
            )
        if rng is not None and not isinstance(rng, np.random.Generator):
            raise DataError(f"split: rng: expected numpy.random.default_rng(seed), found {rng!r}")
        if not 0 < count < len(self):
            raise DataError(f"split: expected a count between 1 and {len(self) - 1}, found {count}")
        order = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        return self.take(order[:count]), self.take(order[count:])

    def __repr__(self) -> str:
        y = f"{self.classes} classes" if self.labelled else f"targets {list(self.y.shape[1:])}"
        return f"Dataset({len(self)} examples {list(self.features)}, {y})"


def tensor_dataset(x: npt.ArrayLike, y: npt.ArrayLike) -> Dataset:
    """Examples x (n, *features) with labels y (n,) or targets y (n, *outputs), as a Dataset.

    x, and y where it is not integer, must be float32 or float64; float64 is rounded to float32. The arrays are
    copied and read-only. DataError for other types, empty or unequal lengths, NaN, infinities, and labels below 0.
    """
    examples = _floats("x", np.asarray(x))
    found = np.asarray(y)
    if np.issubdtype(found.dtype, np.integer):
        if found.ndim != 1:
            raise DataError(f"y: expected labels of shape (n,), found integers of shape {found.shape}")
        if found.size and found.min() < 0:
            raise DataError(f"y: expected labels >= 0, found {found.min()} at index {int(found.argmin())}")
        targets = found.astype(np.int64)
    else:
        targets = _floats("y", found)
    if examples.ndim == 0 or targets.ndim == 0 or len(examples) == 0:
        raise DataError(f"x: expected one example or more along axis 0, found shape {examples.shape}")
    if len(examples) != len(targets):
        raise DataError(f"x and y: expected equal lengths, found {len(examples)} and {len(targets)}")
    for array in (examples, targets):
        array.setflags(write=False)
    return Dataset(examples, targets)


def token_dataset(x: npt.ArrayLike, y: npt.ArrayLike) -> Dataset:
    """Indices x (n, *features) with labels y (n, ...), both integers of 0 or more, as for sequences of tokens."""
    arrays = []
    for name, given in (("x", np.asarray(x)), ("y", np.asarray(y))):
        if not np.issubdtype(given.dtype, np.integer) or given.ndim == 0 or given.size == 0:
            raise DataError(f"{name}: expected integers (n, ...), found {given.dtype}{list(given.shape)}")
        if given.min() < 0:
            raise DataError(f"{name}: expected integers >= 0, found {given.min()}")
        array = given.astype(np.int64)
        array.setflags(write=False)
        arrays.append(array)
    if len(arrays[0]) != len(arrays[1]):
        raise DataError(f"x and y: expected equal lengths, found {len(arrays[0])} and {len(arrays[1])}")
    return Dataset(*arrays)


def loader(
    dataset: Dataset,
    batch_size: int,
    shuffle: bool = False,
    rng: np.random.Generator | None = None,
    drop_last: bool = False,
) -> Iterator[tuple[Array, Array]]:
    """Batches (x, y) of one pass over `dataset`, in an order drawn from `rng` if `shuffle`.

    The last batch holds what is left, or is left out if `drop_last`.
    """
    if batch_size < 1:
        raise DataError(f"batch_size: expected 1 or more, found {batch_size}")
    if shuffle and rng is None:
        raise DataError("loader: shuffle needs rng, as in rng=numpy.random.default_rng(0)")
    order = rng.permutation(len(dataset)) if shuffle and rng is not None else np.arange(len(dataset))
    end = len(dataset) - batch_size + 1 if drop_last else len(dataset)
    for start in range(0, end, batch_size):
        index = order[start : start + batch_size]
        yield dataset.x[index], dataset.y[index]


def _check_indices(index: Array, examples: int) -> None:
    if index.ndim != 1 or not (np.issubdtype(index.dtype, np.integer) or index.dtype == np.bool_):
        found = f"found {index.dtype} of shape {index.shape}"
        raise DataError(f"take: expected a list of integers or of truth values, as in take([0, 3]), {found}")
    if index.dtype == np.bool_:
        if len(index) != examples:
            raise DataError(f"take: expected {examples} truth values, one for each example, found {len(index)}")
    elif (wrong := index[(index < -examples) | (index >= examples)]).size:
        raise DataError(f"take: expected indices below {examples}, the number of examples, found {wrong[0]}")


def _floats(name: str, array: Array) -> Array:
    if array.dtype not in (np.float32, np.float64):
        remedy = "scale and convert it, as in x.astype('float32') / 255"
        raise DataError(f"{name}: expected float32 or float64, found {array.dtype}; {remedy}")
    with np.errstate(over="ignore"):
        result = np.array(array, dtype=np.float32, order="C")
    if not np.isfinite(result).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(result))[0])
        raise DataError(f"{name}: expected finite float32 numbers, found {array[where]} at index {where}")
    return result
