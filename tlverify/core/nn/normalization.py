"""Normalisation: over the batch, over features, over channels of one example, over groups of channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import ops
from tlverify.core.nn.layers import Params
from tlverify.core.nn.shapes import PartialShape, last, require_size, require_sizes
from tlverify.graph import GraphError, Shape, ShapeError


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalisation (Ioffe and Szegedy 2015) of the channels on `axis`, which is counted from the end.

    In training it uses the mean and variance of the batch over all other axes, and the state follows them:
    running = (1 - momentum) running + momentum new, the variance over n - 1. In evaluation it uses the state.
    """

    features: int
    axis: int = -3
    eps: float = 1e-5
    momentum: float = 0.1
    affine: bool = True

    def __post_init__(self) -> None:
        require_sizes(self, features=self.features)
        if self.axis >= 0:
            raise ShapeError(f"{self}: expected a negative axis, as leading axes may be batch axes")

    def init(self, rng: np.random.Generator) -> Params:
        ones, zeros = np.ones(self.features, np.float32), np.zeros(self.features, np.float32)
        return {"weight": ones, "bias": zeros} if self.affine else {}

    def init_state(self) -> Any:
        ones, zeros = np.ones(self.features, np.float32), np.zeros(self.features, np.float32)
        return {"running_mean": zeros, "running_var": ones}

    def __call__(self, params: Params, x: Any) -> Any:
        raise GraphError(
            f"{self} needs its running statistics: use nn.apply(model, params, state, x) or nn.evaluation(model, state)"
        )

    def apply(self, params: Params, state: Any, x: Any, train: bool, key: Any) -> tuple[Any, Any]:
        if not train:
            return self._normalized(params, x, state["running_mean"], state["running_var"]), state
        place = x.ndim + self.axis
        axes = [i for i in range(x.ndim) if i != place]
        count = math.prod(x.shape[i] for i in axes)
        if count < 2:
            hint = "vmap and the bounds of CROWN take one example at a time, which has no statistics of a batch"
            raise ShapeError(
                f"{self}: expected two or more values of a channel in training, found {list(x.shape)}; {hint}"
            )
        mean, variance = ops.mean(x, axes), ops.var(x, axes)
        following = {
            "running_mean": self._follow(state["running_mean"], mean),
            "running_var": self._follow(state["running_var"], ops.mul(variance, count / (count - 1))),
        }
        return self._normalized(params, x, mean, variance), following

    def check(self, shape: PartialShape) -> PartialShape:
        size = last(self, shape, -self.axis, f"{-self.axis} axes or more")[0]
        require_size(self, size, self.features, f"channels on axis {self.axis}")
        return shape

    def _normalized(self, params: Params, x: Any, mean: Any, variance: Any) -> Any:
        return ops.batch_norm(x, mean, variance, params.get("weight"), params.get("bias"), self.axis, self.eps)

    def _follow(self, running: Any, new: Any) -> Any:
        return ops.add(ops.mul(running, 1.0 - self.momentum), ops.mul(ops.detach(new), self.momentum))

    def __str__(self) -> str:
        return f"BatchNorm({self.features}, axis={self.axis})"


def BatchNorm1d(features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True) -> BatchNorm:  # noqa: N802
    """BatchNorm of (..., features)."""
    return BatchNorm(features, -1, eps, momentum, affine)


def BatchNorm2d(features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True) -> BatchNorm:  # noqa: N802
    """BatchNorm of images (..., features, height, width)."""
    return BatchNorm(features, -3, eps, momentum, affine)


def BatchNorm3d(features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True) -> BatchNorm:  # noqa: N802
    """BatchNorm of volumes (..., features, depth, height, width)."""
    return BatchNorm(features, -4, eps, momentum, affine)


