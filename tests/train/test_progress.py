"""The progress bar: drawn on a terminal, silent elsewhere, and rich is loaded only to draw it."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from tlverify.train.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar("plain", 2) as update:
        update(2, "loss 0.25")
    assert "plain" in terminal.getvalue()
    assert "100%" in terminal.getvalue()
    assert "loss 0.25" in terminal.getvalue()


@pytest.mark.parametrize(("stream", "enabled"), [(io.StringIO, True), (Terminal, False)])
def test_silent_elsewhere(monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], enabled: bool) -> None:
    other = stream()
    monkeypatch.setattr(sys, "stderr", other)
    with progress_bar("plain", 2, enabled) as update:
        update(1, "loss 0.25")
    assert other.getvalue() == ""


def test_import_loads_neither_rich_nor_matplotlib() -> None:
    code = "import sys, tlverify.train; print(sorted({'rich', 'matplotlib', 'safetensors'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
