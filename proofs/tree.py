"""Rule `tree`: nodes in level order, the path of a leaf, multipliers in 16 bits.

The children of the i-th split are nodes 2 i + 1 (below) and 2 i + 2 (above), and its own number is at most 2 i.
"""

from __future__ import annotations

from collections.abc import Iterator

import z3
from z3 import And, BitVecs, If, Implies, Ints, Not, Or, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import minimum, within


def lemmas() -> Iterator[Lemma]:
    yield from _numbers()
    yield from _path()
    yield from _multipliers()


def _numbers() -> Iterator[Lemma]:
    v, i, j, node, splits = Ints("v i j node splits")
    child = Or(v == 2 * i + 1, v == 2 * i + 2)
    yield Lemma(
        "tree_parent",
        "node v >= 1 is a child of split (v - 1) // 2, below if v is odd, above if it is even",
        ("tree",),
        {"i = (v - 1) // 2": i == (v - 1) / 2},
        v == If(v % 2 == 0, 2 * i + 2, 2 * i + 1),
        (
            Mutant("i = v // 2", hypotheses={"i = (v - 1) // 2": i == v / 2}),
            Mutant("halves exchanged", v == If(v % 2 == 1, 2 * i + 2, 2 * i + 1)),
        ),
    )
    yield Lemma(
        "tree_one_parent",
        "a node is a child of no other split: parts of different splits are not mixed up",
        ("tree",),
        {"child of i": child, "child of j": Or(v == 2 * j + 1, v == 2 * j + 2)},
        i == j,
        (
            Mutant("children 2 i and 2 i + 1", hypotheses={"child of j": Or(v == 2 * j, v == 2 * j + 1)}),
            Mutant("children i + 1 and i + 2", hypotheses={"child of i": Or(v == i + 1, v == i + 2)}),
        ),
    )
    yield Lemma(
        "tree_parent_is_split",
        "nodes = 2 splits + 1 gives every node 1 <= v < nodes a parent among the splits",
        ("tree",),
        {"1 <= v < nodes": And(v >= 1, v < 2 * splits + 1), "i = (v - 1) // 2": i == (v - 1) / 2},
        within(0, i, splits - 1),
        (
            Mutant("a node more", hypotheses={"1 <= v < nodes": And(v >= 1, v < 2 * splits + 2)}),
            Mutant("the root as well", hypotheses={"1 <= v < nodes": And(v >= 0, v < 2 * splits + 1)}),
        ),
    )
    yield Lemma(
        "tree_children_exist",
        "nodes = 2 splits + 1 gives both children of every split a number below nodes: no half is missing",
        ("tree",),
        {"0 <= i < splits": within(0, i, splits - 1), "child of i": child},
        And(v >= 1, v < 2 * splits + 1),
        (
            Mutant("nodes = 2 splits", And(v >= 1, v < 2 * splits)),
            Mutant("root is a child", v > 1),
        ),
    )
    yield Lemma(
        "tree_parent_before",
        "node <= 2 i and v a child of split i imply node < v: paths end at the root, no cycle",
        ("tree",),
        {"node <= 2 i": node <= 2 * i, "child of i": child},
        node < v,
        (
            Mutant("node <= 2 i + 1", hypotheses={"node <= 2 i": node <= 2 * i + 1}),
            Mutant("cyclic", hypotheses={"node <= 2 i": node <= 2 * i + 2}),
        ),
    )
    first, second = z3.Ints("first second")
    yield Lemma(
        "tree_split_once",
        "splits are listed by rising number, so no node is split twice",
        ("tree",),
        {"i < j rise": Implies(i < j, first < second), "j < i rise": Implies(j < i, second < first), "i != j": i != j},
        first != second,
        (Mutant("not falling is enough", hypotheses={"i < j rise": Implies(i < j, first <= second)}),),
    )
    closed = z3.Function("closed", z3.IntSort(), z3.BoolSort())
    yield Lemma(
        "tree_induction",
        "a split whose children are closed is closed: from the last node to the first, so the root is",
        ("tree",),
        {
            "children closed": And(closed(2 * i + 1), closed(2 * i + 2)),
            "split step": Implies(And(closed(2 * i + 1), closed(2 * i + 2)), closed(node)),
        },
        closed(node),
        (
            Mutant("below alone", hypotheses={"children closed": closed(2 * i + 1)}),
            Mutant(
                "children of another split", hypotheses={"children closed": And(closed(2 * j + 1), closed(2 * j + 2))}
            ),
        ),
    )


