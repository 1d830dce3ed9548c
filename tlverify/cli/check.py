"""`tlverify check`"""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tlverify.certify import check_files, find_certificates
from tlverify.certify.audit import ARITHMETICS, AUTO, Disagreement, describe
from tlverify.certify.files import Checked
from tlverify.certify.prove import as_float
from tlverify.cli.output import INTERNAL, exit_code, fail, print_json
from tlverify.cli.report import printable, seconds
from tlverify.graph import TlverifyError, write_atomic

STYLES = {
    "verified": "bold cyan",
    "falsified": "bold bright_red",
    "rejected": "bold red",
    "malformed": "bold red",
    "unknown": "bold yellow",
}


def check(paths: list[Path], graph: Path | None, arithmetic: str, as_json: bool) -> None:
    """Check every certificate; exits with the code of the worst verdict, or 70 if arithmetics contradict each other."""
    if arithmetic not in (AUTO, *ARITHMETICS, "all"):
        raise TlverifyError(f"--arithmetic: expected {AUTO}, {', '.join(ARITHMETICS)} or all, found {arithmetic!r}")
    try:
        found = [checked for path in paths for checked in check_files(find_certificates(path), graph, arithmetic)]
    except Disagreement as disagreement:
        raise SystemExit(_save(disagreement)) from None
    code = exit_code(checked.verdict for checked in found)
    if as_json:
        certificates = [_data(checked) for checked in found]
        print_json({"arithmetic": arithmetic, "certificates": certificates, "exit_code": code})
    else:
        console = Console()
        for checked in found:
            console.print(_line(checked, statement=len(found) == 1), soft_wrap=True)
            if len(checked.answers) > 1:
                console.print(_agreement(checked), soft_wrap=True)
        if len(found) > 1:
            counts = {verdict: sum(c.verdict == verdict for c in found) for verdict in STYLES}
            words = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
            console.print(f"{len(found)} certificates: {words} in {seconds(sum(c.seconds for c in found))}")
    raise SystemExit(code)


def _line(checked: Checked, statement: bool) -> Text:
    words = checked.reason
    if checked.accepted is not None:
        words = checked.accepted.statement if statement else f"claim {checked.accepted.claim[:12]}"
        if checked.accepted.margin is not None:
            words += f" (margin {as_float(checked.accepted.margin):.6g})"
        words += f"; accepted in {accepted_in(checked)}"
    return Text.assemble(
        (f"{checked.verdict:<10}", STYLES[checked.verdict]), f"{printable(checked.name)}  {printable(words)}"
    )


def accepted_in(checked: Checked) -> str:
    """The arithmetic that counts. A witness is replayed in `exact`, whichever was asked."""
    witness = checked.accepted is not None and checked.accepted.verdict == "falsified"
    return "exact" if witness else checked.answers[0].arithmetic


def _agreement(checked: Checked) -> Text:
    """What the other arithmetics said, in one line."""
    first, *others = checked.answers
    words = [f"{first.arithmetic} {first.verdict}"]
    words += [f"{one.arithmetic} {one.verdict}" + (f" ({one.reason})" if one.reason else "") for one in others]
    return Text(f"           {printable(', '.join(words))}", style="dim")


def _save(disagreement: Disagreement) -> int:
    """Write all answers into a file of the current folder; the exit code."""
    path = Path(f"disagreement-{disagreement.record['claim']}.json")
    write_atomic(path, json.dumps(disagreement.record, indent=2, sort_keys=True).encode())
    return fail(f"arithmetics disagree: {disagreement}; all answers are in {path}, please report them", INTERNAL)


def _data(checked: Checked) -> dict[str, object]:
    accepted = checked.accepted
    return {
        "certificate": checked.name,
        "verdict": checked.verdict,
        "arithmetic": accepted_in(checked),
        "reason": checked.reason,
        "statement": accepted.statement if accepted else "",
        "claim": accepted.claim if accepted else "",
        "graph": accepted.graph if accepted else "",
        "margin": str(accepted.margin) if accepted and accepted.margin is not None else None,
        "seconds": round(checked.seconds, 6),
        "bytes": checked.size,
        "answers": [describe(one) for one in checked.answers],
    }
