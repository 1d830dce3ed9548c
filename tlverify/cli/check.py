"""`tlverify check`"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from tlverify.certify import check_files, find_certificates
from tlverify.certify.files import Checked
from tlverify.cli.output import exit_code, print_json
from tlverify.cli.report import printable, seconds

STYLES = {"verified": "bold cyan", "falsified": "bold bright_red", "rejected": "bold red", "malformed": "bold red"}


def check(paths: list[Path], graph: Path | None, as_json: bool) -> None:
    """Check every certificate; exits with the code of the worst verdict."""
    found = [checked for path in paths for checked in check_files(find_certificates(path), graph)]
    code = exit_code(checked.verdict for checked in found)
    if as_json:
        print_json({"certificates": [_data(checked) for checked in found], "exit_code": code})
    else:
        console = Console()
        for checked in found:
            console.print(_line(checked, statement=len(found) == 1), soft_wrap=True)
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
            words += f" (margin {float(checked.accepted.margin):.6g})"
    return Text.assemble(
        (f"{checked.verdict:<10}", STYLES[checked.verdict]), f"{printable(checked.name)}  {printable(words)}"
    )


def _data(checked: Checked) -> dict[str, object]:
    accepted = checked.accepted
    return {
        "certificate": checked.name,
        "verdict": checked.verdict,
        "reason": checked.reason,
        "statement": accepted.statement if accepted else "",
        "claim": accepted.claim if accepted else "",
        "graph": accepted.graph if accepted else "",
        "margin": str(accepted.margin) if accepted and accepted.margin is not None else None,
        "seconds": round(checked.seconds, 6),
        "bytes": checked.size,
    }