@dataclass(frozen=True)
class LayerNorm:
    """(x - mean) / sqrt(variance + eps) over the last axes of `shape`, times weight, plus bias (Ba et al. 2016)."""

    shape: int | Sequence[int]
    eps: float = 1e-5
    affine: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", (self.shape,) if isinstance(self.shape, int) else tuple(self.shape))
        if not self.sizes:
            raise ShapeError("LayerNorm: shape: expected one or more axes")
        require_sizes(self, **{f"shape[{axis}]": size for axis, size in enumerate(self.sizes)})

    @property
    def sizes(self) -> Shape:
        """The sizes of the axes that are normalised."""
        return tuple(self.shape)  # type: ignore[arg-type]

    def init(self, rng: np.random.Generator) -> Params:
        ones, zeros = np.ones(self.sizes, np.float32), np.zeros(self.sizes, np.float32)
        return {"weight": ones, "bias": zeros} if self.affine else {}

    def __call__(self, params: Params, x: Any) -> Any:
        y = standardized(x, range(-len(self.sizes), 0), self.eps)
        return ops.add(ops.mul(y, params["weight"]), params["bias"]) if self.affine else y

    def check(self, shape: PartialShape) -> PartialShape:
        text = ", ".join(map(str, self.sizes))
        sizes = last(self, shape, len(self.sizes), f"(..., {text})")
        for size, expected in zip(sizes, self.sizes, strict=True):
            if size is not None and size != expected:
                raise ShapeError(f"{self} expects (..., {text})")
        return shape

    def __str__(self) -> str:
        return f"LayerNorm({', '.join(map(str, self.sizes))})"


@dataclass(frozen=True)
class RMSNorm:
    """x / sqrt(mean(x^2) + eps) over the last axis, times weight (Zhang and Sennrich 2019)."""

    features: int
    eps: float = 1e-5

    def init(self, rng: np.random.Generator) -> Params:
        return {"weight": np.ones(self.features, np.float32)}

    def __call__(self, params: Params, x: Any) -> Any:
        size = ops.sqrt(ops.add(ops.mean(ops.square(x), -1, keepdims=True), self.eps))
        return ops.mul(ops.div(x, size), params["weight"])

    def check(self, shape: PartialShape) -> PartialShape:
        require_size(self, last(self, shape, 1, "(..., features)")[0], self.features, "features")
        return shape

    def __str__(self) -> str:
        return f"RMSNorm({self.features})"


@dataclass(frozen=True)
class GroupNorm:
    """Standardised over groups of channels and the last `axes` axes, times weight, plus bias (Wu and He 2018)."""

    groups: int
    features: int
    axes: int = 2
    eps: float = 1e-5
    affine: bool = True

    def __post_init__(self) -> None:
        require_sizes(self, groups=self.groups, features=self.features)
        if self.features % self.groups:
            raise ShapeError(f"{self}: expected a number of groups that divides the features")

    def init(self, rng: np.random.Generator) -> Params:
        ones, zeros = np.ones(self.features, np.float32), np.zeros(self.features, np.float32)
        return {"weight": ones, "bias": zeros} if self.affine else {}

    def __call__(self, params: Params, x: Any) -> Any:
        lead, rest = x.shape[: x.ndim - self.axes - 1], x.shape[x.ndim - self.axes :]
        parts = ops.reshape(x, *lead, self.groups, self.features // self.groups, *rest)
        y = ops.reshape(standardized(parts, range(-self.axes - 1, 0), self.eps), x.shape)
        if not self.affine:
            return y
        weight, bias = (ops.reshape(params[name], -1, *(1,) * self.axes) for name in ("weight", "bias"))
        return ops.add(ops.mul(y, weight), bias)

    def check(self, shape: PartialShape) -> PartialShape:
        size = last(self, shape, self.axes + 1, f"{self.axes + 1} axes or more")[0]
        require_size(self, size, self.features, "channels")
        return shape

    def __str__(self) -> str:
        return f"GroupNorm({self.groups}, {self.features})"


def InstanceNorm(features: int, axes: int = 2, eps: float = 1e-5, affine: bool = False) -> GroupNorm:  # noqa: N802
    """Standardised over the last `axes` axes of each channel (Ulyanov et al. 2016): GroupNorm with groups of one."""
    return GroupNorm(features, features, axes, eps, affine)


def standardized(x: Any, axes: Sequence[int], eps: float) -> Any:
    """(x - mean) / sqrt(variance + eps) over `axes`."""
    distance = ops.sub(x, ops.mean(x, tuple(axes), keepdims=True))
    variance = ops.mean(ops.square(distance), tuple(axes), keepdims=True)
    return ops.div(distance, ops.sqrt(ops.add(variance, eps)))
