"""The phases of a ReLU, by the bounds of its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

SLOPE_BITS = 7  # a proposed slope is k / 2^7 with 0 <= k <= 2^7
CHORD_BITS = 22  # a chord's slope is rounded up to a multiple of 2^-22


class Unstable(NamedTuple):
    """A neuron with lower < 0 < upper: its lower end, its chord's slope rounded up, its default lower slope."""

    number: int
    lower: int
    chord: int
    default_slope: int


@dataclass(frozen=True)
class Phases:
    """The neurons of a ReLU that pass their input on, and those that may do either; the others give 0."""

    active: Sequence[int]
    unstable: Sequence[Unstable]

    def revised(self, index: int, low: int, high: int) -> Phases:
        """The phases after the bounds of one neuron have changed."""
        active = [i for i in self.active if i != index]
        unstable = [neuron for neuron in self.unstable if neuron[0] != index]
        if low >= 0:
            active.append(index)
        elif high > 0:
            unstable.append(relaxed(index, low, high))
        return Phases(active, unstable)


def classify(lower: Sequence[int], upper: Sequence[int]) -> Phases:
    """The phases of a ReLU by the ends of its input."""
    ends = list(enumerate(zip(lower, upper, strict=True)))
    unstable = [relaxed(i, low, high) for i, (low, high) in ends if low < 0 < high]
    return Phases([i for i, (low, _) in ends if low >= 0], unstable)


def relaxed(index: int, low: int, high: int) -> Unstable:
    """An unstable neuron, low < 0 < high."""
    chord = -((-high << CHORD_BITS) // (high - low))
    return Unstable(index, low, chord, 1 << SLOPE_BITS if high > -low else 0)
