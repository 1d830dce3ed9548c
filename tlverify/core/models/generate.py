"""Text from a GPT, one token at a time, with a cache of keys and values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import nn, ops
from tlverify.core.models.sequence import LanguageModel
from tlverify.graph import GraphError, ShapeError


@dataclass(frozen=True)
class Cache:
    """Keys and values of the steps so far: for each block a pair (heads, steps, features / heads)."""

    steps: int = 0
    blocks: tuple[tuple[Any, Any], ...] = ()


def next_logits(model: LanguageModel, params: Any, tokens: Sequence[int], cache: Cache) -> tuple[Any, Cache]:
    """Logits (tokens,) after `tokens`, which follow those of the cache, and the cache with them."""
    block = model.block()
    if not isinstance(block, nn.TransformerEncoderLayer) or not block.norm_first:
        raise GraphError(f"next_logits: expected a GPT, whose blocks normalise first, found {model}")
    count = len(tokens)
    if count == 0 or cache.steps + count > model.length:
        raise ShapeError(f"next_logits: expected 1 to {model.length - cache.steps} more tokens, found {count}")
    table = params["embedding"]["weight"]
    body = params["body"]
    x = table[np.asarray(tokens)]
    if model.positions:
        x = x + body["0"]["weight"][cache.steps : cache.steps + count]
    first, grown = int(model.positions), []
    for i in range(model.depth):
        part = body[str(first + i)]
        query, key, value = _heads(block, part["self_attn"], _norm(block, part["norm1"], x))
        if cache.blocks:
            old = cache.blocks[i]
            key, value = (np.concatenate(pair, -2) for pair in zip(old, (key, value), strict=True))
        grown.append((key, value))
        seen = nn.attend(query, key, value, nn.causal_mask(count, cache.steps + count))
        merged = np.swapaxes(seen, 0, 1).reshape(count, model.features)
        out = part["self_attn"]["out_proj"]
        x = x + ops.linear(merged, out["weight"], out["bias"])
        hidden = ops.linear(_norm(block, part["norm2"], x), part["linear1"]["weight"], part["linear1"]["bias"])
        x = x + ops.linear(ops.gelu(hidden), part["linear2"]["weight"], part["linear2"]["bias"])
    final = nn.LayerNorm(model.features)(body[str(first + model.depth)], x)
    return np.asarray(final[-1] @ table.T), Cache(cache.steps + count, tuple(grown))


def generate(
    model: LanguageModel,
    params: Any,
    prompt: Sequence[int],
    count: int,
    rng: np.random.Generator | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    repeat_penalty: float = 1.0,
) -> Iterator[int]:
    """`count` tokens after `prompt`. Without `rng` each is the most probable one.

    The text may not be longer than the length of the model. See `sample` for the other arguments.
    """
    logits, cache = next_logits(model, params, prompt, Cache())
    seen = list(prompt)
    for left in range(count, 0, -1):
        token = sample(logits, rng, temperature, top_k, repeat_penalty, seen)
        seen.append(token)
        yield token
        if left > 1:
            logits, cache = next_logits(model, params, [token], cache)


def sample(
    logits: Any,
    rng: np.random.Generator | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    repeat_penalty: float = 1.0,
    seen: Sequence[int] = (),
) -> int:
    """A token drawn from softmax(logits / temperature) over the `top_k` most probable; the first maximum without rng.

    Logits of tokens that were seen are divided by `repeat_penalty` if positive, multiplied by it otherwise (Keskar
    et al. 2019, section 4.1).
    """
    if temperature <= 0 or repeat_penalty <= 0 or (top_k is not None and top_k < 1):
        found = f"temperature {temperature}, top_k {top_k}, repeat_penalty {repeat_penalty}"
        raise GraphError(f"sample: expected numbers above 0, found {found}")
    scores = np.array(logits, np.float64)
    if seen and repeat_penalty != 1:
        places = np.unique(np.asarray(seen))
        old = scores[places]
        scores[places] = np.where(old > 0, old / repeat_penalty, old * repeat_penalty)
    if rng is None:
        return int(scores.argmax())
    if top_k is not None and top_k < len(scores):
        least = np.argsort(-scores, kind="stable")[top_k:]
        scores[least] = -np.inf
    return int(rng.choice(len(scores), p=np.asarray(ops.softmax(scores / temperature))))


def _norm(block: nn.TransformerEncoderLayer, params: Any, x: Any) -> Any:
    return nn.LayerNorm(block.features, block.eps)(params, x)


def _heads(block: nn.TransformerEncoderLayer, params: Any, x: Any) -> list[Any]:
    """Query, key and value of each head: (heads, steps, features / heads)."""
    joined = ops.linear(x, params["in_proj_weight"], params["in_proj_bias"])
    parts = ops.split(joined, block.features, -1)
    return [np.swapaxes(part.reshape(len(x), block.heads, -1), 0, 1) for part in parts]
