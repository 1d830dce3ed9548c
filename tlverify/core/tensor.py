"""Symbolic values: a Tensor names a value of the graph that a Trace is building."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from tlverify.core.backend import to_numpy
from tlverify.core.formula import Formula
from tlverify.graph import DTYPES, Attribute, GraphBuilder, GraphError, Shape, ShapeError, Type

_numbers = itertools.count()


class Trace(GraphBuilder):
    """A graph under construction. A trace made inside another one has the greater number.

    Arrays and scalars that it meets become parameters, each array once. A Tensor of an enclosing trace
    becomes an input; `captured` maps the name of that input to the Tensor. So does a Formula, and `formulas` maps.
    """

    def __init__(self) -> None:
        super().__init__()
        self.number = next(_numbers)
        self.captured: dict[str, Tensor] = {}
        self.formulas: dict[str, Formula] = {}
        self.closed = False
        self.scope = ""
        self._regions = 0
        # The array is kept beside its Tensor so that its id stays its own.
        self._constants: dict[tuple[object, str], tuple[object, Tensor]] = {}

    @contextlib.contextmanager
    def region(self, stem: str) -> Iterator[None]:
        """Nodes that are added meanwhile have names that begin with `stem`, a number, and a dot."""
        self._regions += 1
        self.scope = f"{stem}{self._regions - 1}."
        try:
            yield
        finally:
            self.scope = ""

    def node(self, op: str, *inputs: str, name: str | None = None, **attributes: Attribute) -> str:
        """As GraphBuilder.node; without a name it is generated in the region."""
        return super().node(op, *inputs, name=name or self._fresh(f"{self.scope}{op}"), **attributes)

    def add_input(self, name: str, type_: Type) -> Tensor:
        """A new input of the graph."""
        return Tensor(self, self.input(name, type_))

    def constant(self, value: Any, dtype: str | None = None, name: str | None = None) -> Tensor:
        """The parameter that holds `value`, in `dtype` where one is given; for a Formula an input that will."""
        if isinstance(value, Formula):
            return self._formula(value, dtype)
        array = to_numpy(value)
        found = Type(array.shape, array.dtype.name)
        dtype = dtype or found.dtype
        if dtype not in DTYPES:
            raise ShapeError(f"constant: expected an array of {', '.join(DTYPES)}, found {found}")
        if not np.can_cast(array.dtype, dtype, "same_kind"):
            raise ShapeError(f"constant {found} does not fit {dtype}; cast it or the other operand")
        scalar = isinstance(value, bool | int | float | np.generic)
        key = (repr(value) if scalar else id(value), dtype)
        if key not in self._constants:
            parameter = self.parameter(array.astype(dtype, copy=False), None if name in self else name)
            self._constants[key] = (value, Tensor(self, parameter))
        return self._constants[key][1]

    def _formula(self, formula: Formula, dtype: str | None) -> Tensor:
        if dtype is None:
            raise ShapeError(f"{formula}: expected a Tensor beside it, which says the dtype")
        key = (formula.text, dtype)
        if key not in self._constants:
            found = self.add_input(self._fresh("formula"), Type((), dtype))
            self.formulas[found.name] = formula
            self._constants[key] = (formula, found)
        return self._constants[key][1]

    def lift(self, value: Any) -> Tensor:
        """`value` as a Tensor of this trace."""
        if not isinstance(value, Tensor):
            return self.constant(value)
        if value.trace is self:
            return value
        if value.trace.closed or value.trace.number > self.number:
            raise GraphError(f"{value} was used outside the traced function that made it; return it instead")
        name = f"captured.{value.trace.number}.{value.name}"
        if name not in self.captured:
            self.captured[name] = value
            return self.add_input(name, value.type)
        return Tensor(self, name)


@dataclass(frozen=True, eq=False, repr=False)
class Tensor:
    """A value of `trace` by name. Operators add nodes; arrays and scalars on either side become constants."""

    trace: Trace
    name: str

    @property
    def type(self) -> Type:
        return self.trace.type_of(self.name)

    @property
    def shape(self) -> Shape:
        return self.type.shape

    @property
    def dtype(self) -> str:
        return self.type.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def T(self) -> Tensor:  # noqa: N802
        return self.transpose()

    def transpose(self, axes: Sequence[int] | None = None) -> Tensor:
        return functions.transpose(self, axes)  # type: ignore[no-any-return]

    def reshape(self, *shape: int | Sequence[int]) -> Tensor:
        return functions.reshape(self, *shape)  # type: ignore[no-any-return]

    def sum(self, axes: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        return functions.sum(self, axes, keepdims)  # type: ignore[no-any-return]

    def mean(self, axes: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        return functions.mean(self, axes, keepdims)  # type: ignore[no-any-return]

    def __add__(self, other: Any) -> Any:
        return functions.add(self, other)

    def __radd__(self, other: Any) -> Any:
        return functions.add(other, self)

    def __sub__(self, other: Any) -> Any:
        return functions.sub(self, other)

    def __rsub__(self, other: Any) -> Any:
        return functions.sub(other, self)

    def __mul__(self, other: Any) -> Any:
        return functions.mul(self, other)

    def __rmul__(self, other: Any) -> Any:
        return functions.mul(other, self)

    def __truediv__(self, other: Any) -> Any:
        return functions.div(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return functions.div(other, self)

    def __matmul__(self, other: Any) -> Any:
        return functions.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return functions.matmul(other, self)

    def __pow__(self, other: Any) -> Any:
        return functions.pow(self, other)

    def __rpow__(self, other: Any) -> Any:
        return functions.pow(other, self)

    def __getitem__(self, index: Any) -> Any:
        return functions.slice(self, *(index if isinstance(index, tuple) else (index,)))

    def __neg__(self) -> Any:
        return functions.neg(self)

    def __abs__(self) -> Any:
        return functions.abs(self)

    def __gt__(self, other: Any) -> Any:
        return functions.greater(self, other)

    def __lt__(self, other: Any) -> Any:
        return functions.greater(other, self)

    def __ge__(self, other: Any) -> Any:
        return ops.greater_equal(self, other)

    def __le__(self, other: Any) -> Any:
        return ops.less_equal(self, other)

    def __eq__(self, other: object) -> Any:
        return functions.equal(self, other)

    def __ne__(self, other: object) -> Any:
        return ops.logical_not(functions.equal(self, other))

    __hash__ = None  # type: ignore[assignment]
    __iter__ = None

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self} has no value while it is traced; use ops.where instead of if")

    def __float__(self) -> NoReturn:
        raise TypeError(f"{self} has no value while it is traced; return it from the traced function instead")

    __int__ = __float__

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"len: expected one axis or more, found {self}")
        return self.shape[0]

    def __getattr__(self, name: str) -> NoReturn:
        remedy = _PYTORCH.get(name, name)
        hint = f"; write ops.{remedy}(x, ...)" if not name.startswith("_") and hasattr(ops, remedy) else ""
        raise AttributeError(f"a traced Tensor has no {name!r}{hint}")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name = _UFUNCS.get(ufunc.__name__)
        if name is None or method != "__call__" or kwargs:
            raise _no_numpy(ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}")
        return getattr(ops, name)(*inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in (np.shape, np.ndim):
            return getattr(self, function.__name__)
        raise _no_numpy(function.__name__)

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f"{self} has no value while it is traced; use tlverify.ops instead of NumPy")

    def __repr__(self) -> str:
        return f"Tensor({self.name}: {self.type})"


def _no_numpy(name: str) -> TypeError:
    name_here = _PYTORCH.get(name, name)
    remedy = f"ops.{name_here}" if hasattr(ops, name_here) else "the functions of tlverify.ops"
    return TypeError(f"numpy.{name} does not work on a Tensor while it is traced; use {remedy}")


_SAME = (
    *("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "sign", "square", "maximum", "minimum", "matmul"),
    *("greater", "less", "greater_equal", "less_equal", "equal", "logical_and", "logical_or", "logical_not"),
)
_UFUNCS = {name: name for name in _SAME} | {
    "absolute": "abs",
    "add": "add",
    "divide": "div",
    "multiply": "mul",
    "negative": "neg",
    "power": "pow",
    "subtract": "sub",
}
"""The functions of NumPy that are ops on a Tensor."""
_PYTORCH = {
    "astype": "cast",
    "concatenate": "concat",
    "float": "cast",
    "permute": "transpose",
    "unsqueeze": "expand_dims",
    "view": "reshape",
}
"""Other names, in NumPy and PyTorch, of ops."""

# The functions are written over Tensor, and the operators of Tensor are those functions.
from tlverify.core import ops  # noqa: E402
from tlverify.core.ops import functions  # noqa: E402
