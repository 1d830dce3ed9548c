"""`tlverify bench`"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tlverify.bench.instances import BenchError, Instance, Task, make_tasks, read_instances, take_shard
from tlverify.bench.pool import Submit, dask_pool, local_pool
from tlverify.bench.record import Record, Store
from tlverify.bench.report import Row, csv_text, disagreements, summarize, write_cactus
from tlverify.bench.run import Progress, pending, run_tasks
from tlverify.certify.claim import SEMANTICS
from tlverify.cli.output import INTERNAL, INTERRUPTED, VERIFIED, fail, print_json
from tlverify.cli.report import printable, seconds, size
from tlverify.graph import write_atomic

STYLES = {"verified": "cyan", "falsified": "bright_red", "unknown": "yellow", "error": "bold red"}
SHOWN = 12


def bench(
    path: Path,
    timeout: float | None,
    jobs: int,
    out: Path,
    shard: str,
    scheduler: str | None,
    only: str,
    grace: float,
    semantics: str,
    seed: int,
    as_json: bool,
) -> None:
    """Run what has no result in `out` yet; exits with 70 if a verdict is not the expected one."""
    if semantics not in SEMANTICS:
        raise BenchError(f"--semantics: expected one of {', '.join(SEMANTICS)}, found {semantics!r}")
    instances = take_shard(read_instances(path, timeout=timeout, only=only), shard)
    if semantics != "real":  # what is expected is said of real numbers
        instances = [replace(instance, expected="") for instance in instances]
    tasks = make_tasks(instances, seed=seed, semantics=semantics)
    by_key = {task.key: instance for task, instance in zip(tasks, instances, strict=True)}
    store = Store(out)
    records, missing = pending(tasks, store)
    if records and not as_json:
        Console(stderr=True).print(f"{len(records)} of {len(tasks)} instances have a result in {out}", soft_wrap=True)
    if missing:
        where: AbstractContextManager[Submit] = dask_pool(scheduler) if scheduler else local_pool(jobs, grace)
        try:
            with _display(by_key, len(missing)) as progress, where as submit:
                records |= run_tasks(missing, store, submit, progress)
        except KeyboardInterrupt:
            done = len(tasks) - len(pending(tasks, store)[1])
            text = f"interrupted; {done} of {len(tasks)} results are in {out}: run the same command again to go on"
            raise SystemExit(fail(text, INTERRUPTED)) from None
    rows = [Row(instance, records[task.key]) for task, instance in zip(tasks, instances, strict=True)]
    raise SystemExit(_finish(rows, out, as_json))


def _finish(rows: list[Row], out: Path, as_json: bool) -> int:
    wrong = disagreements(rows)
    code = INTERNAL if wrong else VERIFIED
    summary = {**summarize(rows), "exit_code": code}
    write_atomic(out / "results.csv", csv_text(rows).encode())
    write_atomic(out / "summary.json", json.dumps(summary, indent=2).encode())
    notes = [f"Results: {out / 'results.csv'}"]
    try:
        write_cactus({"tlverify": [row.record.cpu_seconds for row in rows if row.solved]}, out / "cactus.svg")
    except BenchError as error:
        notes.append(f"No cactus.svg: {error}")
    if as_json:
        print_json(summary)
        return code
    console = Console()
    console.print(_totals(summary), soft_wrap=True)
    for note in notes:
        console.print(note, soft_wrap=True, highlight=False, markup=False)
    for row in wrong:
        words = f"DISAGREES  {row.instance.name}: found {row.record.verdict}, expected {row.instance.expected}"
        console.print(Text(printable(words), style="bold red reverse"), soft_wrap=True)
    if wrong:
        text = f"{len(wrong)} verdicts are not the expected ones. Check their certificates; one of the two is wrong."
        console.print(Text(text, style="bold red"), soft_wrap=True)
    return code


def _totals(summary: dict[str, Any]) -> Text:
    counts = ", ".join(f"{summary[name]} {name}" for name in STYLES if summary[name])
    words = [
        f"{summary['instances']} instances: {counts}",
        f"{summary['agree']} as expected",
        f"{seconds(summary['cpu_seconds'])} CPU",
        f"search {seconds(summary['search_seconds'])}",
        f"check {seconds(summary['check_seconds'])}",
        f"{summary['leaves']:,} leaves",
        f"certificates {size(summary['certificate_bytes'])}",
    ]
    if summary["median_cpu_seconds"] is not None:
        words.insert(3, f"median {seconds(summary['median_cpu_seconds'])}")
    return Text(", ".join(words))


@contextlib.contextmanager
def _display(instances: dict[str, Instance], total: int) -> Iterator[Progress]:
    """A live table of the latest results on a terminal, a line for each elsewhere; on standard error."""
    console = Console(stderr=True)
    done: list[Text] = []
    counts = dict.fromkeys(STYLES, 0)

    def add(task: Task, record: Record) -> None:
        counts[record.verdict] += 1
        done.append(_line(instances[task.key], record))

    if not console.is_terminal:

        def plain(task: Task, record: Record) -> None:
            add(task, record)
            console.print(Text(f"{len(done)}/{total}  ").append(done[-1]), soft_wrap=True)

        yield plain
        return

    def table() -> Group:
        totals = Table.grid(padding=(0, 2))
        totals.add_row(f"{len(done)} / {total}", *(Text(f"{counts[v]} {v}", style=STYLES[v]) for v in STYLES))
        return Group(*done[-SHOWN:], totals)

    with Live(table(), console=console, refresh_per_second=4) as live:

        def show(task: Task, record: Record) -> None:
            add(task, record)
            live.update(table())

        yield show


def _line(instance: Instance, record: Record) -> Text:
    words = [instance.name, f"search {seconds(record.search_seconds)}", f"check {seconds(record.check_seconds)}"]
    if record.certificate_bytes:
        words.append(size(record.certificate_bytes))
    if record.reason:
        words.append(record.reason)
    line = Text(f"{record.verdict:<10}", style=STYLES[record.verdict]).append(
        printable(", ".join(words)).replace("\n", " "), style="default"
    )
    if Row(instance, record).agrees is False:
        line.append(f"  DISAGREES: expected {instance.expected}", style="bold red reverse")
    return line
