"""The examples are found from a checkout and from an installed package, listed, and run with their own flags."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import tlverify
from tlverify.cli import examples
from tlverify.graph import TlverifyError

Run = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]


def test_all_are_listed_with_a_line_each(run: Run) -> None:
    code, printed, _ = run("examples", "--json")
    found = json.loads(printed)
    assert (code, Path(found["folder"])) == (0, ROOT / "examples")
    assert set(found["examples"]) == {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert all(found["examples"].values())
    assert run("examples")[1].split()[0] == min(found["examples"])


def test_runs_with_its_flags_in_the_working_directory(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, printed, _ = run("examples", "run", "regression", "--steps", "3", "--log=curve.csv")
    assert (code, "Established" in printed) == (0, True)
    assert len((tmp_path / "curve.csv").read_text().splitlines()) == 7


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nothing"], 2, "no example 'nothing'; they are: addition_gpt, "),
        (["regression", "--step", "3"], 2, "unrecognized arguments: --step 3"),
        (["regression", "--help"], 0, "--batch-size"),
        (["--help"], 0, "tlverify examples run NAME, with --help for its flags"),
        (["mnist", "--steps=1"], 2, "cannot be read"),
    ],
)
def test_refusals_and_help(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, said: str
) -> None:
    monkeypatch.setenv("TLVERIFY_DATA", str(tmp_path))
    found, *printed = run("examples", "run", *arguments)
    assert (found, said in " ".join("".join(printed).split())) == (code, True)


def test_an_installed_package_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "tlverify"
    monkeypatch.setattr(tlverify, "__file__", str(package / "__init__.py"))
    with pytest.raises(TlverifyError, match="_examples; install tlverify again"):
        examples.folder()
    (package / "_examples").mkdir(parents=True)
    (package / "_examples" / "one.py").write_text('"""The first line.\n\nMore."""\n')
    assert examples.examples() == {"one": "The first line."}


def test_the_wheel_takes_them_along() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {"examples": "tlverify/_examples"}
