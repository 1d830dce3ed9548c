"""The instances of a VNN-COMP folder: `instances.csv`, and `expected.csv` beside it."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from tlverify.graph import TlverifyError

VERDICTS: Mapping[str, str] = {"unsat": "verified", "sat": "falsified"}
"""What a file of expected verdicts says of the negated property, in our words; all else is open."""


class BenchError(TlverifyError):
    """A list of instances cannot be read, or an option does not fit it."""


@dataclass(frozen=True)
class Instance:
    """A network, a property, the time limit in seconds, and the verdict expected ("" if open)."""

    network: Path
    prop: Path
    timeout: float
    expected: str = ""

    @property
    def name(self) -> str:
        """network / property, without suffixes."""
        return f"{_stem(self.network.name)} / {_stem(self.prop.name)}"


@dataclass(frozen=True)
class Task:
    """An instance for a worker: absolute paths, the sha256 that their contents must have, and the key of the result."""

    network: str
    prop: str
    network_digest: str
    prop_digest: str
    timeout: float
    seed: int
    semantics: str
    key: str


def read_instances(path: str | os.PathLike[str], *, timeout: float | None = None, only: str = "") -> list[Instance]:
    """The rows `network,property,timeout` of a CSV, with paths relative to its folder.

    `timeout` replaces those of the file. `only` keeps instances whose row holds this text. BenchError if a row is
    malformed or its files do not exist.
    """
    source = Path(path)
    expected = _read_expected(source.with_name("expected.csv"))
    instances = []
    for number, row in enumerate(_rows(source), 1):
        if len(row) not in (2, 3):
            raise BenchError(f"{source}, line {number}: expected network,property,timeout, found {len(row)} columns")
        if only not in ",".join(row):
            continue
        network, prop = (_file(source, number, name.strip()) for name in row[:2])
        limit = timeout if timeout is not None else _seconds(source, number, row[2] if len(row) == 3 else "")
        verdict = expected.get((_stem(network.name), _stem(prop.name)), "")
        instances.append(Instance(network, prop, limit, verdict))
    if not instances:
        raise BenchError(f"{source}: no instance" + (f" holds {only!r}" if only else ""))
    return instances


def take_shard(instances: list[Instance], shard: str) -> list[Instance]:
    """Every n-th instance from the i-th on, for `i/n` with 1 <= i <= n."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", shard)
    index, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= index <= count:
        raise BenchError(f"--shard: expected i/n with 1 <= i <= n, such as 2/8, found {shard!r}")
    return instances[index - 1 :: count]


def make_tasks(instances: Iterable[Instance], *, seed: int = 0, semantics: str = "real") -> list[Task]:
    """The tasks of instances. Their keys are digests of network, property, settings and the program's own source."""
    contents = cache(lambda path: hashlib.sha256(path.read_bytes()).hexdigest())
    tasks = []
    for instance in instances:
        network, prop = contents(instance.network), contents(instance.prop)
        settings = [network, prop, instance.timeout, seed, semantics, source_digest()]
        key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:32]
        paths = str(instance.network.resolve()), str(instance.prop.resolve())
        tasks.append(Task(*paths, network, prop, instance.timeout, seed, semantics, key))
    return tasks


@cache
def source_digest() -> str:
    """Of all that decides a verdict: another search or kernel does not take up the results of this one."""
    total = hashlib.sha256()
    for package in ("graph", "core", "interop", "certify"):
        for name, source in sorted(_sources(resources.files("tlverify") / package, package)):
            total.update(name.encode() + b"\0" + hashlib.sha256(source).digest())
    return total.hexdigest()


def _sources(folder: Traversable, name: str) -> Iterable[tuple[str, bytes]]:
    for item in folder.iterdir():
        if item.name.endswith(".py"):
            yield f"{name}/{item.name}", item.read_bytes()
        elif item.is_dir() and item.name != "__pycache__":
            yield from _sources(item, f"{name}/{item.name}")


def _read_expected(path: Path) -> dict[tuple[str, str], str]:
    if not path.exists():
        return {}
    header, *rows = _rows(path) or [[]]
    if header[:3] != ["network", "property", "expected"]:
        raise BenchError(f"{path}: expected columns network,property,expected, found {','.join(header)}")
    return {(_stem(row[0]), _stem(row[1])): VERDICTS.get(row[2], "") for row in rows if len(row) >= 3}


def _rows(path: Path) -> list[list[str]]:
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return [row for row in csv.reader(stream) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BenchError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _file(source: Path, number: int, name: str) -> Path:
    """The file of that name, or packed as NAME.gz."""
    for path in (source.parent / name, source.parent / f"{name}.gz"):
        if path.is_file():
            return path
    raise BenchError(f"{source}, line {number}: no file {source.parent / name}")


def _seconds(source: Path, number: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise BenchError(f"{source}, line {number}: expected a timeout in seconds, found {text!r}; or give --timeout")
    return value


def _stem(name: str) -> str:
    return Path(name).name.removesuffix(".gz").removesuffix(".onnx").removesuffix(".vnnlib")
