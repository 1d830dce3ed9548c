"""Branch and bound to its end, by this process and by the workers of an executor. This one works as well as they do, so
nothing depends on them; they take shards, and what they give back is put in its place."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass, field, replace

import numpy as np

from tlverify.certify.search.forest import Engine, Parts, Proof
from tlverify.certify.search.progress import Search
from tlverify.certify.search.root import Floats
from tlverify.certify.search.shards import Found, Shard, Sharing, search_shard
from tlverify.certify.search.walk import Walk

ALONE = 1.5  # seconds of search before others are asked
SECONDS = 1.0  # of a shard
FEWEST = 32  # parts in a shard
PATIENCE = 10.0  # seconds after which nobody waits for a shard, if there is nothing else to do
LOSSES = 8  # shards of one claim whose workers died, after which no more are given away


@dataclass
class Crew:
    """The workers of an executor: shards that they have, and parts that came back."""

    sharing: Sharing
    search: Search
    away: dict[Future[Found], tuple[Parts, float]] = field(default_factory=dict)  # since when
    back: list[Parts] = field(default_factory=list)
    workers: set[str] = field(default_factory=set)  # who gave something back
    losses: int = 0

    @property
    def parts(self) -> list[Parts]:
        return [parts for parts, _ in self.away.values()] + self.back

    def collect(self, engine: Engine) -> Iterator[Floats]:
        """Put the trees of shards that are done in their places; points where the bad set may be reached. A shard whose
        worker died comes back as it went."""
        for shard in [shard for shard in self.away if shard.done()]:
            parts, _ = self.away.pop(shard)
            error = CancelledError() if shard.cancelled() else shard.exception()
            if error is not None:
                self.back.append(parts)
                self.losses += 1
                self.search.log.append(f"a shard is lost: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
                continue
            found = shard.result()
            self.workers.add(found.worker)
            self.search.leaves += found.leaves
            self.search.elsewhere += found.seconds
            where = engine.forest.graft(parts.numbers, found.forest)
            if found.open is not None:
                self.back.append(replace(found.open, numbers=where[found.open.numbers]))
            engine.stuck = engine.stuck or found.stuck
            if found.point is not None:
                yield found.point

    def feed(self, engine: Engine) -> None:
        """Something to do for an engine that has nothing left: what came back, what no worker has begun, and what one
        has had for too long. If there is no such thing, wait a little."""
        if not self.back:
            now = time.perf_counter()
            idle = list(self.away)[::-1] if len(self.away) > len(self.workers) else []
            given = next((shard for shard in idle if shard.cancel()), None)
            if given is None:
                given = next((shard for shard in self.away if now - self.away[shard][1] > PATIENCE), None)
                if given is not None:
                    given.cancel()
                    self.workers.clear()  # they have something else to do
            if given is not None:
                self.back.append(self.away.pop(given)[0])
        if self.back:
            engine.put(self.back.pop())
        else:
            wait(self.away, 0.05, FIRST_COMPLETED)

    def give(self, engine: Engine) -> None:
        """Two shards for each worker that is known, and two to find out about others, small ones as long as nobody has
        answered: processes may have to start."""
        every = 2 if self.workers else 8
        while self.losses < LOSSES and len(self.away) < 2 * len(self.workers) + 2:
            if self.back and (len(engine) or len(self.back) > 1):
                parts = self.back.pop(0)
            elif len(engine) >= every * FEWEST:
                parts = engine.take(slice(1, None, every))
            else:
                return
            begin = time.perf_counter()
            seconds = min(SECONDS, max(0.0, self.search.deadline - begin))
            fresh = replace(parts, numbers=np.arange(len(parts)))
            try:
                task = Shard(self.sharing.job, isinstance(engine, Walk), fresh, seconds)
                shard = self.sharing.executor.submit(search_shard, task)
            except RuntimeError as error:  # the executor is broken, or was shut down
                self.back.append(parts)
                self.losses = LOSSES
                self.search.log.append(f"going on alone: {type(error).__name__}: {error}")
            else:
                self.away[shard] = parts, begin


def explore(engine: Engine, search: Search, sharing: Sharing | None = None) -> Iterator[Floats | Proof]:
    """Points where the bad set may be reached (batch, inputs), and in the end the tree if it is complete. It is not if
    the time is over, or a part is too small to be split."""
    crew = None if sharing is None else Crew(sharing, search)
    begin, leaves = time.perf_counter(), 0
    elsewhere: list[Parts] = []
    try:
        while len(engine) or elsewhere:
            lower = min([engine.lower, *(parts.lower for parts in elsewhere)])
            search.note(lower, len(engine) + sum(map(len, elsewhere)))
            if search.late() or engine.stuck:
                return
            if len(engine):
                points = engine.advance()
                search.leaves, leaves = search.leaves + engine.leaves - leaves, engine.leaves
                if points is not None and (len(engine) or elsewhere or engine.stuck):  # otherwise the claim holds
                    yield points
            if crew is not None and time.perf_counter() - begin > ALONE:
                yield from crew.collect(engine)
                if not len(engine) and crew.parts:
                    crew.feed(engine)
                crew.give(engine)
                elsewhere = crew.parts
    finally:
        for shard in [] if crew is None else crew.away:
            shard.cancel()
    search.note(0.0, 0)
    yield engine.proof()
