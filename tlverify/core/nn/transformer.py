"""Encoder and decoder blocks of the Transformer (Vaswani et al. 2017), with parameters named as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import ops
from tlverify.core.nn.attention import Mask, MultiheadAttention
from tlverify.core.nn.dropout import dropout
from tlverify.core.nn.layers import Linear, Params
from tlverify.core.nn.normalization import LayerNorm
from tlverify.core.nn.shapes import PartialShape
from tlverify.core.nn.state import need_key
from tlverify.graph import GraphError

ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {"gelu": ops.gelu, "relu": ops.relu, "silu": ops.silu}


@dataclass(frozen=True)
class TransformerEncoderLayer:
    """Self-attention and a feed-forward part, each with a shortcut: (..., steps, features) to the same.

    With `norm_first` each part normalises its input, otherwise its sum with the shortcut.
    """

    features: int
    heads: int
    hidden: int = 2048
    dropout: float = 0.1
    activation: str = "relu"
    norm_first: bool = False
    causal: bool = False
    rotary: bool = False
    eps: float = 1e-5

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise GraphError(f"{self}: activation: expected one of {known}, found {self.activation!r}")
        _parts(self)

    def init(self, rng: np.random.Generator) -> Params:
        return {name: layer.init(rng) for name, layer in _parts(self).items()}

    def init_state(self) -> Any:
        return {}

    def __call__(self, params: Params, x: Any, mask: Mask | None = None) -> Any:
        return self._run(params, x, mask, None)

    def apply(self, params: Params, state: Any, x: Any, train: bool, key: Any) -> tuple[Any, Any]:
        used = need_key(self, key) if train and self.dropout else None
        return self._run(params, x, None, used), state

    def check(self, shape: PartialShape) -> PartialShape:
        return MultiheadAttention(self.features, self.heads).check(shape)

    def _run(self, params: Params, x: Any, mask: Mask | None, key: Any) -> Any:
        parts = _parts(self)
        attention: Any = parts["self_attn"]

        def look(v: Any) -> Any:
            return _dropped(self, attention(params["self_attn"], v, mask=mask), key, 0)

        x = _shortcut(self, parts, params, "norm1", x, look)
        return _shortcut(self, parts, params, "norm2", x, lambda v: _feed(self, parts, params, v, key))

    def __str__(self) -> str:
        return f"TransformerEncoderLayer({self.features}, {self.heads})"


@dataclass(frozen=True)
class TransformerDecoderLayer:
    """Causal self-attention, attention to a memory, and a feed-forward part, each with a shortcut."""

    features: int
    heads: int
    hidden: int = 2048
    dropout: float = 0.1
    activation: str = "relu"
    norm_first: bool = False
    causal: bool = True
    rotary: bool = False
    eps: float = 1e-5

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise GraphError(f"{self}: activation: expected one of {known}, found {self.activation!r}")
        _parts(self)

    def init(self, rng: np.random.Generator) -> Params:
        return {name: layer.init(rng) for name, layer in _parts(self).items()}

    def __call__(self, params: Params, x: Any, memory: Any, memory_mask: Mask | None = None, key: Any = None) -> Any:
        """x (..., steps, features), memory (..., keys, features). With a key it drops out, as in training."""
        parts = _parts(self)
        own: Any = parts["self_attn"]
        cross: Any = parts["multihead_attn"]

        def look(v: Any) -> Any:
            return _dropped(self, own(params["self_attn"], v), key, 0)

        def look_across(v: Any) -> Any:
            return _dropped(self, cross(params["multihead_attn"], v, memory, memory_mask), key, 3)

        x = _shortcut(self, parts, params, "norm1", x, look)
        x = _shortcut(self, parts, params, "norm2", x, look_across)
        return _shortcut(self, parts, params, "norm3", x, lambda v: _feed(self, parts, params, v, key))

    def __str__(self) -> str:
        return f"TransformerDecoderLayer({self.features}, {self.heads})"


Block = TransformerEncoderLayer | TransformerDecoderLayer


def _parts(block: Block) -> dict[str, Any]:
    """The layers of a block by the names of their parameters."""
    size = block.features
    parts: dict[str, Any] = {
        "linear1": Linear(size, block.hidden, weight_init="fan_in_uniform"),
        "linear2": Linear(block.hidden, size, weight_init="fan_in_uniform"),
        "norm1": LayerNorm(size, block.eps),
        "norm2": LayerNorm(size, block.eps),
        "self_attn": MultiheadAttention(size, block.heads, causal=block.causal, rotary=block.rotary),
    }
    if isinstance(block, TransformerDecoderLayer):
        parts |= {"multihead_attn": MultiheadAttention(size, block.heads), "norm3": LayerNorm(size, block.eps)}
    return parts


def _shortcut(
    block: Block, parts: dict[str, Any], params: Params, norm: str, x: Any, part: Callable[[Any], Any]
) -> Any:
    if block.norm_first:
        return ops.add(x, part(parts[norm](params[norm], x)))
    return parts[norm](params[norm], ops.add(x, part(x)))


def _feed(block: Block, parts: dict[str, Any], params: Params, x: Any, key: Any) -> Any:
    hidden = ACTIVATIONS[block.activation](parts["linear1"](params["linear1"], x))
    return _dropped(block, parts["linear2"](params["linear2"], _dropped(block, hidden, key, 1)), key, 2)


def _dropped(block: Block, x: Any, key: Any, place: int) -> Any:
    return x if key is None or block.dropout == 0 else dropout(x, block.dropout, ops.fold_in(key, place))
