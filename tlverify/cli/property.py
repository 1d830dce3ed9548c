"""`tlverify certify NETWORK --property SPEC.vnnlib`"""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.text import Text

from tlverify.bench.vnncomp import replayable
from tlverify.certify.decide import Decision, decide
from tlverify.certify.files import certificates_in, save_result
from tlverify.certify.property import to_claims
from tlverify.certify.prove import Result
from tlverify.certify.workers import helpers
from tlverify.cli.console import ASCII_GLYPHS, STYLES
from tlverify.cli.follow import follow
from tlverify.cli.output import EXIT_CODES, print_json
from tlverify.cli.report import GLYPHS, arithmetics, printable, seconds, size
from tlverify.cli.verdicts import GRAPH_NAME
from tlverify.graph import Graph, digest, save_graph, write_atomic
from tlverify.interop import load_graph
from tlverify.interop.vnnlib import Property, read_vnnlib

SHOWN = 24


def certify_property(
    path: Path,
    spec: Path,
    timeout: float | None,
    semantics: str,
    out: Path | None,
    jobs: int,
    seed: int,
    as_json: bool,
    verbose: bool = False,
) -> NoReturn:
    """Certify one property of a network; exits with the code of its verdict."""
    graph, prop = load_graph(path), read_vnnlib(spec)
    claims = [claim.under(semantics) for claim in to_claims(prop, graph)]
    names = [f"{index:04d}" for index in range(len(claims))]
    known = {} if out is None else certificates_in(out, names, claims)
    if out is not None:
        save_graph(graph, out / GRAPH_NAME)
    report = follow() if verbose else None
    with helpers(jobs) as executor:
        decision = decide(graph, claims, timeout=timeout, seed=seed, known=known, report=report, executor=executor)
    summary = summarize(graph, prop, decision, path, spec, semantics)
    if out is not None:
        import json

        numbers = {claim.digest: name for name, claim in zip(names, claims, strict=True)}
        for result in decision.results:
            save_result(result, out, numbers[result.claim.digest])
        write_atomic(out / "results.json", json.dumps(summary, indent=2).encode())
    if as_json:
        print_json(summary)
    else:
        show(decision, graph, out, Console())
    raise SystemExit(summary["exit_code"])


def summarize(
    graph: Graph, prop: Property, decision: Decision, path: Path, spec: Path, semantics: str
) -> dict[str, Any]:
    """The decision as plain JSON data."""
    found = decision.counterexample
    return {
        "graph": digest(graph),
        "network": str(path),
        "property": str(spec),
        "semantics": semantics,
        "verdict": decision.verdict,
        "reason": decision.reason,
        "remedy": decision.remedy,
        "claims": len(prop.cases),
        "results": [
            {
                "claim": result.claim.digest,
                "verdict": result.verdict,
                "arithmetic": result.arithmetic,
                "reason": result.reason,
                "leaves": result.stats.get("leaves", 0),
                "margin": result.margin if isfinite(result.margin) else None,
                "search_seconds": round(result.search_seconds, 6),
                "check_seconds": round(result.check_seconds, 6),
                "certificate_bytes": None if result.certificate is None else len(result.certificate),
            }
            for result in decision.results
        ],
        "witness": None if found is None else _witness(graph, found),
        "exit_code": EXIT_CODES[decision.verdict],
    }


def show(decision: Decision, graph: Graph, out: Path | None, console: Console) -> None:
    """The verdict, the times, and the counterexample."""
    glyphs = ASCII_GLYPHS if console.options.ascii_only else GLYPHS
    searched = sum(result.search_seconds for result in decision.results)
    checked = sum(result.check_seconds for result in decision.results)
    weight = sum(len(result.certificate) for result in decision.results if result.certificate is not None)
    verified = sum(result.verdict == "verified" for result in decision.results)
    names = arithmetics(result.arithmetic for result in decision.results)
    words = [f"search {seconds(searched)}", f"check {seconds(checked)} ({names})", size(weight)]
    if len(decision.results) > 1:
        words.insert(0, f"{verified} of {len(decision.results)} claims proved")
    if decision.reason:
        words += filter(None, (decision.reason, decision.remedy))
    verdict = decision.verdict
    line = Text(f"{glyphs[verdict]} {verdict}", style=STYLES[verdict])  # type: ignore[index]
    console.print(line.append("  " + printable(", ".join(words)), style="default"), soft_wrap=True)
    if decision.counterexample is not None:
        for name, values in _witness(graph, decision.counterexample).items():
            more = f" ... {len(values) - SHOWN} more" if len(values) > SHOWN else ""
            console.print(
                printable(f"  {name} = {', '.join(map(repr, values[:SHOWN]))}{more}"), soft_wrap=True, highlight=False
            )
    if out is not None:
        console.print(printable(f"Certificates and results: {out}"), soft_wrap=True, highlight=False, markup=False)


def _witness(graph: Graph, result: Result) -> dict[str, list[float]]:
    return {value.name: part.tolist() for value, part in zip(graph.inputs, replayable(graph, result), strict=True)}
