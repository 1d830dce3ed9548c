"""Data sets in NumPy files, in memory or mapped, and the bundled digits."""

from __future__ import annotations

import os
import zipfile
import zlib
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from tlverify.train.data.dataset import Array, DataError, Dataset, tensor_dataset

Source = str | os.PathLike[str]


def load_npz(path: Source) -> Dataset:
    """The Dataset in a NumPy `.npz` file with the arrays `x` and `y`; DataError names the file and the array."""
    arrays = _read_npz(Path(path))
    try:
        return tensor_dataset(arrays["x"], arrays["y"])
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def digits() -> tuple[Dataset, Dataset]:
    """1,437 training and 360 test images (8, 8) of handwritten digits, pixels k/16 in [0, 1].

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998, test half, CC BY 4.0;
    see `datasets/digits.md`. The split is the permutation of `numpy.random.default_rng(0)`.
    """
    with resources.as_file(resources.files("tlverify.train") / "datasets" / "digits.npz") as path:
        arrays = _read_npz(path)
    everything = tensor_dataset(arrays["x"].astype(np.float32) / 16, arrays["y"])
    return everything.split(1437, np.random.default_rng(0))


def _read_npz(path: Path) -> dict[str, Array]:
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path}: expected an .npz archive with arrays x and y, found a single array")
            if not {"x", "y"} <= set(archive.files):
                raise DataError(f"{path}: expected arrays x and y, found {sorted(archive.files)}")
            return {name: archive[name] for name in ("x", "y")}
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: expected an .npz archive of plain arrays: {error}") from None


def load_npy(x: Source, y: Source, memory_map: bool = False) -> Dataset:
    """The Dataset in two NumPy `.npy` files: examples (n, *features), and labels (n,) or targets (n, *outputs).

    With `memory_map` the examples stay in the file, which must hold float32 (or int64), until a batch reads them; they
    are not searched for NaN then, which training reports when it meets one.
    """
    examples, targets = _read_npy(Path(x), memory_map), _read_npy(Path(y), False)
    try:
        if not memory_map:
            return tensor_dataset(examples, targets)
        if examples.dtype not in (np.float32, np.int64):
            raise DataError(f"x: expected float32 or int64 to map, found {examples.dtype}")
        checked = tensor_dataset(np.zeros((len(targets), 1), np.float32), targets)
    except DataError as error:
        raise DataError(f"{x}, {y}: {error}") from None
    if examples.ndim == 0 or len(examples) != len(checked):
        raise DataError(f"{x}, {y}: expected equal lengths, found {examples.shape} and {len(checked)}")
    return Dataset(examples, checked.y)


def _read_npy(path: Path, memory_map: bool) -> Any:
    try:
        array = np.load(path, mmap_mode="r" if memory_map else None, allow_pickle=False)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError) as error:
        raise DataError(f"{path}: expected an .npy file of a plain array: {error}") from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise DataError(f"{path}: expected an .npy file of one array, found an archive; use load_npz")
    return array
