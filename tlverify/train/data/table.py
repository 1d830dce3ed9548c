"""Tables in CSV files: typed columns, missing values, and errors that name row and column."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tlverify.train.data.dataset import Array, DataError, Dataset, tensor_dataset

MISSING = frozenset(("", "NA", "N/A", "NaN", "nan", "null", "?"))
_KINDS = ("number", "category")


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of one length by name: float32 numbers, or int64 codes of categories, which `categories` names."""

    columns: Mapping[str, Array]
    categories: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def dataset(self, target: str | Sequence[str], features: Sequence[str] | None = None) -> Dataset:
        """Features as x (n, k) and the target as y; by default all other columns are features.

        A category as a feature becomes one column for each of its values; as a target it is the label.
        """
        targets = [target] if isinstance(target, str) else list(target)
        chosen = [name for name in self.columns if name not in targets] if features is None else list(features)
        for name in (*targets, *chosen):
            if name not in self.columns:
                raise DataError(f"column {name!r}: the table has {', '.join(self.columns)}")
        if not chosen or not targets:
            raise DataError(f"dataset: expected features and a target, found {chosen} and {targets}")
        x = np.concatenate([self._wide(name) for name in chosen], 1)
        if isinstance(target, str) and target in self.categories:
            return tensor_dataset(x, self.columns[target])
        return tensor_dataset(x, np.concatenate([self._wide(name) for name in targets], 1))

    def _wide(self, name: str) -> Array:
        column = self.columns[name]
        if name not in self.categories:
            return column[:, None]
        wide: Array = (column[:, None] == np.arange(len(self.categories[name]))).astype(np.float32)
        return wide


def load_csv(
    path: str | os.PathLike[str],
    kinds: Mapping[str, str] | None = None,
    missing: str | float = "error",
    delimiter: str = ",",
) -> Table:
    """The table in a UTF-8 CSV file whose first row names the columns.

    `kinds` says for a column whether it is a "number" or a "category"; a column that is not in it is a category if
    one of its values is no number. A missing value (empty, NA, NaN, null, ?) of a number is an "error", the "mean" of
    the column, or the number given; of a category it is a value of its own. DataError names row and column.
    """
    source, wanted = Path(path), dict(kinds or {})
    names, rows = _read(source, delimiter)
    for name, kind in wanted.items():
        if name not in names or kind not in _KINDS:
            raise DataError(f"{source}: kinds: {name!r}: {kind!r}: expected a column and one of {', '.join(_KINDS)}")
    if not (missing in ("error", "mean") or isinstance(missing, int | float)):
        raise DataError(f"{source}: missing: expected 'error', 'mean' or a number, found {missing!r}")
    columns: dict[str, Array] = {}
    categories: dict[str, tuple[str, ...]] = {}
    for place, name in enumerate(names):
        texts = [row[place].strip() for row in rows]
        kind = wanted.get(name) or ("number" if all(_is_number(t) or t in MISSING for t in texts) else "category")
        if kind == "number":
            columns[name] = _numbers(source, name, texts, missing)
        else:
            values = tuple(sorted(set(texts)))
            codes = {value: i for i, value in enumerate(values)}
            columns[name] = np.array([codes[text] for text in texts], np.int64)
            categories[name] = values
    return Table(columns, categories)


def _read(source: Path, delimiter: str) -> tuple[list[str], list[list[str]]]:
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            table = [row for row in csv.reader(file, delimiter=delimiter, strict=True) if row]
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: offset {error.start}: not UTF-8: {error.reason}") from None
    except csv.Error as error:
        raise DataError(f"{source}: not CSV: {error}") from None
    if len(table) < 2:
        raise DataError(f"{source}: expected a row of column names and one or more rows, found {len(table)} rows")
    names = [name.strip() for name in table[0]]
    if len(set(names)) != len(names) or "" in names:
        raise DataError(f"{source}: row 1: expected distinct column names, found {names}")
    for number, row in enumerate(table[1:], start=2):
        if len(row) != len(names):
            raise DataError(f"{source}: row {number}: expected {len(names)} values, found {len(row)}")
    return names, table[1:]


def _numbers(source: Path, name: str, texts: Sequence[str], missing: str | float) -> Array:
    values = np.full(len(texts), np.nan)
    for i, text in enumerate(texts):
        if text in MISSING:
            if missing == "error":
                raise DataError(f"{source}: row {i + 2}, column {name!r}: the value is missing; see missing=")
        elif _is_number(text):
            values[i] = float(text)
        else:
            raise DataError(f"{source}: row {i + 2}, column {name!r}: expected a finite number, found {text!r}")
    gaps = np.isnan(values)
    if gaps.all():
        raise DataError(f"{source}: column {name!r}: expected a number, found missing values only")
    values[gaps] = values[~gaps].mean() if missing == "mean" else missing if gaps.any() else 0.0
    return values.astype(np.float32)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
