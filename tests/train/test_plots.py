import sys

import numpy as np
import pytest

from tlverify.graph import TlverifyError
from tlverify.train.plots import plot_confusion, plot_report
from tlverify.train.report import Report

REPORT = Report("a title", (3.0, 1.0, 0.05), ((2, 0.5), (3, 0.9)))


def test_pictures_are_written(tmp_path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'tlverify[report]'")
    text = plot_report(REPORT, tmp_path / "a" / "loss.svg").read_text()
    assert text.rstrip().endswith("</svg>")
    for name in (None, ["cat", "dog"]):
        data = plot_confusion(np.array([[5, 1], [0, 7]]), tmp_path / "table.png", name).read_bytes()
        assert data.startswith(b"\x89PNG")
    with pytest.raises(TlverifyError, match="cannot be written"):
        plot_report(REPORT, tmp_path / "loss.xyz")


def test_errors(tmp_path, monkeypatch) -> None:
    with pytest.raises(TlverifyError, match="expected a report with losses"):
        plot_report(Report(), tmp_path / "a.svg")
    with pytest.raises(TlverifyError, match=r"expected \(classes, classes\), found \[2, 3\]"):
        plot_confusion(np.zeros((2, 3)), tmp_path / "a.svg")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(TlverifyError, match=r"pip install 'tlverify\[report\]'"):
        plot_report(REPORT, tmp_path / "a.svg")
