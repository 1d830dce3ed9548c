"""The report's summary in the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tlverify.cli.report import (
    GLYPHS,
    Report,
    Row,
    Verdict,
    check_command,
    comparison,
    margin,
    meaning,
    printable,
    seconds,
    size,
)

STYLES: Mapping[Verdict, str] = {
    "verified": "bold cyan",
    "falsified": "bold bright_red",
    "unknown": "bold yellow",
}
ASCII_GLYPHS: Mapping[Verdict, str] = {"verified": "+", "falsified": "x", "unknown": "?"}
_VERDICT_OF: Mapping[str, Verdict] = {"Certified": "verified", "Falsified": "falsified", "Unknown": "unknown"}


def print_summary(report: Report, console: Console) -> None:
    """Print what `report.html` says first: a column for each run, the meaning, and how to check again."""
    glyphs = ASCII_GLYPHS if console.options.ascii_only else GLYPHS
    table = Table(show_edge=False, pad_edge=False, box=None, padding=(0, 3, 0, 0))
    table.add_column(overflow="fold")
    for run in report.runs:
        table.add_column(Text(printable(run.name), style="bold"), overflow="fold")
    columns = [comparison(run) for run in report.runs]
    for quantity in columns[0]:
        verdict = _VERDICT_OF.get(quantity)
        style = STYLES[verdict] if verdict else ""
        title = Text.assemble((f"{glyphs[verdict] if verdict else ' '} ", style), (quantity, "dim"))
        table.add_row(title, *(Text(column[quantity], style=style) for column in columns))
    table.add_row(
        Text("  Graph sha256", style="dim"),
        *(Text(printable(run.graph_digest[:16]) + "...") for run in report.runs),
    )

    console.print(Text(f"\n{printable(report.title)}\n", style="bold"))
    console.print(table)
    console.print(Text(f"\n{printable(report.best.name)}" if len(report.runs) > 1 else "", style="bold"))
    console.print(Text(meaning(report)))
    console.print(Text(f"\n{seconds(report.seconds)} in all. Check one proof of each run again:", style="dim"))
    for command in filter(None, map(check_command, report.runs)):
        console.print(Text(f"  {command}"), soft_wrap=True)


def verdict_line(row: Row, *, ascii_only: bool = False) -> Text:
    """One line for one image: verdict, label, margin or mistake, times and size, and if it is not verified why, and
    what would help.

    `ascii_only` is for consoles that cannot print the glyphs: pass `console.options.ascii_only`.
    """
    words = [f"label {row.label}"]
    if row.misclassified:
        words.append(f"predicted {row.predicted}")
    elif row.witness_class is not None:
        words.append(f"counterexample classified {row.witness_class}")
    if row.margin is not None:
        words.append(f"margin {margin(row.margin)}")
    words.append(f"search {seconds(row.search_seconds)}")
    if row.check_seconds:
        words.append(f"check {seconds(row.check_seconds)}" + (f" ({row.arithmetic})" if row.arithmetic else ""))
    if row.certificate_bytes is not None:
        words.append(size(row.certificate_bytes))
    if row.reason and row.verdict != "verified":
        words += filter(None, (row.reason, row.remedy))
    glyph = (ASCII_GLYPHS if ascii_only else GLYPHS)[row.verdict]
    line = Text(f"{row.index:>5}  ").append(f"{glyph} {row.verdict:<9}", style=STYLES[row.verdict])
    return line.append("  " + printable(", ".join(words)).replace("\n", " "))
