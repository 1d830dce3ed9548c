"""`tlverify certify`"""

from __future__ import annotations

import re
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from tlverify.certify.claim import NORMS, SEMANTICS, exact, in_words, read_semantics
from tlverify.certify.workers import helpers
from tlverify.cli.console import print_summary, verdict_line
from tlverify.cli.environment import environment
from tlverify.cli.follow import follow
from tlverify.cli.output import exit_code, print_json
from tlverify.cli.report import Report, ReportError, Row, Run, write_report
from tlverify.cli.verdicts import verdicts
from tlverify.graph import Graph, TlverifyError, digest, write_atomic
from tlverify.interop import load_graph
from tlverify.train.data import load_npz
from tlverify.train.progress import progress_bar


def certify(
    path: Path,
    data_path: Path | None,
    epsilon: str | None,
    prop: str,
    index: str,
    timeout: float | None,
    semantics: str,
    norm: str,
    out: Path | None,
    jobs: int,
    seed: int,
    as_json: bool,
    verbose: bool = False,
) -> None:
    """Certify examples of a dataset; exits with the code of the worst verdict."""
    if semantics not in SEMANTICS:
        raise TlverifyError(f"--semantics: expected one of {', '.join(SEMANTICS)}, found {semantics!r}")
    if norm not in NORMS:
        raise TlverifyError(f"--norm: expected one of {', '.join(NORMS)}, found {norm!r}")
    if prop.endswith((".vnnlib", ".vnnlib.gz")):
        from tlverify.cli.property import certify_property

        if data_path is not None or epsilon is not None:
            raise TlverifyError("--data and --epsilon do not go with a .vnnlib property, which states its own region")
        certify_property(path, Path(prop), timeout, semantics, out, jobs, seed, as_json, verbose)
    if prop != "robustness":
        raise TlverifyError(f"--property: expected robustness or a .vnnlib file, found {prop!r}")
    if data_path is None or epsilon is None:
        raise TlverifyError("--property robustness needs --data and --epsilon")
    begin, started = time.perf_counter(), datetime.now().astimezone()
    graph, data = load_graph(path), load_npz(data_path)
    indices = parse_index(index, len(data))
    report_progress = follow() if verbose else None
    with helpers(jobs) as executor:
        found = verdicts(
            graph,
            data,
            epsilon,
            indices,
            out=out,
            timeout=timeout,
            seed=seed,
            report=report_progress,
            semantics=semantics,
            norm=norm,
            executor=executor,
        )
        rows = collect_rows("certify", len(indices), found)
    run = make_run(str(path), "", (), None, graph, epsilon, rows, semantics, norm)
    report = Report(
        f"{prop} of {path.name} at {epsilon}",
        (run,),
        environment(),
        started.isoformat(timespec="seconds"),
        time.perf_counter() - begin,
        "tlverify " + " ".join(sys.argv[1:]),
    )
    code = exit_code(row.verdict for row in rows)
    summary = {
        **summarize(run, epsilon, semantics),
        "norm": norm,
        "seconds": round(report.seconds, 3),
        "exit_code": code,
    }
    notes = [] if out is None else save_report(report, summary, out)
    if len(rows) < len(indices):
        notes.insert(0, f"Interrupted after {len(rows)} of {len(indices)} examples.")
    if as_json:
        print_json(summary)
    else:
        console = Console()
        for row in rows:
            if row.verdict != "verified":
                console.print(verdict_line(row), soft_wrap=True)
        print_summary(report, console)
        for note in notes:
            console.print(note, soft_wrap=True, highlight=False, markup=False)
    raise SystemExit(code)


def collect_rows(title: str, count: int, rows: Any) -> list[Row]:
    """All rows, with a progress bar that shows the verdicts so far. Ctrl-C ends it with those that there are; the last
    is that of the claim which was being searched."""
    found: list[Row] = []
    with progress_bar(title, count) as update:
        try:
            for row in rows:
                found.append(row)
                update(len(found), f"{sum(r.verdict == 'verified' for r in found)} verified")
        except KeyboardInterrupt:
            if not found:
                raise
    return found


def make_run(
    name: str,
    recipe: str,
    losses: tuple[float, ...],
    train_seconds: float | None,
    graph: Graph,
    epsilon: str,
    rows: list[Row],
    semantics: str,
    norm: str = "linf",
) -> Run:
    """The rows of one network as a run of a report."""
    correct = sum(not row.misclassified for row in rows)
    return Run(
        name=name,
        recipe=recipe,
        loss_curve=losses,
        train_seconds=train_seconds,
        test_accuracy=(correct, len(rows)),
        graph_text=str(graph),
        graph_digest=digest(graph),
        parameter_count=graph.parameter_count,
        epsilon=float(exact(epsilon)),
        semantics=in_words(read_semantics(semantics)),
        norm=norm,
        verdicts=tuple(rows),
    )


def summarize(run: Run, epsilon: str, semantics: str) -> dict[str, Any]:
    """The run as plain JSON data."""
    return {
        "graph": run.graph_digest,
        "property": "robustness",
        "epsilon": epsilon,
        "semantics": semantics,
        "examples": len(run.verdicts),
        "correct": run.test_accuracy[0],
        "verified": run.count("verified"),
        "falsified": run.count("falsified"),
        "unknown": run.count("unknown"),
        "results": [
            {
                "index": row.index,
                "label": row.label,
                "predicted": row.predicted,
                "verdict": row.verdict,
                "arithmetic": row.arithmetic,
                "reason": row.reason,
                "remedy": row.remedy,
                "margin": row.margin,
                "witness_class": row.witness_class,
                "search_seconds": round(row.search_seconds, 6),
                "check_seconds": round(row.check_seconds, 6),
                "certificate_bytes": row.certificate_bytes,
                "certificate": row.certificate_name,
            }
            for row in run.verdicts
        ],
    }


def save_report(report: Report, summary: dict[str, Any], out: Path) -> list[str]:
    """Write `results.json` and `report.html`; says what was written, and what was not and why."""
    import json

    write_atomic(out / "results.json", json.dumps(summary, indent=2).encode())
    try:
        write_report(report, out / "report.html")
    except ReportError as error:
        return [f"No report.html: {error}", f"Results: {out / 'results.json'}"]
    return [f"Report: {out / 'report.html'}"]


def parse_index(text: str, count: int) -> list[int]:
    """`7`, `0:100`, `:100`, `5:` or `:` as indices below `count`."""
    match = re.fullmatch(r"(\d*)(:?)(\d*)", text)
    if match is None or text == "":
        raise TlverifyError(f"--index: expected a number or a range such as 7, 0:100, :100 or 5:, found {text!r}")
    first, colon, last = match.groups()
    start = int(first or 0)
    stop = min(int(last or count), count) if colon else start + 1
    if not start < stop <= count:
        raise TlverifyError(f"--index: {text} selects none of the {count} examples")
    return list(range(start, stop))
