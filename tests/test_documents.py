"""The Python in the documents runs as it is written."""

from __future__ import annotations

import importlib
import re
from operator import attrgetter
from pathlib import Path

import pytest

import tlverify
from tlverify.train.config import read_config

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("name", "block", "printed"),
    [
        ("README.md", 0, "verified"),
        ("docs/by-hand.md", 0, "verified 1/4"),
        ("docs/training.md", 0, "verified "),
        ("docs/training.md", 1, "loss "),
    ],
)
def test_example_runs(
    name: str,
    block: int,
    printed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    source = BLOCK.findall((ROOT / name).read_text())[block]
    exec(compile(source, f"{name} block {block}", "exec"), {"__name__": "example"})
    assert printed in capsys.readouterr().out


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_in_documents_parses(document: Path) -> None:
    for number, source in enumerate(BLOCK.findall(document.read_text())):
        compile(source, f"{document.name} block {number}", "exec")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_example_configuration_is_valid() -> None:
    assert read_config(ROOT / "examples" / "digits.toml")


def test_names_in_the_table_of_parity_exist() -> None:
    """Every test file is there, and every `ops.`, `nn.`, `optim.`, `losses.`, `models.` and `metrics.` name."""
    text = (ROOT / "docs" / "parity.md").read_text()
    for path in re.findall(r"`((?:cli|core|train)/test_\w+\.py)`", text):
        assert (ROOT / "tests" / path).exists(), path
    for row in re.findall(r"`((?:ops|nn|optim|losses|models|metrics)\.[^`]+)`", text):
        module, names = row.split(".", 1)
        home = importlib.import_module("tlverify.train.metrics") if module == "metrics" else getattr(tlverify, module)
        for name in names.split(", "):
            first, *others = name.split("/")
            variants = [first, *(first[: -len(other)] + other for other in others)]
            for variant in variants:
                if "*" not in variant:
                    assert attrgetter(variant)(home) is not None, f"{module}.{variant}"
