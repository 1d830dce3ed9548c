"""Nodes as one straight-line Python function over memory of its own.

Every statement writes into an array that was laid out beforehand, where NumPy lets it, and memory is used again once
nothing reads it. Views of arrays that stay where they are, are made once. The functions and the layouts are those of
running FORWARD, so the bits are the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from tlverify.core.ops.forward import FORWARD
from tlverify.core.plan import BROADCASTING
from tlverify.graph import Node, Shape

SMALL = 1 << 12  # elements up to which what a call costs counts, and not what it does


def _number(text: str) -> str:
    value = float(Fraction(text))
    return repr(value) if math.isfinite(value) else f"float('{value}')"


def _reduced(function: str) -> Callable[..., str]:
    return lambda out, x, *, axes, keepdims: f"{function}({x}, {tuple(axes)}, None, {out}, {bool(keepdims)})"


def _clamp(out: str, x: str, *, minimum: str, maximum: str) -> str:
    return f"minimum(maximum({x}, {_number(minimum)}, out={out}), {_number(maximum)}, out={out})"


def _inside(before: Sequence[int], after: Sequence[int]) -> str:
    return ", ".join(f"{a}:{-b or None}" for a, b in zip(before, after, strict=True))


def _pad(out: str, x: str, *, before: Sequence[int], after: Sequence[int], value: str) -> str:
    return f"{out}.fill({_number(value)}); {out}[{_inside(before, after)}] = {x}"


ADD_PADDED = "add_padded"
"""No op of graphs: x + pad(y)."""


def _add_padded(out: str, x: str, y: str, *, before: Sequence[int], after: Sequence[int]) -> str:
    place = f"{out}[{_inside(before, after)}]"
    return f"add({place}, {y}, out={place})" if out == x else f"copyto({out}, {x}); add({place}, {y}, out={place})"


def add_padded(x: Any, y: Any, *, before: Sequence[int], after: Sequence[int]) -> Any:
    """As two ops."""
    return x + FORWARD["pad"](y, before=before, after=after, value="0")


def _linear(out: str, x: str, weight: str, bias: str) -> str:
    return f"matmul({x}, {weight}.T, {out}); add({out}, {bias}, {out})"


def _linear_of_rows(out: str, x: str, weight: str, bias: str) -> str:
    """Of x with more axes than two."""
    rows = f"{x}.reshape(-1, {weight}.shape[1])"
    return f"matmul({rows}, {weight}.T, {out}.reshape(-1, {weight}.shape[0])); add({out}, {bias}, {out})"


INTO: Mapping[str, Callable[..., str]] = {
    ADD_PADDED: _add_padded,
    "cast": lambda out, x, *, dtype: f"copyto({out}, {x}, 'unsafe')",
    "clamp": _clamp,
    "concat": lambda out, *values, axis: f"concatenate(({', '.join(values)}), {axis}, {out})",
    "linear": _linear,
    "matmul": lambda out, a, b: f"matmul({a}, {b}, {out})",
    "max": _reduced("maximum.reduce"),
    "pad": _pad,
    "relu": lambda out, x: f"maximum({x}, 0, out={out})",
    "scale": lambda out, x, *, factor: f"multiply({x}, {_number(factor)}, {out})",
    "sum": _reduced("add.reduce"),
    "where": lambda out, which, a, b: f"copyto({out}, {b}); copyto({out}, {a}, where={which})",
}
"""Statements that write the value of an op into the array `out`. Ufuncs of NumPy need no row."""


@dataclass(frozen=True)
class Straight:
    """`run(*views, *given)`, where `views(arrays)` are made once for the arrays of each place that moves."""

    run: Callable[..., None]
    views: Callable[[Mapping[str, Any]], tuple[Any, ...]]


def straight(
    nodes: Sequence[Node],
    constants: dict[str, Any],
    arrays: dict[str, Any],
    moving: Iterable[str],
    given: Sequence[str],
    outputs: Sequence[tuple[str, str]],
) -> Straight:
    """`constants` and `arrays` have an array for every name that no node makes: those in `moving` lie elsewhere from
    time to time, those in `given` in every run, and all others stay. `outputs` are pairs of a value and the name of an
    array that it goes to.
    """
    shapes = {name: array.shape for name, array in (constants | arrays).items()}
    nodes = _with_padding_added(needed_for(_without_broadcasts(nodes, shapes), outputs), {name for name, _ in outputs})
    maker = _Maker(constants, arrays, moving, given, dict(reversed(outputs)))
    last = {name: node.name for node in nodes for name in node.inputs} | {name: "" for name, _ in outputs}
    for node in nodes:
        maker.add(node, [name for name in dict.fromkeys(node.inputs) if last[name] == node.name])
    for name, target in outputs:
        if maker.texts[name] != maker.texts[target]:
            maker.lines.append(f"copyto({maker.texts[target]}, {maker.texts[name]})")
    return maker.done()


def _without_broadcasts(nodes: Sequence[Node], shapes: dict[str, Shape]) -> Iterator[Node]:
    """With what is repeated as it is, where NumPy repeats it itself: that takes less time."""
    narrow: dict[str, str] = {}
    for node in nodes:
        shapes[node.name] = node.shape
        if node.op == "broadcast_to":
            narrow[node.name] = narrow.get(node.inputs[0], node.inputs[0])
        elif node.op in BROADCASTING:
            direct = tuple(narrow.get(name, name) for name in node.inputs)
            if np.broadcast_shapes(*(shapes[name] for name in direct)) == node.shape:
                node = Node(node.name, node.op, direct, node.shape, node.dtype, node.attributes)
        yield node


def needed_for(nodes: Iterable[Node], outputs: Sequence[tuple[str, str]]) -> list[Node]:
    """Those that an output depends on."""
    needed, kept = {name for name, _ in outputs}, []
    for node in reversed(list(nodes)):
        if node.name in needed:
            kept.append(node)
            needed.update(node.inputs)
    return kept[::-1]


def _with_padding_added(nodes: Sequence[Node], outputs: set[str]) -> list[Node]:
    """With one node for each sum whose one term, which nothing else reads, is padded with 0."""
    users = Counter(name for node in nodes for name in node.inputs)
    pads = {
        node.name: node
        for node in nodes
        if node.op == "pad" and Fraction(str(node.attributes["value"])) == 0 and users[node.name] == 1
        if node.name not in outputs
    }
    result: list[Node] = []
    for node in nodes:
        padded = [name for name in node.inputs if name in pads] if node.op == "add" else []
        if padded:
            pad = pads[padded[-1]]
            (other,) = (name for name in node.inputs if name != pad.name)
            ends = {"before": pad.attributes["before"], "after": pad.attributes["after"]}
            node = Node(node.name, ADD_PADDED, (other, pad.inputs[0]), node.shape, node.dtype, ends)
            result.remove(pad)
        result.append(node)
    return result


class _Maker:
    def __init__(
        self,
        constants: Mapping[str, Any],
        arrays: Mapping[str, Any],
        moving: Iterable[str],
        given: Sequence[str],
        outputs: Mapping[str, str],
    ):
        self.texts: dict[str, str] = {}
        self.samples = {**constants, **arrays}  # for every value an array as it will be
        self.constants = set(constants)
        self.space: dict[str, Any] = dict(_NUMPY)
        self.moving, self.given, self.outputs = list(moving), list(given), outputs
        self.made: list[tuple[str, str, Callable[[Any], Any]]] = []  # views of what moves: (name, of which, how)
        self.lines: list[str] = []
        self.blocks: dict[str, _Block] = {}
        self.free: list[_Block] = []
        for name, array in self.samples.items():
            if name in self.moving or name in given:
                self.texts[name] = f"m{len(self.texts)}"
            else:
                self.hold(name, array)

    def hold(self, name: str, array: Any) -> None:
        """An array that stays where it is."""
        self.texts[name] = f"v{len(self.texts)}"
        self.samples[name] = self.space[self.texts[name]] = array

    def add(self, node: Node, dead: Sequence[str]) -> None:
        args = [self.samples[name] for name in node.inputs]
        made = _sample(node, args)
        shared = [n for n, a in zip(node.inputs, args, strict=True) if np.may_share_memory(made, a)]
        source = shared[0] if shared and not _custom(node) else None
        target = self.outputs.get(node.name)
        if target is not None and self.samples[target].strides != np.empty_like(made).strides:
            target = None  # it is copied at the end: sums of what lies otherwise have another order
        if target is None and self.constants.issuperset(node.inputs):
            self.constants.add(node.name)
            self.hold(node.name, made)
        elif source is not None:
            self.view(node, source, made)
        elif target is not None and (line := self.statement(node, self.texts[target])) is not None:
            self.texts[node.name], self.samples[node.name] = self.texts[target], self.samples[target]
            self.lines.append(line)
        elif node.op == ADD_PADDED and target is None and self.alone(node.inputs[0], dead):
            x = node.inputs[0]
            self.texts[node.name], self.samples[node.name] = self.texts[x], self.samples[x]
            self.blocks[node.name] = self.blocks.pop(x)
            line = self.statement(node, self.texts[x])
            assert line is not None
            self.lines.append(line)
        elif target is None and self.statement(node, "") is not None:
            if isinstance(FORWARD.get(node.op), np.ufunc) or node.op in ("relu", "scale"):
                self.release(dead)  # each element takes the place of one that it depends on
            self.into(node, made)
        else:
            self.call(node, made)
        self.release(dead)

    def view(self, node: Node, source: str, made: Any) -> None:
        if self.texts[source] in self.space:
            self.hold(node.name, made)
            if source in self.blocks:
                self.blocks[node.name] = self.blocks[source].shared()
        elif source in self.moving:
            self.made.append((node.name, source, _function(node)))
            self.moving.append(node.name)
            self.texts[node.name], self.samples[node.name] = f"m{len(self.texts)}", made
        else:
            self.call(node, made)

    def into(self, node: Node, like: Any) -> None:
        """The value goes into memory that nothing else needs at the time."""
        block = self.take(like.nbytes)
        self.hold(node.name, np.ndarray(like.shape, like.dtype, block.memory, 0, np.empty_like(like).strides))
        self.blocks[node.name] = block
        line = self.statement(node, self.texts[node.name])
        assert line is not None
        self.lines.append(line)

    def call(self, node: Node, made: Any) -> None:
        """A function that makes an array."""
        self.texts[node.name], self.samples[node.name] = f"r{len(self.texts)}", made
        name = f"f{len(self.texts)}"
        self.space[name] = _function(node)
        self.lines.append(f"{self.texts[node.name]} = {name}({', '.join(self.texts[n] for n in node.inputs)})")

    def statement(self, node: Node, out: str) -> str | None:
        """One that writes the value into `out`; None if there is none."""
        args = [self.texts[name] for name in node.inputs]
        if node.op == "where" and math.prod(node.shape) > SMALL and self.masks(node):
            return f"kept({args[0]}, {args[1]}, {out})"
        if node.op == "linear" and self.samples[node.inputs[0]].ndim != 2:
            return _linear_of_rows(out, *args)
        if node.op in INTO:
            return INTO[node.op](out, *args, **node.attributes)
        function = FORWARD.get(node.op)
        return f"{function.__name__}({', '.join(args)}, out={out})" if isinstance(function, np.ufunc) else None

    def alone(self, name: str, dead: Sequence[str]) -> bool:
        """Whether nothing else needs the memory of a value that is dead."""
        block = self.blocks.get(name)
        return name in dead and block is not None and block.users == 1 and self.samples[name].flags.writeable

    def masks(self, node: Node) -> bool:
        """Whether it keeps floats, or 0 without a sign."""
        which, x, other = (self.samples[name] for name in node.inputs)
        zero = node.inputs[2] in self.constants and not other.any() and not np.signbit(other).any()
        return zero and x.dtype in _BITS and which.shape == x.shape == node.shape

    def take(self, size: int) -> _Block:
        fitting = [block for block in self.free if size <= block.memory.size <= 2 * size + SMALL]
        if not fitting:
            return _Block(np.zeros(max(size, 1), np.uint8))
        block = min(fitting, key=lambda one: one.memory.size)
        self.free.remove(block)
        return block.shared()

    def release(self, dead: Sequence[str]) -> None:
        for name in dead:
            block = self.blocks.pop(name, None)
            if block is not None:
                block.users -= 1
                if not block.users:
                    self.free.append(block)

    def done(self) -> Straight:
        names = [*self.moving, *self.given]
        body = "\n    ".join(self.lines) or "pass"
        # Nothing in the text comes from outside: names are made here, and numbers are written by repr.
        exec(f"def run({', '.join(self.texts[name] for name in names)}):\n    {body}\n", self.space)
        made, moving = self.made, self.moving

        def views(arrays: Mapping[str, Any]) -> tuple[Any, ...]:
            found = dict(arrays)
            for name, source, make in made:
                found[name] = make(found[source])
            return tuple(found[name] for name in moving)

        return Straight(self.space["run"], views)


@dataclass(eq=False)
class _Block:
    """Memory, and how many names lie in it."""

    memory: Any
    users: int = 1

    def shared(self) -> _Block:
        self.users += 1
        return self


def kept(which: Any, x: Any, out: Any) -> None:
    """out = where(which, x, 0), by bits: NumPy's function takes five times as long."""
    kind = _BITS[x.dtype]
    np.bitwise_and(x.view(kind), np.negative(which.view(np.int8)), out=out.view(kind))


