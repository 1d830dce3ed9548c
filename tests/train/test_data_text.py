"""Tokenizers, windows of text, grids, transforms, prefetching."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlverify.train import data
from tlverify.train.data import BPETokenizer, ByteTokenizer, CharTokenizer, DataError

TEXT = "low lower lowest new newer newest wide wider widest " * 3
BPE = BPETokenizer.train(TEXT, 280)


@given(st.text(max_size=60))
def test_decoding_is_the_inverse_of_encoding(text: str) -> None:
    for tokenizer in (BPE, ByteTokenizer(), CharTokenizer.train(text)):
        tokens = tokenizer.encode(text)
        assert tokenizer.decode(tokens) == text
        assert all(0 <= token < tokenizer.size for token in tokens)


def test_byte_pairs_are_learned_in_order_of_their_number() -> None:
    first = BPETokenizer.train("abababcab", 257)
    assert first.merges == ((97, 98),)
    assert first.encode("abcab") == [256, 99, 256]
    assert len(BPE.encode(TEXT)) < len(TEXT) / 2
    assert BPETokenizer.train("abc", 300).merges == ()
    assert BPETokenizer.train("", 300).merges == ()


def test_a_tokenizer_keeps_in_a_file(tmp_path) -> None:
    BPE.save(tmp_path / "bpe.json")
    assert BPETokenizer.load(tmp_path / "bpe.json") == BPE
    for content, reason in (
        ("{", "not valid JSON"),
        ("[]", "expected an object of format"),
        ('{"format": "tlverify.bpe", "merges": [[97, 256]]}', "merge 0: expected two tokens below 256"),
    ):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(DataError, match=reason):
            BPETokenizer.load(tmp_path / "bad.json")


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (lambda: CharTokenizer("ab").encode("abc"), "offset 2: character 'c' is not in the alphabet"),
        (lambda: CharTokenizer("ab").decode([2]), "expected tokens from 0 to 1, found 2"),
        (lambda: ByteTokenizer().decode([-1]), "expected tokens from 0 to 255, found -1"),
        (lambda: BPETokenizer.train("a", 5), "expected a size of 256 or more, found 5"),
        (lambda: data.next_token_windows([1, 2, 3], 3), "expected more tokens than the length"),
        (lambda: data.grid(len, (0,), (1, 2), 3), "grid: expected ends of one length"),
        (lambda: next(data.prefetch([1], 0)), "prefetch: expected a count of 1 or more"),
    ],
)
def test_errors(action, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        action()


def test_load_text(tmp_path) -> None:
    (tmp_path / "a.txt").write_bytes("grüß\n".encode())
    assert data.load_text(tmp_path / "a.txt") == "grüß\n"
    (tmp_path / "b.txt").write_bytes(b"ab\xff")
    with pytest.raises(DataError, match=r"b\.txt: offset 2: not UTF-8"):
        data.load_text(tmp_path / "b.txt")
    with pytest.raises(DataError, match="cannot be read"):
        data.load_text(tmp_path / "c.txt")


def test_windows_of_tokens() -> None:
    windows = data.next_token_windows(np.arange(8), 3)
    assert windows.x.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert windows.y.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert len(data.next_token_windows(np.arange(8), 3, stride=1)) == 5
    assert windows.take([1]).x.dtype == np.int64


def test_grids() -> None:
    dataset = data.grid(lambda x: x[:, 0] * 2 + x[:, 1], (0, -1), (1, 1), 3)
    assert dataset.x.tolist()[:4] == [[0, -1], [0, 0], [0, 1], [0.5, -1]]
    assert dataset.y[3].tolist() == [0]
    reference = data.regression_grid_2to1()
    assert len(reference) == 25
    np.testing.assert_allclose(reference.y[-1], [0.8 * 2 + 0.2], rtol=1e-6)


def test_normalize_and_transform() -> None:
    dataset = data.tensor_dataset(np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([0, 1]))
    scale = data.Normalize.fit(dataset)
    assert scale(dataset).x.tolist() == [[-1, 0], [1, 0]]
    changed = data.transform(dataset, x=lambda x: x * 2, y=lambda y: 1 - y)
    assert changed.x[0].tolist() == [2, 10]
    assert changed.y.tolist() == [1, 0]


def test_prefetch_keeps_the_order_and_raises_errors() -> None:
    assert list(data.prefetch(range(20), 3)) == list(range(20))

    def failing():
        yield 1
        raise ValueError("broken")

    items = data.prefetch(failing())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_prefetch_ends_its_thread_when_it_is_closed() -> None:
    items = data.prefetch(iter(int, 1))
    assert next(items) == 0
    items.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "tlverify-prefetch"]
