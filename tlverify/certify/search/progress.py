"""How far the search of one claim is: when it must stop, and what it has to say for itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tlverify.certify.search.shards import Sharing

EVERY = 1.0  # seconds between two reports


@dataclass
class Search:
    """One claim being searched.

    `deadline` is a time of time.perf_counter. `lower` is the best bound so far on the amount by which the bad set is
    missed (proved once it is above 0), `leaves` counts the closed leaves of trees, `open` those of the present tree
    that are left, `log` says in words what was done, `obstacle` why the search cannot even begin. `report` is called
    with this object about once a second while the search runs. `sharing` is who may take parts of it; `elsewhere` are
    the CPU seconds that this took them.
    """

    deadline: float = inf
    lower: float = -inf
    leaves: int = 0
    open: int = 0
    log: list[str] = field(default_factory=list)
    obstacle: str = ""
    elsewhere: float = 0.0
    report: Callable[[Search], None] | None = None
    sharing: Sharing | None = None
    _reported: float = field(default_factory=time.perf_counter, repr=False)

    def late(self) -> bool:
        """Whether the search must stop. Asked in every round of every search, so the time for a report too."""
        now = time.perf_counter()
        if self.report is not None and now - self._reported >= EVERY:
            self._reported = now
            self.report(self)
        return now > self.deadline

    def note(self, lower: float, open_leaves: int) -> None:
        """Where the present tree stands: the least bound of its open leaves, and their number."""
        self.lower, self.open = max(self.lower, lower), open_leaves
