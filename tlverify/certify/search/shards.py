"""One search in several processes. Whoever runs `explore` works on it as well, so nothing depends on the others: they
take shards (open parts of the region, for a second each), and give back what grew on them and what is left."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Protocol

import numpy as np

from tlverify.certify import kernel
from tlverify.certify.claim import Claim
from tlverify.certify.search.branch import Branch
from tlverify.certify.search.forest import Forest, Parts, Proof
from tlverify.certify.search.layers import Layers, forward, layers_of
from tlverify.certify.search.points import BadSet
from tlverify.certify.search.progress import Search
from tlverify.certify.search.root import Floats, Root, prepare_root
from tlverify.certify.search.walk import Chain, Walk
from tlverify.certify.search.witnesses import Witnesses

ALONE = 1.5  # seconds of search before others are asked
SECONDS = 1.0  # of a shard
FEWEST = 32  # parts in a shard
PATIENCE = 10.0  # seconds after which nobody waits for a shard, if there is nothing else to do
LOSSES = 8  # shards of one claim whose workers died, after which no more are given away


class Engine(Protocol):
    """Branch and bound on the open parts of a forest: `Walk` or `Branch`."""

    forest: Forest
    stuck: bool

    def __len__(self) -> int: ...
    @property
    def leaves(self) -> int: ...
    @property
    def lower(self) -> float: ...
    def advance(self) -> Floats | None: ...
    def take(self, which: slice) -> Parts: ...
    def put(self, parts: Parts) -> None: ...
    def proof(self) -> Proof: ...


@dataclass(frozen=True)
class Job:
    """What all shards of a claim have in common: the graph's two files, and the claim with its digest."""

    structure: bytes
    parameters: bytes
    digest: str
    claim: Claim = field(compare=False)


@dataclass(frozen=True)
class Sharing:
    """Who takes shards of a claim, and what they must know of it."""

    executor: Executor
    job: Job


@dataclass(frozen=True)
class Shard:
    """Parts to be searched for so many seconds, by machine code or NumPy."""

    job: Job
    compiled: bool
    parts: Parts
    seconds: float


@dataclass(frozen=True)
class Yield:
    """What a worker gives back: the trees of a shard's parts, what is open in them, the point that comes nearest to the
    bad set (1, inputs) if any was looked at, closed leaves, CPU seconds, and who it is."""

    forest: Forest
    open: Parts | None
    point: Floats | None
    stuck: bool
    leaves: int
    seconds: float
    worker: str


def search_shard(shard: Shard) -> Yield:
    """Search it; in a worker."""
    begin = time.thread_time()
    with np.errstate(all="ignore"):
        root, layers, chain, witnesses, bad = _prepared(shard.job)
        engine: Engine = Walk(root, chain, shard.parts) if shard.compiled and chain else Branch(root, shard.parts)
        deadline = time.perf_counter() + shard.seconds
        best, most = None, -np.inf
        while len(engine) and not engine.stuck and most < 0 and time.perf_counter() < deadline:
            points = engine.advance()
            if points is not None and not witnesses.hole:
                badness = bad.badness(forward(layers, witnesses.moved(points))[1])[0]
                if badness.max() > most:
                    best, most = points[badness.argmax()][None], float(badness.max())
    left, spent = engine.take(slice(None)) if len(engine) else None, time.thread_time() - begin
    who = f"{socket.gethostname()} {os.getpid()} {threading.get_ident()}"
    return Yield(engine.forest.trimmed(), left, best, engine.stuck, engine.leaves, spent, who)


@lru_cache(maxsize=1)
def _prepared(job: Job) -> tuple[Root, Layers, Chain | None, Witnesses, BadSet]:
    """Kept for the next shard."""
    contract = None if job.claim.semantics == "real" else kernel.contract_of(job.claim.data)
    program = kernel.read_program(job.structure, job.parameters, contract)
    root, layers = prepare_root(program, job.claim), layers_of(program)
    bad = BadSet(root.rows, root.bounds, root.disjuncts)
    return root, layers, Chain.of(root, layers), Witnesses.of(job.claim, program.inputs), bad


@dataclass
class Crew:
    """The workers of an executor: shards that they have, and parts that came back."""

    sharing: Sharing
    search: Search
    away: dict[Future[Yield], tuple[Parts, float]] = field(default_factory=dict)  # since when
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
        """Two shards for each worker that is known, and two to find out about others."""
        while self.losses < LOSSES and len(self.away) < 2 * len(self.workers) + 2:
            if self.back and (len(engine) or len(self.back) > 1):
                parts = self.back.pop(0)
            elif len(engine) >= 2 * FEWEST:
                parts = engine.take(slice(1, None, 2))
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
                if points is not None:
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
