"""What is kept of an instance, as one JSON file in a folder that is addressed by content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tlverify.graph import write_atomic


@dataclass(frozen=True)
class Record:
    """The outcome of one instance. Times in seconds; CPU time is of the worker's process while it had the instance,
    and of those that helped it.

    `verdict` is verified, falsified, unknown or error, with the `reason` of the latter two. `peak_bytes` is the most
    memory that the worker held. `leaves` and `certificate_bytes` are sums over the claims.
    """

    key: str
    network: str
    prop: str
    timeout: float
    verdict: str
    reason: str
    claims: int = 0
    search_seconds: float = 0.0
    check_seconds: float = 0.0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    leaves: int = 0
    certificate_bytes: int = 0
    peak_bytes: int = 0
    graph: str = ""

    @property
    def settled(self) -> bool:
        """Whether a repeated run leaves it: everything but an error."""
        return self.verdict != "error"


@dataclass(frozen=True)
class Outcome:
    """A record, and files that belong to it by their path in the folder of results."""

    record: Record
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Store:
    """A folder of results: `results/KEY.json`, `certificates/KEY/`, `graphs/DIGEST.graph.json`."""

    folder: Path

    def load(self, key: str) -> Record | None:
        """The record of a key; None if there is none, or none that can be read."""
        try:
            data = json.loads(self._path(key).read_bytes())
            return Record(**data) if set(data) == {field.name for field in fields(Record)} else None
        except (OSError, ValueError, TypeError):
            return None

    def save(self, outcome: Outcome) -> None:
        """Write the files, and then the record, each atomically: a record never lacks its files."""
        for name, content in outcome.files.items():
            path = self.folder / name
            if not path.exists() or path.stat().st_size != len(content) or path.read_bytes() != content:
                write_atomic(path, content)
        data = json.dumps(asdict(outcome.record), indent=1, allow_nan=False)
        write_atomic(self._path(outcome.record.key), data.encode())

    def _path(self, key: str) -> Path:
        return self.folder / "results" / f"{key}.json"
