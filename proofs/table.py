"""All lemmas, and the kernel rules that they stand behind."""

from __future__ import annotations

from proofs import arithmetic, backward, close, decode, interval, piecewise, region, relu, split
from proofs.lemma import Lemma

RULES = (
    "region",
    "interval",
    "bound",
    "split_input",
    "split_phase",
    "lemma",
    "close",
    "weaken",
    "decode",
    "arithmetic",
)
"""The rules of the proof calculus, and the places of the kernel where numbers are read or rounded."""


def lemmas() -> tuple[Lemma, ...]:
    """Every lemma, in the order of the rules they support."""
    modules = (region, interval, backward, relu, piecewise, split, close, decode, arithmetic)
    return tuple(lemma for module in modules for lemma in module.lemmas())


def proofs() -> dict[str, tuple[str, ...]]:
    """Names of the lemmas by what relies on them: one of RULES, or the row of an op."""
    rules: dict[str, tuple[str, ...]] = {}
    for lemma in lemmas():
        for rule in lemma.rules:
            rules[rule] = (*rules.get(rule, ()), lemma.name)
    return rules
