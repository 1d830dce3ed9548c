"""Schedules of the learning rate: factors of it, as functions of the fraction of training done."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tlverify.graph import TlverifyError

Schedule = Callable[[float], float]
"""From the fraction of training done, in [0, 1], to a factor of the learning rate."""


def constant(fraction: float) -> float:
    """The factor 1 throughout."""
    return 1.0


def cosine(fraction: float) -> float:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, eq. 5, without restarts)."""
    return 0.5 * (1.0 + math.cos(math.pi * fraction))


def step(milestones: Sequence[float] = (0.5, 0.75), factor: float = 0.1) -> Schedule:
    """1, times `factor` after each of the `milestones`, which are fractions of the training."""
    _require(all(0 <= m <= 1 for m in milestones), "step", "milestones in [0, 1]", milestones)
    _require(factor > 0, "step", "a factor above 0", factor)
    return lambda fraction: factor ** sum(fraction >= milestone for milestone in milestones)


def exponential(final: float = 0.01) -> Schedule:
    """From 1 to `final` by equal ratios."""
    _require(final > 0, "exponential", "a final factor above 0", final)
    return lambda fraction: final**fraction


def linear(final: float = 0.0) -> Schedule:
    """From 1 to `final` by equal steps."""
    _require(final >= 0, "linear", "a final factor of 0 or more", final)
    return lambda fraction: 1.0 + (final - 1.0) * fraction


def warmup(share: float, then: Schedule = constant) -> Schedule:
    """From 0 to 1 by equal steps over a `share` of the training, and then `then` over the rest."""
    _require(0 < share < 1, "warmup", "a share in (0, 1)", share)

    def schedule(fraction: float) -> float:
        return fraction / share if fraction < share else then((fraction - share) / (1.0 - share))

    return schedule


def warmup_cosine(share: float = 0.1) -> Schedule:
    """Linear warm-up over a `share` of the training, and then half a cosine to 0."""
    return warmup(share, cosine)


def cyclic(cycles: int = 4, lowest: float = 0.1) -> Schedule:
    """From `lowest` up to 1 and back again, `cycles` times (Smith 2017)."""
    _require(cycles >= 1, "cyclic", "one or more cycles", cycles)
    _require(0 <= lowest <= 1, "cyclic", "a lowest factor in [0, 1]", lowest)

    def schedule(fraction: float) -> float:
        place = fraction * cycles % 1.0
        return lowest + (1.0 - lowest) * (1.0 - abs(2.0 * place - 1.0))

    return schedule


def one_cycle(peak: float = 0.3, start: float = 0.04, final: float = 4e-6) -> Schedule:
    """Half a cosine from `start` to 1 at the fraction `peak`, and one to `final` at the end (Smith and Topin 2018).

    The defaults are those of PyTorch's OneCycleLR, where the largest learning rate is the factor 1.
    """
    _require(0 < peak < 1, "one_cycle", "a peak in (0, 1)", peak)
    _require(min(start, final) >= 0, "one_cycle", "factors of 0 or more", (start, final))

    def between(a: float, b: float, fraction: float) -> float:
        return b + (a - b) * cosine(fraction)

    def schedule(fraction: float) -> float:
        if fraction <= peak:
            return between(start, 1.0, fraction / peak)
        return between(1.0, final, (fraction - peak) / (1.0 - peak))

    return schedule


def _require(condition: bool, schedule: str, expected: str, found: object) -> None:
    if not condition:
        raise TlverifyError(f"{schedule}: expected {expected}, found {found!r}")
