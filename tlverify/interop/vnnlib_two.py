"""VNN-LIB 2.0, parsed and type-checked by the package `vnnlib`; numbers are taken from their text, exactly."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from tlverify.interop.vnnlib import Tensor
from tlverify.interop.vnnlib_logic import (
    Formula,
    Linear,
    PropertyError,
    Variable,
    add,
    compare,
    conjoin,
    disjoin,
    multiply,
    number,
    scale,
)
from tlverify.interop.vnnlib_text import MAX_DEPTH, read_number

_RELATIONS = {
    "GreaterEqual": ">=",
    "GreaterThan": ">",
    "LessEqual": "<=",
    "LessThan": "<",
    "Equal": "=",
    "NotEqual": "!=",
}
_TYPES = {"F16": "float16", "F32": "float32", "F64": "float64", "Real": "real", "Unknown": "real"}


def read_text_two(text: str) -> tuple[int, int, Sequence[Formula], tuple[Tensor, ...]]:
    """Numbers of inputs and outputs, the assertions, and the declared tensors.

    One network without hidden variables, linear assertions. PropertyError for anything else, for an ill-typed file, and
    if the package is not installed.
    """
    try:
        import vnnlib
    except ImportError:
        raise PropertyError("VNN-LIB 2.0 needs the package vnnlib: pip install 'tlverify[vnnlib]'") from None
    _check_depth(text)
    try:
        query = vnnlib.parse_query_string(text)
    except vnnlib.VNNLibException as error:
        raise PropertyError(_explain(str(error))) from None
    if len(query.networks) != 1:
        raise PropertyError(f"the query is about {len(query.networks)} networks: expected one")
    (network,) = query.networks
    if network.hidden:
        raise PropertyError(f"network {network.name!r} declares hidden variables: expected inputs and outputs only")
    tensors, places = [], {}
    counts = {"X": 0, "Y": 0}
    for kind, definitions in (("X", network.inputs), ("Y", network.outputs)):
        for definition in definitions:
            dtype = _TYPES.get(definition.dtype.name)
            if dtype is None:
                raise PropertyError(f"{definition.name}: type {definition.dtype.name}: expected a float or real")
            tensor = Tensor(definition.name, kind, dtype, tuple(definition.shape))
            tensors.append(tensor)
            places[tensor.name] = tensor, counts[kind]
            counts[kind] += math.prod(tensor.shape)
    formulas = [_formula(assertion.expr, places) for assertion in query.assertions]
    return counts["X"], counts["Y"], formulas, tuple(tensors)


def _check_depth(text: str) -> None:
    """The package recurses in native code, where a nesting too deep would end the process."""
    depth = 0
    for token in re.findall(r"[()]|;.*", text):
        depth += (token == "(") - (token == ")")
        if depth > MAX_DEPTH:
            raise PropertyError(f"parentheses are nested over {MAX_DEPTH} deep")


def _explain(message: str) -> str:
    """The first error of the package's report."""
    try:
        first = json.loads(message)["errors"][0]
        return f"line {first['line']}: {first['message']}: {first['hint']}"
    except (ValueError, KeyError, IndexError, TypeError):
        return " ".join(message.split())


Places = Mapping[str, tuple[Tensor, int]]


def _formula(node: Any, places: Places) -> Formula:
    kind = type(node).__name__
    if kind in _RELATIONS:
        return compare(_RELATIONS[kind], _linear(node.lhs, places), _linear(node.rhs, places))
    if kind in ("And", "Or"):
        parts = [_formula(part, places) for part in node.args]
        return conjoin(parts) if kind == "And" else disjoin(parts)
    raise PropertyError(f"{kind} is not supported: expected and, or and comparisons")


def _linear(node: Any, places: Places) -> Linear:
    kind = type(node).__name__
    if kind == "Var":
        return Linear({_variable(node, places): Fraction(1)}, Fraction(0))
    if hasattr(node, "lexeme"):
        return number(read_number(node.lexeme))
    if kind == "Negate":
        return scale(_linear(node.expr, places), Fraction(-1))
    if kind == "Plus":
        return add((1, _linear(part, places)) for part in node.args)
    if kind == "Minus":
        return add([(1, _linear(node.head, places)), *((-1, _linear(part, places)) for part in node.rest)])
    if kind == "Multiply":
        return multiply([_linear(part, places) for part in node.args])
    raise PropertyError(f"{kind} is not supported: expected linear arithmetic")


def _variable(node: Any, places: Places) -> Variable:
    tensor, offset = places[node.name]
    index = 0
    for position, size in zip(node.indices, tensor.shape, strict=True):
        index = index * size + position
    return tensor.kind, offset + index
