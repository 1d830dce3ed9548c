"""`tlverify quickstart`: the whole idea in one command."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from tlverify.cli.certify import collect_rows, make_run, save_report, summarize
from tlverify.cli.console import print_summary
from tlverify.cli.environment import environment
from tlverify.cli.output import print_json
from tlverify.cli.report import Report, Run
from tlverify.cli.verdicts import verdicts
from tlverify.train import data
from tlverify.train.recipes import CERTIFIED, PLAIN

EPSILON = "0.02"
SEMANTICS = "float32"


def quickstart(out: Path, seed: int, as_json: bool) -> None:
    """Train both recipes on the digits, certify every test image, and write everything to `out`.

    Each recipe has a folder with `model.graph.json`, `model.safetensors`, claims and certificates.
    """
    begin, started = time.perf_counter(), datetime.now().astimezone()
    console = Console(stderr=as_json)
    train, test = data.digits()
    runs: list[Run] = []
    for recipe in (PLAIN, CERTIFIED):
        name, words = f"{recipe.title} training", str(recipe)
        console.print(f"[bold]{name}[/] on {len(train):,} images: {words}", highlight=False)
        trained = recipe.train(train, seed)
        graph = trained.graph
        console.print(f"  {trained.accuracy(test) * len(test):.0f} of {len(test)} test images correct", highlight=False)
        folder = out / recipe.title
        images = verdicts(graph, test, EPSILON, range(len(test)), out=folder, semantics=SEMANTICS)
        rows = collect_rows(f"certifying {name}", len(test), images)
        run = make_run(name, words, trained.report.losses, trained.report.seconds, graph, EPSILON, rows, SEMANTICS)
        runs.append(run)
        console.print(f"  {run.count('verified')} certified at radius {EPSILON}", highlight=False)
    report = Report(
        f"Handwritten digits, robust within {EPSILON} per pixel",
        tuple(runs),
        environment(),
        started.isoformat(timespec="seconds"),
        time.perf_counter() - begin,
        "tlverify " + " ".join(sys.argv[1:]),
    )
    summary: dict[str, Any] = {
        "runs": {run.name: summarize(run, EPSILON, SEMANTICS) for run in runs},
        "seconds": round(report.seconds, 3),
        "exit_code": 0,
    }
    notes = save_report(report, summary, out)
    if as_json:
        print_json(summary)
        return
    print_summary(report, console)
    for note in notes:
        console.print(note, soft_wrap=True, highlight=False, markup=False)
