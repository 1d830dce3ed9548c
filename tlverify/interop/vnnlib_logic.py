"""Boolean combinations of linear inequalities in disjunctive normal form, exactly.

A conjunction keeps bounds of single inputs apart from its other rows, so that images with thousands of bounds under a
disjunction over outputs are not multiplied out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import NamedTuple

from tlverify.graph import TlverifyError

MAX_DISJUNCTS = 100_000
MAX_ENTRIES = 20_000_000
MAX_BITS = 1_300
"""Of a numerator or denominator: what fits the 400 characters of a rational in a claim."""

Variable = tuple[str, int]
"""("X", i) is input i, ("Y", j) is output j, both flat."""
ZERO = Fraction(0)
_NONE: Mapping[int, Fraction] = MappingProxyType({})


class PropertyError(TlverifyError):
    """A property file breaks its format, or says what cannot be made a claim."""


class Linear(NamedTuple):
    """sum of coefficient * variable + constant. No coefficient is zero."""

    terms: Mapping[Variable, Fraction]
    constant: Fraction


class Row(NamedTuple):
    """sum of coefficient * variable >= bound (> bound if strict)."""

    terms: tuple[tuple[Variable, Fraction], ...]
    bound: Fraction
    strict: bool


class Conjunction(NamedTuple):
    """Bounds of inputs by index, and rows."""

    lower: Mapping[int, Fraction] = _NONE
    upper: Mapping[int, Fraction] = _NONE
    rows: tuple[Row, ...] = ()

    @property
    def size(self) -> int:
        """Bounds and rows."""
        return len(self.lower) + len(self.upper) + len(self.rows)


class Formula(tuple[Conjunction, ...]):
    """A disjunction; empty is false."""

    __slots__ = ()


TRUE = Formula((Conjunction(),))
FALSE = Formula()


def number(value: Fraction) -> Linear:
    """A constant."""
    return Linear({}, value)


def add(parts: Iterable[tuple[int, Linear]]) -> Linear:
    """Sum of sign * part."""
    terms: dict[Variable, Fraction] = {}
    constant = ZERO
    for sign, part in parts:
        constant += sign * part.constant
        for variable, coefficient in part.terms.items():
            terms[variable] = terms.get(variable, ZERO) + sign * coefficient
    return _checked(Linear({v: c for v, c in terms.items() if c}, constant))


def scale(part: Linear, factor: Fraction) -> Linear:
    """factor * part."""
    if not factor:
        return Linear({}, ZERO)
    return _checked(Linear({v: c * factor for v, c in part.terms.items()}, part.constant * factor))


def multiply(parts: Sequence[Linear]) -> Linear:
    """Product of parts of which one at most has variables."""
    product = parts[0]
    for part in parts[1:]:
        if product.terms and part.terms:
            raise PropertyError("a product of variables: expected linear arithmetic only")
        product = scale(part, product.constant) if part.terms else scale(product, part.constant)
    return product


def compare(relation: str, left: Linear, right: Linear) -> Formula:
    """`left relation right` for <=, <, >=, >, =, != (also == and distinct)."""
    if relation in ("=", "=="):
        return conjoin([compare("<=", left, right), compare(">=", left, right)])
    if relation in ("!=", "distinct"):
        return disjoin([compare("<", left, right), compare(">", left, right)])
    sign = 1 if relation[0] == ">" else -1
    difference = add([(sign, left), (-sign, right)])
    return at_least(difference.terms, -difference.constant, strict=relation in ("<", ">"))


def at_least(terms: Mapping[Variable, Fraction], bound: Fraction, strict: bool) -> Formula:
    """sum of terms >= bound, or > bound."""
    if not terms:
        return TRUE if bound < 0 or (bound == 0 and not strict) else FALSE
    if len(terms) > 1:
        return _one(rows=(Row(tuple(sorted(terms.items())), bound, strict),))
    (((kind, index), coefficient),) = terms.items()
    if kind != "X":
        return _one(rows=(Row(((("Y", index), coefficient),), bound, strict),))
    end = bound / coefficient
    rows = (Row(((("X", index), coefficient),), bound, True),) if strict else ()
    return _one({index: end}, _NONE, rows) if coefficient > 0 else _one(_NONE, {index: end}, rows)


def input_bound(index: int, relation: str, end: Fraction) -> Formula:
    """Input `index` is <= or >= `end`."""
    return _one({index: end}) if relation == ">=" else _one(_NONE, {index: end})


def disjoin(parts: Iterable[Formula]) -> Formula:
    """One of them holds."""
    found = Formula(conjunction for part in parts for conjunction in part)
    if len(found) > MAX_DISJUNCTS:
        raise PropertyError(f"over {MAX_DISJUNCTS:,} disjuncts: split the property into several")
    return found


def conjoin(parts: Iterable[Formula]) -> Formula:
    """All of them hold."""
    lower: dict[int, Fraction] = {}
    upper: dict[int, Fraction] = {}
    rows: list[Row] = []
    wide: list[Formula] = []
    for part in parts:
        if len(part) != 1:
            wide.append(part)
            continue
        _tighten(lower, part[0].lower, max)
        _tighten(upper, part[0].upper, min)
        rows += part[0].rows
    if any(a > upper[index] for index, a in lower.items() if index in upper):
        return FALSE
    found = TRUE
    entries = 0
    for part in [*sorted(wide, key=len), _one(lower, upper, tuple(rows))]:
        if len(found) * len(part) > MAX_DISJUNCTS:
            raise PropertyError(
                f"over {MAX_DISJUNCTS:,} disjuncts in disjunctive normal form: split the property into several"
            )
        product = []
        for a in found:
            for b in part:
                merged = _merge(a, b)
                if merged is not None:
                    product.append(merged)
                    shared = merged.lower is a.lower or merged.lower is b.lower
                    entries += len(merged.rows) if shared else merged.size
                    if entries > MAX_ENTRIES:
                        raise PropertyError(f"over {MAX_ENTRIES:,} inequalities in disjunctive normal form")
        found = Formula(product)
    return found


def negate(formula: Formula) -> Formula:
    """It does not hold."""
    return conjoin(disjoin(_negated_atoms(conjunction)) for conjunction in formula)


def _one(
    lower: Mapping[int, Fraction] = _NONE, upper: Mapping[int, Fraction] = _NONE, rows: tuple[Row, ...] = ()
) -> Formula:
    return Formula((Conjunction(lower, upper, rows),))


def _negated_atoms(conjunction: Conjunction) -> Iterable[Formula]:
    for index, end in conjunction.lower.items():
        yield at_least({("X", index): Fraction(-1)}, -end, strict=True)
    for index, end in conjunction.upper.items():
        yield at_least({("X", index): Fraction(1)}, end, strict=True)
    for row in conjunction.rows:
        yield at_least({v: -c for v, c in row.terms}, -row.bound, strict=not row.strict)


def _tighten(
    ends: dict[int, Fraction], more: Mapping[int, Fraction], tighter: Callable[[Fraction, Fraction], Fraction]
) -> None:
    for index, end in more.items():
        ends[index] = tighter(ends[index], end) if index in ends else end


def _merge(a: Conjunction, b: Conjunction) -> Conjunction | None:
    """Both; None if no input is within the bounds."""
    rows = a.rows + b.rows
    if not (b.lower or b.upper):
        return Conjunction(a.lower, a.upper, rows)
    if not (a.lower or a.upper):
        return Conjunction(b.lower, b.upper, rows)
    if len(a.lower) + len(a.upper) < len(b.lower) + len(b.upper):
        a, b = b, a
    lower, upper = dict(a.lower), dict(a.upper)
    _tighten(lower, b.lower, max)
    _tighten(upper, b.upper, min)
    for index in {*b.lower, *b.upper}:
        if index in lower and index in upper and lower[index] > upper[index]:
            return None
    return Conjunction(lower, upper, rows)


def _checked(value: Linear) -> Linear:
    for fraction in (value.constant, *value.terms.values()):
        if max(fraction.numerator.bit_length(), fraction.denominator.bit_length()) > MAX_BITS:
            raise PropertyError(f"a number of over {MAX_BITS} bits: a claim holds rationals of 400 characters at most")
    return value
