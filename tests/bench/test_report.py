"""CSV, summary and cactus plot."""

import csv
import io
import json
from pathlib import Path

import pytest

from tlverify.bench.instances import BenchError, Instance
from tlverify.bench.record import Record
from tlverify.bench.report import COLUMNS, Row, csv_text, disagreements, summarize, write_cactus


def row(name, verdict, expected, cpu=1.0, **more):
    record = Record(name, "net.onnx", f"{name}.vnnlib", 20.0, verdict, more.pop("reason", ""), cpu_seconds=cpu, **more)
    return Row(Instance(Path("net.onnx"), Path(f"{name}.vnnlib"), 20.0, expected), record)


ROWS = [
    row("a", "verified", "verified", cpu=1.0, leaves=5, certificate_bytes=100, peak_bytes=7),
    row("b", "falsified", "falsified", cpu=3.0, leaves=1, certificate_bytes=50),
    row("c", "verified", "falsified", cpu=2.0),
    row("d", "unknown", "verified", cpu=20.0, reason='timeout, "late"', leaves=1000),
    row("e", "error", "", cpu=0.0, reason="broken"),
    row("f", "falsified", "", cpu=9.0),
]


@pytest.mark.parametrize(("index", "agrees"), [(0, True), (1, True), (2, False), (3, None), (4, None), (5, None)])
def test_agreement(index, agrees):
    assert ROWS[index].agrees is agrees


def test_csv_has_all_columns_and_says_no_loudly():
    read = list(csv.DictReader(io.StringIO(csv_text(ROWS))))
    assert tuple(read[0]) == COLUMNS
    assert [line["agrees"] for line in read] == ["yes", "yes", "NO", "", "", ""]
    assert read[3]["reason"] == 'timeout, "late"'
    assert read[0]["cpu_seconds"] == "1.0"


def test_summary_counts():
    found = summarize(ROWS)
    assert {name: found[name] for name in ("instances", "verified", "falsified", "unknown", "error", "agree")} == {
        "instances": 6,
        "verified": 2,
        "falsified": 2,
        "unknown": 1,
        "error": 1,
        "agree": 2,
    }
    assert found["disagree"] == [{"instance": "net / c", "found": "verified", "expected": "falsified"}]
    assert (found["cpu_seconds"], found["median_cpu_seconds"], found["largest_cpu_seconds"]) == (35.0, 2.5, 9.0)
    assert (found["leaves"], found["certificate_bytes"], found["peak_bytes"]) == (6, 150, 7)
    json.dumps(found, allow_nan=False)


def test_summary_of_nothing_solved():
    assert summarize(ROWS[3:5])["median_cpu_seconds"] is None
    assert disagreements(ROWS[3:]) == []


def test_cactus_plot_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    write_cactus({"ours": [0.0, 3.0, 1.0], "theirs": []}, tmp_path / "cactus.svg")
    assert "ours (3)" in (tmp_path / "cactus.svg").read_text() or (tmp_path / "cactus.svg").stat().st_size > 1000


def test_cactus_plot_without_matplotlib_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(BenchError, match=r"tlverify\[report\]"):
        write_cactus({}, tmp_path / "cactus.svg")
