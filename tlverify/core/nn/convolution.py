"""Convolution over one, two and three axes, and its transpose. Images are (..., channels, *axes)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import ops
from tlverify.core.nn.init import INITIALISERS, uniform
from tlverify.core.nn.layers import Params
from tlverify.core.nn.shapes import PartialShape, last, replaced, require_size, require_sizes
from tlverify.graph import Shape, ShapeError

Size = int | Sequence[int]
_AXES = ("width",), ("height", "width"), ("depth", "height", "width")


@dataclass(frozen=True)
class _Conv:
    """What all convolutions share: sizes, parameters and the check of shapes. `rank` is the number of axes."""

    in_channels: int
    out_channels: int
    kernel_size: Size
    stride: Size = 1
    padding: Size = 0
    dilation: Size = 1
    groups: int = 1
    bias: bool = True
    weight_init: str = "kaiming_uniform"

    rank = 0
    transposed = False

    def __post_init__(self) -> None:
        for name in ("kernel_size", "stride", "padding", "dilation"):
            value = getattr(self, name)
            # Lists become tuples, so that equal layers are equal and hashable.
            object.__setattr__(self, name, value if isinstance(value, int) else tuple(value))
        require_sizes(self, in_channels=self.in_channels, out_channels=self.out_channels, groups=self.groups)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ShapeError(f"{self}: groups {self.groups}: expected a divisor of both numbers of channels")
        if self.weight_init not in INITIALISERS:
            raise ShapeError(f"{self}: unknown weight_init {self.weight_init!r}; known: {', '.join(INITIALISERS)}")
        if min(*self._each("kernel_size"), *self._each("stride"), *self._each("dilation")) < 1:
            raise ShapeError(f"{self}: expected a kernel, stride and dilation of 1 or more")

    def init(self, rng: np.random.Generator) -> Params:
        """weight and bias, float32; the bias is uniform on [-b, b] with b = 1 / sqrt(inputs of an output)."""
        kernel = self._each("kernel_size")
        ends = (self.out_channels, self.in_channels)
        first, second = ends[::-1] if self.transposed else ends
        shape = (first, second // self.groups, *kernel)
        params = {"weight": INITIALISERS[self.weight_init](rng, shape)}
        if self.bias:
            bound = 1.0 / math.sqrt(math.prod(shape[1:]))
            params["bias"] = uniform(rng, (self.out_channels,), bound)
        return params

    def check(self, shape: PartialShape) -> PartialShape:
        count = self.rank + 1
        channels, *sizes = last(self, shape, count, f"(..., {self.in_channels}, {', '.join(_AXES[self.rank - 1])})")
        require_size(self, channels, self.in_channels, "channels")
        return replaced(shape, count, [self.out_channels, *self._sizes(sizes)])

    def _sizes(self, sizes: Sequence[int | None]) -> list[int | None]:
        kernel, stride, dilation = (self._each(name) for name in ("kernel_size", "stride", "dilation"))
        before, after = self._sides()
        result: list[int | None] = []
        for i, size in enumerate(sizes):
            span = (kernel[i] - 1) * dilation[i] + 1
            if size is not None and size + before[i] + after[i] < span:
                raise ShapeError(f"{self} spans {span} along the {_AXES[self.rank - 1][i]}, more than the padded input")
            result.append(None if size is None else (size + before[i] + after[i] - span) // stride[i] + 1)
        return result

    def _sides(self) -> tuple[Shape, Shape]:
        """Padding before and after each axis."""
        if isinstance(self.padding, tuple) and len(self.padding) == 2 * self.rank:
            return self.padding[: self.rank], self.padding[self.rank :]
        return (self._each("padding"),) * 2

    def _each(self, name: str) -> Shape:
        value = getattr(self, name)
        sizes = (value,) * self.rank if isinstance(value, int) else tuple(value)
        if len(sizes) != self.rank:
            raise ShapeError(f"{self}: {name}: expected one number or {self.rank}, found {list(sizes)}")
        return sizes

    def _arguments(self, params: Params) -> tuple[Any, Any]:
        return params["weight"], params["bias"] if self.bias else None

    def __str__(self) -> str:
        more = "".join(
            f", {name}={getattr(self, name)}"
            for name, plain in (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1))
            if getattr(self, name) != plain
        )
        return f"{type(self).__name__}({self.in_channels}, {self.out_channels}, {self.kernel_size}{more})"


@dataclass(frozen=True)
class Conv1d(_Conv):
    """(..., C, L) -> (..., O, L'); weight (O, C / groups, k). Padding may be (before, after)."""

    rank = 1

    def __call__(self, params: Params, x: Any) -> Any:
        before, after = self._sides()
        (stride,), (dilation,) = self._each("stride"), self._each("dilation")
        return ops.conv1d(x, *self._arguments(params), stride, (*before, *after), dilation, self.groups)


@dataclass(frozen=True)
class Conv2d(_Conv):
    """(..., C, H, W) -> (..., O, H', W'); weight (O, C / groups, kh, kw). Padding may be (top, left, bottom, right)."""

    rank = 2

    def __call__(self, params: Params, x: Any) -> Any:
        before, after = self._sides()
        moves = self._each("stride"), (*before, *after), self._each("dilation")
        return ops.conv2d(x, *self._arguments(params), *moves, self.groups)


@dataclass(frozen=True)
class Conv3d(_Conv):
    """(..., C, D, H, W) -> (..., O, D', H', W'); weight (O, C / groups, kd, kh, kw)."""

    rank = 3

    def __call__(self, params: Params, x: Any) -> Any:
        moves = self._each("stride"), self._each("padding"), self._each("dilation")
        return ops.conv3d(x, *self._arguments(params), *moves, self.groups)


@dataclass(frozen=True)
class _ConvTranspose(_Conv):
    """The adjoint of a convolution; weight (C, O / groups, *kernel)."""

    output_padding: Size = 0

    transposed = True

    def _sizes(self, sizes: Sequence[int | None]) -> list[int | None]:
        names = ("kernel_size", "stride", "padding", "dilation", "output_padding")
        return [
            None if size is None else (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + more + 1
            for size, kernel, stride, padding, dilation, more in zip(sizes, *map(self._each, names), strict=True)
        ]

    def _moves(self) -> dict[str, Any]:
        return {name: self._each(name) for name in ("stride", "padding", "output_padding", "dilation")}


@dataclass(frozen=True)
class ConvTranspose1d(_ConvTranspose):
    """(..., C, L) -> (..., O, (L - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1)."""

    rank = 1

    def __call__(self, params: Params, x: Any) -> Any:
        moves = {name: value[0] for name, value in self._moves().items()}
        return ops.conv_transpose1d(x, *self._arguments(params), **moves, groups=self.groups)


@dataclass(frozen=True)
class ConvTranspose2d(_ConvTranspose):
    """(..., C, H, W) -> (..., O, H', W') with the sizes of ConvTranspose1d along both axes."""

    rank = 2

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.conv_transpose2d(x, *self._arguments(params), **self._moves(), groups=self.groups)
