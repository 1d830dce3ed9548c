"""What a run of instances came to: a CSV, a summary, and a cactus plot."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tlverify.bench.instances import BenchError, Instance
from tlverify.bench.record import Record
from tlverify.graph import write_atomic

COLUMNS = (
    "network",
    "property",
    "verdict",
    "expected",
    "agrees",
    "search_seconds",
    "check_seconds",
    "cpu_seconds",
    "wall_seconds",
    "leaves",
    "certificate_bytes",
    "peak_bytes",
    "claims",
    "timeout",
    "key",
    "reason",
)
SOLVED = ("verified", "falsified")


@dataclass(frozen=True)
class Row:
    """An instance and its record."""

    instance: Instance
    record: Record

    @property
    def agrees(self) -> bool | None:
        """Whether the verdict is the expected one; None where either is open."""
        if not self.instance.expected or self.record.verdict not in SOLVED:
            return None
        return self.record.verdict == self.instance.expected

    @property
    def solved(self) -> bool:
        return self.record.verdict in SOLVED

    def cells(self) -> dict[str, object]:
        """Of the CSV, by column."""
        record, agrees = self.record, self.agrees
        return {
            "network": self.instance.network.name,
            "property": self.instance.prop.name,
            "verdict": record.verdict,
            "expected": self.instance.expected,
            "agrees": "" if agrees is None else ("yes" if agrees else "NO"),
            **{
                name: round(getattr(record, name), 6)
                for name in ("search_seconds", "check_seconds", "cpu_seconds", "wall_seconds")
            },
            **{name: getattr(record, name) for name in ("leaves", "certificate_bytes", "peak_bytes", "claims")},
            "timeout": record.timeout,
            "key": record.key,
            "reason": record.reason,
        }


def disagreements(rows: Sequence[Row]) -> list[Row]:
    """Instances whose verdict is not the expected one."""
    return [row for row in rows if row.agrees is False]


def csv_text(rows: Sequence[Row]) -> str:
    """All rows under COLUMNS."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.cells() for row in rows)
    return text.getvalue()


def summarize(rows: Sequence[Row]) -> dict[str, Any]:
    """Totals as plain JSON data. Certificates, leaves and medians are of the solved instances."""
    counts = Counter(row.record.verdict for row in rows)
    solved = [row.record for row in rows if row.solved]
    return {
        "instances": len(rows),
        **{verdict: counts[verdict] for verdict in (*SOLVED, "unknown", "error")},
        "agree": sum(row.agrees is True for row in rows),
        "disagree": [
            {"instance": row.instance.name, "found": row.record.verdict, "expected": row.instance.expected}
            for row in disagreements(rows)
        ],
        "cpu_seconds": round(sum(row.record.cpu_seconds for row in rows), 3),
        "search_seconds": round(sum(row.record.search_seconds for row in rows), 3),
        "check_seconds": round(sum(row.record.check_seconds for row in rows), 3),
        "median_cpu_seconds": round(median(record.cpu_seconds for record in solved), 4) if solved else None,
        "largest_cpu_seconds": round(max((record.cpu_seconds for record in solved), default=0.0), 3),
        "leaves": sum(record.leaves for record in solved),
        "certificate_bytes": sum(record.certificate_bytes for record in solved),
        "peak_bytes": max((row.record.peak_bytes for row in rows), default=0),
    }


def write_cactus(series: Mapping[str, Sequence[float]], path: Path) -> None:
    """How many instances each of the series solves within how many CPU seconds. `series` holds the times solved in.

    BenchError if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise BenchError("a cactus plot needs matplotlib: pip install 'tlverify[report]'") from None
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for name, times in series.items():
        ordered = sorted(max(time, 1e-3) for time in times)
        axes.step(range(1, len(ordered) + 1), ordered, where="post", label=f"{name} ({len(ordered)})")
    axes.set(yscale="log", xlabel="instances solved", ylabel="seconds for each, at most")
    axes.grid(alpha=0.3)
    axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="svg", metadata={"Date": None})
    write_atomic(path, picture.getvalue())
