"""Rows of the affine ops but for windows: what each is as a sum of maps and a bias, and where its entries lie."""

from __future__ import annotations

from collections.abc import Iterator

from z3 import And, If, Implies, Ints, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import within


def lemmas() -> Iterator[Lemma]:
    yield from _elementwise()
    yield from _places()
    yield from _parts()
    yield from _products()


def _elementwise() -> Iterator[Lemma]:
    x, y, z, c, p, unit, m = Reals("x y z c p unit m")
    for op, sign, meaning in (("add", 1, x + y), ("sub", -1, x - y)):
        yield Lemma(
            f"lower_{op}",
            f"z = 1 x + {sign} y is x {'+' if sign > 0 else '-'} y",
            (op,),
            {"z = sum of maps": z == 1 * x + sign * y},
            z == meaning,
            (Mutant("sign of y", z == x - sign * y), Mutant("operands exchanged", z == y - x)),
        )
    yield Lemma(
        "lower_neg",
        "z = -1 x is the negative",
        ("neg",),
        {"z = map x": z == -1 * x},
        z + x == 0,
        (Mutant("sign lost", z == x),),
    )
    yield Lemma(
        "lower_scale",
        "a binary fraction c = k 2^-s is the entry k with the exponent -s",
        ("scale", "leaky_relu", "clamp", "pad", "batch_norm"),
        {"c = k 2^-s": c == p * unit, "z = (k x) 2^-s": z == p * x * unit},
        z == c * x,
        (Mutant("exponent dropped", z == p * x), Mutant("exponent alone", z == unit * x)),
    )
    yield Lemma(
        "lower_mul",
        "a constant c is a diagonal map: z_k = c_k x_k, whichever operand it is",
        ("mul",),
        {"z = c x + 0 y": z == c * x + 0 * y},
        And(z == c * x, z == x * c),
        (Mutant("constant of the neighbour", z == m * x), Mutant("constant added", z == c + x)),
    )


def _places() -> Iterator[Lemma]:
    i, j, k, m, n, p, q = Ints("i j k m n p q")
    inside = {"0 <= i < m": within(0, i, m - 1), "0 <= j < n": within(0, j, n - 1)}
    yield Lemma(
        "row_major_inside",
        "0 <= i < m and 0 <= j < n put place i n + j in [0, m n)",
        ("reshape", "transpose", "broadcast_to", "slice", "concat", "sum", "max", "linear", "matmul", "conv2d"),
        inside,
        within(0, i * n + j, m * n - 1),
        (
            Mutant("stride of the other axis", within(0, i * m + j, m * n - 1)),
            Mutant("index up to the size", hypotheses={"0 <= j < n": within(0, j, n)}),
        ),
    )
    yield Lemma(
        "row_major_unique",
        "i n + j = p n + q with 0 <= j, q < n implies i = p and j = q: no two entries share a place",
        ("reshape", "transpose", "slice", "concat", "sum", "max", "linear", "matmul", "batch_norm", "conv2d"),
        {
            "0 <= j < n": within(0, j, n - 1),
            "0 <= q < n": within(0, q, n - 1),
            "same place": i * n + j == p * n + q,
        },
        And(i == p, j == q),
        (
            Mutant("index up to the size", hypotheses={"0 <= j < n": within(0, j, n)}),
            Mutant("i = j", And(i == q, j == p)),
        ),
    )
    x = Ints("x00 x01 x10 x11")
    y = Ints("y00 y01 y10 y11")
    gathered = {
        "y[k] = x[0 + i 1 + j 2] for k = 2 i + j": And(*(y[2 * a + b] == x[a + 2 * b] for a in (0, 1) for b in (0, 1)))
    }
    yield Lemma(
        "transpose_strides",
        "the strides of x in exchanged order read x transposed",
        ("transpose",),
        gathered,
        And(*(y[2 * a + b] == x[2 * b + a] for a in (0, 1) for b in (0, 1))),
        (Mutant("not exchanged", And(*(y[k] == x[k] for k in range(4)))),),
    )
    yield Lemma(
        "broadcast_strides",
        "an axis of size 1 has the stride 0: every i reads entry j",
        ("broadcast_to",),
        {"0 <= j < n": within(0, j, n - 1), "k = 0 i + j": k == 0 * i + j},
        And(k == j, within(0, k, n - 1)),
        (Mutant("stride of the old axis", hypotheses={"k = 0 i + j": k == n * i + j}),),
    )
    a, b, s, count = Ints("a b s count")
    size = {"0 <= k < count": within(0, k, count - 1), "count = ceil((b - a) / s)": count == -((a - b) / s)}
    yield Lemma(
        "slice_inside",
        "0 <= k < ceil((b - a) / s) and s >= 1 put a + k s in [a, b)",
        ("slice",),
        {**size, "s >= 1": s >= 1},
        within(a, a + k * s, b - 1),
        (
            Mutant("one more", hypotheses={"0 <= k < count": within(0, k, count)}),
            Mutant("counted without the step", hypotheses={"count = ceil((b - a) / s)": count == b - a}),
        ),
    )
    yield Lemma(
        "slice_complete",
        "every a + k s of [a, b) has k < ceil((b - a) / s): none is left out",
        ("slice",),
        {"s >= 1": s >= 1, "a + k s < b": a + k * s < b, "count = ceil((b - a) / s)": count == -((a - b) / s)},
        k < count,
        (Mutant("floor", hypotheses={"count = ceil((b - a) / s)": count == (b - a) / s}),),
    )


