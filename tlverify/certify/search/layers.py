"""A program as layers of floats: each ReLU's input as an affine function of the inputs and of earlier ReLUs.

Chains of affine values are multiplied out, so that whatever the graph was made of, what is left is

    z_k = W_k x + sum_j V_kj relu(z_j) + b_k.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.certify.kernel.program import Dense, Map, Program
from tlverify.certify.search.matrices import Array as Array
from tlverify.certify.search.matrices import Matrix, Sparse, add, apply, pull
from tlverify.graph import TlverifyError

MAX_ENTRIES = 1 << 24  # of one dense matrix: 4096 x 4096
INPUT = -1  # the key of the inputs, beside those of the layers


class TooLarge(TlverifyError):
    """A matrix of the network that has to be dense would be too large."""


@dataclass(frozen=True)
class Affine:
    """`sum of matrix @ source + bias`: sources are layers by number, or INPUT; a matrix is (size, source size), None is
    the identity."""

    parts: Mapping[int, Matrix]
    bias: Array


@dataclass(frozen=True)
class Layer:
    """A ReLU: its name, the name of its input, and that input as an affine function of what is before it."""

    name: str
    source: str
    form: Affine
    splittable: bool

    @property
    def size(self) -> int:
        return len(self.form.bias)

    @property
    def local(self) -> bool:
        """Whether each neuron sees few of those before it, as in a convolution."""
        return any(isinstance(matrix, Sparse) for matrix in self.form.parts.values())


@dataclass(frozen=True)
class Layers:
    """The ReLUs of a program in order, and its outputs and inputs by name as affine functions of them.

    The inputs are one vector; `offsets` says where each begins.
    """

    layers: Sequence[Layer]
    visible: Mapping[str, Affine]
    offsets: Mapping[str, int]
    inputs: int

    @property
    def local(self) -> bool:
        """Whether some layer is."""
        return any(layer.local for layer in self.layers)


def layers_of(program: Program) -> Layers:
    """Raises TooLarge, naming the value."""
    sizes = {name: program.values[name].size for name in program.inputs}
    starts = np.cumsum([0, *sizes.values()]).tolist()
    offsets = dict(zip(sizes, starts, strict=False))
    total = starts[-1]
    forms: dict[str, Affine] = {}
    layers: list[Layer] = []
    for name, value in program.values.items():
        if value.kind == "input":
            whole = None if len(sizes) == 1 else np.eye(total)[offsets[name] : offsets[name] + value.size]
            forms[name] = Affine({INPUT: whole}, np.zeros(value.size))
        elif value.kind == "relu":
            split = program.values[value.source].kind == "affine"
            layers.append(Layer(name, value.source, forms[value.source], split))
            forms[name] = Affine({len(layers) - 1: None}, np.zeros(value.size))
        else:
            bias = np.zeros(value.size)
            if value.bias is not None:
                bias = floats(value.bias.integers, value.bias.exponent)
            parts: dict[int, Matrix] = {}
            for source, matrix in value.terms:
                own = _Map(matrix, name)
                bias = bias + own.times(forms[source].bias)
                for key, inner in forms[source].parts.items():
                    part, known = own.after(inner), parts.get(key)
                    parts[key] = part if known is None else add(known, part)
            forms[name] = Affine(parts, bias)
    visible = {name: forms[name] for name in (*program.inputs, *program.outputs)}
    return Layers(layers, visible, offsets, total)


def floats(integers: Sequence[int], exponent: int) -> Array:
    """integers * 2^exponent, rounded; infinite where too large."""
    try:
        return np.ldexp(np.array(integers, dtype=np.float64), exponent)
    except OverflowError:
        return np.array([_float(value, exponent) for value in integers])


def _float(value: int, exponent: int) -> float:
    drop = max(abs(value).bit_length() - 64, 0)
    try:
        return math.ldexp(float(value >> drop), exponent + drop)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


class _Map:
    """A map of the program in floats."""

    def __init__(self, matrix: Map, name: str) -> None:
        self.name = name
        self.matrix = matrix
        self.sparse: Sparse | None = None
        if isinstance(matrix, Dense):
            flat = [v for row in matrix.rows for v in row]
            self.weight = floats(flat, matrix.exponent).reshape(matrix.out_features, matrix.in_features)
        else:
            counts = [len(pairs) for pairs in matrix.entries]
            rows = np.repeat(np.arange(matrix.size), counts)
            columns = np.array([index for pairs in matrix.entries for index, _ in pairs], dtype=np.intp)
            values = floats([c for pairs in matrix.entries for _, c in pairs], matrix.exponent)
            self.sparse = Sparse.of((matrix.size, matrix.columns), rows, columns, values)

    def after(self, inner: Matrix) -> Array | Sparse:
        """This map of what `inner` makes."""
        if self.sparse is None:
            return self._dense_after(inner)
        if inner is None:
            return self._chosen(self.sparse)
        if isinstance(inner, Sparse):
            return self._chosen(self.sparse.after(inner))
        self._check(inner.shape[1])
        return self.sparse.times(inner)

    def times(self, vector: Array) -> Array:
        """This map of one vector."""
        if self.sparse is not None:
            products = self.sparse.values * vector[self.sparse.columns]
            return np.bincount(self.sparse.rows, products, self.sparse.shape[0]).astype(np.float64)
        return (vector.reshape(-1, self.weight.shape[1]) @ self.weight.T).ravel()

    def _dense_after(self, inner: Matrix) -> Array | Sparse:
        blocks = self.matrix.columns // self.weight.shape[1]
        if inner is None:
            if blocks == 1:
                self._check(self.matrix.columns)
                return self.weight
            out, own = (np.arange(n) for n in self.weight.shape)
            block = np.arange(blocks)[:, None, None]
            rows, columns, values = np.broadcast_arrays(
                block * len(out) + out[:, None], block * len(own) + own, self.weight
            )
            shape = self.matrix.size, self.matrix.columns
            return self._chosen(Sparse.of(shape, rows.ravel(), columns.ravel(), values.ravel()))
        self._check(inner.shape[1])
        if isinstance(inner, Sparse):
            if blocks == 1:
                return inner.under(self.weight)
            inner = inner.whole()
        stacked = inner.reshape(blocks, self.weight.shape[1], -1)
        return np.asarray(self.weight @ stacked).reshape(self.matrix.size, -1)

    def _chosen(self, matrix: Sparse) -> Array | Sparse:
        """Dense if that is better."""
        if matrix.worthwhile:
            return matrix
        self._check(matrix.shape[1])
        return matrix.whole()

    def _check(self, columns: int) -> None:
        if self.matrix.size * columns > MAX_ENTRIES:
            raise TooLarge(
                f"value {self.name!r}: a dense matrix of {self.matrix.size} x {columns} is needed; "
                f"the search keeps at most {MAX_ENTRIES} entries"
            )


def forward(layers: Layers, points: Array) -> tuple[list[Array], dict[str, Array]]:
    """Inputs (batch, n) to the input of every ReLU, and to every visible value, each (batch, n)."""
    known: dict[int, Array] = {INPUT: points}
    inner: list[Array] = []

    def value(form: Affine) -> Array:
        total: Any = form.bias
        for key, matrix in form.parts.items():
            total = total + apply(matrix, known[key])
        return np.asarray(total)

    for number, layer in enumerate(layers.layers):
        inner.append(value(layer.form))
        known[number] = np.maximum(inner[-1], 0)
    return inner, {name: value(form) for name, form in layers.visible.items()}


def gradient(layers: Layers, inner: list[Array], rows: Mapping[str, Array]) -> Array:
    """The gradient (batch, n) of sum(rows[name] . value) by the inputs, at the points where `inner` was found."""
    pending: dict[int, Any] = {}

    def add(form: Affine, row: Array) -> None:
        for key, matrix in form.parts.items():
            pending[key] = pending.get(key, 0.0) + pull(matrix, row)

    for name, row in rows.items():
        add(layers.visible[name], row)
    for number in reversed(range(len(layers.layers))):
        if number in pending:
            add(layers.layers[number].form, np.where(inner[number] > 0, pending.pop(number), 0.0))
    return np.asarray(pending.get(INPUT, np.zeros((len(next(iter(rows.values()))), layers.inputs))))
