"""Rules `split_input`, `split_phase` and `lemma`: covers, what the children may use, how a tree composes."""

from __future__ import annotations

from collections.abc import Iterator

from z3 import And, Bools, Implies, Not, Or, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import maximum, minimum, relu, within


def lemmas() -> Iterator[Lemma]:
    yield from _input()
    yield from _phase()
    yield from _tree()
    yield from _lemma()


def _input() -> Iterator[Lemma]:
    x, lo, hi, m, n = Reals("x lo hi m n")
    box = {"l <= x": lo <= x, "x <= u": x <= hi}
    yield Lemma(
        "split_input_cover",
        "a point of [l, u] is in [l, m] or in [m, u]",
        ("split_input",),
        box,
        Or(within(lo, x, m), within(m, x, hi)),
        (
            Mutant("gap between the halves", Or(within(lo, x, m), within(n, x, hi))),
            Mutant("open halves", Or(And(lo <= x, x < m), And(m < x, x <= hi))),
            Mutant("only the left half", within(lo, x, m)),
        ),
    )
    yield Lemma(
        "split_input_inherits",
        "l <= m <= u: both halves are inside [l, u], so what holds there holds in them",
        ("split_input",),
        {"l <= m": lo <= m, "m <= u": m <= hi, "x in a half": Or(within(lo, x, m), within(m, x, hi))},
        within(lo, x, hi),
        (Mutant("strict", And(lo < x, x < hi)),),
    )


def _phase() -> Iterator[Lemma]:
    o, a, r, lam, beta, z, t, lo, hi = Reals("o a r lam beta z t lo hi")
    yield Lemma(
        "split_phase_cover",
        "every z has z >= t or z <= t",
        ("split_phase",),
        {},
        Or(z >= t, z <= t),
        (
            Mutant("both strict", Or(z > t, z < t)),
            Mutant("two thresholds", Or(z >= t, z <= -t)),
            Mutant("one child", z >= t),
        ),
    )
    yield Lemma(
        "split_phase_interval",
        "l <= z <= u and z >= t give z in [max(l, t), u]; z <= t gives [l, min(u, t)]",
        ("split_phase",),
        {"l <= z": lo <= z, "z <= u": z <= hi},
        And(Implies(z >= t, within(maximum(lo, t), z, hi)), Implies(z <= t, within(lo, z, minimum(hi, t)))),
        (
            Mutant("children exchanged", Implies(z >= t, within(lo, z, minimum(hi, t)))),
            Mutant("strict", Implies(z >= t, And(maximum(lo, t) < z, z <= hi))),
        ),
    )
    yield Lemma(
        "phase_active",
        "in the child z >= 0, lam <= a implies a relu(z) >= lam z, for either sign of a",
        ("split_phase", "bound", "close", "relu"),
        {"z >= 0": z >= 0, "lam <= a": lam <= a},
        a * relu(z) >= lam * z,
        (
            Mutant("lam above a", hypotheses={"lam <= a": lam >= a}),
            Mutant("in the other child", hypotheses={"z >= 0": z <= 0}),
            Mutant("strict", a * relu(z) > lam * z),
        ),
    )
    yield Lemma(
        "phase_inactive",
        "in the child z <= 0, lam >= 0 implies a relu(z) >= lam z, for every a",
        ("split_phase", "bound", "close", "relu"),
        {"z <= 0": z <= 0, "lam >= 0": lam >= 0},
        a * relu(z) >= lam * z,
        (
            Mutant("lam below 0", hypotheses={"lam >= 0": lam <= 0}),
            Mutant("in the other child", hypotheses={"z <= 0": z >= 0}),
            Mutant("strict", a * relu(z) > lam * z),
        ),
    )
    row = {"o >= a z + r": o >= a * z + r, "beta >= 0": beta >= 0}
    yield Lemma(
        "phase_multiplier_above",
        "in the child z >= t, o >= a z + r and beta >= 0 imply o >= (a - beta) z + (r + beta t)",
        ("split_phase", "bound", "close"),
        {**row, "z >= t": z >= t},
        o >= (a - beta) * z + (r + beta * t),
        (
            Mutant("sign of beta t", o >= (a - beta) * z + (r - beta * t)),
            Mutant("threshold dropped", o >= (a - beta) * z + r),
        ),
    )
    yield Lemma(
        "phase_multiplier_below",
        "in the child z <= t, o >= a z + r and beta >= 0 imply o >= (a + beta) z + (r - beta t)",
        ("split_phase", "bound", "close"),
        {**row, "z <= t": z <= t},
        o >= (a + beta) * z + (r - beta * t),
        (
            Mutant("sign of beta t", o >= (a + beta) * z + (r + beta * t)),
            Mutant("multiplier of the other child", o >= (a - beta) * z + (r + beta * t)),
        ),
    )


def _tree() -> Iterator[Lemma]:
    region, left, right, bad, entry = Bools("region left right bad entry")
    yield Lemma(
        "tree_step",
        "children that cover the region and hold no bad point leave none in the region",
        ("split_input", "split_phase"),
        {
            "region covered": Implies(region, Or(left, right)),
            "left closed": Implies(And(region, left), Not(bad)),
            "right closed": Implies(And(region, right), Not(bad)),
        },
        Implies(region, Not(bad)),
        (Mutant("safe outside the region too", Not(bad)),),
    )
    yield Lemma(
        "table_inherits",
        "a table entry that holds on the parent's region holds on a child's",
        ("split_input", "split_phase", "bound"),
        {"entry on the parent": Implies(region, entry)},
        Implies(And(region, left), entry),
        (
            Mutant(
                "parent inherits from the child",
                Implies(region, entry),
                {"entry on the parent": Implies(And(region, left), entry)},
            ),
            Mutant("child outside the parent", Implies(left, entry)),
        ),
    )


def _lemma() -> Iterator[Lemma]:
    v, m = Reals("v m")
    region, inside = Bools("region inside")
    yield Lemma(
        "lemma_bound",
        "if no point of the region has v > m, then v <= m enters the region's table",
        ("lemma",),
        {"point of the region": region, "no point with v > m": Not(And(region, v > m))},
        v <= m,
        (
            Mutant("proved on a part only", hypotheses={"no point with v > m": Not(And(region, inside, v > m))}),
            Mutant("strict", v < m),
            Mutant("wrong side", v >= m),
        ),
    )
    yield Lemma(
        "lemma_bound_strict",
        "refuting v >= m proves v < m, so v <= m enters all the more",
        ("lemma",),
        {"point of the region": region, "no point with v >= m": Not(And(region, v >= m))},
        v <= m,
        (
            Mutant("sign flipped", -v <= m),
            Mutant("proved on a part only", hypotheses={"no point with v >= m": Not(And(region, inside, v >= m))}),
        ),
    )
