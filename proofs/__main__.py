"""Decide every lemma and print one row for each; exits with 1 if any fails."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.table import Table
from rich.text import Text

from proofs.lemma import Lemma, counterexample, mutants, witness
from proofs.table import lemmas


def decide(lemma: Lemma) -> str:
    if witness(lemma) is None:
        return "vacuous"
    return "proved" if counterexample(lemma) is None else "false"


def main() -> int:
    table = Table("rule", "lemma", "verdict", "seconds", "mutants")
    start = time.perf_counter()
    count = failures = refuted = 0
    for lemma in lemmas():
        began = time.perf_counter()
        verdict = decide(lemma)
        seconds = time.perf_counter() - began
        wrong = mutants(lemma)
        killed = sum(counterexample(lemma, mutant) is not None for mutant in wrong)
        failures += verdict != "proved" or killed < len(wrong)
        count, refuted = count + 1, refuted + killed
        words = Text.assemble(lemma.name, "\n", (lemma.statement, "dim"))
        table.add_row(", ".join(lemma.rules), words, verdict, f"{seconds:.2f}", f"{killed}/{len(wrong)}")
    console = Console()
    console.print(table)
    elapsed = time.perf_counter() - start
    console.print(f"{count - failures} of {count} lemmas hold, {refuted} mutants refuted, in {elapsed:.1f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
