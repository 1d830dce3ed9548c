"""Reader of VNN-LIB 1.0 text: S-expressions, evaluated as they close, so that no nesting recurses.

The format is a part of SMT-LIB (Demarchi et al., "Supporting standardization of neural network verification with
VNN-LIB and CoCoNet", 2023): constants X_i and Y_j of sort Real, and assertions over linear inequalities.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from tlverify.interop.vnnlib_logic import (
    FALSE,
    TRUE,
    ZERO,
    Formula,
    Linear,
    PropertyError,
    Variable,
    add,
    compare,
    conjoin,
    disjoin,
    input_bound,
    multiply,
    negate,
    number,
    scale,
)

MAX_DEPTH = 1_000
MAX_VARIABLES = 1 << 24
MAX_DIGITS = 300
PIECE = 1 << 20

# A comparison of two symbols, and one that is asserted, are each one token: nearly all of a large file is of that kind.
_COMPARISON = r'\([<>]= [XY]_\d+ [^\s()";|]+\)'
_TOKEN = re.compile(
    rf'\(assert {_COMPARISON}\)|{_COMPARISON}|[()]|;.*|"[^"\n]*"|\|[^|\n]*\||[^\s()";|]+|["|]', re.ASCII
)
_VARIABLE = re.compile(r"([XY])_(0|[1-9]\d{0,8})\Z", re.ASCII)
_NUMBER = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?\Z", re.ASCII)
_ONE = Fraction(1)
IGNORED = frozenset({"set-logic", "set-info", "set-option", "check-sat", "get-model", "exit"})


@dataclass(frozen=True)
class Text:
    """What a file says: how many X and Y it declares, and its assertions."""

    inputs: int
    outputs: int
    assertions: Sequence[Formula]


def read_text(text: str) -> Text:
    """Read VNN-LIB 1.0; PropertyError names the line of what is wrong."""
    state = _State()
    stack: list[list[Item]] = [[]]
    line = 1
    for piece in _pieces(text):
        tokens = iter(_TOKEN.findall(piece))
        try:
            for token in tokens:
                if token == "(":
                    stack.append([])
                    if len(stack) > MAX_DEPTH:
                        raise PropertyError(f"parentheses are nested over {MAX_DEPTH} deep")
                elif token == ")":
                    if len(stack) == 1:
                        raise PropertyError("a closing parenthesis without an opening one")
                    items = stack.pop()
                    stack[-1].append(_evaluate(items, state, len(stack) == 1))
                    if len(stack) == 1:
                        stack[0].clear()
                elif token[0] == "(" and token[1] == "a":
                    if len(stack) > 1:
                        raise PropertyError("assert stands inside another expression")
                    relation, left, right = token[9:-2].split(" ")
                    state.assertions.append(_comparison(relation, [left, right], state))
                elif token[0] == "(":
                    if len(stack) == 1:
                        raise PropertyError(f"expected (declare-const ...) or (assert ...), found {_shown(token)}")
                    relation, left, right = token[1:-1].split(" ")
                    stack[-1].append(_comparison(relation, [left, right], state))
                elif token in ('"', "|"):
                    raise PropertyError(f"a {token} that is not closed on its line")
                elif token[0] != ";":
                    stack[-1].append(token)
                    if len(stack) == 1:
                        raise PropertyError(f"expected (declare-const ...) or (assert ...), found {_shown(token)}")
        except PropertyError as error:
            starts = [match.start() for match in _TOKEN.finditer(piece)]
            start = starts[len(starts) - sum(1 for _ in tokens) - 1]
            raise PropertyError(f"line {line + piece.count(chr(10), 0, start)}: {error}") from None
        line += piece.count("\n")
    if len(stack) > 1:
        raise PropertyError(f"line {line}: the file ends inside {len(stack) - 1} open parentheses")
    return Text(_count(state, "X"), _count(state, "Y"), state.assertions)


class _Empty:
    """What () evaluates to."""


_EMPTY = _Empty()
Item = str | Linear | Formula | _Empty | None
"""A symbol, a value, or what a command leaves."""


@dataclass
class _State:
    """What has been read so far. Values of symbols are kept: most files repeat few of them."""

    declared: set[str] = field(default_factory=set)
    used: dict[Variable, str] = field(default_factory=dict)
    symbols: dict[str, Linear] = field(default_factory=dict)
    assertions: list[Formula] = field(default_factory=list)


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces that end with a line, so that tokens of large files are not all in memory."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + PIECE) + 1 or len(text)
        yield text[start:end]
        start = end


def _evaluate(items: list[Item], state: _State, top: bool) -> Item:
    if not items:
        return _EMPTY
    head, *arguments = items
    if type(head) is not str:
        raise PropertyError("expected an operator or a command after the parenthesis, found a list")
    command = _COMMANDS.get(head)
    if command is not None or head in IGNORED:
        if not top:
            raise PropertyError(f"{head} stands inside another expression")
        if command is not None:
            command(arguments, state)
        return None
    if top:
        raise PropertyError(f"expected (declare-const ...) or (assert ...), found ({_shown(head)} ...)")
    if head in _RELATIONS:
        return _comparison(head, arguments, state)
    if head in _CONNECTIVES:
        return _CONNECTIVES[head]([_formula(item) for item in arguments])
    if head in _ARITHMETIC:
        if not arguments:
            raise PropertyError(f"({head}) has no argument")
        return _ARITHMETIC[head]([_linear(item, state) for item in arguments])
    raise PropertyError(f"{_shown(head)} is not supported: expected and, or, not, <=, <, >=, >, =, +, -, * or /")


def _declare(arguments: list[Item], state: _State) -> None:
    if len(arguments) not in (2, 3) or arguments[1:-1] not in ([], [_EMPTY]):
        raise PropertyError("expected (declare-const NAME Real) or (declare-fun NAME () Real)")
    name, sort = arguments[0], arguments[-1]
    if type(name) is not str or _VARIABLE.match(name) is None:
        raise PropertyError(f"declaration of {_shown(name)}: expected X_i or Y_j, the entries of input and output")
    if sort != "Real":
        raise PropertyError(f"declaration of {name}: expected sort Real, found {_shown(sort)}")
    if name in state.declared:
        raise PropertyError(f"{name} is declared twice")
    if len(state.declared) >= MAX_VARIABLES:
        raise PropertyError(f"over {MAX_VARIABLES:,} declarations")
    state.declared.add(name)


def _assert(arguments: list[Item], state: _State) -> None:
    if len(arguments) != 1:
        raise PropertyError(f"expected (assert FORMULA), found {len(arguments)} arguments")
    state.assertions.append(_formula(arguments[0]))


def _comparison(relation: str, arguments: list[Item], state: _State) -> Formula:
    if len(arguments) == 2:
        left, right = _linear(arguments[0], state), _linear(arguments[1], state)
        if len(left.terms) == 1 and not right.terms and not left.constant and relation in ("<=", ">="):
            (((kind, index), coefficient),) = left.terms.items()
            if kind == "X" and coefficient is _ONE:  # by far the most frequent form
                return input_bound(index, relation, right.constant)
        return compare(relation, left, right)
    if len(arguments) < 2 or relation == "distinct":
        raise PropertyError(f"({relation} ...) with {len(arguments)} arguments: expected two")
    return conjoin(compare(relation, a, b) for a, b in pairwise([_linear(item, state) for item in arguments]))


def _linear(item: Item, state: _State) -> Linear:
    if type(item) is str:
        known = state.symbols.get(item)
        if known is None:
            known = state.symbols[item] = _symbol(item, state)
        return known
    if type(item) is Linear:
        return item
    raise PropertyError(f"expected a number, X_i, Y_j or arithmetic of them, found {_shown(item)}")


def _symbol(token: str, state: _State) -> Linear:
    variable = _VARIABLE.match(token) if token[0] in "XY" else None
    if variable is not None:
        key = variable[1], int(variable[2])
        state.used[key] = token
        return Linear({key: _ONE}, ZERO)
    return number(read_number(token))


def read_number(token: str) -> Fraction:
    """A decimal such as -1.5e-3, exactly."""
    match = _NUMBER.match(token)
    if match is None or not (match[2] or match[3]):
        raise PropertyError(f"expected a number, X_i or Y_j, found {_shown(token)}")
    sign, whole, decimals, exponent = match[1], match[2], match[3] or "", int(match[4] or 0)
    if len(token) + abs(exponent) > MAX_DIGITS:
        raise PropertyError(f"{_shown(token)}: a number of over {MAX_DIGITS} digits")
    digits, shift = int(sign + whole + decimals), exponent - len(decimals)
    return Fraction(digits * 10**shift) if shift >= 0 else Fraction(digits, 10**-shift)


def _formula(item: Item) -> Formula:
    if type(item) is Formula:
        return item
    if item == "true":
        return TRUE
    if item == "false":
        return FALSE
    raise PropertyError(f"expected a formula, found {_shown(item)}")


def _count(state: _State, kind: str) -> int:
    """The number of variables of a kind, which must be kind_0, kind_1, ..., all declared."""
    numbers = sorted(int(name[2:]) for name in state.declared if name[0] == kind)
    for index, found in enumerate(numbers):
        if index != found:
            raise PropertyError(f"{kind}_{index} is not declared, but {kind}_{found} is")
    if not numbers:
        raise PropertyError(f"no {kind}_0 is declared")
    for variable, name in state.used.items():
        if variable[0] == kind and variable[1] >= len(numbers):
            raise PropertyError(f"{name} is used but not declared")
    return len(numbers)


def _not(arguments: Sequence[Formula]) -> Formula:
    if len(arguments) != 1:
        raise PropertyError(f"(not ...) with {len(arguments)} arguments: expected one")
    return negate(arguments[0])


def _implies(arguments: Sequence[Formula]) -> Formula:
    if len(arguments) != 2:
        raise PropertyError(f"(=> ...) with {len(arguments)} arguments: expected two")
    return disjoin([negate(arguments[0]), arguments[1]])


def _minus(parts: Sequence[Linear]) -> Linear:
    return scale(parts[0], -_ONE) if len(parts) == 1 else add([(1, parts[0]), *((-1, part) for part in parts[1:])])


def _divide(parts: Sequence[Linear]) -> Linear:
    value = parts[0]
    for part in parts[1:]:
        if part.terms or not part.constant:
            raise PropertyError("division: expected a constant divisor other than 0")
        value = scale(value, 1 / part.constant)
    return value


def _shown(item: object) -> str:
    if type(item) is str:
        return repr(item if len(item) <= 60 else item[:60] + "...")
    return {Linear: "arithmetic", Formula: "a formula"}.get(type(item), "()")


_COMMANDS: dict[str, Callable[[list[Item], _State], None]] = {
    "declare-const": _declare,
    "declare-fun": _declare,
    "assert": _assert,
}
_RELATIONS = frozenset({"<=", "<", ">=", ">", "=", "distinct"})
_CONNECTIVES: dict[str, Callable[[Sequence[Formula]], Formula]] = {
    "and": conjoin,
    "or": disjoin,
    "not": _not,
    "=>": _implies,
}
_ARITHMETIC: dict[str, Callable[[Sequence[Linear]], Linear]] = {
    "+": lambda parts: add((1, part) for part in parts),
    "-": _minus,
    "*": multiply,
    "/": _divide,
}
