import io

import numpy as np
import pytest
from rich.console import Console

from tlverify.cli.console import print_summary, verdict_line
from tlverify.cli.report import Report, Row, Run

IMAGE = np.zeros((8, 8))
THIRD = ["1", "/", "3", "(33.3", "%)"]
UNPERTURBED = ["1", "/", "3", "(33.3", "%),", "1", "of", "them", "unperturbed"]


def row(verdict="verified", **fields):
    defaults = {
        "index": 12,
        "label": 3,
        "predicted": 3,
        "reason": "",
        "margin": None,
        "image": IMAGE,
        "search_seconds": 0.01,
    }
    return Row(verdict=verdict, **(defaults | fields))


def report(*names, word="digits"):
    rows = (row(certificate_name="0.cert"), row("falsified", predicted=8), row("unknown", reason="timeout"))
    runs = tuple(
        Run(name, word, (), 6.25, (349, 360), word, "ab" * 32, 6570, 0.02, "exact real arithmetic", rows)
        for name in names
    )
    return Report(word, runs, {}, "2026-03-14T09:26:53", 41.7, "tlverify quickstart", checker_lines=1437)


def printed(found, width=100):
    console = Console(file=io.StringIO(), width=width)
    print_summary(found, console)
    return console.file.getvalue()


def test_summary_has_a_column_for_each_run():
    lines = [line.split() for line in printed(report("plain", "certified")).splitlines()]
    assert ["plain", "certified"] in lines
    assert ["✓", "Certified", *THIRD * 2] in lines
    assert ["✗", "Falsified", *UNPERTURBED * 2] in lines
    assert ["?", "Unknown", *THIRD * 2] in lines
    assert ["tlverify", "check", "0.cert"] in lines


def test_summary_says_what_it_means():
    text = " ".join(printed(report("one")).split())
    assert "For 1 of 3 images a checker of about 1,440 lines" in text
    assert "in exact real arithmetic." in text


@pytest.mark.parametrize("word", ["[red]loud[/red]", "[/]", ":smile:", "[link=http://x]y"])
def test_markup_in_data_is_printed_as_it_is(word):
    assert printed(report(word, word=word)).count(word) >= 3
    assert word in verdict_line(row("unknown", reason=word, label=word)).plain


def test_control_characters_do_not_reach_the_terminal():
    word = "a\x1b[2Jb\x07\u202ec"
    text = printed(report(word, word=word)) + verdict_line(row("unknown", reason=word + "\nx")).plain
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "\n" not in verdict_line(row("unknown", reason="two\nlines")).plain


@pytest.mark.parametrize("width", [30, 100])
def test_a_console_that_knows_only_ascii(width):
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding="ascii"), width=width)
    print_summary(report("plain training", "certified training"), console)
    console.print(verdict_line(row(), ascii_only=console.options.ascii_only))
    console.file.flush()
    assert b"+ Certified" in raw.getvalue() or width == 30
    assert b"12  + verified" in raw.getvalue()


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (
            row(margin=1.25, check_seconds=0.002, certificate_bytes=1500, reason="certificate accepted"),
            "   12  ✓ verified   label 3, margin 1.25, search 10 ms, check 2 ms, 1.5 kB",
        ),
        (
            row("falsified", witness_class=8, reason="witness replayed"),
            "   12  ✗ falsified  label 3, counterexample classified 8, search 10 ms, witness replayed",
        ),
        (row("falsified", predicted=8), "   12  ✗ falsified  label 3, predicted 8, search 10 ms"),
        (row("unknown", reason="timeout"), "   12  ? unknown    label 3, search 10 ms, timeout"),
    ],
)
def test_verdict_line(found, line):
    assert verdict_line(found).plain == line
