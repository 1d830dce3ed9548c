"""Networks for images (..., channels, height, width)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tlverify.core import nn, ops
from tlverify.graph import ShapeError


def cnn(
    image: tuple[int, int, int], classes: int, channels: Sequence[int] = (16, 32), hidden: int = 64
) -> nn.Sequential:
    """Convolutions of 3, each halving the image (rounded up) by its stride, then two linear layers. All ReLU."""
    depth, height, width = image
    layers: list[nn.Layer] = []
    for before, after in pairwise((depth, *channels)):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()]
        height, width = -(-height // 2), -(-width // 2)
    features = channels[-1] * height * width
    return nn.Sequential(*layers, nn.Flatten(-3), nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, classes))


def basic_block(before: int, after: int, stride: int = 1) -> nn.Sequential:
    """Two convolutions of 3 with batch normalisation beside a shortcut (He et al. 2016, figure 2)."""
    inner = nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, 1, 1, bias=False),
        nn.BatchNorm2d(after),
    )
    if stride == 1 and before == after:
        return nn.Sequential(nn.Residual(inner), nn.ReLU())
    shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
    return nn.Sequential(nn.Parallel(inner, shortcut), nn.ReLU())


def resnet(
    in_channels: int, classes: int, blocks: Sequence[int] = (2, 2, 2, 2), channels: Sequence[int] = (64, 128, 256, 512)
) -> nn.Sequential:
    """A residual network for small images: stages of basic blocks, of which all but the first halve the image."""
    if len(blocks) != len(channels):
        raise ShapeError(f"resnet: expected as many numbers of blocks as of channels, found {blocks}, {channels}")
    first = channels[0]
    layers: list[nn.Layer] = [nn.Conv2d(in_channels, first, 3, 1, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU()]
    before = first
    for stage, (count, after) in enumerate(zip(blocks, channels, strict=True)):
        for block in range(count):
            layers.append(basic_block(before, after, 2 if stage and block == 0 else 1))
            before = after
    return nn.Sequential(*layers, nn.GlobalAvgPool(), nn.Linear(before, classes))


def vit(
    image: tuple[int, int, int],
    patch: int,
    classes: int,
    features: int = 64,
    heads: int = 4,
    depth: int = 4,
    dropout: float = 0.0,
) -> nn.Sequential:
    """A vision Transformer (Dosovitskiy et al. 2021) that takes the mean of its patches for the classification."""
    channels, height, width = image
    if height % patch or width % patch:
        raise ShapeError(f"vit: expected patches that divide the image {height} x {width}, found {patch}")
    count = (height // patch) * (width // patch)
    blocks = [
        nn.TransformerEncoderLayer(features, heads, 4 * features, dropout, "gelu", norm_first=True)
        for _ in range(depth)
    ]
    return nn.Sequential(
        nn.Conv2d(channels, features, patch, stride=patch),
        nn.Function(to_steps, lambda shape: (*shape[:-3], count, features)),
        nn.LearnedPositions(count, features),
        *blocks,
        nn.LayerNorm(features),
        nn.Function(mean_of_steps, lambda shape: (*shape[:-2], features)),
        nn.Linear(features, classes),
    )


def to_steps(x: Any) -> Any:
    """(..., features, height, width) -> (..., height * width, features)."""
    return ops.swapaxes(ops.reshape(x, *x.shape[:-2], x.shape[-2] * x.shape[-1]), -1, -2)


def mean_of_steps(x: Any) -> Any:
    """(..., steps, features) -> (..., features)."""
    return ops.mean(x, -2)
