"""A network whose properties are plain to see: y = (x0 - x1, x1 - x0) for x >= 0."""

import numpy as np

from tlverify.graph import Graph, GraphBuilder, Type

HEADER = "".join(f"(declare-const {name} Real)\n" for name in ("X_0", "X_1", "Y_0", "Y_1"))


def difference(dtype: str = "float32") -> Graph:
    """y0 = relu(x0) - relu(x1), y1 = -y0; x is (1, 2)."""
    builder = GraphBuilder()
    x = builder.input("x", Type((1, 2), dtype))
    zeros = builder.parameter(np.zeros(2, dtype), "bias")
    hidden = builder.node("relu", builder.node("linear", x, builder.parameter(np.eye(2, dtype=dtype), "w"), zeros))
    weight = builder.parameter(np.array([[1, -1], [-1, 1]], dtype), "v")
    return builder.build(builder.node("linear", hidden, weight, zeros, name="y"))


def box(low: str, high: str, index: int = 0) -> str:
    """Bounds of an input."""
    return f"(assert (>= X_{index} {low})) (assert (<= X_{index} {high}))\n"


def spec(first: tuple[str, str], second: tuple[str, str], bad: str = "(<= Y_0 Y_1)") -> str:
    """A property file: x0 and x1 in their ranges; what is bad."""
    return HEADER + box(*first) + box(*second, index=1) + f"(assert {bad})\n"


VERIFIED = spec(("0.5", "1"), ("0", "0.25"))
FALSIFIED = spec(("0.1", "1"), ("0.05", "0.7"))
TOUCHING = spec(("0.5", "1"), ("0", "0.5"))
"""Falsified at the one point where both are 1/2."""
VACUOUS = spec(("0.5", "0.4"), ("0", "1"))
TWO_REGIONS = (
    HEADER + "(assert (or (and (>= X_0 2) (<= X_0 3) (>= X_1 0) (<= X_1 1))"
    " (and (>= X_0 0) (<= X_0 1) (>= X_1 2) (<= X_1 3))))"
)
