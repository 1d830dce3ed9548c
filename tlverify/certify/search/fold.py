"""Folding a network over a region: neurons of known sign are merged away, and only unstable ones are left.

With x = center + radius t, |t| <= 1, and u = relu(z) of the unstable neurons, in order of their layers,

    z = D t + M u + d,    M strictly lower triangular by layers,

and every row to be bounded is a linear function of t and u as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.certify.search.layers import INPUT, Affine, Layers
from tlverify.certify.search.matrices import dense, through
from tlverify.certify.search.noise import Noise
from tlverify.certify.search.pieces import Pieces
from tlverify.certify.search.wires import Wires

Single = npt.NDArray[np.float32]
Ints = npt.NDArray[np.intp]
Double = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Box:
    """The region, inputs in one vector: center and radius, (n,)."""

    center: Double
    radius: Double


@dataclass(frozen=True)
class Rows:
    """Linear functions t (rows, inputs), u (rows, neurons), constant (rows,), each known up to `noise` (rows,)."""

    t: Any
    u: Any
    constant: Any
    noise: Any

    def take(self, index: Ints, sign: Any = 1) -> Rows:
        """Rows by number, each times its sign."""
        column = np.asarray(sign, dtype=self.t.dtype)
        wide = column[:, None] if column.ndim else column
        return Rows(self.t[index] * wide, self.u[index] * wide, self.constant[index] * column, self.noise[index])

    def combine(self, weights: Any) -> Rows:
        """weights (k, rows) @ rows."""
        noise = np.abs(weights) @ self.noise
        return Rows(weights @ self.t, weights @ self.u, weights @ self.constant, noise)


@dataclass(frozen=True)
class Fold:
    """The unstable neurons of the layers before `depth`.

    `ends[k]` is the slice of layer k; `layer` and `index` say which neuron each is. lower < 0 < upper bound z.
    `reach[k]` is the sum of |bounds| of the whole layer: what the kernel's rounding of its coefficients costs.
    `input_reach` is the same of the inputs, for coefficients on t: in radii, of which the median is taken.
    `t` is rows.t in pieces, and `u[k]` the part of rows.u that belongs to layer k.
    `wires` are the same network not folded, if machine code is to bound nodes.
    `worth` is how much it says for a split of a neuron: in a network with local layers less where there are many.
    """

    rows: Rows
    ends: Sequence[tuple[int, int]]
    layer: Ints
    index: Ints
    lower: Single
    upper: Single
    splittable: npt.NDArray[np.bool_]
    reach: Sequence[float]
    input_reach: float
    worth: Single
    t: Pieces
    u: Sequence[Pieces]
    wires: Wires | None = None

    @property
    def size(self) -> int:
        return len(self.layer)

    @cached_property
    def noisy(self) -> bool:
        """Whether rounding moves any neuron."""
        return bool(self.rows.noise.any())


class Folding:
    """Folds layer after layer, as their bounds become known."""

    def __init__(self, layers: Layers, box: Box, noise: Noise) -> None:
        self.layers = layers
        self.box = box
        self.noise = noise
        self.forms: list[
            tuple[Rows, Rows]
        ] = []  # of each layer's active and unstable inputs, over the layers before it
        self.unstable: list[Ints] = []
        self.active: list[Ints] = []
        self.lower: list[Double] = []
        self.upper: list[Double] = []

    @property
    def depth(self) -> int:
        return len(self.unstable)

    def extend(self, lower: Double, upper: Double) -> None:
        """The next layer's bounds."""
        layer = self.layers.layers[self.depth]
        open_, active = np.flatnonzero((lower < 0) & (upper > 0)), np.flatnonzero(lower >= 0)
        unstable = self.rows(layer.form, layer.source, open_)
        if layer.local:  # neurons that see the same inputs stand together
            order = np.argsort((unstable.t != 0).argmax(1), kind="stable")
            open_, unstable = open_[order], unstable.take(order)
        self.forms.append((self.rows(layer.form, layer.source, active), unstable))
        self.noise.active[layer.source] = lower >= 0
        self.unstable.append(open_)
        self.active.append(active)
        self.lower.append(lower)
        self.upper.append(upper)

    def rows(self, form: Affine, name: str, entries: Ints | None = None) -> Rows:
        """Some entries (None: all) of a value, as an affine function of the folded layers over what is left of them."""
        chosen = np.arange(len(form.bias)) if entries is None else entries
        starts = np.cumsum([0, *map(len, self.unstable)])
        t = np.zeros((len(chosen), self.layers.inputs))
        u = np.zeros((len(chosen), int(starts[-1])))
        constant = form.bias[chosen].copy()
        for key, matrix in form.parts.items():
            if key == INPUT:
                part = dense(matrix, chosen, np.arange(self.layers.inputs))
                constant += part @ self.box.center
                t += part * self.box.radius
                continue
            inner = self.forms[key][0]
            parts = through(matrix, chosen, self.active[key], (inner.t, inner.u, inner.constant))
            t += parts[0]
            u[:, : inner.u.shape[1]] += parts[1]
            constant += parts[2]
            u[:, starts[key] : starts[key + 1]] += dense(matrix, chosen, self.unstable[key])
        return Rows(t, u, constant, self.noise.at(name)[chosen])

    def fold(self, wired: bool = False) -> Fold:
        """What is left of the layers so far; `wired` if machine code is to bound many nodes of it."""
        counts = [len(index) for index in self.unstable]
        starts = np.cumsum([0, *counts]).tolist()
        total = starts[-1]
        t = np.zeros((total, self.layers.inputs), dtype=np.float32)
        u = np.zeros((total, starts[-2] if counts else 0), dtype=np.float32)
        constant, noise, lower, upper = (np.zeros(total, dtype=np.float32) for _ in range(4))
        layer, index = np.zeros(total, dtype=np.intp), np.zeros(total, dtype=np.intp)
        splittable = np.zeros(total, dtype=bool)
        for k, open_ in enumerate(self.unstable):
            part, form = slice(starts[k], starts[k + 1]), self.forms[k][1]
            t[part], constant[part], noise[part] = form.t, form.constant, form.noise
            u[part, : form.u.shape[1]] = form.u
            lower[part], upper[part] = self.lower[k][open_], self.upper[k][open_]
            layer[part], index[part] = k, open_
            splittable[part] = self.layers.layers[k].splittable
        ends = [(starts[k], starts[k + 1]) for k in range(len(counts))]
        reach = [
            float(-np.minimum(a, 0).sum() + np.maximum(b, 0).sum()) for a, b in zip(self.lower, self.upper, strict=True)
        ]
        worth = np.ones(total, dtype=np.float32)
        if self.layers.local:
            worth /= np.sqrt(np.array(counts, dtype=np.float32)[layer])
        rows, far = Rows(t, u, constant, noise), self._input_reach()
        pieces = [Pieces.of(u[a:b, :a]) for a, b in ends]
        wires = self.wires() if wired and self.layers.local else None
        return Fold(rows, ends, layer, index, lower, upper, splittable, reach, far, worth, Pieces.of(t), pieces, wires)

    def wires(self) -> Wires:
        """The layers so far, not folded."""
        alive = [np.concatenate(pair) for pair in zip(self.unstable, self.active, strict=True)]
        return Wires.of([layer.form for layer in self.layers.layers], alive, self.box.radius)

    def _input_reach(self) -> float:
        box = self.box
        radii = box.radius[box.radius > 0]
        ends = np.maximum(box.center + box.radius, 0) - np.minimum(box.center - box.radius, 0)
        return float(ends.sum() / np.median(radii)) if len(radii) else 0.0


def joined(parts: Sequence[Rows]) -> Rows:
    """One after another."""
    names = ("t", "u", "constant", "noise")
    return Rows(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def single(rows: Rows) -> Rows:
    """In float32."""
    return Rows(*(part.astype(np.float32) for part in (rows.t, rows.u, rows.constant, rows.noise)))
