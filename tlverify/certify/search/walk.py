"""Branch and bound on boxes as machine code (extra `native`: numba): the search of branch.py, one part after
another, for chains of layers. What it finds is checked like any other proof."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.certify.kernel.contract import RELATIVE_BITS
from tlverify.certify.kernel.program import Rounding
from tlverify.certify.search import machine_code
from tlverify.certify.search.boxes import PHASE_LIMIT
from tlverify.certify.search.forest import Forest, Parts, Proof
from tlverify.certify.search.layers import INPUT, Affine, Layers
from tlverify.certify.search.matrices import Sparse
from tlverify.certify.search.root import Floats, Root

DEPTH = 128  # phase splits on one path
PARTS, MEMORY = 1 << 13, 1 << 28  # on the stack, and its bytes
FIRST, LAST = 64, 4096  # parts between two looks at the clock
WIDTH = 8  # a row of weights has a multiple of it
KERNEL = "walk_kernel"
KNOWN, LENGTH = 32, 40  # multipliers of earlier leaves that are tried first, and how many of them a leaf may have
SPARE = 1.01  # what rounding may take from what rounding takes


@dataclass(frozen=True)
class Chain:
    """Layers in which each one sees the one before it, and the bad set on the last: conjunct k is refuted by
    rows[k] . value + constants[k] > 0. All layers are ReLUs, but for the last one of a claim about float32. Neuron g is
    off by errors[0, g] (|W| |x| + |b|) + errors[1, g] + errors[2, g] |x|_1 at most, what the checker's own rounding may
    take among it."""

    weights: Sequence[Floats]
    biases: Sequence[Floats]
    names: Sequence[str]  # of the values before the ReLUs
    relus: Sequence[bool]
    rows: Floats
    constants: Floats
    errors: Floats

    @classmethod
    def of(cls, root: Root, layers: Layers) -> Chain | None:
        """None for other networks."""
        if root.program.contract is not None:
            return _rounded(root)
        weights, biases = [], []
        for number, layer in enumerate(layers.layers):
            matrix = _only(layer.form, number - 1 if number else INPUT)
            if matrix is None or not layer.splittable:
                return None
            weights.append(matrix)
            biases.append(layer.form.bias)
        if not weights:
            return None
        rows, constants = np.zeros((len(root.bounds), len(biases[-1]))), root.bounds.copy()
        for name, coefficients in root.rows.items():
            form = layers.visible.get(name)
            matrix = None if form is None else _only(form, len(weights) - 1)
            if form is None or matrix is None:
                return None
            rows -= coefficients @ matrix
            constants -= coefficients @ form.bias + np.abs(coefficients) @ _taken(root, name)
        names = [layer.source for layer in layers.layers]
        errors = np.zeros((3, sum(map(len, biases))))
        errors[1] = np.concatenate([_taken(root, name) for name in names])
        return cls(weights, biases, names, [True] * len(names), rows, constants, errors)


def _taken(root: Root, name: str) -> Floats:
    """What rounding may take from a bound for each unit of a coefficient on the value."""
    taken: Floats = SPARE * root.reaches[name][0] if name in root.reaches else np.zeros(root.program.values[name].size)
    return taken


def _rounded(root: Root) -> Chain | None:
    """By the program's own values, since each is rounded."""
    weights, biases, names, errors = [], [], [], []
    relus: list[bool] = []
    last, program = root.program.inputs[0], root.program
    held = np.eye(program.values[last].size)  # values that only move the entries of the one before
    for name, value in program.values.items():
        if value.kind == "input":
            continue
        if value.kind == "relu":
            if value.source != last or not relus or relus[-1]:
                return None
            relus[-1] = True
        else:
            terms = root.network.terms(value)
            if len(terms) != 1 or terms[0][0] != last or terms[0][1].unit or (relus and not relus[-1]):
                return None
            matrix = np.kron(np.eye(terms[0][1].blocks), terms[0][1].weight) @ held
            held = np.eye(value.size)
            if value.rounding is None and name not in root.network.biases:
                held, last = matrix, name
                continue
            weights.append(matrix)
            biases.append(root.network.biases.get(name, np.zeros(value.size)))
            names.append(name)
            relus.append(False)
            errors.append(_errors(value.rounding, _taken(root, name)))
        last = name
    if len(program.inputs) != 1 or set(root.rows) != {last} or not any(relus) or held.shape[0] != held.shape[1]:
        return None
    return Chain(weights, biases, names, relus, -root.rows[last] @ held, root.bounds, np.concatenate(errors, 1))


