"""Shards of a search: open parts of the region, which a worker searches for a second, and what it gives back."""

from __future__ import annotations

import os
import socket
import threading
import time
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from tlverify.certify import kernel
from tlverify.certify.claim import Claim
from tlverify.certify.search.branch import Branch
from tlverify.certify.search.forest import Engine, Forest, Parts
from tlverify.certify.search.layers import Layers, forward, layers_of
from tlverify.certify.search.points import BadSet
from tlverify.certify.search.root import Floats, Root, prepare_root
from tlverify.certify.search.walk import Chain, Walk
from tlverify.certify.search.witnesses import Witnesses


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
class Found:
    """What a worker gives back: the trees of a shard's parts, what is open in them, the point that comes nearest to the
    bad set (1, inputs) if any was looked at, closed leaves, CPU seconds, and who it is."""

    forest: Forest
    open: Parts | None
    point: Floats | None
    stuck: bool
    leaves: int
    seconds: float
    worker: str


def search_shard(shard: Shard) -> Found:
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
    return Found(engine.forest.trimmed(), left, best, engine.stuck, engine.leaves, spent, who)


@lru_cache(maxsize=1)
def _prepared(job: Job) -> tuple[Root, Layers, Chain | None, Witnesses, BadSet]:
    """Kept for the next shard."""
    contract = None if job.claim.semantics == "real" else kernel.contract_of(job.claim.data)
    program = kernel.read_program(job.structure, job.parameters, contract)
    root, layers = prepare_root(program, job.claim), layers_of(program)
    bad = BadSet(root.rows, root.bounds, root.disjuncts)
    return root, layers, Chain.of(root, layers), Witnesses.of(job.claim, program.inputs), bad
