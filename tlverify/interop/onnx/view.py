"""One node of a model as a rule sees it, and the row of a rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tlverify.graph import Array
from tlverify.interop.onnx.errors import OnnxError
from tlverify.interop.onnx.lowering import Constant, Given, Lowering, Value, as_integers


@dataclass(frozen=True)
class View:
    """A node: its op, the version of the op set, what it is given (None where an optional input is left out), its
    attributes, the names of its outputs, and the graph that is being built."""

    op: str
    opset: int
    given: tuple[Given | None, ...]
    attributes: Mapping[str, Any]
    outputs: tuple[str, ...]
    build: Lowering

    def has(self, position: int) -> bool:
        """Whether an optional input is there."""
        return position < len(self.given) and self.given[position] is not None

    def value(self, position: int) -> Value:
        """An input."""
        given = self.given[position] if position < len(self.given) else None
        if given is None:
            raise OnnxError(f"input {position} is missing")
        return self.build.resolve(given)

    @property
    def values(self) -> list[Value]:
        """All inputs."""
        return [self.value(position) for position in range(len(self.given))]

    def constant(self, position: int, what: str) -> Array:
        """An input that must be known when the model is read."""
        value = self.value(position)
        if not isinstance(value, Constant):
            raise OnnxError(f"{what}: expected a constant, found a value that depends on the input")
        return value.data

    def integers(self, name: str, position: int, since: int) -> list[int] | None:
        """A list of integers that is an attribute, and an input since a version of the op set; None if left out."""
        if self.opset < since:
            found: list[int] | None = self.attributes.get(name)
            return found
        if name in self.attributes:
            raise OnnxError(f"attribute {name!r} is an input since version {since} of the op set")
        return as_integers(self.value(position), name) if self.has(position) else None

    def numbers(self, name: str, count: int, default: int) -> tuple[int, ...]:
        """An attribute of `count` integers."""
        found: Sequence[int] = self.attributes.get(name, [default] * count)
        if len(found) != count:
            raise OnnxError(f"{name}: expected {count} integers, found {list(found)}")
        return tuple(found)


@dataclass(frozen=True)
class Rule:
    """How a node becomes nodes of the graph: `least` to `most` inputs, attributes by name with their Python type, and
    the values of its outputs."""

    lower: Callable[[View], Sequence[Given]]
    least: int = 1
    most: int = 1
    attributes: Mapping[str, type] = field(default_factory=dict)
