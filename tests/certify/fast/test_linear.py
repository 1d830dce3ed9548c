"""One product in float64 decides a floor only if every product within its proved error has that floor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlverify.certify import groups, kernel
from tlverify.certify.fast import linear
from tlverify.certify.fast.engine import Engine, gather, run
from tlverify.certify.fast.linear import PAUSE, Linear
from tlverify.certify.kernel.arithmetic import COEFFICIENT_BITS, Interval, Short, bits
from tlverify.certify.kernel.backward import Bounds, Job, propagate_all
from tlverify.certify.kernel.program import Dense, Sparse
from tlverify.graph import to_bytes

from ..test_arithmetics import FAMILIES, jobs, network, root

TOP = 1 << COEFFICIENT_BITS


def matrix(rng: np.random.Generator, kind: str, rows: int, columns: int) -> list[list[int]]:
    """Integers of 23 to 44 bits: any, or such that many products are whole units after the floor, or nearly so."""
    entries = rng.integers(-(1 << 40), 1 << 40, (rows, columns))
    if kind != "any":
        entries = entries >> 36 << 36
    if kind == "nearly whole":
        entries += rng.integers(-1, 2, entries.shape)
    entries[0, 0] = (1 << 40) + 3
    return entries.tolist()


class Wrong(np.ndarray):
    """A matrix whose products are off by as much as is allowed, less what they are off by anyway."""

    def __matmul__(self, right):
        rng = np.random.default_rng(0)
        product = np.asarray(self) @ right
        size = self.shape[-1]
        return product + self.slack * 2 / (size + 4) * rng.choice([-1.0, 0.0, 1.0], product.shape)


@pytest.mark.parametrize("kind", ["any", "whole", "nearly whole"])
@pytest.mark.parametrize("blocks", [1, 3])
@given(seed=st.integers(0, 2**32 - 1), out=st.integers(1, 12), columns=st.integers(1, 12), wrong=st.booleans())
@settings(max_examples=40, deadline=None)
def test_what_is_sure_is_right(kind: str, blocks: int, seed: int, out: int, columns: int, wrong: bool) -> None:
    rng = np.random.default_rng(seed)
    rows = matrix(rng, kind, out, columns)
    own = Linear(Dense(rows, 0, blocks), np, verify=False)
    factors = rng.integers(-TOP, TOP, (blocks * out, 16))
    factors[:, :8] >>= rng.integers(0, 22, 8)
    factors[:, 5] = 0
    whole = own.whole
    if wrong:
        whole = whole.view(Wrong)
        whole.slack = own.slack
    found, drop, sure = own.floors(whole, factors.astype(float), np)
    for job in np.flatnonzero(sure):
        exact = [
            sum(int(factors[block * out + i, job]) * rows[i][j] for i in range(out))
            for block in range(blocks)
            for j in range(columns)
        ]
        assert drop[job] == bits(exact) - COEFFICIENT_BITS > 0
        assert found[:, job].tolist() == [v >> int(drop[job]) for v in exact]
    assert not sure[5]  # nothing is taken off zeros


@pytest.mark.parametrize(("out", "columns"), [(200, 3), (3, 200), (64, 64)])
@pytest.mark.parametrize("kind", ["dense", "sparse", "grouped"])
def test_the_slack_is_that_of_sums_of_so_many_products(monkeypatch, kind: str, out: int, columns: int) -> None:
    rows = matrix(np.random.default_rng(0), "any", out, columns)
    if kind == "grouped":
        monkeypatch.setattr(linear, "MAX_DENSE", 0)
    entries = [list(enumerate(row)) for row in rows]
    own = Linear(Dense(rows, 0) if kind == "dense" else Sparse(entries, columns, 0), np, verify=False)
    heaviest = max(sum(map(abs, column)) for column in zip(*rows, strict=True))
    least = (out + 4) * 2.0**-53 * TOP * heaviest
    assert least <= own.slack <= 1.03 * least


def test_nearly_all_is_sure_at_the_usual_size() -> None:
    rng = np.random.default_rng(0)
    own = Linear(Dense(matrix(rng, "any", 256, 256), 0), np, verify=False)
    *_, sure = own.floors(own.whole, rng.integers(-TOP, TOP, (256, 512)).astype(float), np)
    assert sure.mean() > 0.9


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_whatever_is_not_sure_is_done_in_digits(monkeypatch, family: str, share: float) -> None:
    """The filter made to doubt more than it has to."""
    rng, real = np.random.default_rng(5), Linear.floors

    def doubting(self, whole, row, xp):
        result, drop, sure = real(self, whole, row, xp)
        doubt = rng.random(len(sure)) < share
        result[:, doubt] = np.nan
        return result, drop, sure & ~doubt

    monkeypatch.setattr(Linear, "floors", doubting)
    monkeypatch.setattr(linear, "PAUSE", 0)
    program = kernel.read_program(*to_bytes(network(family, rng)))
    bounds = root(program, rng)
    todo = jobs(program, bounds, rng, 40)
    assert Engine()(program, bounds, todo) == propagate_all(program, bounds, todo)


def test_a_filter_that_decides_little_pauses() -> None:
    own = Linear(Dense([[1 << 40, 3], [5, 7]], 0), np, verify=False)
    assert own.filtered
    own.decided(10, 5)
    assert own.filtered
    own.decided(10, 6)
    for _ in range(PAUSE):
        assert not own.filtered
        own.apply(np.ones((2, 1)), np.zeros(1, dtype=bool), np)
    assert own.filtered


@pytest.mark.parametrize(
    ("entries", "filtered"), [(1 << 21, False), (1 << 22, True), (1 << 65, True), (1 << 66, False), (1 << 2000, False)]
)
def test_which_matrices_have_a_filter(entries: int, filtered: bool) -> None:
    assert Linear(Dense([[entries]], 0), np, verify=False).filtered is filtered
    assert Linear(Sparse([[(0, entries)]], 1), np, verify=False).filtered is filtered
    assert not Linear(Dense([[entries]], 0), np, verify=True).filtered


def test_neurons_that_are_inactive_everywhere_are_left_out_unless_they_matter() -> None:
    rng = np.random.default_rng(0)
    program = kernel.read_program(*to_bytes(network("plain", rng)))
    bounds = root(program, rng)
    source = [value.source for value in program.values.values() if value.kind == "relu"][-1]
    known = bounds[source]
    lower, upper = list(known.lower), list(known.upper)
    for index in range(4):
        lower[index], upper[index] = -5, 0
    changed = Bounds({**bounds, source: Interval(lower, upper, known.exponent)})
    plain = [Job({program.outputs[0]: {i: 3, (i + 1) % 4: -5}}, 0, (0, 0), {}) for i in range(4)]
    dead = [Job({**job.rows, source: {1: 7, 6: -1}}, 0, (0, 0), {}) for job in plain]
    prepared = Engine().prepare(program, changed)
    for todo in (plain, dead, plain + dead):
        run(prepared, gather(prepared, todo))
        assert Engine()(program, changed, todo) == propagate_all(program, changed, todo)
    alive = prepared.alive(source)
    assert alive is not None
    assert alive[1].tolist()[:4] == [0, 1, 2, 3]
    assert prepared._restricted


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("size", [1, 22, 40, 60, 70])
def test_sparse_maps_too_large_for_a_matrix_are_gathered_or_grouped(monkeypatch, size: int, verify: bool) -> None:
    monkeypatch.setattr(linear, "MAX_DENSE", 0)
    rng = np.random.default_rng(size)
    entries = [
        [
            (int(i), int(rng.integers(-(1 << 60), 1 << 60)) << max(size - 60, 0) >> max(60 - size, 0))
            for i in rng.permutation(6)[:n]
        ]
        for n in (0, 1, 3, 6, 2)
    ]
    matrix = Sparse(entries, 7)  # nothing is computed from the last
    own = Linear(matrix, np, verify)
    assert bool(own.gathers) is verify
    assert (own.groups is None) is verify
    rows = rng.integers(-TOP, TOP, (5, 9))
    parts = own.apply(rows.astype(float), np.zeros(9, dtype=bool), np)
    for job in range(9):
        found = [sum(int(part[i, job]) << 22 * k for k, part in enumerate(parts)) for i in range(7)]
        assert found == matrix.backward(Short([int(v) for v in rows[:, job]], 0)).integers
    for part in own.apply(np.full((5, 1), float(TOP)), np.zeros(1, dtype=bool), np):
        assert np.abs(part).max() <= TOP * own.heaviest


@pytest.mark.parametrize("verify", [True, False])
def test_a_large_map_of_nothing(verify: bool) -> None:
    own = Linear(Sparse([[]] * 300, 200), np, verify)
    (product,) = own.apply(np.ones((300, 4)), np.zeros(4, dtype=bool), np)
    assert product.shape == (200, 4)
    assert not product.any()


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("family", ["residual", "convolution"])
def test_gathered_and_grouped_maps_give_the_same(monkeypatch, family: str, verify: bool) -> None:
    monkeypatch.setattr(linear, "MAX_DENSE", 0)
    rng = np.random.default_rng(8)
    program = kernel.read_program(*to_bytes(network(family, rng)))
    bounds = root(program, rng)
    todo = jobs(program, bounds, rng, 20)
    assert Engine(verify_products=verify)(program, bounds, todo) == propagate_all(program, bounds, todo)


@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(["any", "whole", "nearly whole"]))
@settings(max_examples=40, deadline=None)
def test_what_is_sure_of_groups_is_right(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    rows = matrix(rng, kind, 200, 90)
    kept = rng.integers(0, 90, (200, 4))
    sparse = Sparse([[(int(i), row[i]) for i in chosen] for row, chosen in zip(rows, kept, strict=True)], 90)
    own = Linear(sparse, np, verify=False)
    assert own.groups
    factors = rng.integers(-TOP, TOP, (200, 6))
    found, drop, sure = own.floors(own.whole, factors.astype(float), np)
    for job in np.flatnonzero(sure):
        exact = sparse.backward(Short([int(v) for v in factors[:, job]], 0)).integers
        assert drop[job] == bits(exact) - COEFFICIENT_BITS > 0
        assert found[:, job].tolist() == [v >> int(drop[job]) for v in exact]


def test_a_group_with_a_wrong_coefficient_is_seen(monkeypatch) -> None:
    monkeypatch.setattr(linear, "MAX_DENSE", 0)
    real = groups.grouped

    def wrong(entries):
        first, *rest = real(entries)
        return [groups.Group(first.index, first.result, [first.coefficients[0] + 1, *first.coefficients[1:]]), *rest]

    rng = np.random.default_rng(8)
    program = kernel.read_program(*to_bytes(network("convolution", rng)))
    bounds = root(program, rng)
    todo = jobs(program, bounds, rng, 20)
    monkeypatch.setattr(groups, "grouped", wrong)
    assert Engine()(program, bounds, todo) != propagate_all(program, bounds, todo)
