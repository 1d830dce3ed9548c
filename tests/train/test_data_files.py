"""Files of data: what they give, and for every malformed one the file, the place, and what was expected."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import numpy as np
import pytest

from tlverify.train import data
from tlverify.train.data import DataError

X = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
Y = np.array([0, 1, 2, 1])
PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return head + array.astype(np.uint8).tobytes()


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.fixture
def npy(tmp_path) -> tuple[Path, Path]:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    return tmp_path / "x.npy", tmp_path / "y.npy"


def test_npy_in_memory_and_mapped(npy) -> None:
    memory, mapped = data.load_npy(*npy), data.load_npy(*npy, memory_map=True)
    np.testing.assert_array_equal(memory.x, X)
    np.testing.assert_array_equal(mapped.x, X)
    assert isinstance(mapped.x, np.memmap)
    assert mapped.classes == 3
    batches = list(data.loader(mapped, 3))
    np.testing.assert_array_equal(batches[1][0], X[3:])


def test_npy_refused(npy, tmp_path) -> None:
    x, y = npy
    np.savez(tmp_path / "a.npz", x=X)
    np.save(tmp_path / "wide.npy", X.astype(np.float64))
    np.save(tmp_path / "short.npy", Y[:2])
    cases = [
        ((tmp_path / "none.npy", y), False, "none.npy: cannot be read: No such file"),
        ((write(tmp_path / "bad.npy", "text"), y), False, "bad.npy: expected an .npy file of a plain array"),
        ((tmp_path / "a.npz", y), False, "a.npz: expected an .npy file of one array, found an archive; use load_npz"),
        ((tmp_path / "wide.npy", y), True, "x: expected float32 or int64 to map, found float64"),
        ((x, tmp_path / "short.npy"), False, "expected equal lengths, found 4 and 2"),
        ((x, tmp_path / "short.npy"), True, "expected equal lengths"),
    ]
    for paths, mapped, reason in cases:
        with pytest.raises(DataError, match=re.escape(reason)):
            data.load_npy(*paths, memory_map=mapped)


def test_mnist_plain_and_gzipped(tmp_path) -> None:
    images = write(tmp_path / "images", idx(PIXELS))
    labels = write(tmp_path / "labels.gz", gzip.compress(idx(np.array([7, 1]))))
    dataset = data.mnist(images, labels)
    np.testing.assert_allclose(dataset.x, PIXELS / 255.0, rtol=1e-6)
    assert dataset.y.tolist() == [7, 1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "offset 0: expected the magic number of an idx file, found nothing"),
        (b"\0\0\x07\1", "offset 0: expected the magic number of an idx file, found 00000701"),
        (b"\0\0\x08\3\0\0", "offset 4: expected 3 sizes of 4 bytes, found 2 bytes"),
        (idx(PIXELS)[:-1], "offset 16: expected 24 bytes for [2, 3, 4], found 23"),
        (gzip.compress(idx(PIXELS))[:-9], "not a whole gzip file"),
        (gzip.compress(idx(PIXELS))[:12] + b"x" * 30, "not a whole gzip file"),
        (idx(PIXELS[0]), "expected bytes (n, height, width), found uint8[3, 4]"),
        (idx(PIXELS[:1]), "expected equal lengths, found 1 and 2"),
    ],
)
def test_malformed_idx(content: bytes, reason: str, tmp_path) -> None:
    images, labels = write(tmp_path / "images", content), write(tmp_path / "labels", idx(np.array([7, 1])))
    with pytest.raises(DataError, match=re.escape(reason)) as caught:
        data.mnist(images, labels)
    assert str(images) in str(caught.value)


def test_the_real_mnist_test_images() -> None:
    root = Path(__file__).parents[2]
    folder = Path(os.environ.get("TLVERIFY_DATA", root.parent / "shared" / "data")) / "mnist"
    if not folder.is_dir():
        pytest.skip(f"no MNIST in {folder}; set TLVERIFY_DATA")
    dataset = data.mnist(folder / "t10k-images-idx3-ubyte.gz", folder / "t10k-labels-idx1-ubyte.gz")
    assert repr(dataset) == "Dataset(10000 examples [28, 28], 10 classes)"
    assert dataset.y[:5].tolist() == [7, 2, 1, 0, 4]


def test_cifar10(tmp_path) -> None:
    rng = np.random.default_rng(0)
    records = rng.integers(0, 256, (3, 3073), np.uint8)
    records[:, 0] = [3, 9, 0]
    parts = [write(tmp_path / "a", records[:2].tobytes()), write(tmp_path / "b", records[2:].tobytes())]
    dataset = data.cifar10(parts)
    assert dataset.features == (3, 32, 32)
    assert dataset.y.tolist() == [3, 9, 0]
    np.testing.assert_allclose(dataset.x[2, 1, 0, 5], records[2, 1 + 1024 + 5] / 255, rtol=1e-6)
    records[1, 0] = 10
    for content, reason in (
        (records.tobytes(), "record 1: expected a label from 0 to 9, found 10"),
        (records[:1].tobytes() + b"xx", "offset 3073: expected records of 3073 bytes, found 2 bytes"),
        (b"", "offset 0: expected records of 3073 bytes, found 0 bytes"),
    ):
        with pytest.raises(DataError, match=reason):
            data.cifar10(write(tmp_path / "c", content))
    with pytest.raises(DataError, match="expected one or more files"):
        data.cifar10([])


def test_image_folder(tmp_path) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed: pip install 'tlverify[images]'")
    for name, color in (("cat", (255, 0, 0)), ("dog", (0, 0, 255))):
        (tmp_path / name).mkdir()
        image.new("RGB", (8, 6), color).save(tmp_path / name / "1.png")
    write(tmp_path / "dog" / "notes.txt", "not a picture")
    dataset, classes = data.image_folder(tmp_path, (3, 4))
    assert classes == ("cat", "dog")
    assert dataset.features == (3, 3, 4)
    assert dataset.x[:, 0, 0, 0].tolist() == [1, 0]
    assert data.image_folder(tmp_path, (3, 4), gray=True)[0].features == (3, 4)
    write(tmp_path / "dog" / "2.png", "broken")
    with pytest.raises(DataError, match=r"2\.png: expected a picture"):
        data.image_folder(tmp_path, (3, 4))
    with pytest.raises(DataError, match="expected folders named by class"):
        data.image_folder(tmp_path / "nothing", (3, 4))


TABLE = "size, color ,price\n1.5,red,10\n-2e0,blue,\n0,red,30\n"


def test_csv_columns_and_data_sets(tmp_path) -> None:
    path = write(tmp_path / "a.csv", TABLE)
    table = data.load_csv(path, missing="mean")
    assert len(table) == 3
    assert table.columns["size"].tolist() == [1.5, -2, 0]
    assert table.categories == {"color": ("blue", "red")}
    assert table.columns["price"].tolist() == [10, 20, 30]
    regression = table.dataset("price")
    assert regression.x.tolist() == [[1.5, 0, 1], [-2, 1, 0], [0, 0, 1]]
    assert regression.y.tolist() == [[10], [20], [30]]
    assert table.dataset("color", ["size"]).y.tolist() == [1, 0, 1]
    assert table.dataset(["price", "size"]).y.shape == (3, 2)
    assert data.load_csv(path, missing=-1.0).columns["price"][1] == -1
    assert data.load_csv(path, {"size": "category"}, "mean").categories["size"] == ("-2e0", "0", "1.5")
    semicolons = write(tmp_path / "b.csv", "\ufeffa;b\n1;2\n")
    assert data.load_csv(semicolons, delimiter=";").columns["b"].tolist() == [2]


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        (TABLE, {}, "row 3, column 'price': the value is missing; see missing="),
        (TABLE, {"kinds": {"color": "number"}}, "row 2, column 'color': expected a finite number, found 'red'"),
        (TABLE, {"kinds": {"colour": "number"}}, "kinds: 'colour': 'number': expected a column"),
        (TABLE, {"missing": "median"}, "missing: expected 'error', 'mean' or a number, found 'median'"),
        ("a,b\n1,2\n3\n", {}, "row 3: expected 2 values, found 1"),
        ("a,a\n1,2\n", {}, "row 1: expected distinct column names, found ['a', 'a']"),
        ("a,b\n", {}, "expected a row of column names and one or more rows, found 1 rows"),
        ("", {}, "expected a row of column names"),
        ("a\nNA\n", {"missing": "mean"}, "column 'a': expected a number, found missing values only"),
        (b"a\n\xff\n", {}, "offset 2: not UTF-8"),
        ('a\n"1\n', {}, "not CSV"),
    ],
)
def test_malformed_csv(content, options, reason: str, tmp_path) -> None:
    path = write(tmp_path / "a.csv", content)
    with pytest.raises(DataError, match=re.escape(reason)) as caught:
        data.load_csv(path, **options)
    assert str(path) in str(caught.value)


def test_csv_columns_that_are_not_there(tmp_path) -> None:
    table = data.load_csv(write(tmp_path / "a.csv", "a,b\n1,2\n"))
    with pytest.raises(DataError, match="column 'c': the table has a, b"):
        table.dataset("c")
    with pytest.raises(DataError, match="expected features and a target"):
        table.dataset(["a", "b"])
    with pytest.raises(DataError, match="cannot be read"):
        data.load_csv(tmp_path / "none.csv")