def _parts() -> Iterator[Lemma]:
    p, before, after, n = Ints("p before after n")
    x, z, value, bias = Reals("x z value bias")
    inside = within(0, p - before, n - 1)
    yield Lemma(
        "lower_pad",
        "the bias is the value outside and 0 inside, the map the source inside and 0 outside",
        ("pad",),
        {"z = map + bias": z == If(inside, x, 0) + bias, "bias": bias == If(inside, 0, value)},
        z == If(And(before <= p, p < before + n), x, value),
        (
            Mutant("bias inside as well", hypotheses={"bias": bias == value}),
            Mutant("zeros for the value", hypotheses={"bias": bias == 0}),
        ),
    )
    yield Lemma(
        "pad_size",
        "before + n + after places hold before and after places outside, and n inside",
        ("pad",),
        {"before >= 0": before >= 0, "after >= 0": after >= 0, "inside": inside},
        within(0, p, before + n + after - 1),
        (Mutant("after not counted from the end", within(after, p, before + n - 1)),),
    )
    outer, i1, i2, w1, w2, total = Ints("outer i1 i2 w1 w2 total")
    yield Lemma(
        "concat_disjoint",
        "part 1 takes places [0, w1) of each row and part 2 places w1 + [0, w2): all, and none twice",
        ("concat",),
        {
            "0 <= i1 < w1": within(0, i1, w1 - 1),
            "0 <= i2 < w2": within(0, i2, w2 - 1),
            "total = w1 + w2": total == w1 + w2,
        },
        And(i1 != w1 + i2, within(0, i1, total - 1), within(0, w1 + i2, total - 1)),
        (
            Mutant("second part not moved", i1 != i2),
            Mutant("moved by its own width", And(i1 != w2 + i2, within(0, w2 + i2, total - 1))),
        ),
    )
    yield Lemma(
        "concat_rows",
        "k = outer (w inner) + within moves to outer (total inner) + w1 inner + within: row by row",
        ("concat",),
        {"0 <= i2 < w2": within(0, i2, w2 - 1), "total = w1 + w2": total == w1 + w2, "w1 >= 0": w1 >= 0},
        within(outer * total, outer * total + w1 + i2, outer * total + total - 1),
        (
            Mutant("parts one after another", within(outer * total, outer * w2 + w1 + i2, outer * total + total - 1)),
            Mutant("width for the total", within(outer * total, outer * total + w1 + i2, outer * total + w2 - 1)),
        ),
    )
    x1, x2, y1, y2 = Reals("x1 x2 y1 y2")
    yield Lemma(
        "lower_concat",
        "each entry is one part's, the other maps give 0 for it: y = (x1, 0) + (0, x2)",
        ("concat",),
        {"y1 = x1 + 0": y1 == x1 + 0 * x2, "y2 = 0 + x2": y2 == 0 * x1 + x2},
        And(y1 == x1, y2 == x2),
        (Mutant("parts exchanged", And(y1 == x2, y2 == x1)), Mutant("parts added", y1 == x1 + x2)),
    )
    yield Lemma(
        "lower_gather",
        "a map of ones and zeros moves entries: y1 = x2 and y2 = x1 are a map of x",
        ("reshape", "transpose", "broadcast_to", "slice"),
        {"y1": y1 == 0 * x1 + 1 * x2, "y2": y2 == 1 * x1 + 0 * x2},
        And(y1 == x2, y2 == x1),
        (Mutant("left in place", And(y1 == x1, y2 == x2)),),
    )
    yield Lemma(
        "lower_sum",
        "a reduction is a row of ones over its group, one row for each kept place",
        ("sum",),
        {"y1 = row of ones": y1 == 1 * x1 + 1 * x2},
        y1 == x1 + x2,
        (Mutant("mean", y1 == (x1 + x2) / 2), Mutant("last of the group left out", y1 == x1)),
    )


