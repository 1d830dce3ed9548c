"""A sparse map as small matrices: entries of the result that are made of the same entries of the source stand together.

In a convolution these are the channels at one place: they see the same window. So a map becomes a few stacks of small
products, whatever op it came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Pairs = Sequence[tuple[int, Any]]
CHUNK = 1 << 16  # entries gathered at a time: what a cache holds


@dataclass(frozen=True)
class Group:
    """`places` windows of the source, `index` (places, terms); each makes the entries `result` (places, made).

    `coefficients` are those of (places, made, terms), flat.
    """

    index: Ints
    result: Ints
    coefficients: Sequence[Any]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(places, made, terms)"""
        return (*self.result.shape, self.index.shape[1])


def grouped(entries: Sequence[Pairs]) -> list[Group]:
    """The groups of a map, given for each entry of the result its (index, coefficient) pairs; without empty ones."""
    sharing: dict[tuple[int, ...], list[int]] = {}
    for number, pairs in enumerate(entries):
        if pairs:
            sharing.setdefault(tuple([index for index, _ in pairs]), []).append(number)
    shapes: dict[tuple[int, int], list[tuple[tuple[int, ...], list[int]]]] = {}
    for window, made in sharing.items():
        shapes.setdefault((len(made), len(window)), []).append((window, made))
    return [
        Group(
            np.array([window for window, _ in found], dtype=np.int64),
            np.array([made for _, made in found], dtype=np.int64),
            [c for _, made in found for number in made for _, c in entries[number]],
        )
        for found in shapes.values()
    ]


def transposed(entries: Sequence[Pairs], columns: int) -> list[list[tuple[int, int]]]:
    """For each entry of the source the (entry of the result, integer) pairs that it goes into."""
    users: list[list[tuple[int, int]]] = [[] for _ in range(columns)]
    for number, pairs in enumerate(entries):
        for index, c in pairs:
            users[index].append((number, c))
    return users


def product(groups: Sequence[Group], matrices: Sequence[Any], source: Any, result: Any) -> None:
    """Fill `result` (entries, batch) from `source` (entries, batch); `matrices` (places, made, terms) are the groups'.

    Works on NumPy and CuPy alike.
    """
    for group, matrix in zip(groups, matrices, strict=True):
        terms = group.index.shape[1]
        step = max(1, CHUNK // (terms * source.shape[1]))
        for first in range(0, len(group.index), step):
            part = slice(first, first + step)
            picked = source[group.index[part]]
            result[group.result[part]] = matrix[part] * picked if terms == 1 else matrix[part] @ picked
