"""Pooling layers, and other layers without parameters that change sizes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import ops
from tlverify.core.nn.layers import Params
from tlverify.core.nn.shapes import PartialShape, last, replaced
from tlverify.graph import Shape, ShapeError

Size = int | Sequence[int]


@dataclass(frozen=True)
class _Pool(ABC):
    """Windows over the last `rank` axes; the stride is the kernel size by default."""

    kernel_size: Size
    stride: Size | None = None
    padding: Size = 0

    rank = 0

    def init(self, rng: np.random.Generator) -> Params:
        return {}

    @abstractmethod
    def __call__(self, params: Params, x: Any) -> Any: ...

    def check(self, shape: PartialShape) -> PartialShape:
        kernel, stride, padding = self._moves()
        sizes = last(self, shape, self.rank, f"{self.rank} axes or more")
        result: list[int | None] = []
        for size, k, step, side in zip(sizes, kernel, stride, padding, strict=True):
            if size is not None and size + 2 * side < k:
                raise ShapeError(f"{self} has a window of {k}, more than the padded input")
            result.append(None if size is None else (size + 2 * side - k) // step + 1)
        return replaced(shape, self.rank, result)

    def _moves(self) -> tuple[Shape, Shape, Shape]:
        stride = self.kernel_size if self.stride is None else self.stride
        return self._each(self.kernel_size), self._each(stride), self._each(self.padding)

    def _each(self, value: Size) -> Shape:
        sizes = (value,) * self.rank if isinstance(value, int) else tuple(value)
        if len(sizes) != self.rank:
            raise ShapeError(f"{self}: expected one number or {self.rank}, found {list(sizes)}")
        return sizes

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.kernel_size})"


@dataclass(frozen=True)
class MaxPool1d(_Pool):
    """Maximum over windows: (..., L) -> (..., L')."""

    rank = 1

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.max_pool1d(x, *(sizes[0] for sizes in self._moves()))


@dataclass(frozen=True)
class MaxPool2d(_Pool):
    """Maximum over windows: (..., H, W) -> (..., H', W')."""

    rank = 2

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.max_pool2d(x, *self._moves())


@dataclass(frozen=True)
class MaxPool3d(_Pool):
    """Maximum over windows: (..., D, H, W) -> (..., D', H', W')."""

    rank = 3

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.max_pool3d(x, *self._moves())


@dataclass(frozen=True)
class AvgPool1d(_Pool):
    """Mean over windows: (..., L) -> (..., L')."""

    count_include_pad: bool = True
    rank = 1

    def __call__(self, params: Params, x: Any) -> Any:
        kernel, stride, padding = (sizes[0] for sizes in self._moves())
        return ops.avg_pool1d(x, kernel, stride, padding, self.count_include_pad)


@dataclass(frozen=True)
class AvgPool2d(_Pool):
    """Mean over windows: (..., H, W) -> (..., H', W')."""

    count_include_pad: bool = True
    rank = 2

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.avg_pool2d(x, *self._moves(), self.count_include_pad)


@dataclass(frozen=True)
class AvgPool3d(_Pool):
    """Mean over windows: (..., D, H, W) -> (..., D', H', W')."""

    count_include_pad: bool = True
    rank = 3

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.avg_pool3d(x, *self._moves(), self.count_include_pad)


@dataclass(frozen=True)
class GlobalAvgPool:
    """Mean over the last `axes` axes, which go away."""

    axes: int = 2

    def init(self, rng: np.random.Generator) -> Params:
        return {}

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.global_avg_pool(x, self.axes)

    def check(self, shape: PartialShape) -> PartialShape:
        last(self, shape, self.axes, f"{self.axes} axes or more")
        return replaced(shape, self.axes, [])

    def __str__(self) -> str:
        return f"GlobalAvgPool({self.axes})"


@dataclass(frozen=True)
class GlobalMaxPool:
    """Maximum over the last `axes` axes, which go away."""

    axes: int = 2

    def init(self, rng: np.random.Generator) -> Params:
        return {}

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.global_max_pool(x, self.axes)

    def check(self, shape: PartialShape) -> PartialShape:
        last(self, shape, self.axes, f"{self.axes} axes or more")
        return replaced(shape, self.axes, [])

    def __str__(self) -> str:
        return f"GlobalMaxPool({self.axes})"


@dataclass(frozen=True)
class AdaptiveAvgPool2d:
    """Means over windows that divide (..., H, W) evenly into `output_size`."""

    output_size: Size

    def init(self, rng: np.random.Generator) -> Params:
        return {}

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.adaptive_avg_pool2d(x, self.output_size)

    def check(self, shape: PartialShape) -> PartialShape:
        last(self, shape, 2, "(..., height, width)")
        sizes = (self.output_size,) * 2 if isinstance(self.output_size, int) else tuple(self.output_size)
        return replaced(shape, 2, sizes)

    def __str__(self) -> str:
        return f"AdaptiveAvgPool2d({self.output_size})"


@dataclass(frozen=True)
class Resize:
    """The last axes stretched or shrunk to `size`: nearest elements, or linear interpolation."""

    size: tuple[int, ...]
    mode: str = "nearest"

    def init(self, rng: np.random.Generator) -> Params:
        return {}

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.resize(x, self.size, self.mode)

    def check(self, shape: PartialShape) -> PartialShape:
        last(self, shape, len(self.size), f"{len(self.size)} axes or more")
        return replaced(shape, len(self.size), self.size)

    def __str__(self) -> str:
        return f"Resize({', '.join(map(str, self.size))})"


@dataclass(frozen=True)
class Reshape:
    """The last `axes` axes in another shape with as many elements."""

    shape: tuple[int, ...]
    axes: int = 1

    def init(self, rng: np.random.Generator) -> Params:
        return {}

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.reshape(x, *x.shape[: x.ndim - self.axes], *self.shape)

    def check(self, shape: PartialShape) -> PartialShape:
        sizes = last(self, shape, self.axes, f"{self.axes} axes or more")
        known = [size for size in sizes if size is not None]
        if len(known) == len(sizes) and math.prod(known) != math.prod(self.shape):
            raise ShapeError(f"{self} expects {math.prod(self.shape)} elements on the last {self.axes} axes")
        return replaced(shape, self.axes, self.shape)

    def __str__(self) -> str:
        return f"Reshape({', '.join(map(str, self.shape))})"


@dataclass(frozen=True)
class Select:
    """Element `index` of one axis, counted from the end, which goes away: Select(-2, -1) is the last step."""

    axis: int
    index: int

    def __post_init__(self) -> None:
        if self.axis >= 0:
            raise ShapeError(f"{self}: expected a negative axis, as leading axes may be batch axes")

    def init(self, rng: np.random.Generator) -> Params:
        return {}

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.slice(x, ..., self.index, *(slice(None),) * (-self.axis - 1))

    def check(self, shape: PartialShape) -> PartialShape:
        sizes = last(self, shape, -self.axis, f"{-self.axis} axes or more")
        size = sizes[0]
        if size is not None and not -size <= self.index < size:
            raise ShapeError(f"{self} expects more than {self.index} elements on axis {self.axis}")
        return replaced(shape, -self.axis, sizes[1:])

    def __str__(self) -> str:
        return f"Select({self.axis}, {self.index})"
