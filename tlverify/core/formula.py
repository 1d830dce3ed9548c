"""Numbers of Python that are known only when a traced function runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn


class Formula:
    """An expression over named numbers, such as `1 - beta ** step`. Where it meets a Tensor it becomes an input of the
    graph, in the dtype of the Tensor, and its value is worked out by Python at every run, as it would be without a
    trace. TypeError where its value is needed at once, as in `if`.
    """

    __slots__ = ("text",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, text: str):
        self.text = text

    def __add__(self, other: Any) -> Any:
        return _binary("+", self, other)

    def __radd__(self, other: Any) -> Any:
        return _binary("+", other, self)

    def __sub__(self, other: Any) -> Any:
        return _binary("-", self, other)

    def __rsub__(self, other: Any) -> Any:
        return _binary("-", other, self)

    def __mul__(self, other: Any) -> Any:
        return _binary("*", self, other)

    def __rmul__(self, other: Any) -> Any:
        return _binary("*", other, self)

    def __truediv__(self, other: Any) -> Any:
        return _binary("/", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _binary("/", other, self)

    def __pow__(self, other: Any) -> Any:
        return _binary("**", self, other)

    def __rpow__(self, other: Any) -> Any:
        return _binary("**", other, self)

    def __neg__(self) -> Formula:
        return Formula(f"(-{self.text})")

    def _no_value(self, *_: Any) -> NoReturn:
        raise TypeError(f"{self.text} has no value while it is traced")

    __bool__ = __float__ = __int__ = __index__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _no_value
    __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = _no_value

    def __repr__(self) -> str:
        return f"Formula({self.text})"


def _binary(operator: str, a: Any, b: Any) -> Any:
    if not all(isinstance(v, int | float | Formula) for v in (a, b)):
        return NotImplemented
    return Formula(f"({text_of(a)} {operator} {text_of(b)})")


def text_of(value: float | Formula) -> str:
    """As an expression of Python."""
    if isinstance(value, Formula):
        return value.text
    number = float(value) if isinstance(value, float) else value  # one of NumPy's has another text
    return f"float('{number!r}')" if number - number != 0 else f"({number!r})"


def function_of(formulas: Sequence[float | Formula], names: Sequence[str]) -> Callable[..., tuple[Any, ...]]:
    """The values of the formulas as a function of the named numbers, in that order."""
    texts = "".join(f"{text_of(formula)}, " for formula in formulas)
    made: Mapping[str, Any] = {}
    found: Callable[..., tuple[Any, ...]] = eval(f"lambda {', '.join(names)}: ({texts})", {"float": float}, made)
    return found
