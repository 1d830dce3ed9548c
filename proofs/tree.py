"""Rule `tree`: nodes in preorder, tables that the halves inherit, the path of a leaf, multipliers in 16 bits, slopes as
differences."""

from __future__ import annotations

from collections.abc import Iterator

import z3
from z3 import And, BitVecs, If, Implies, Ints, Not, Or, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import maximum, minimum, within


def lemmas() -> Iterator[Lemma]:
    yield from _walk()
    yield from _tables()
    yield from _path()
    yield from _multipliers()
    yield from _slopes()


def _walk() -> Iterator[Lemma]:
    """The walk keeps the parts that no node has been read for yet on a stack, the next on top. A part is covered if it
    is closed by the nodes that follow."""
    pending, before, splits, leaves, count = Ints("pending before splits leaves count")
    is_split = z3.Bool("is_split")
    yield Lemma(
        "tree_pending",
        "a split takes its part from the stack and puts two halves there, a leaf takes its own: 1 + splits - leaves",
        ("tree",),
        {
            "before the node": before == 1 + splits - leaves,
            "one is taken, a split puts two": pending == before - 1 + If(is_split, 2, 0),
        },
        pending == 1 + (splits + If(is_split, 1, 0)) - (leaves + If(is_split, 0, 1)),
        (
            Mutant(
                "a split puts one",
                hypotheses={"one is taken, a split puts two": pending == before - 1 + If(is_split, 1, 0)},
            ),
            Mutant(
                "none is taken", hypotheses={"one is taken, a split puts two": pending == before + If(is_split, 2, 0)}
            ),
            Mutant("starts with none", hypotheses={"before the node": before == splits - leaves}),
        ),
    )
    yield Lemma(
        "tree_complete",
        "an empty stack after the last node: splits + 1 leaves, so every half that a split has opened has been read",
        ("tree",),
        {
            "pending after the last": pending == 1 + splits - leaves,
            "nodes": count == splits + leaves,
            "none is pending": pending == 0,
        },
        And(leaves == splits + 1, count == 2 * splits + 1),
        (
            Mutant("one is pending", hypotheses={"none is pending": pending == 1}),
            Mutant("a half for each split", And(leaves == splits)),
        ),
    )
    yield Lemma(
        "tree_nonempty",
        "no node is read while nothing is pending, so each is a half of a split before it, or the root",
        ("tree",),
        {"one is pending": before >= 1, "taken": pending == before - 1 + If(is_split, 2, 0)},
        And(pending >= 0, Implies(is_split, pending >= 2)),
        (
            Mutant("read from an empty stack", hypotheses={"one is pending": before >= 0}),
            Mutant("one is always left", And(pending >= 1)),
        ),
    )
    part = z3.DeclareSort("Part")
    closed = z3.Function("closed", part, z3.BoolSort())
    here, low, high, other = z3.Consts("here low high other", part)
    rest = z3.Bool("rest")  # what lay below on the stack is closed
    yield Lemma(
        "tree_split_covers",
        "if the two halves and what lay beneath are closed, so is the part that the split has taken",
        ("tree",),
        {
            "the stack after the node is closed": And(closed(low), closed(high), rest),
            "split step": Implies(And(closed(low), closed(high)), closed(here)),
        },
        And(closed(here), rest),
        (
            Mutant("the half below alone", hypotheses={"the stack after the node is closed": And(closed(low), rest)}),
            Mutant("the half above alone", hypotheses={"the stack after the node is closed": And(closed(high), rest)}),
            Mutant(
                "a half of another split",
                hypotheses={"the stack after the node is closed": And(closed(low), closed(other), rest)},
            ),
            Mutant(
                "what lay beneath is lost",
                hypotheses={"the stack after the node is closed": And(closed(low), closed(high))},
            ),
        ),
    )
    yield Lemma(
        "tree_leaf_covers",
        "a leaf that is refuted closes its own part, and leaves what lay beneath: from the last node to the root",
        ("tree",),
        {"the stack after the node is closed": rest, "refuted": closed(here)},
        And(closed(here), rest),
        (
            Mutant("another leaf", hypotheses={"refuted": closed(other)}),
            Mutant("not refuted", hypotheses={"refuted": Or(closed(here), closed(other))}),
        ),
    )


def _tables() -> Iterator[Lemma]:
    z, lo, hi, middle, tight, stale, least = Reals("z lo hi middle tight stale least")
    yield Lemma(
        "tree_inherits",
        "a table that holds on a part holds on its halves, cut at m: what is known of the parent may be used",
        ("tree",),
        {"holds on the part": within(lo, z, hi), "half below": z <= middle},
        And(within(lo, z, minimum(hi, middle)), within(lo, z, hi)),
        (
            Mutant("the end of the half above", within(maximum(lo, middle), z, hi)),
            Mutant("part of another node", hypotheses={"holds on the part": within(lo, stale, hi)}),
        ),
    )
    yield Lemma(
        "tree_step",
        "a step of a node tightens its own table by what holds on its part: the intersection holds there",
        ("tree",),
        {"inherited": lo <= z, "found on this part": tight <= z},
        maximum(lo, tight) <= z,
        (
            Mutant("found on the other half", hypotheses={"found on this part": Implies(z > middle, tight <= z)}),
            Mutant("inherited from the other half", hypotheses={"inherited": Implies(z > middle, lo <= z)}),
            Mutant("added up", lo + tight <= z),
        ),
    )
    g = z3.Real("g")
    yield Lemma(
        "tree_leaf_table",
        "a bound found with the leaf's own table refutes at the leaf: its table holds wherever the leaf's part is",
        ("tree",),
        {"table holds": lo <= z, "bound by the table": Implies(lo <= z, g >= least), "least > 0": least > 0},
        g > 0,
        (
            Mutant("the table of another leaf", hypotheses={"table holds": lo <= stale}),
            Mutant("least >= 0", hypotheses={"least > 0": least >= 0}),
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


def _slopes() -> Iterator[Lemma]:
    first, second, change, other = z3.BitVecs("first second change other", 8)
    yield Lemma(
        "tree_difference",
        "slope = before + change modulo 256: one change for each pair of slopes, one slope for each change",
        ("tree",),
        {"decoded": second == first + change, "another change": other != change},
        And(change == second - first, first + other != second),
        (
            Mutant("the difference the other way", And(change == first - second, first + other != second)),
            Mutant("decoded from another leaf", hypotheses={"decoded": second == other + change}),
            Mutant("seven bits", And(change == second - first, (first + other) & 127 != second & 127)),
        ),
    )
    yield Lemma(
        "tree_slope",
        "a decoded byte that is at most 128 is a slope in [0, 1], whatever the bytes before were",
        ("tree",),
        {"decoded": second == first + change, "at most 128": z3.ULE(second, 128)},
        And(z3.ULE(first + change, 128), within(0, z3.BV2Int(first + change), 128)),
        (
            Mutant("the change is checked", hypotheses={"at most 128": z3.ULE(change, 128)}),
            Mutant("at most 129", hypotheses={"at most 128": z3.ULE(second, 129)}),
        ),
    )