def _errors(rounding: Rounding | None, taken: Floats) -> Floats:
    if rounding is None:
        return np.stack([0 * taken, taken, 0 * taken])
    relative, unit = math.ldexp(rounding.relative, -RELATIVE_BITS), math.ldexp(1.0, rounding.tiny_exponent)
    return np.stack([0 * taken + relative, np.array(rounding.tiny, dtype=float) * unit + taken, 0 * taken + unit])


def _only(form: Affine, source: int) -> Floats | None:
    """The matrix of a form that has this source only."""
    if set(form.parts) != {source}:
        return None
    matrix = form.parts[source]
    if matrix is None:
        return np.eye(len(form.bias))
    return matrix.whole() if isinstance(matrix, Sparse) else np.asarray(matrix)


def network_of(root: Root, chain: Chain) -> tuple[Any, ...]:
    """As the machine code takes it: of each layer its neurons, the length of a row of its weights (padded with zeros),
    where both begin, and its kind; weights, biases, errors, conjuncts, the disjuncts' ends, and units of the inputs."""
    sizes, before = np.array([len(bias) for bias in chain.biases]), len(root.inputs)
    widths = -(-np.array([before, *sizes[:-1]]) // WIDTH) * WIDTH
    starts = np.cumsum(sizes * widths) - sizes * widths
    shape = np.stack([sizes, widths, np.cumsum(sizes) - sizes, starts, np.array(chain.relus)], 1)
    weights = np.zeros(int((sizes * widths).sum()))
    for matrix, (size, width, _, start, _) in zip(chain.weights, shape.tolist(), strict=True):
        weights[start : start + size * width].reshape(size, width)[:, : matrix.shape[1]] = matrix
    conjuncts = np.concatenate([chain.rows, chain.constants[:, None]], 1)  # every row ends with its constant
    ends = np.cumsum([len(mine) for mine in root.disjuncts])
    units = np.array([2.0 ** root.exponents[name] for name, _ in root.inputs])
    errors = chain.errors if chain.errors[0].any() else chain.errors[:, :0]
    return shape, weights, np.concatenate(chain.biases), errors, conjuncts, ends, units


def room_of(network: tuple[Any, ...], chain: Chain) -> tuple[Any, ...]:
    """Room for the part that is worked on."""
    shape, n, most = network[0], len(network[-1]), len(chain.constants)
    sizes, widths = shape[:, 0], shape[:, 1]
    layers, neurons, rows = len(sizes), int(sizes.sum()), most + DEPTH
    widest = int(max(-(-sizes.max() // WIDTH) * WIDTH, widths.max(), n)) + 1
    room = (
        np.zeros((layers, widest), dtype=np.int64),  # which neurons are not 0, and how many
        np.zeros((layers, 5, widest)),  # slopes of their lower and upper bounds, where that one is 0; errors; biases
        np.zeros((4, widest)),
        np.zeros((layers, most + 2, widest)),  # the inequalities' coefficients on each layer
        np.zeros((2 * int(sizes.max()) + 4, widest + 1)),  # rows that are pulled back
        np.zeros((most + 4, widest + 1)),  # those of the inequalities
        np.zeros((rows, n + 1)),
        np.zeros((DEPTH, n + 1)),
        np.zeros((neurons, 2, n + 1)),  # what a phase says of the inputs, first of that below
        np.zeros((neurons, n)),  # the inputs' shares in a neuron's range
        np.zeros((3, max(layers, int(sizes.max()), 3)), np.int64),  # how many may have either sign; which; a result
        np.zeros((15, max(rows, 2 * n + 1))),
        np.zeros((n + 1, n + 1)),
        np.zeros((LENGTH, KNOWN, LENGTH)),  # multipliers of earlier leaves by their number, latest first; 1 at the end
        np.zeros((2, n)),
        np.zeros((2, neurons)),
    )
    for layer, (size, _, base, *_) in enumerate(shape.tolist()):
        room[1][layer, 3, :size] = chain.errors[1, base : base + size]  # of real numbers: the others depend on the part
        room[1][layer, 4, :size] = chain.biases[layer]
    return room


class Walk:
    """The engine: open parts in slots, and the trees that they belong to."""

    def __init__(self, root: Root, chain: Chain, parts: Parts | None = None, phase_limit: int = PHASE_LIMIT) -> None:
        """With parts that another one gave away, or the whole region."""
        self.root, self.chain, self.phase_limit = root, chain, phase_limit
        self.kernel, self.network = machine_code.load(KERNEL), network_of(root, chain)
        self.room, self.budget, self.stuck = room_of(self.network, chain), FIRST, False
        n, neurons = len(root.inputs), sum(map(len, chain.biases))
        # Of a part its slot, in the order of the stack; in a slot its node, a bound that its parent had, the ends of
        # inputs and of neurons, and half-spaces >= 0 of the phases on its path.
        slots = max(64, min(PARTS, MEMORY // (8 * (2 * neurons + DEPTH * (n + 1)))))
        self.order, self.numbers, self.values = np.arange(slots), np.zeros(slots, np.int64), np.full(slots, -np.inf)
        self.boxes, self.tables = np.zeros((slots, 2, n)), np.zeros((slots, 2, neurons))
        self.halves = np.zeros((slots, DEPTH, n + 1))
        self.counts, self.best = np.zeros(5, dtype=np.int64), np.zeros(n + 1)
        parts = _whole(root, chain) if parts is None else parts
        self.forest = Forest.of(parts.depths)
        self.put(parts)

    def __len__(self) -> int:
        return int(self.counts[self.kernel.OPEN])

    @property
    def leaves(self) -> int:
        """How many parts were closed."""
        return int(self.counts[self.kernel.LEAVES])

    @property
    def lower(self) -> float:
        """A bound that all open parts have."""
        return float(self.values[self.order[: len(self)]].min(initial=0.0))

    def advance(self) -> Floats | None:
        """Work on some thousand parts; the point (1, inputs) that comes nearest to the bad set, if any was looked at.
        It is `stuck` if nothing is left to be split, or there is no room."""
        kernel, counts, forest = self.kernel, self.counts, self.forest
        forest.grow(2, len(self.root.disjuncts) * (len(self.chain.constants) + kernel.LARGEST_LEAF))
        counts[[kernel.NODES, kernel.WORDS]] = forest.size, forest.used
        stack = self.order, self.numbers, self.values, self.boxes, self.tables, self.halves
        limits = self.budget, self.phase_limit, max(2, len(self.order) // 32)
        state = kernel.walk(*self.network, *stack, forest.nodes, forest.words, counts, self.best, *self.room, *limits)
        forest.size, forest.used = int(counts[kernel.NODES]), int(counts[kernel.WORDS])
        self.budget, self.stuck = min(2 * self.budget, LAST), state == kernel.STUCK
        return self.best[None, :-1].copy() if self.best[-1] > -np.inf else None

    def take(self, which: slice) -> Parts:
        """Give parts away, by their places in the stack."""
        held = self.order[: len(self)].copy()
        slots, rest = held[which], np.delete(held, which)
        self.order[: len(held)] = np.concatenate([rest, slots])
        self.counts[self.kernel.OPEN] = len(rest)
        numbers = self.numbers[slots]
        depths = self.forest.depths(numbers)
        known = self.boxes[slots], self.tables[slots], self.halves[slots, : depths.max(initial=0)], self.values[slots]
        return Parts(numbers, depths, float(known[-1].min(initial=0.0)), known)

    def put(self, parts: Parts) -> None:
        """Begin with these, which have nodes of this forest; no other is open."""
        slots = self.order[: len(parts)]
        self.numbers[slots] = parts.numbers
        halves = parts.known[2]
        self.boxes[slots], self.tables[slots], self.halves[slots, : halves.shape[1]], self.values[slots] = parts.known
        self.counts[self.kernel.OPEN] = len(parts)

    def proof(self) -> Proof:
        """The tree of node 0, once it is complete."""
        neurons = [
            (n, i) for n, bias in zip(self.chain.names, self.chain.biases, strict=True) for i in range(len(bias))
        ]
        return self.forest.proof([*self.root.inputs, *neurons], map(len, self.root.disjuncts))


def _whole(root: Root, chain: Chain) -> Parts:
    """The region as a part."""
    ends = [
        [np.concatenate([found[name][0] for name in names]) for found in (root.boxes.lower, root.boxes.upper)]
        for names in (root.program.inputs, chain.names)
    ]
    known = np.array([ends[0]]), np.array([ends[1]]), np.zeros((1, 0, len(root.inputs) + 1)), np.full(1, -np.inf)
    return Parts(np.zeros(1, dtype=np.intp), np.zeros(1, dtype=np.intp), -np.inf, known)
