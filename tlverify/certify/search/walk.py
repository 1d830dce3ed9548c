"""Branch and bound on boxes as machine code (extra `native`: numba): the search of input_split.py, one part after
another, for chains of layers. What it finds is checked like any other proof."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from tlverify.certify.search.layers import INPUT, Affine, Layers
from tlverify.certify.search.matrices import Sparse
from tlverify.certify.search.progress import Search
from tlverify.certify.search.root import Floats, Ints, Root

DEPTH = 128  # phase splits on one path
STACK = 1 << 13
NODES, WORDS = 1 << 12, 1 << 16  # room at first
FIRST, LAST = 64, 4096  # parts between two looks at the clock


def installed() -> bool:
    return find_spec("numba") is not None


@dataclass(frozen=True)
class Chain:
    """Layers in which each one sees the one before it, and the bad set on the last: conjunct k is refuted by
    rows[k] . relu + constants[k] > 0."""

    weights: Sequence[Floats]
    biases: Sequence[Floats]
    names: Sequence[str]  # of the inputs of the ReLUs
    rows: Floats
    constants: Floats

    @classmethod
    def of(cls, root: Root, layers: Layers) -> Chain | None:
        """None for other networks, and for claims about float32, whose errors depend on the part."""
        if root.program.contract is not None or not layers.layers:
            return None
        weights, biases = [], []
        for number, layer in enumerate(layers.layers):
            matrix = _only(layer.form, number - 1 if number else INPUT)
            if matrix is None or not layer.splittable:
                return None
            weights.append(matrix)
            biases.append(layer.form.bias)
        rows, constants = np.zeros((len(root.bounds), len(biases[-1]))), root.bounds.copy()
        for name, coefficients in root.rows.items():
            form = layers.visible.get(name)
            matrix = None if form is None else _only(form, len(weights) - 1)
            if form is None or matrix is None:
                return None
            rows -= coefficients @ matrix
            constants -= coefficients @ form.bias
        return cls(weights, biases, [layer.source for layer in layers.layers], rows, constants)


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


def walk(root: Root, chain: Chain, search: Search, phase_limit: int) -> Iterator[Floats | Proof]:
    """As input_split.branch."""
    from tlverify.certify.search import walk_kernel as kernel

    n, sizes = len(root.inputs), np.array([len(bias) for bias in chain.biases])
    before = np.array([n, *sizes[:-1]])
    widths = -(-before // kernel.WIDTH) * kernel.WIDTH
    bases, starts = np.cumsum([0, *sizes[:-1]]), np.cumsum([0, *(sizes * widths)[:-1]])
    weights = np.zeros(int((sizes * widths).sum()))
    for matrix, start, size, width in zip(chain.weights, starts, sizes, widths, strict=True):
        weights[start : start + size * width].reshape(size, width)[:, : matrix.shape[1]] = matrix
    network = (sizes, widths, bases, starts, weights, np.concatenate(chain.biases))
    ends, conjuncts = np.cumsum([len(mine) for mine in root.disjuncts]), (chain.rows, chain.constants)
    units = np.array([2.0 ** root.exponents[name] for name, _ in root.inputs])
    neurons, most, widest = int(sizes.sum()), len(chain.constants), int(max(sizes.max(), widths.max()))
    stack = (
        np.arange(STACK),
        np.zeros(STACK, dtype=np.int64),
        np.full(STACK, -np.inf),
        *(np.zeros((STACK, count)) for count in (n, n, neurons, neurons)),
        np.zeros((STACK, DEPTH, n)),
        np.zeros((STACK, DEPTH)),
    )
    low, high = root.boxes.lower, root.boxes.upper
    stack[3][0], stack[4][0] = (np.concatenate([ends[name][0] for name in root.program.inputs]) for ends in (low, high))
    stack[5][0], stack[6][0] = (np.concatenate([ends[name][0] for name in chain.names]) for ends in (low, high))
    layers, pairs = len(sizes), 2 * int(sizes.max()) + 2
    cap = most + DEPTH
    phase = (
        np.zeros((layers, widest), dtype=np.int64),
        np.zeros(layers, dtype=np.int64),
        *(np.zeros(neurons) for _ in range(3)),
    )
    lp = (
        *(np.zeros(cap) for _ in range(2)),
        np.zeros(2 * n),
        np.zeros(cap),
        np.zeros(2 * n),
        np.zeros(cap),
        np.zeros(2 * n),
        np.zeros(cap),
        np.zeros(2 * n),
        np.zeros(n),
        np.zeros((n + 1, n + 1)),
        np.zeros(n + 1),
    )
    space = (
        phase,
        np.zeros((max(pairs, most + 1), widest)),
        np.zeros(max(pairs, most + 1)),
        np.zeros((layers, most + 1, widest)),
        np.zeros((2, widest)),
        np.zeros((2, widest)),
        np.zeros((most + 1, widest)),
        np.zeros(most + 1),
        np.zeros(pairs, dtype=np.int64),
        np.zeros((neurons, 2, n)),
        np.zeros((neurons, 2)),
        np.zeros((neurons, n)),
        np.zeros((cap, n)),
        np.zeros(cap),
        np.zeros(cap),
        lp,
        np.zeros((2, widest)),
    )
    counts, best = np.array([1, 1, 0, 0, 0]), np.zeros(n + 1)
    nodes, begins, words = np.zeros((NODES, 3), np.int64), np.zeros(NODES, np.int64), np.zeros(WORDS, np.uint16)
    nodes[0] = -1, -1, 0
    budget = FIRST
    while True:
        leaves = int(counts[kernel.LEAVES])
        state = kernel.walk(
            network, conjuncts, ends, units, stack, counts, nodes, begins, words, best, budget, phase_limit, space
        )
        budget = min(2 * budget, LAST)
        search.leaves += int(counts[kernel.LEAVES]) - leaves
        still = int(counts[kernel.OPEN])
        search.note(float(stack[2][stack[0][:still]].min()) if still else 0.0, still)
        if state == kernel.DONE:
            yield _proof(root, chain, nodes[: counts[kernel.NODES]], begins, words)
            return
        if best[n] > -np.inf:
            yield best[None, :n].copy()
        if state == kernel.STUCK or search.late():
            return
        if counts[kernel.NODES] + 2 > len(nodes):
            nodes, begins = (np.concatenate([part, np.zeros_like(part)]) for part in (nodes, begins))
        if counts[kernel.WORDS] + len(ends) * (most + 512) > len(words):
            words = np.concatenate([words, np.zeros_like(words)])


def _proof(root: Root, chain: Chain, nodes: Ints, begins: Ints, words: Any) -> Proof:
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
    for begin, depth in zip(begins[leaves].tolist(), nodes[leaves, 2].tolist(), strict=True):
        parts = []
        for size in sizes:
            parts.append(words[begin : begin + size + depth])
            begin += size + depth
        found.append(parts)
    return Proof(numbers - shift, entries, found)
