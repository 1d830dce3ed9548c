"""Networks for sequences: classifiers and forecasters over (..., steps, inputs), and language models over tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import nn, ops
from tlverify.core.models.vision import mean_of_steps
from tlverify.core.nn import state as stateful
from tlverify.core.nn.layers import Params
from tlverify.core.nn.shapes import PartialShape, last
from tlverify.graph import ShapeError


def recurrent_head(layer: nn.RNN | nn.GRU | nn.LSTM, outputs: int) -> nn.Sequential:
    """The last step of a recurrent layer, and a linear layer: (..., steps, inputs) -> (..., outputs)."""
    return nn.Sequential(layer, nn.Select(-2, -1), nn.Linear(layer.hidden, outputs))


def transformer_encoder(
    inputs: int, outputs: int, length: int, features: int = 64, heads: int = 4, depth: int = 2, dropout: float = 0.0
) -> nn.Sequential:
    """Linear embedding, sinusoidal positions, encoder blocks, mean over the steps, linear layer."""
    blocks = [nn.TransformerEncoderLayer(features, heads, 4 * features, dropout, "gelu") for _ in range(depth)]
    return nn.Sequential(
        nn.Linear(inputs, features),
        nn.SinusoidalPositions(length, features),
        *blocks,
        nn.Function(mean_of_steps, lambda shape: (*shape[:-2], features)),
        nn.Linear(features, outputs),
    )


@dataclass(frozen=True)
class LanguageModel:
    """Tokens (..., steps) int64 -> logits (..., steps, tokens) of the token after each step.

    The table of embeddings is also the last layer. `block` makes one of `depth` layers that keep (..., steps, features)
    and look back only; with `positions` each step gets a learned vector, for at most `length` steps.
    """

    tokens: int
    length: int
    features: int
    depth: int
    block: Callable[[], nn.Layer]
    positions: bool = True

    def __post_init__(self) -> None:
        if min(self.tokens, self.length, self.features, self.depth) < 1:
            raise ShapeError(f"{self}: expected sizes of 1 or more")

    @property
    def body(self) -> nn.Sequential:
        """Everything between the embedding and the logits."""
        first = [nn.LearnedPositions(self.length, self.features)] if self.positions else []
        return nn.Sequential(*first, *(self.block() for _ in range(self.depth)), nn.LayerNorm(self.features))

    def init(self, rng: np.random.Generator) -> Params:
        table = nn.init.normal(rng, (self.tokens, self.features), 0.02)
        return {"embedding": {"weight": table}, "body": self.body.init(rng)}

    def init_state(self) -> Any:
        return stateful.init_state(self.body)

    def __call__(self, params: Params, x: Any) -> Any:
        return self.apply(params, self.init_state(), x, False, None)[0]

    def apply(self, params: Params, state: Any, x: Any, train: bool, key: Any) -> tuple[Any, Any]:
        self.check(tuple(x.shape))
        table = params["embedding"]["weight"]
        hidden, state = self.body.apply(params["body"], state, ops.embedding(x, table), train, key)
        return ops.linear(hidden, table), state

    def check(self, shape: PartialShape) -> PartialShape:
        (steps,) = last(self, shape, 1, "(..., steps) tokens")
        if steps is not None and steps > self.length:
            raise ShapeError(f"{self} expects at most {self.length} steps")
        return (*shape, self.tokens)

    def __str__(self) -> str:
        return f"LanguageModel({self.tokens}, length={self.length}, {self.block()} x {self.depth})"


def gpt(
    tokens: int, length: int, features: int = 64, heads: int = 4, depth: int = 4, dropout: float = 0.0
) -> LanguageModel:
    """A GPT-2 (Radford et al. 2019): causal blocks that normalise first, learned positions, tied embeddings."""
    return LanguageModel(tokens, length, features, depth, _GPTBlock(features, heads, dropout))


def mamba_lm(tokens: int, length: int, features: int = 64, depth: int = 2) -> LanguageModel:
    """Mamba blocks with normalisation and shortcuts, without positions."""
    return LanguageModel(tokens, length, features, depth, _MambaBlock(features), positions=False)


@dataclass(frozen=True)
class _GPTBlock:
    """Makes equal blocks; a dataclass and no closure, so that models compare by their settings."""

    features: int
    heads: int
    dropout: float

    def __call__(self) -> nn.TransformerEncoderLayer:
        sizes = self.features, self.heads, 4 * self.features
        return nn.TransformerEncoderLayer(*sizes, self.dropout, "gelu", norm_first=True, causal=True)


@dataclass(frozen=True)
class _MambaBlock:
    features: int

    def __call__(self) -> nn.Residual:
        return nn.Residual(nn.Sequential(nn.RMSNorm(self.features), nn.Mamba(self.features)))
