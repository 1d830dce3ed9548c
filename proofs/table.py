"""All lemmas, and what they stand behind."""

from __future__ import annotations

from proofs import (
    affine,
    arithmetic,
    backward,
    beside,
    close,
    decode,
    fast,
    float32,
    inexact,
    interval,
    packed,
    piecewise,
    region,
    relu,
    replay,
    split,
    tree,
    windows,
)
from proofs.lemma import Lemma

KERNEL_PLACES = (
    "region",
    "decode",
    "outward",
    "intersect",
    "shorten",
    "accumulate",
    "floor_to",
    "packed",
    "inexact",
    "objective",
    "witness",
    "contract",
    "rounding",
    "flushed",
    "execution",
)
"""Where the kernel reads, rounds, packs or scales a number."""

FAST_PLACES = ("digits", "guard", "filter")
"""Where the arithmetic `fast` takes a number apart, makes sure that float64 is exact, and knows a floor without."""

INTERVAL_PLACES = ("beside",)
"""Where the arithmetic `interval` works on parts of a tree together."""


def lemmas() -> tuple[Lemma, ...]:
    """Every lemma, from reading the files to closing a proof."""
    modules = (
        region,
        decode,
        arithmetic,
        packed,
        affine,
        windows,
        piecewise,
        inexact,
        interval,
        backward,
        relu,
        close,
        split,
        tree,
        replay,
        fast,
        beside,
        float32,
    )
    return tuple(lemma for module in modules for lemma in module.lemmas())


def proofs() -> dict[str, tuple[str, ...]]:
    """Names of the lemmas by what relies on them: a rule of the calculus, the row of an op, or a place."""
    rules: dict[str, tuple[str, ...]] = {}
    for lemma in lemmas():
        for rule in lemma.rules:
            rules[rule] = (*rules.get(rule, ()), lemma.name)
    return rules
