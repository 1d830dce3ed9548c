"""Images in the files that they are published in: MNIST's idx, CIFAR-10's binary records, folders of pictures."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tlverify.train.data.dataset import Array, DataError, Dataset, tensor_dataset

Source = str | os.PathLike[str]
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CIFAR_RECORD = 1 + 3 * 32 * 32
_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")


def load_idx(path: Source) -> Array:
    """The array in an idx file, plain or gzipped (LeCun and Cortes, "The MNIST database", file formats)."""
    source = Path(path)
    data = _read(source)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX_TYPES:
        raise DataError(
            f"{source}: offset 0: expected the magic number of an idx file, found {data[:4].hex() or 'nothing'}"
        )
    kind, rank = np.dtype(_IDX_TYPES[data[2]]), data[3]
    start = 4 + 4 * rank
    if len(data) < start:
        raise DataError(f"{source}: offset 4: expected {rank} sizes of 4 bytes, found {len(data) - 4} bytes")
    shape = tuple(int.from_bytes(data[at : at + 4], "big") for at in range(4, start, 4))
    expected, found = math.prod(shape) * kind.itemsize, len(data) - start
    if found != expected:
        raise DataError(f"{source}: offset {start}: expected {expected} bytes for {list(shape)}, found {found}")
    return np.frombuffer(data, kind, offset=start).reshape(shape).astype(kind.newbyteorder("="))


def mnist(images: Source, labels: Source) -> Dataset:
    """Images (28, 28) with pixels k/255 in [0, 1] and labels 0..9, from two idx files of one length."""
    pixels, classes = load_idx(images), load_idx(labels)
    if pixels.dtype != np.uint8 or pixels.ndim != 3:
        raise DataError(f"{images}: expected bytes (n, height, width), found {pixels.dtype}{list(pixels.shape)}")
    if classes.dtype != np.uint8 or classes.ndim != 1:
        raise DataError(f"{labels}: expected bytes (n,), found {classes.dtype}{list(classes.shape)}")
    if len(pixels) != len(classes):
        raise DataError(f"{images}, {labels}: expected equal lengths, found {len(pixels)} and {len(classes)}")
    return tensor_dataset(pixels.astype(np.float32) / 255, classes)


def cifar10(paths: Source | Sequence[Source]) -> Dataset:
    """Images (3, 32, 32) with values k/255 and labels 0..9, from CIFAR-10 binary files (Krizhevsky 2009)."""
    sources = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    blocks = []
    for source in map(Path, sources):
        data = _read(source)
        whole, rest = divmod(len(data), _CIFAR_RECORD)
        if rest or not whole:
            expected = f"records of {_CIFAR_RECORD} bytes"
            raise DataError(f"{source}: offset {whole * _CIFAR_RECORD}: expected {expected}, found {rest} bytes")
        block = np.frombuffer(data, np.uint8).reshape(whole, _CIFAR_RECORD)
        wrong = np.flatnonzero(block[:, 0] > 9)
        if wrong.size:
            at = int(wrong[0])
            raise DataError(f"{source}: record {at}: expected a label from 0 to 9, found {block[at, 0]}")
        blocks.append(block)
    if not blocks:
        raise DataError("cifar10: expected one or more files, found none")
    records = np.concatenate(blocks)
    return tensor_dataset(records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255, records[:, 0])


def image_folder(folder: Source, size: tuple[int, int], gray: bool = False) -> tuple[Dataset, tuple[str, ...]]:
    """Pictures in folders named by their class, resized to (height, width), and the names of the classes.

    Images are (3, height, width), or (height, width) if `gray`, with values in [0, 1]. Needs the `images` extra.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise DataError("image_folder: needs Pillow: pip install 'tlverify[images]'") from None
    root = Path(folder)
    classes = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    images, labels = [], []
    for label, name in enumerate(classes):
        for path in sorted((root / name).iterdir()):
            if path.suffix.lower() not in _SUFFIXES:
                continue
            try:
                with Image.open(path) as picture:
                    resized = picture.convert("L" if gray else "RGB").resize(size[::-1], Image.Resampling.BILINEAR)
            except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
                raise DataError(f"{path}: expected a picture: {error}") from None
            array = np.asarray(resized, np.float32) / 255
            images.append(array if gray else array.transpose(2, 0, 1))
            labels.append(label)
    if not images:
        raise DataError(f"{root}: expected folders named by class, with pictures {', '.join(_SUFFIXES)}")
    return tensor_dataset(np.stack(images), np.array(labels)), tuple(classes)


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a whole gzip file: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
