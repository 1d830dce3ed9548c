"""How many steps of a training to take at once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

_SECONDS = 0.05  # between two looks at the progress, and at Ctrl-C
_BYTES = 1 << 20  # of batches, which stay in the processor's cache


@dataclass
class Chunks:
    """`count` steps at once, by the time that the last ones took and by the bytes of a batch; fewer where something is
    to be done after every so many of `ends` steps."""

    batch_bytes: int
    ends: Sequence[int] = ()
    count: int = 1

    def at(self, step: int, most: int) -> int:
        """How many after so many are done, if there are `most` to come."""
        return min(self.count, most, *(every - step % every for every in self.ends))

    @contextmanager
    def timed(self, steps: int) -> Iterator[None]:
        """Looks at how long so many steps take."""
        begin = time.perf_counter()
        yield
        if steps >= self.count:
            fitting = int(steps * _SECONDS / max(time.perf_counter() - begin, 1e-9))
            self.count = max(1, min(2 * self.count, fitting, _BYTES // max(self.batch_bytes, 1)))
