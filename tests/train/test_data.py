"""Data: what is accepted, what is refused and why, batches, and the bundled digits."""

from __future__ import annotations

import hashlib
import re
from importlib import resources

import numpy as np
import pytest

from tlverify.train import data
from tlverify.train.data import DataError

X = np.arange(12, dtype=np.float32).reshape(6, 2)
Y = np.array([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (X, Y[:5], "x and y: expected equal lengths, found 6 and 5"),
        (X[:0], Y[:0], "x: expected one example or more along axis 0, found shape (0, 2)"),
        (np.float32(1.0), Y, "x: expected one example or more along axis 0, found shape ()"),
        (X.astype(np.uint8), Y, "x: expected float32 or float64, found uint8; scale and convert it"),
        (np.where(X == 5, np.nan, X), Y, "x: expected finite float32 numbers, found nan at index (2, 1)"),
        (np.where(X == 3, np.inf, X), Y, "x: expected finite float32 numbers, found inf at index (1, 1)"),
        (
            np.where(X == 3, 1e300, X.astype(np.float64)),
            Y,
            "x: expected finite float32 numbers, found 1e+300 at index (1, 1)",
        ),
        (X, Y - 1, "y: expected labels >= 0, found -1 at index 0"),
        (X, Y[:, None], "y: expected labels of shape (n,), found integers of shape (6, 1)"),
        (X, Y > 1, "y: expected float32 or float64, found bool"),
        (X, Y * np.nan, "y: expected finite float32 numbers, found nan at index (0,)"),
    ],
)
def test_refused_arrays(x: np.ndarray, y: np.ndarray, reason: str) -> None:
    with pytest.raises(DataError, match=re.escape(reason)):
        data.tensor_dataset(x, y)


def test_arrays_are_copied_and_read_only() -> None:
    x = X.astype(np.float64)
    dataset = data.tensor_dataset(x, Y.astype(np.uint8))
    x[:] = 0
    assert dataset.x.dtype == np.float32
    assert dataset.y.dtype == np.int64
    np.testing.assert_array_equal(dataset.x, X)
    assert (len(dataset), dataset.features, dataset.classes) == (6, (2,), 3)
    with pytest.raises(ValueError, match="read-only"):
        dataset.x[0] = 1


def test_float_targets_have_no_classes() -> None:
    dataset = data.tensor_dataset(X, X)
    assert repr(dataset) == "Dataset(6 examples [2], targets [2])"
    with pytest.raises(DataError, match="expected integer labels to count the classes of"):
        _ = dataset.classes


def test_split_is_a_partition() -> None:
    dataset = data.tensor_dataset(X, Y)
    first, rest = dataset.split(4, np.random.default_rng(0))
    assert (len(first), len(rest)) == (4, 2)
    together = np.concatenate([first.x, rest.x])
    np.testing.assert_array_equal(together[np.lexsort(together.T)], X)
    np.testing.assert_array_equal(dataset.split(4)[0].x, X[:4])


@pytest.mark.parametrize("count", [0, 6, -1])
def test_split_needs_two_parts(count: int) -> None:
    with pytest.raises(DataError, match=f"expected a count between 1 and 5, found {count}"):
        data.tensor_dataset(X, Y).split(count)


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [4, 2]), (True, [4])])
def test_loader_covers_the_data(drop_last: bool, sizes: list[int]) -> None:
    dataset = data.tensor_dataset(X, Y)
    batches = list(data.loader(dataset, 4, drop_last=drop_last))
    assert [len(x) for x, _ in batches] == sizes
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), X[: sum(sizes)])


def test_loader_shuffles_pairs_by_the_seed() -> None:
    dataset = data.tensor_dataset(X, np.arange(6))
    orders = []
    for seed in (0, 0, 1):
        batches = list(data.loader(dataset, 4, shuffle=True, rng=np.random.default_rng(seed)))
        for x, y in batches:
            np.testing.assert_array_equal(x, X[y])
        orders.append([int(label) for _, y in batches for label in y])
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == list(range(6))


def test_loader_refuses() -> None:
    dataset = data.tensor_dataset(X, Y)
    with pytest.raises(DataError, match="batch_size: expected 1 or more, found 0"):
        next(data.loader(dataset, 0))
    with pytest.raises(DataError, match="shuffle needs rng"):
        next(data.loader(dataset, 2, shuffle=True))


def test_load_npz_round_trip(tmp_path) -> None:
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    dataset = data.load_npz(tmp_path / "data.npz")
    np.testing.assert_array_equal(dataset.x, X)
    np.testing.assert_array_equal(dataset.y, Y)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"x": X, "labels": Y}, "expected arrays x and y, found ['labels', 'x']"),
        ({"x": np.array([{}]), "y": Y}, "expected an .npz archive of plain arrays: Object arrays"),
        ({"x": X, "y": Y[:2]}, "x and y: expected equal lengths, found 6 and 2"),
    ],
)
def test_load_npz_names_the_file(tmp_path, arrays: dict[str, np.ndarray], reason: str) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=re.escape(f"{path}: {reason}")):
        data.load_npz(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "expected an .npz archive of plain arrays: No data left in file"),
        (b"PK\x03\x04 not an archive", "expected an .npz archive of plain arrays: File is not a zip file"),
        (b"\x80\x04K\x01.", "expected an .npz archive of plain arrays"),
    ],
)
def test_load_npz_refuses_other_files(tmp_path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "data.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(f"{path}: {reason}")):
        data.load_npz(path)


def test_load_npz_refuses_a_single_array(tmp_path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, X)
    with pytest.raises(DataError, match="found a single array"):
        data.load_npz(path)


def test_digits() -> None:
    train, test = data.digits()
    assert (len(train), len(test), train.features, train.classes) == (1437, 360, (8, 8), 10)
    pixels = np.concatenate([train.x, test.x])
    np.testing.assert_array_equal(pixels * 16, np.round(pixels * 16))
    assert (pixels.min(), pixels.max()) == (0, 1)
    assert np.bincount(np.concatenate([train.y, test.y])).tolist() == [
        *(178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
    ]


def test_digits_file_is_the_documented_one() -> None:
    folder = resources.files("tlverify.train") / "datasets"
    digest = hashlib.sha256((folder / "digits.npz").read_bytes()).hexdigest()
    assert digest in (folder / "digits.md").read_text()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d.take(3), "take: expected a list of integers or of truth values, as in take([0, 3]), found int64"),
        (lambda d: d.take([0.5]), "take: expected a list of integers or of truth values"),
        (lambda d: d.take([0, 10]), "take: expected indices below 10, the number of examples, found 10"),
        (lambda d: d.take(np.ones(3, bool)), "take: expected 10 truth values, one for each example, found 3"),
        (
            lambda d: d.split(0.2),
            "split: expected a count of examples, found 0.2; for a fraction: int(0.2 * len(data))",
        ),
        (lambda d: d.split(2, 0), "split: rng: expected numpy.random.default_rng(seed), found 0"),
    ],
)
def test_refused_choices(change, reason: str) -> None:
    with pytest.raises(DataError, match=re.escape(reason)):
        change(data.tensor_dataset(np.zeros((10, 2), np.float32), np.arange(10)))
