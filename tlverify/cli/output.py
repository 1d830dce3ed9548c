"""How commands end: exit codes, errors, and the one JSON object of `--json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.text import Text

VERIFIED, MALFORMED, FALSIFIED, UNKNOWN, REJECTED, INTERNAL, INTERRUPTED = 0, 2, 10, 20, 30, 70, 130
EXIT_CODES = {
    "verified": VERIFIED,
    "falsified": FALSIFIED,
    "unknown": UNKNOWN,
    "rejected": REJECTED,
    "malformed": MALFORMED,
}
WORST_FIRST = ("malformed", "rejected", "falsified", "unknown", "verified")


def exit_code(verdicts: Iterable[str]) -> int:
    """The exit code of the worst verdict: malformed, rejected, falsified, unknown, verified."""
    found = set(verdicts)
    return next((EXIT_CODES[verdict] for verdict in WORST_FIRST if verdict in found), VERIFIED)


def print_json(value: dict[str, Any]) -> None:
    """One object on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def fail(message: str, code: int) -> int:
    """Say what went wrong, on standard error, or as the JSON object if that was asked for; returns the code."""
    if "--json" in sys.argv:
        print_json({"error": message, "exit_code": code})
    else:
        Console(stderr=True).print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)
    return code
