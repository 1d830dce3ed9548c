"""A program and a table of bounds as arrays, made once for all jobs about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy

from tlverify.certify.fast import digits
from tlverify.certify.fast.digits import DIGIT, Array
from tlverify.certify.fast.freivalds import recompute
from tlverify.certify.fast.linear import Linear
from tlverify.certify.kernel.arithmetic import Vector
from tlverify.certify.kernel.backward import CHORD_BITS, SLOPE_BITS, Bounds
from tlverify.certify.kernel.program import Map, Program, error_of

BATCH_ENTRIES = 1 << 17  # jobs times the size of a value: what a cache holds
DEVICE_ENTRIES = 1 << 22  # what keeps a GPU busy
DEAD_SHARE = 8  # rows of a matrix are left out if one in so many belongs to a neuron that is inactive everywhere


@dataclass(frozen=True)
class Relaxation:
    """For a ReLU's input: factors of coefficients above and below 0, (n, 1); which neurons are unstable; the lower ends
    of these in digits, as long as `digits.width` says, and then ones for them, (digits + 1, n)."""

    above: Array
    below: Array
    unstable: Array
    lower: Array


class Prepared:
    """A program and a table of bounds as arrays."""

    def __init__(self, program: Program, bounds: Bounds, xp: ModuleType, maps: dict[int, Linear], verify: bool) -> None:
        self.program = program
        self.bounds = bounds
        self.xp = xp
        self.maps = maps
        self.verify = verify
        sizes = [value.size for value in program.values.values()]
        entries = BATCH_ENTRIES if xp is numpy else DEVICE_ENTRIES
        self.batch = max(32, entries // (sum(sizes) // len(sizes) + 1))
        self.relu_sources = {value.source for value in program.values.values() if value.kind == "relu"}
        self._relus: dict[str, Relaxation] = {}
        self._boxes: dict[str, tuple[list[Array], list[Array]]] = {}
        self._biases: dict[str, tuple[Array, float]] = {}
        self._errors: dict[str, Array] = {}
        self._negatives: dict[str, list[float]] = {}
        self._lower: dict[str, list[Array]] = {}
        self._alive: dict[str, tuple[Array, Array] | None] = {}
        self._restricted: dict[tuple[int, str], Array] = {}

    def inherit(self, other: Prepared) -> None:
        """Take over what another table of the same program has made of values whose bounds are the same here."""
        same = {name for name, known in self.bounds.items() if other.bounds.get(name) is known}
        self._biases.update(other._biases)
        self._restricted.update({key: part for key, part in other._restricted.items() if key[1] in same})
        caches: list[tuple[dict[str, Any], dict[str, Any]]] = [
            (self._relus, other._relus),
            (self._boxes, other._boxes),
            (self._negatives, other._negatives),
            (self._errors, other._errors),
            (self._lower, other._lower),
            (self._alive, other._alive),
        ]
        for own, made in caches:
            own.update({name: made[name] for name in same if name in made})

    def linear(self, matrix: Map) -> Linear:
        if id(matrix) not in self.maps:
            self.maps[id(matrix)] = Linear(matrix, self.xp, self.verify)
        return self.maps[id(matrix)]

    def product(self, rows: Array, coefficients: Array, undone: Array) -> Array:
        """rows @ coefficients, for a few rows (k, n)."""
        found = rows @ coefficients
        if self.verify:
            recompute(coefficients.T, rows.T, found.T, undone)
        return found

    def negative(self, name: str) -> list[float]:
        """The digits of the sum of min(0, lower); none if that is 0."""
        if name not in self._negatives:
            total = sum(low for low in self.bounds[name].lower if low < 0)
            self._negatives[name] = [float(digit) for (digit,) in digits.split([total])] if total else []
        return self._negatives[name]

    def lower(self, name: str) -> list[Array]:
        """min(0, lower) in digits."""
        if name not in self._lower:
            ends = digits.split([min(low, 0) for low in self.bounds[name].lower])
            self._lower[name] = [self.xp.asarray(part, dtype=float) for part in ends]
        return self._lower[name]

    def box(self, name: str) -> tuple[list[Array], list[Array]]:
        """The ends of an input in digits, as long as `digits.width` says."""
        if name not in self._boxes:
            known = self.bounds[name]
            self._boxes[name] = (_columns(known.lower, self.xp), _columns(known.upper, self.xp))
        return self._boxes[name]

    def bias(self, name: str, bias: Vector) -> tuple[Array, float]:
        """The digits of a bias (digits, n), of the length `digits.width`, and the largest sum of magnitudes of one."""
        if name not in self._biases:
            split = digits.split(bias.integers, digits.width(len(bias.integers)))
            heaviest = float(max(int(numpy.abs(part).sum()) for part in split))
            self._biases[name] = (self.xp.asarray(numpy.array(split, dtype=float)), heaviest)
        return self._biases[name]

    def error(self, name: str) -> Array:
        """Rounding errors of a value, (1, n): one digit."""
        key = error_of(name)
        if key not in self._errors:
            self._errors[key] = self.xp.asarray([self.bounds[key].upper], dtype=float)
        return self._errors[key]

    def relu(self, source: str) -> Relaxation:
        if source not in self._relus:
            phases, size = self.bounds[source].phases, len(self.bounds[source].lower)
            above, below, lower, unstable = ([0] * size for _ in range(4))
            for index in phases.active:
                above[index] = below[index] = 1 << CHORD_BITS
            for neuron in phases.unstable:
                above[neuron.number] = neuron.default_slope << CHORD_BITS - SLOPE_BITS
                below[neuron.number] = neuron.chord
                lower[neuron.number] = neuron.lower
                unstable[neuron.number] = 1
            xp = self.xp
            rise, fall = (xp.asarray(part, dtype=float)[:, None] / DIGIT for part in (above, below))
            ends = xp.asarray(numpy.array([*digits.split(lower, digits.width(size)), unstable], dtype=float))
            self._relus[source] = Relaxation(rise, fall, xp.asarray(unstable, dtype=bool), ends)
        return self._relus[source]

    def alive(self, name: str) -> tuple[Array, Array] | None:
        """The neurons of a ReLU's input that are not inactive everywhere, and the others; None if these are few."""
        if name not in self._alive:
            dead = [name in self.relu_sources and high <= 0 > low for low, high in self._ends(name)]
            few = sum(dead) * DEAD_SHARE < len(dead) or all(dead)
            indices = [[i for i, d in enumerate(dead) if d is side] for side in (False, True)]
            self._alive[name] = None if few else (self.xp.asarray(indices[0]), self.xp.asarray(indices[1]))
        return self._alive[name]

    def _ends(self, name: str) -> Iterator[tuple[int, int]]:
        return zip(self.bounds[name].lower, self.bounds[name].upper, strict=True)

    def restricted(self, linear: Linear, name: str, alive: Array) -> Array:
        """The matrix without what belongs to dead neurons of the value."""
        key = (id(linear), name)
        if key not in self._restricted:
            self._restricted[key] = self.xp.ascontiguousarray(linear.whole[:, alive])
        return self._restricted[key]


def _columns(values: Sequence[int], xp: ModuleType) -> list[Array]:
    return [xp.asarray(part, dtype=float)[:, None] for part in digits.split(values, digits.width(len(values)))]
