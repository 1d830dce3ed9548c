"""`tlverify contract`"""

from __future__ import annotations

import importlib
import json
import platform
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tlverify.certify.claim import SEMANTICS, in_words
from tlverify.cli.output import print_json
from tlverify.core.binary32.accuracy import FUNCTIONS, LAST, measure
from tlverify.graph import TlverifyError, write_atomic
from tlverify.train.progress import Update, progress_bar


def show(as_json: bool) -> None:
    """The arithmetics that a claim may be about, by name."""
    if as_json:
        print_json(
            {"contracts": {name: data if isinstance(data, str) else dict(data) for name, data in SEMANTICS.items()}}
        )
        return
    table = Table("name", "a claim holds in", box=None)
    for name, data in SEMANTICS.items():
        table.add_row(name, in_words(data))
    Console().print(table)


def measure_functions(backend: str, functions: str, every: int, out: Path | None, as_json: bool) -> None:
    """Sweep float32 through the functions, and write the table."""
    names = functions.split(",") if functions else list(FUNCTIONS)
    for name in names:
        if name not in FUNCTIONS:
            raise TlverifyError(f"--functions: expected some of {', '.join(FUNCTIONS)}, found {name!r}")
    xp = _namespace(backend)
    found: dict[str, Any] = {}
    for name in names:
        with progress_bar(name, LAST) as update:
            result = measure(name, every, partial(_show, update), xp)
        found[name] = {key: value for key, value in asdict(result).items() if key != "function"}
        if out is not None:  # as they come, so that an interruption loses one
            write_atomic(out, json.dumps(_table(backend, xp, every, found), indent=2).encode())
    if as_json:
        print_json(_table(backend, xp, every, found))
        return
    table = Table("function", "largest error, ulp", "at", "inputs", "NaN or infinity on one side", box=None)
    for name, row in found.items():
        table.add_row(name, f"{row['ulps']:.4f}", f"{row['at']:.9g}", f"{row['inputs']:,}", str(row["special"]))
    Console().print(table)


def _show(update: Update, done: int) -> None:
    update(done, "")


def _table(backend: str, xp: ModuleType, every: int, found: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": "tlverify.ulps",
        "version": 1,
        "backend": backend,
        "library": f"{xp.__name__} {xp.__version__}",
        "machine": f"{platform.system()} {platform.machine()}",
        "every": every,
        "functions": found,
    }


def _namespace(backend: str) -> ModuleType:
    if backend == "numpy":
        return np
    if backend != "cupy":
        raise TlverifyError(f"--backend: expected numpy or cupy, found {backend!r}")
    try:
        return importlib.import_module("cupy")
    except ImportError:
        raise TlverifyError("--backend cupy: CuPy is not installed; pip install 'tlverify[gpu]'") from None
