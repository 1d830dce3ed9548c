"""The table of bounds that the kernel will have: its interval steps, taken as the search goes up the network.

For claims about float32 also by how much executions may miss a value, and what comes of it above.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tlverify.certify.claim import Claim
from tlverify.certify.kernel.arithmetic import Interval, enclose, intersect
from tlverify.certify.kernel.program import Program, enclose_error, enclose_value, error_of
from tlverify.certify.search.layers import Array, floats

NOISE_BITS = 20


class Ground:
    """The kernel's table, as far as it has been asked for."""

    def __init__(self, program: Program, claim: Claim) -> None:
        self.program = program
        self.known: dict[str, Interval] = {
            name: enclose(claim.lower[name], claim.upper[name]) for name in program.inputs
        }

    def up_to(self, target: str | None) -> list[str]:
        """Interval steps for the values up to a target (None: the last), which are returned."""
        names = []
        for name, value in self.program.values.items():
            if name not in self.known:
                if value.rounding is not None:
                    self.known[error_of(name)] = enclose_error(value, self.known)
                found = enclose_value(value, self.known)
                if value.direct is not None:
                    found = intersect(found, value.direct([self.known[s] for s in value.direct_sources]))
                self.known[name] = found
                names.append(name)
            if name == target:
                break
        return names

    def ends(self, name: str) -> tuple[Array, Array]:
        """Lower and upper ends."""
        found = self.known[name]
        return floats(found.lower, found.exponent), floats(found.upper, found.exponent)

    def tighten(self, name: str, lower: Array, upper: Array) -> None:
        """Enter bounds, rounded outward to the unit of the value's interval."""
        found = self.known[name]
        low = [
            max(a, math.floor(v)) for a, v in zip(found.lower, np.ldexp(lower, -found.exponent).tolist(), strict=True)
        ]
        high = [
            min(b, math.ceil(v)) for b, v in zip(found.upper, np.ldexp(upper, -found.exponent).tolist(), strict=True)
        ]
        self.known[name] = Interval(low, high, found.exponent)

    @property
    def errors(self) -> dict[str, Array]:
        """By how much an execution may miss each value that is rounded, so far."""
        found = {name: self.known.get(error_of(name)) for name in self.program.values}
        return {name: floats(error.upper, error.exponent) for name, error in found.items() if error is not None}


class Noise:
    """How far rounding may move a value, given the ReLUs below: those of an unstable neuron move nothing, for they are
    variables of their own. Cancellation between the neurons of a layer is left out, so it is more than it comes to."""

    def __init__(self, program: Program, errors: dict[str, Array]) -> None:
        self.program = program
        self.errors = errors
        self.active: dict[str, npt.NDArray[np.bool_]] = {}
        self._known: dict[str, Array] = {}

    def at(self, name: str) -> Array:
        """Of each entry of a value."""
        if not self.errors:
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
        total = self.errors.get(name, np.zeros(value.size))
        for source, matrix in value.terms:
            integers, exponent = _integers(self.at(source))
            total = total + floats(matrix.magnitude(integers), matrix.exponent + exponent)
        return total


def _integers(values: Array) -> tuple[Sequence[int], int]:
    """Numbers >= 0 rounded up to NOISE_BITS bits with one exponent."""
    largest = float(values.max(initial=0.0))
    exponent = math.frexp(largest)[1] - NOISE_BITS
    return [math.ceil(v) for v in np.ldexp(values, -exponent).tolist()], exponent
