"""Properties from files: boxes, several regions, compression, and what is refused."""

import gzip
import re
from fractions import Fraction

import pytest

from tlverify.interop.vnnlib import parse_vnnlib, read_vnnlib
from tlverify.interop.vnnlib_logic import PropertyError

HEADER = "".join(f"(declare-const {name} Real)\n" for name in ("X_0", "X_1", "Y_0", "Y_1", "Y_2"))
BOX = "(assert (>= X_0 0)) (assert (<= X_0 1)) (assert (>= X_1 -0.1)) (assert (<= X_1 0.1))"
OTHER = "(>= X_0 2) (<= X_0 3) (>= X_1 2) (<= X_1 3)"
UNIT = (Fraction(0), Fraction(-1, 10)), (Fraction(1), Fraction(1, 10))


def parse(text):
    return parse_vnnlib(HEADER + text)


def test_box_and_disjunction_over_outputs():
    prop = parse(BOX + "(assert (or (and (<= Y_0 Y_1)) (and (<= Y_0 Y_2) (<= Y_2 3))))")
    assert (prop.inputs, prop.outputs, prop.tensors) == (2, 3, ())
    (case,) = prop.cases
    assert (case.lower, case.upper) == UNIT
    assert sorted(map(len, case.bad)) == [1, 2]


def test_bounds_of_one_input_are_intersected():
    (case,) = parse(BOX + "(assert (<= X_0 0.25)) (assert (>= X_0 -7)) (assert (<= Y_0 0))").cases
    assert (case.lower[0], case.upper[0]) == (0, Fraction(1, 4))


def test_several_regions_are_cases():
    regions = f"(assert (or (and {BOX.replace('(assert (', '(').replace('))', ')')}) (and {OTHER})))"
    prop = parse(regions + "(assert (or (<= Y_0 Y_1) (<= Y_0 Y_2)))")
    assert [(len(case.bad), case.lower[0]) for case in prop.cases] == [(2, 0), (2, 2)]


def test_equal_regions_under_several_disjuncts_are_one_case():
    prop = parse(f"(assert (or (and {OTHER} (<= Y_0 0)) (and {OTHER} (<= Y_1 0)) (and {OTHER} (<= X_0 2) (<= Y_2 0))))")
    assert [len(case.bad) for case in prop.cases] == [2, 1]


def test_empty_region_has_no_case():
    assert parse(BOX + "(assert (>= X_0 1.0000001)) (assert (<= Y_0 0))").cases == ()
    prop = parse(BOX + f"(assert (or (and {OTHER}) (<= X_1 0)))")
    assert [case.upper[1] for case in prop.cases] == [0]


def test_constraints_between_inputs_and_outputs_are_rows():
    (case,) = parse(BOX + "(assert (<= Y_0 X_0)) (assert (>= X_0 X_1))").cases
    assert [{variable for variable, _ in row.terms} for row in case.bad[0]] == [
        {("X", 0), ("Y", 0)},
        {("X", 0), ("X", 1)},
    ]


def test_file_about_inputs_alone_calls_the_whole_box_bad():
    (case,) = parse(BOX).cases
    assert case.bad == ((),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("(assert (<= X_0 1)) (assert (<= Y_0 0))", "X_0 has no lower bound in a disjunct"),
        (BOX.replace("(assert (<= X_1 0.1))", ""), "X_1 has no upper bound in a disjunct"),
        (BOX.replace("(<= X_1 0.1)", "(or (<= X_1 0.1) (<= Y_0 0))"), "X_1 has no upper bound in a disjunct"),
    ],
)
def test_input_without_bounds_is_refused(text, reason):
    with pytest.raises(PropertyError, match=re.escape(reason)):
        parse(text)


def test_files_plain_and_packed(tmp_path):
    text = HEADER + BOX + "(assert (<= Y_0 0))"
    (tmp_path / "p.vnnlib").write_text(text)
    (tmp_path / "q.vnnlib.gz").write_bytes(gzip.compress(text.encode()))
    assert read_vnnlib(tmp_path / "p.vnnlib") == read_vnnlib(tmp_path / "q.vnnlib.gz") == parse_vnnlib(text)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("p.vnnlib", None, "cannot be read: No such file"),
        ("p.vnnlib", b"\xff\xfe", "cannot be read: .*utf-8"),
        ("p.vnnlib", b"(assert", "p.vnnlib: line 1: the file ends inside 1 open"),
        ("p.vnnlib.gz", b"no gzip", "cannot be read: Not a gzipped file"),
        ("p.vnnlib.gz", gzip.compress(b"(assert true)" * 99)[:-9], "cannot be read: "),
    ],
)
def test_bad_files_are_named(tmp_path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PropertyError, match=reason):
        read_vnnlib(tmp_path / name)


def test_file_over_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tlverify.interop.vnnlib.MAX_BYTES", 1 << 20)
    (tmp_path / "p.vnnlib.gz").write_bytes(gzip.compress(b" " * (2 << 20)))
    with pytest.raises(PropertyError, match="over 1 MiB"):
        read_vnnlib(tmp_path / "p.vnnlib.gz")
