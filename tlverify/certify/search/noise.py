"""What rounding in float32 comes to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tlverify.certify.kernel.program import Program
from tlverify.certify.search.layers import Array, floats

NOISE_BITS = 20


class Noise:
    """How far rounding may move a value, given the ReLUs below: those of an unstable neuron move nothing, for they are
    variables of their own. Cancellation between the neurons of a layer is left out, so it is more than it comes to."""

    def __init__(self, program: Program, error: Callable[[str], Array | None]) -> None:
        self.program = program
        self.error = error
        self.active: dict[str, npt.NDArray[np.bool_]] = {}
        self._known: dict[str, Array] = {}

    def at(self, name: str) -> Array:
        """Of each entry of a value."""
        if self.program.contract is None:
            return np.zeros(self.program.values[name].size)
        if name not in self._known:
            self._known[name] = self._at(name)
        return self._known[name]

    def _at(self, name: str) -> Array:
        value = self.program.values[name]
        if value.kind == "input":
            return np.zeros(value.size)
        if value.kind == "relu":
            return np.where(self.active[value.source], self.at(value.source), 0.0)
        error = self.error(name)
        total = np.zeros(value.size) if error is None else error
        for source, matrix in value.terms:
            integers, exponent = _integers(self.at(source))
            total = total + floats(matrix.magnitude(integers), matrix.exponent + exponent)
        return total


def _integers(values: Array) -> tuple[Sequence[int], int]:
    """Numbers >= 0 rounded up to NOISE_BITS bits with one exponent."""
    largest = float(values.max(initial=0.0))
    exponent = math.frexp(largest)[1] - NOISE_BITS
    return [math.ceil(v) for v in np.ldexp(values, -exponent).tolist()], exponent


def reach_of_rounding(program: Program, error: Callable[[str], Array | None], names: Sequence[str]) -> float:
    """How far rounding may move an entry of the named values: no farther than if every neuron were active."""
    noise = Noise(program, error)
    noise.active = {v.source: np.ones(v.size, bool) for v in program.values.values() if v.kind == "relu"}
    return max(float(noise.at(name).max(initial=0.0)) for name in names)