_BITS = {np.dtype(np.float32): np.dtype(np.int32), np.dtype(np.float64): np.dtype(np.int64)}


def _custom(node: Node) -> bool:
    """Whether its function was written by a user: it may give one of its inputs for some values, and not for others."""
    return "." in node.op


def _function(node: Node) -> Callable[..., Any]:
    function: Callable[..., Any] = add_padded if node.op == ADD_PADDED else FORWARD[node.op]
    function = partial(function, **node.attributes) if node.attributes else function
    return partial(_apart, function) if _custom(node) else function


def _apart(function: Callable[..., Any], *args: Any) -> Any:
    """The value in memory that is not that of the arguments, which is used again."""
    value = np.asarray(function(*args))
    return value.copy() if any(np.may_share_memory(value, arg) for arg in args) else value


def _sample(node: Node, args: Sequence[Any]) -> Any:
    """The value for arrays of any numbers: what counts is how it is laid out, and whether it is a view of one."""
    try:
        with np.errstate(all="ignore"):
            return np.asarray(_function(node)(*args))
    except Exception:  # some numbers are none of the function's
        return np.zeros(node.shape, node.dtype)


_NUMPY: dict[str, Any] = {one.__name__: one for one in FORWARD.values() if isinstance(one, np.ufunc)}
_NUMPY |= {"matmul": np.matmul, "copyto": np.copyto, "concatenate": np.concatenate, "kept": kept}
