"""`tlverify examples`: find the example scripts, list them, and run one."""

from __future__ import annotations

import ast
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

import tlverify
from tlverify.cli.output import print_json
from tlverify.graph import TlverifyError


def folder() -> Path:
    """Where the examples are: `tlverify/_examples` of an installed package, `examples` of a checkout."""
    package = Path(tlverify.__file__).parent
    for place in (package / "_examples", package.parent / "examples"):
        if place.is_dir():
            return place
    raise TlverifyError(f"examples: expected a folder {package / '_examples'}; install tlverify again")


def examples() -> dict[str, str]:
    """The first line of each example's docstring, by name."""
    return {path.stem: _title(path) for path in sorted(folder().glob("*.py"))}


def show(as_json: bool) -> None:
    """A line for each example."""
    found = examples()
    if as_json:
        print_json({"folder": str(folder()), "examples": found})
        return
    console, table = Console(), Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for name, title in found.items():
        table.add_row(name, title)
    console.print(table)
    console.print("\ntlverify examples run NAME, with --help for its flags", highlight=False)


def run(name: str, arguments: Sequence[str]) -> None:
    """Run an example in the working directory, with its own flags. In place of a name, --help lists the names."""
    if name in ("-h", "--help"):
        show(False)
        return
    known = examples()
    if name not in known:
        raise TlverifyError(f"examples: no example {name!r}; they are: {', '.join(known)}")
    path, before = folder() / f"{name}.py", sys.argv
    sys.argv = [f"tlverify examples run {name}", *arguments]
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        sys.argv = before


def _title(path: Path) -> str:
    documentation = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return documentation.split("\n", 1)[0]
