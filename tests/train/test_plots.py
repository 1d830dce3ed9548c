import sys

import numpy as np
import pytest

from tlverify.graph import TlverifyError
from tlverify.train.lr_finder import RangeTest
from tlverify.train.plots import plot_confusion, plot_lr, plot_report
from tlverify.train.report import Report

REPORT = Report("a title", (3.0, 1.0, 0.05), ((2, 0.5), (3, 0.9)))


def test_pictures_are_written(tmp_path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'tlverify[report]'")
    plot_report(REPORT, tmp_path / "a" / "loss.svg")
    text = (tmp_path / "a" / "loss.svg").read_text()
    assert text.rstrip().endswith("</svg>")
    for name in (None, ["cat", "dog"]):
        plot_confusion(np.array([[5, 1], [0, 7]]), tmp_path / "table.png", name)
        assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(TlverifyError, match="cannot be written"):
        plot_report(REPORT, tmp_path / "loss.xyz")


def test_figures_say_what_they_show() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'tlverify[report]'")
    loss, score = plot_report(REPORT).axes
    assert loss.get_title() == "a title"
    assert loss.get_yscale() == "log"
    np.testing.assert_array_equal(loss.lines[0].get_xydata(), [[1, 3.0], [2, 1.0], [3, 0.05]])
    np.testing.assert_array_equal(score.lines[0].get_xydata(), [[2, 0.5], [3, 0.9]])
    (cells,) = plot_confusion(np.array([[5, 1], [0, 7]])).axes
    assert [text.get_text() for text in cells.texts] == ["5", "1", "0", "7"]
    (rates,) = plot_lr(RangeTest((0.01, 0.1, 1.0), (2.0, 1.0, 3.0), 0.1)).axes
    assert rates.get_xscale() == "log"
    assert rates.lines[1].get_xdata() == [0.1, 0.1]
    assert rates.get_legend().texts[0].get_text() == "suggestion 0.1"


def test_errors(tmp_path, monkeypatch) -> None:
    with pytest.raises(TlverifyError, match="expected a report with losses"):
        plot_report(Report(), tmp_path / "a.svg")
    with pytest.raises(TlverifyError, match=r"expected \(classes, classes\), found \[2, 3\]"):
        plot_confusion(np.zeros((2, 3)), tmp_path / "a.svg")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(TlverifyError, match=r"pip install 'tlverify\[report\]'"):
        plot_report(REPORT, tmp_path / "a.svg")
