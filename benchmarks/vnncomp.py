"""A row for each VNN-COMP set: what is solved with an accepted certificate, and at what cost.

    TLVERIFY_DATA=../shared/data python benchmarks/vnncomp.py acasxu mnist_fc --timeout 60 --out /tmp/results

Resumable like `tlverify bench`: results are kept in --out. Peers' figures are those in `peers/` of the data, which were
measured on one core of such a machine; compare CPU seconds.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tlverify.bench.instances import BenchError, make_tasks, read_instances
from tlverify.bench.pool import local_pool
from tlverify.bench.record import Record, Store
from tlverify.bench.report import Row, csv_text, disagreements, summarize, write_cactus
from tlverify.bench.run import pending, run_tasks

SETS = {
    "acasxu": "acasxu/instances.csv",
    "mnist_fc": "mnist_fc/instances.csv",
    "oval21": "oval21/instances.csv",
    "rl_benchmarks": "rl_benchmarks/instances.csv",
    "verivital2021": "verivital2021/verivital_instances.csv",
    "eran2021": "eran2021/eran_instances.csv",
}
PEERS = {"acasxu": "bench_acas_*_1core.csv", "mnist_fc": "bench_mnistfc_*_1core.csv"}
SOLVED = {"sat", "unsat", "holds", "violated"}
COLUMNS = ("set", "solved", "accepted", "CPU s", "search s", "check s", "median", "largest", "leaves", "bytes", "wrong")


@dataclass(frozen=True)
class Peer:
    """A tool's published times on a set, in CPU seconds of the instances it solved; `total` is over all it tried."""

    name: str
    tried: int
    times: Sequence[float]
    total: float

    def __str__(self) -> str:
        middle = f", median {median(self.times):.2f}" if self.times else ""
        return f"{self.name}: {len(self.times)} of {self.tried} in {self.total:.0f} CPU-s{middle}"


def run_set(path: Path, folder: Path, timeout: float | None, jobs: int, only: str, semantics: str) -> list[Row]:
    """All instances of a set, from the folder's results where there are some."""
    instances = read_instances(path, timeout=timeout, only=only)
    tasks = make_tasks(instances, semantics=semantics)
    store = Store(folder)
    records, missing = pending(tasks, store)
    if missing:
        left = len(missing)

        def progress(task: object, record: Record) -> None:
            nonlocal left
            left -= 1
            names = f"{Path(record.network).name} {Path(record.prop).name}"
            print(
                f"  {left:4d} left  {record.verdict:<9} {record.cpu_seconds:8.2f} s  {names}  {record.reason}",
                flush=True,
            )

        with local_pool(jobs) as submit:
            records |= run_tasks(missing, store, submit, progress)
    return [Row(instance, records[task.key]) for task, instance in zip(tasks, instances, strict=True)]


def peers(data: Path, name: str) -> Iterator[Peer]:
    """What other tools did on a set."""
    for path in sorted(data.glob(f"peers/{PEERS[name]}")) if name in PEERS else ():
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        times = [float(row["cpu_s"]) for row in rows if row["verdict"] in SOLVED]
        yield Peer(rows[0]["tool"], len(rows), times, sum(float(row["cpu_s"]) for row in rows if row["cpu_s"]))


def cells(name: str, rows: Sequence[Row]) -> tuple[str, ...]:
    """The row of a set, under COLUMNS."""
    total = summarize(rows)
    solved = total["verified"] + total["falsified"]
    accepted = sum(row.solved and (row.record.certificate_bytes > 0 or row.record.claims == 0) for row in rows)
    return (
        name,
        f"{solved} of {len(rows)} ({total['verified']} + {total['falsified']})",
        str(accepted),
        f"{total['cpu_seconds']:.1f}",
        f"{total['search_seconds']:.1f}",
        f"{total['check_seconds']:.1f}",
        "-" if total["median_cpu_seconds"] is None else f"{total['median_cpu_seconds']:.3f}",
        f"{total['largest_cpu_seconds']:.1f}",
        f"{total['leaves']:,}",
        f"{total['certificate_bytes']:,}",
        str(len(total["disagree"])),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "sets", nargs="*", default=list(SETS), metavar="SET", help=f"of {', '.join(SETS)} (default: all)"
    )
    parser.add_argument("--timeout", type=float, help="seconds for each instance (default: the set's own)")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default="", help="only instances whose row holds this text")
    parser.add_argument("--semantics", default="real", help="real or float32")
    parser.add_argument("--out", type=Path, default=Path("build/vnncomp"), help="folder of results")
    options = parser.parse_args()
    unknown = sorted(set(options.sets) - set(SETS))
    if unknown:
        parser.error(f"no set {', '.join(unknown)}: expected some of {', '.join(SETS)}")
    root = Path(__file__).resolve().parents[1]
    data = Path(os.environ.get("TLVERIFY_DATA", root.parent / "shared" / "data"))
    if not data.is_dir():
        parser.error(f"{data} is not a folder; set TLVERIFY_DATA")
    table, notes = [], []
    for name in options.sets:
        print(f"{name}:", flush=True)
        try:
            rows = run_set(
                data / SETS[name], options.out / name, options.timeout, options.jobs, options.only, options.semantics
            )
        except BenchError as error:
            parser.error(str(error))
        table.append(cells(name, rows))
        notes += [f"{name}: {peer}" for peer in peers(data, name)]
        notes += [
            f"WRONG {name}: {row.instance.name}: found {row.record.verdict}, expected {row.instance.expected}"
            for row in disagreements(rows)
        ]
        notes += [
            f"{name}: error: {row.instance.name}: {row.record.reason}" for row in rows if row.record.verdict == "error"
        ]
        (options.out / name / "results.csv").write_text(csv_text(rows))
        write_cactus({name: [row.record.cpu_seconds for row in rows if row.solved]}, options.out / name / "cactus.svg")
    print("\n| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    for row in table:
        print("| " + " | ".join(row) + " |")
    print("\n".join(["", *notes]))


if __name__ == "__main__":
    main()
