"""How a training went, as data, as text, and as HTML for notebooks."""

from __future__ import annotations

import html
from dataclasses import dataclass

from tlverify.train.probe import ProbeResult


@dataclass(frozen=True)
class Report:
    """How training went.

    `losses` holds the loss of every step; `scores` pairs of (steps done, score on the evaluation data) after every
    pass; `seconds` is wall time; `stopped` says why it ended early, if it did; `notes` are the user's own; `execution`
    says how the steps were run.
    """

    title: str = ""
    losses: tuple[float, ...] = ()
    scores: tuple[tuple[int, float], ...] = ()
    seconds: float = 0.0
    stopped: str = ""
    probes: tuple[ProbeResult, ...] = ()
    notes: str = ""
    execution: str = ""

    @property
    def before(self) -> float | None:
        """The loss at the first step."""
        return self.losses[0] if self.losses else None

    @property
    def after(self) -> float | None:
        """The loss at the last step."""
        return self.losses[-1] if self.losses else None

    def lines(self, score: str = "score") -> list[str]:
        """The report as text."""
        lines = []
        if self.losses:
            lines.append(f"loss      {self.losses[0]:.4f} -> {self.losses[-1]:.4f}")
            how = f" ({self.execution})" if self.execution else ""
            lines.append(f"training  {len(self.losses):,} steps in {self.seconds:.1f} s{how}")
        if self.stopped:
            lines.append(f"stopped   {self.stopped}")
        if self.scores:
            lines.append(f"{score:<9} {self.scores[-1][1]:.4f}")
        return [*lines, *(f"probe     {result}" for result in self.probes), *self.notes.splitlines()]

    def __str__(self) -> str:
        return "\n".join(([self.title] if self.title else []) + self.lines())

    def _repr_html_(self) -> str:
        rows = "".join(f"<pre>{html.escape(line)}</pre>" for line in str(self).splitlines())
        return f"<div>{rows}{self.curve()}</div>"

    def curve(self, width: int = 480, height: int = 120, points: int = 240) -> str:
        """The losses as a small SVG picture, from the least to the greatest; empty for fewer than two."""
        if len(self.losses) < 2:
            return ""
        every = max(len(self.losses) // points, 1)
        values = self.losses[::every]
        low, high = min(values), max(values)
        across, down = width / max(len(values) - 1, 1), height / ((high - low) or 1.0)
        path = " ".join(f"{i * across:.1f},{(high - value) * down:.1f}" for i, value in enumerate(values))
        line = f'<polyline fill="none" stroke="currentColor" points="{path}"/>'
        return f'<svg width="{width}" height="{height}" role="img" aria-label="loss">{line}</svg>'
