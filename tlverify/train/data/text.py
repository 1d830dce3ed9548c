"""Text as tokens: characters, bytes, or byte pairs (Sennrich et al. 2016), and windows of tokens to predict."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tlverify.train.data.dataset import Array, DataError, Dataset, token_dataset

Source = str | os.PathLike[str]


def load_text(path: Source) -> str:
    """The text of a UTF-8 file; DataError names the offset of the first byte that is not UTF-8."""
    source = Path(path)
    try:
        return source.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: offset {error.start}: not UTF-8: {error.reason}") from None


@dataclass(frozen=True)
class CharTokenizer:
    """One token for each character of `alphabet`."""

    alphabet: str

    @classmethod
    def train(cls, text: str) -> CharTokenizer:
        """The characters of `text`, sorted."""
        return cls("".join(sorted(set(text))))

    @property
    def size(self) -> int:
        """Number of tokens."""
        return len(self.alphabet)

    def encode(self, text: str) -> list[int]:
        """Tokens of the text; DataError for a character outside the alphabet."""
        places = {character: i for i, character in enumerate(self.alphabet)}
        try:
            return [places[character] for character in text]
        except KeyError as error:
            at = text.index(error.args[0])
            raise DataError(f"offset {at}: character {error.args[0]!r} is not in the alphabet") from None

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of the tokens."""
        return "".join(self.alphabet[token] for token in _checked(tokens, self.size))


@dataclass(frozen=True)
class ByteTokenizer:
    """The bytes of UTF-8 as tokens 0..255."""

    size: int = 256

    def encode(self, text: str) -> list[int]:
        """Tokens of the text."""
        return list(text.encode())

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of the tokens; bytes that are not UTF-8 become U+FFFD."""
        return bytes(_checked(tokens, self.size)).decode(errors="replace")


@dataclass(frozen=True)
class BPETokenizer:
    """Bytes, and pairs of tokens merged in the order of `merges`: the pair i becomes the token 256 + i."""

    merges: tuple[tuple[int, int], ...]

    @classmethod
    def train(cls, text: str, size: int) -> BPETokenizer:
        """Up to `size` tokens: the pair that occurs most often is merged, again and again; of equals the least."""
        if size < 256:
            raise DataError(f"BPETokenizer: expected a size of 256 or more, found {size}")
        tokens = list(text.encode())
        merges: list[tuple[int, int]] = []
        while len(merges) < size - 256:
            counts = Counter(pairwise(tokens))
            if not counts or max(counts.values()) < 2:
                break
            pair = min(counts, key=lambda pair: (-counts[pair], pair))
            tokens = _merge(tokens, pair, 256 + len(merges))
            merges.append(pair)
        return cls(tuple(merges))

    @property
    def size(self) -> int:
        """Number of tokens."""
        return 256 + len(self.merges)

    def encode(self, text: str) -> list[int]:
        """Tokens of the text."""
        tokens = list(text.encode())
        ranks = {pair: i for i, pair in enumerate(self.merges)}
        while True:
            found = min(pairwise(tokens), key=lambda pair: ranks.get(pair, len(ranks)), default=None)
            if found is None or found not in ranks:
                return tokens
            tokens = _merge(tokens, found, 256 + ranks[found])

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of the tokens; bytes that are not UTF-8 become U+FFFD."""
        table = [bytes([i]) for i in range(256)]
        for left, right in self.merges:
            table.append(table[left] + table[right])
        return b"".join(table[token] for token in _checked(tokens, self.size)).decode(errors="replace")

    def save(self, path: Source) -> None:
        """Write the merges as JSON."""
        Path(path).write_text(json.dumps({"format": "tlverify.bpe", "merges": self.merges}), encoding="utf-8")

    @classmethod
    def load(cls, path: Source) -> BPETokenizer:
        """Read what `save` wrote; DataError says what is wrong."""
        try:
            data: Any = json.loads(load_text(path))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: not valid JSON: {error}") from None
        merges = data.get("merges") if isinstance(data, dict) and data.get("format") == "tlverify.bpe" else None
        if not isinstance(merges, list):
            raise DataError(f"{path}: expected an object of format 'tlverify.bpe' with a list of merges")
        for i, pair in enumerate(merges):
            valid = isinstance(pair, list) and len(pair) == 2 and all(type(t) is int and 0 <= t < 256 + i for t in pair)
            if not valid:
                raise DataError(f"{path}: merge {i}: expected two tokens below {256 + i}, found {pair!r}")
        return cls(tuple((left, right) for left, right in merges))


def next_token_windows(tokens: Sequence[int] | Array, length: int, stride: int | None = None) -> Dataset:
    """Windows x (n, length) of tokens, and y (n, length) with the token after each; `length` apart by default."""
    array, step = np.asarray(tokens, np.int64), length if stride is None else stride
    if array.ndim != 1 or length < 1 or step < 1 or len(array) <= length:
        found = f"{list(array.shape)} tokens, length {length}, stride {step}"
        raise DataError(
            f"next_token_windows: expected more tokens than the length, and a stride of 1 or more; found {found}"
        )
    starts = np.arange(0, len(array) - length, step)
    places = starts[:, None] + np.arange(length)
    return token_dataset(array[places], array[places + 1])


def _merge(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """Each occurrence of the pair, from the left, replaced by the new token."""
    result, i = [], 0
    while i < len(tokens):
        if i + 1 < len(tokens) and (tokens[i], tokens[i + 1]) == pair:
            result.append(new)
            i += 2
        else:
            result.append(tokens[i])
            i += 1
    return result


def _checked(tokens: Sequence[int], size: int) -> list[int]:
    result = [int(token) for token in tokens]
    wrong = next((token for token in result if not 0 <= token < size), None)
    if wrong is not None:
        raise DataError(f"decode: expected tokens from 0 to {size - 1}, found {wrong}")
    return result