def _products() -> Iterator[Lemma]:
    w11, w12, w21, w22, x1, x2, b1, b2, y1, y2 = Reals("w11 w12 w21 w22 x1 x2 b1 b2 y1 y2")
    rows = {"y1": y1 == w11 * x1 + w12 * x2 + b1, "y2": y2 == w21 * x1 + w22 * x2 + b2}
    yield Lemma(
        "lower_linear",
        "rows of stored W are rows of the map: y_o = sum_i W[o, i] x_i + b_o",
        ("linear",),
        rows,
        And(y1 - b1 == w11 * x1 + w12 * x2, y2 - b2 == w21 * x1 + w22 * x2),
        (
            Mutant("W transposed", And(y1 - b1 == w11 * x1 + w21 * x2, y2 - b2 == w12 * x1 + w22 * x2)),
            Mutant("bias dropped", And(y1 == w11 * x1 + w12 * x2, y2 == w21 * x1 + w22 * x2)),
            Mutant("biases exchanged", And(y1 - b2 == w11 * x1 + w12 * x2, y2 - b1 == w21 * x1 + w22 * x2)),
        ),
    )
    yield Lemma(
        "linear_blocks",
        "the same W on each block of the last axis: what x2 is does not matter to block 1",
        ("linear",),
        {"y1 = W x1 + b": y1 == w11 * x1 + b1, "y2 = W x2 + b": y2 == w11 * x2 + b1},
        And(Implies(x1 == x2, y1 == y2), y1 == w11 * x1 + 0 * x2 + b1),
        (Mutant("blocks exchanged", y1 == w11 * x2 + b1), Mutant("bias of the first block only", y2 == w11 * x2)),
    )
    b, i, j, t, m, n, k = Ints("b i j t m n k")
    sizes = {"0 <= i < m": within(0, i, m - 1), "0 <= t < k": within(0, t, k - 1)}
    yield Lemma(
        "matmul_left",
        "entry (i, t) of the left matrix of batch b is place (b m + i) k + t, among the m k of its batch",
        ("matmul",),
        sizes,
        within(b * (m * k), (b * m + i) * k + t, (b + 1) * (m * k) - 1),
        (
            Mutant("batch not multiplied", within(b * (m * k), (b + i) * k + t, (b + 1) * (m * k) - 1)),
            Mutant("stride of the rows", within(b * (m * k), (b * m + i) * m + t, (b + 1) * (m * k) - 1)),
        ),
    )
    yield Lemma(
        "matmul_right",
        "entry (t, j) of the right matrix of batch b is place (b k + t) n + j, among the k n of its batch",
        ("matmul",),
        {"0 <= t < k": within(0, t, k - 1), "0 <= j < n": within(0, j, n - 1)},
        within(b * (k * n), (b * k + t) * n + j, (b + 1) * (k * n) - 1),
        (
            Mutant("stride of the columns", within(b * (k * n), (b * k + t) * k + j, (b + 1) * (k * n) - 1)),
            Mutant("transposed", within(b * (k * n), (b * n + j) * k + t, b * (k * n) + n - 1)),
        ),
    )
    yield Lemma(
        "lower_matmul",
        "with a constant right operand y_j = sum_t x_t W[t, j], with a constant left one y_i = sum_t W[i, t] x_t",
        ("matmul",),
        {"y1 = x W": y1 == x1 * w11 + x2 * w21, "y2 = W x": y2 == w11 * x1 + w12 * x2},
        And(y1 == w11 * x1 + w21 * x2, y2 == x1 * w11 + x2 * w12),
        (
            Mutant("right operand transposed", y1 == w11 * x1 + w12 * x2),
            Mutant("left operand transposed", y2 == w11 * x1 + w21 * x2),
        ),
    )
