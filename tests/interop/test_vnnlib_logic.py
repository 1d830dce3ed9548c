"""Laws of the disjunctive normal form, against direct evaluation at points."""

from fractions import Fraction
from unittest.mock import patch

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from tlverify.interop import vnnlib_logic
from tlverify.interop.vnnlib_logic import (
    FALSE,
    TRUE,
    Linear,
    PropertyError,
    add,
    compare,
    conjoin,
    disjoin,
    multiply,
    negate,
    number,
    scale,
)

VARIABLES = [("X", 0), ("X", 1), ("Y", 0)]
NUMBERS = st.integers(-2, 2).map(Fraction)
LINEARS = st.builds(
    lambda coefficients, constant: Linear(
        {v: c for v, c in zip(VARIABLES, coefficients, strict=True) if c}, Fraction(constant)
    ),
    st.lists(NUMBERS, min_size=3, max_size=3),
    NUMBERS,
)
POINTS = st.fixed_dictionaries(dict.fromkeys(VARIABLES, NUMBERS))
RELATIONS = {
    "<=": lambda a, b: a <= b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    ">": lambda a, b: a > b,
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
TREES = st.recursive(
    st.tuples(st.sampled_from(sorted(RELATIONS)), LINEARS, LINEARS),
    lambda part: (
        st.tuples(st.sampled_from(["and", "or"]), st.lists(part, max_size=3)) | st.tuples(st.just("not"), part)
    ),
    max_leaves=6,
)


def value(linear, point):
    return linear.constant + sum(c * point[v] for v, c in linear.terms.items())


def holds(tree, point):
    """Straight from the tree."""
    if tree[0] in RELATIONS:
        return RELATIONS[tree[0]](value(tree[1], point), value(tree[2], point))
    if tree[0] == "not":
        return not holds(tree[1], point)
    return (all if tree[0] == "and" else any)(holds(part, point) for part in tree[1])


def build(tree):
    if tree[0] in RELATIONS:
        return compare(*tree)
    if tree[0] == "not":
        return negate(build(tree[1]))
    return (conjoin if tree[0] == "and" else disjoin)([build(part) for part in tree[1]])


def satisfied(formula, point):
    """By the disjunctive normal form."""
    return any(
        all(point["X", i] >= end for i, end in conjunction.lower.items())
        and all(point["X", i] <= end for i, end in conjunction.upper.items())
        and all(
            RELATIONS[">" if row.strict else ">="](sum(c * point[v] for v, c in row.terms), row.bound)
            for row in conjunction.rows
        )
        for conjunction in formula
    )


@given(TREES, st.lists(POINTS, min_size=5, max_size=5))
def test_normal_form_means_the_same(tree, points):
    with patch.object(vnnlib_logic, "MAX_DISJUNCTS", 1_000):
        try:
            formula = build(tree)
        except PropertyError:
            reject()
    for point in points:
        assert satisfied(formula, point) == holds(tree, point)


@given(LINEARS, LINEARS, NUMBERS, POINTS)
def test_arithmetic(a, b, factor, point):
    assert value(add([(1, a), (-1, b)]), point) == value(a, point) - value(b, point)
    assert value(scale(a, factor), point) == factor * value(a, point)
    assert value(multiply([number(factor), a, number(Fraction(2))]), point) == 2 * factor * value(a, point)
    assert all(add([(1, a), (-1, b)]).terms.values())


def test_disjunction_over_outputs_shares_the_bounds_of_the_box():
    bounds = [compare("<=", Linear({("X", i): Fraction(1)}, Fraction(0)), number(Fraction(1))) for i in range(100)]
    outputs = disjoin(
        compare("<=", Linear({("Y", j): Fraction(1)}, Fraction(0)), number(Fraction(j))) for j in range(9)
    )
    formula = conjoin([*bounds, outputs])
    assert len(formula) == 9
    assert len({id(conjunction.upper) for conjunction in formula}) == 1
    assert len(formula[0].upper) == 100


def test_normal_form_that_explodes_is_refused():
    pair = [compare("<=", Linear({("Y", j): Fraction(1)}, Fraction(0)), number(Fraction(0))) for j in range(2)]
    with pytest.raises(PropertyError, match="over 100,000 disjuncts in disjunctive normal form"):
        conjoin([disjoin(pair)] * 17)
    with pytest.raises(PropertyError, match="over 100,000 disjuncts: split"):
        disjoin([pair[0]] * 100_001)


def test_normal_form_with_too_many_inequalities_is_refused(monkeypatch):
    monkeypatch.setattr(vnnlib_logic, "MAX_ENTRIES", 100)
    pair = [compare("<=", Linear({("Y", j): Fraction(1)}, Fraction(0)), number(Fraction(0))) for j in range(2)]
    with pytest.raises(PropertyError, match="over 100 inequalities"):
        conjoin([disjoin(pair)] * 5)


def test_number_that_grows_too_long_is_refused():
    big = number(Fraction(1, 3**300))
    with pytest.raises(PropertyError, match="a number of over 1300 bits"):
        multiply([big, big, big])


def test_constants():
    assert conjoin([]) == TRUE
    assert disjoin([]) == FALSE
    assert negate(TRUE) == FALSE
    assert negate(FALSE) == TRUE
