"""Branch and bound on boxes as machine code (extra `native`: numba): the search of input_split.py, one part after
another, for chains of layers. What it finds is checked like any other proof."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.certify.kernel.contract import RELATIVE_BITS
from tlverify.certify.kernel.program import Rounding
from tlverify.certify.search import machine_code
from tlverify.certify.search.layers import INPUT, Affine, Layers
from tlverify.certify.search.matrices import Sparse
from tlverify.certify.search.progress import Search
from tlverify.certify.search.root import Floats, Ints, Root

DEPTH = 128  # phase splits on one path
PARTS, MEMORY = 1 << 13, 1 << 28  # on the stack, and its bytes
NODES, WORDS = 1 << 12, 1 << 16  # room in a tree at first
FIRST, LAST = 64, 4096  # parts between two looks at the clock
WIDTH = 8  # a row of weights has a multiple of it
KERNEL = "walk_kernel"
SPARE = 1.01  # what rounding may take from what rounding takes

Words = npt.NDArray[np.uint16]


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


@dataclass(frozen=True)
class Proof:
    """A complete tree: of each node in preorder the entry that it splits, -1 for a leaf; the multipliers of each
    disjunct at each leaf."""

    nodes: Ints
    entries: Sequence[tuple[str, int]]
    words: Sequence[Sequence[Any]]


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
    widest = int(max(sizes.max(), widths.max(), n)) + 1
    room = (
        np.zeros((layers, widest), dtype=np.int64),  # which neurons are not 0, and how many
        np.zeros((4, neurons)),  # slopes of their lower and upper bounds, where that one is 0, and errors
        np.zeros((4, widest)),
        np.zeros((layers, most + 1, widest)),  # the inequalities' coefficients on each layer
        np.zeros((2 * int(sizes.max()) + 2, widest + 1)),  # rows that are pulled back
        np.zeros((most + 1, widest + 1)),  # those of the inequalities
        np.zeros((rows, n + 1)),
        np.zeros((DEPTH, n + 1)),
        np.zeros((neurons, 2, n + 1)),  # what a phase says of the inputs, first of that below
        np.zeros((neurons, n)),  # the inputs' shares in a neuron's range
        np.zeros((3, max(layers, int(sizes.max()), 3)), np.int64),  # how many may have either sign; which; a result
        np.zeros((15, max(rows, 2 * n + 1))),
        np.zeros((n + 1, n + 1)),
        np.zeros((2, n)),
        np.zeros((2, neurons)),
    )
    room[1][3] = chain.errors[1]  # of real numbers: the others depend on the part
    return room


def walk(root: Root, chain: Chain, search: Search, phase_limit: int) -> Iterator[Floats | Proof]:
    """As input_split.branch."""
    kernel, network = machine_code.load(KERNEL), network_of(root, chain)
    room, ends, n, most = room_of(network, chain), network[5], len(root.inputs), len(chain.constants)
    neurons = sum(map(len, chain.biases))
    # Open parts: their slots in order, and in a slot the node, a bound that its parent had, the ends of inputs and of
    # neurons, and half-spaces >= 0 of the phases on its path.
    parts = max(64, min(PARTS, MEMORY // (8 * (2 * neurons + DEPTH * (n + 1)))))
    order, stacked, values = np.arange(parts), np.zeros(parts, dtype=np.int64), np.full(parts, -np.inf)
    boxes, tables = np.zeros((parts, 2, n)), np.zeros((parts, 2, neurons))
    halves = np.zeros((parts, DEPTH, n + 1))
    for side, found in enumerate((root.boxes.lower, root.boxes.upper)):
        boxes[0, side] = np.concatenate([found[name][0] for name in root.program.inputs])
        tables[0, side] = np.concatenate([found[name][0] for name in chain.names])
    # Of each node: what it splits (an input, or the number of inputs + a neuron; -1 nothing), its half below (that
    # above is the next), its depth in phase splits, and where a leaf's multipliers begin.
    nodes, words = np.zeros((NODES, 4), dtype=np.int64), np.zeros(WORDS, dtype=np.uint16)
    nodes[0] = -1, -1, 0, 0
    counts, best, budget = np.array([1, 1, 0, 0, 0]), np.zeros(n + 1), FIRST
    stack = order, stacked, values, boxes, tables
    while not search.late():
        leaves = int(counts[kernel.LEAVES])
        limits = budget, phase_limit, max(2, parts // 32)
        state = kernel.walk(*network, *stack, halves, nodes, words, counts, best, *room, *limits)
        budget = min(2 * budget, LAST)
        search.leaves += int(counts[kernel.LEAVES]) - leaves
        still = order[: counts[kernel.OPEN]]
        search.note(float(values[still].min(initial=0.0)), len(still))
        if state == kernel.DONE:
            yield _proof(root, chain, nodes[: counts[kernel.NODES]], words)
            return
        if best[n] > -np.inf:
            yield best[None, :n].copy()
        if state == kernel.STUCK:
            return
        if counts[kernel.NODES] + 2 > len(nodes):
            nodes = np.concatenate([nodes, np.zeros_like(nodes)])
        if counts[kernel.WORDS] + len(ends) * (most + kernel.LARGEST_LEAF) > len(words):
            words = np.concatenate([words, np.zeros_like(words)])


def _proof(root: Root, chain: Chain, nodes: Ints, words: Words) -> Proof:
    order, waiting = [], [0]
    split, half = nodes[:, 0].tolist(), nodes[:, 1].tolist()
    while waiting:
        number = waiting.pop()
        order.append(number)
        if split[number] >= 0:
            waiting += [half[number] + 1, half[number]]
    inputs = list(root.inputs)
    neurons = [(name, i) for name, bias in zip(chain.names, chain.biases, strict=True) for i in range(len(bias))]
    used, numbers = np.unique(nodes[order, 0], return_inverse=True)
    shift = int(used[0] < 0)
    entries = [(inputs + neurons)[k] for k in used[shift:].tolist()]
    leaves = [number for number in order if split[number] < 0]
    sizes = [len(mine) for mine in root.disjuncts]
    found = []
    for begin, depth in zip(nodes[leaves, 3].tolist(), nodes[leaves, 2].tolist(), strict=True):
        parts = []
        for size in sizes:
            parts.append(words[begin : begin + size + depth])
            begin += size + depth
        found.append(parts)
    return Proof(numbers - shift, entries, found)