def _path() -> Iterator[Lemma]:
    lo, hi, middle, other, x = Ints("lo hi middle other x")
    z, unit, low, high = Reals("z unit low high")
    half = {"m = (l + u) >> 1": middle == (lo + hi) / 2}
    yield Lemma(
        "tree_middle",
        "l <= u puts m = (l + u) >> 1 in [l, u], below u if they differ: halves are inside, and none is the whole",
        ("tree",),
        {"l <= u": lo <= hi, **half},
        And(within(lo, middle, hi), Implies(lo < hi, middle < hi)),
        (
            Mutant("above l if they differ", Implies(lo < hi, lo < middle)),
            Mutant("radius for the middle", hypotheses={"m = (l + u) >> 1": middle == (hi - lo) / 2}),
        ),
    )
    yield Lemma(
        "tree_halves",
        "both halves have the same m, in the unit of the table: a point of [l, u] is in [l, m] or in [m, u]",
        ("tree",),
        {"z in [l, u]": within(lo * unit, z, hi * unit)},
        Or(within(lo * unit, z, middle * unit), within(middle * unit, z, hi * unit)),
        (
            Mutant(
                "each half rounds for itself",
                Or(within(lo * unit, z, middle * unit), within((middle + 1) * unit, z, hi * unit)),
            ),
            Mutant(
                "another box's middle above",
                Or(within(lo * unit, z, middle * unit), within(other * unit, z, hi * unit)),
            ),
            Mutant("open halves", Or(And(lo * unit <= z, z < middle * unit), And(middle * unit < z, z <= hi * unit))),
        ),
    )
    yield Lemma(
        "tree_phase_unit",
        "z <= 0 is z / unit <= 0, and z >= 0 is z / unit >= 0: a cut at 0 is the same in every unit",
        ("tree",),
        {"unit > 0": unit > 0},
        And((z <= 0) == (z / unit <= 0), (z >= 0) == (z / unit >= 0)),
        (Mutant("a cut at 1", (z <= 1) == (z / unit <= 1)),),
    )
    yield Lemma(
        "tree_path",
        "one turn more: what is in the part of the turns before and on this side is in the part of all",
        ("tree",),
        {"part": within(low, z, high), "turn: z <= m": z <= x},
        within(low, z, minimum(high, x)),
        (
            Mutant("end a unit too low", And(low <= z, z <= minimum(high, x - 1))),
            Mutant("turn the other way", hypotheses={"turn: z <= m": z >= x}),
        ),
    )


def _multipliers() -> Iterator[Lemma]:
    (word,) = BitVecs("word", 16)
    low, high = word & 1023, z3.LShR(word, 10)
    yield Lemma(
        "tree_multiplier",
        "16 bits are low + 1024 high with 0 <= low < 1024 and 0 <= high < 64: low 2^(high - 42) is never negative",
        ("tree",),
        {},
        And(z3.ULT(low, 1024), z3.ULT(high, 64), high * 1024 + low == word),
        (
            Mutant("signed shift", And(z3.ULT(word >> 10, 64))),
            Mutant("nine bits", And(z3.ULT(word & 511, 512), high * 1024 + (word & 511) == word)),
        ),
    )
    first, second, k = z3.BitVecs("first second k", 16)
    yield Lemma(
        "tree_words",
        "two bytes are first + 256 second, little end first",
        ("tree",),
        {"first < 256": z3.ULT(first, 256), "second < 256": z3.ULT(second, 256), "word": k == first | second << 8},
        And(k & 255 == first, z3.LShR(k, 8) == second),
        (Mutant("big end first", And(z3.LShR(k, 8) == first, k & 255 == second)),),
    )
    z, g, weight = Reals("z g weight")
    yield Lemma(
        "tree_default",
        "multipliers 1 on the disjunct and 0 on the path: -g > 0 refutes g >= 0",
        ("tree",),
        {"-(1 g + 0 z) >= m": -(1 * g + 0 * z) >= weight, "m > 0": weight > 0},
        Not(g >= 0),
        (Mutant("refutes the cut", Not(z >= 0)), Mutant("m >= 0", hypotheses={"m > 0": weight >= 0})),
    )
