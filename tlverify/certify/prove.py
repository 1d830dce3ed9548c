"""Claims in, verdicts out: the search proposes certificates, the kernel decides."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, groupby
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from tlverify.certify import kernel
from tlverify.certify.certificate import read_witness
from tlverify.certify.claim import Claim
from tlverify.certify.search.bounds import Network, prepare
from tlverify.certify.search.problem import build, form
from tlverify.certify.search.strategy import Progress, Proposal, propose
from tlverify.graph import Graph, to_bytes

BATCH = 64


@dataclass(frozen=True)
class Result:
    """The verdict on one claim.

    `verdict` is "verified" or "falsified" if the kernel accepted `certificate`, else "unknown" with its `reason`.
    `margin` is the least amount by which the bad set is missed: proved if verified, else the search's best bound
    (not proved). `witness` is a point of the region that is bad, by input name. Times are in seconds; a search
    over several claims at once is divided evenly.
    """

    claim: Claim
    verdict: str
    reason: str
    certificate: bytes | None
    margin: float
    witness: dict[str, npt.NDArray[np.float64]] | None
    search_seconds: float
    check_seconds: float


def certify(
    graph: Graph,
    claims: Sequence[Claim],
    *,
    timeout: float | None = None,
    seed: int = 0,
    known: Mapping[str, bytes] = MappingProxyType({}),
) -> Iterator[Result]:
    """Yield a Result for each claim, in order.

    `known` holds certificates of an earlier run by claim digest: what the kernel accepts is not searched again.

    `timeout` is in seconds of search for each claim. The same call gives the same certificates on one machine, unless a
    timeout strikes.
    """
    network = prepare(graph)
    trusted = kernel.read_program(*to_bytes(graph))
    for _, group in groupby(claims, form):
        same = list(group)
        for start in range(0, len(same), BATCH):
            yield from _certify_batch(network, trusted, same[start : start + BATCH], timeout, seed, known)


def as_float(value: Fraction) -> float:
    """The nearest float64, or an infinity."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _quietly(proposals: Iterator[Proposal]) -> Iterator[Proposal]:
    """The search may overflow on extreme numbers; what it then proposes is rejected."""
    while True:
        with np.errstate(all="ignore"):
            proposal = next(proposals, None)
        if proposal is None:
            return
        yield proposal


def _certify_batch(
    network: Network,
    trusted: kernel.Program,
    claims: Sequence[Claim],
    timeout: float | None,
    seed: int,
    known: Mapping[str, bytes],
) -> list[Result]:
    """The search runs on all claims at once; its time is what passes outside the kernel."""
    count = len(claims)
    progress = Progress(np.ones(count, dtype=bool), np.full(count, -np.inf))
    results: list[Result | None] = [None] * count
    reasons = [""] * count
    check_seconds = np.zeros(count)
    begin = time.perf_counter()
    problem = build(network, claims)
    earlier = (Proposal(i, known[claim.digest]) for i, claim in enumerate(claims) if claim.digest in known)
    if timeout is not None:
        progress.deadline = begin + timeout
    for proposal in chain(earlier, _quietly(propose(problem, progress, np.random.default_rng(seed)))):
        index, claim = proposal.index, claims[proposal.index]
        checking = time.perf_counter()
        try:
            accepted = kernel.check_with(trusted, claim.data, proposal.data)
        except (kernel.Rejected, kernel.Malformed) as rejection:
            reasons[index] = f"certificate rejected: {rejection}"
        else:
            progress.open[index] = False
            margin = progress.margin[index] if accepted.margin is None else as_float(accepted.margin)
            point = read_witness(proposal.data, network.graph) if accepted.verdict == "falsified" else None
            results[index] = Result(claim, accepted.verdict, "", proposal.data, margin, point, 0.0, 0.0)
        check_seconds[index] += time.perf_counter() - checking
        if progress.late():
            break
    if progress.late():
        reasons = [reason or f"timeout after {timeout:g} s" for reason in reasons]
    search_seconds = (time.perf_counter() - begin - check_seconds.sum()) / count
    for index in progress.rows:
        margin = progress.margin[index]
        reason = reasons[index] or f"no proof and no counterexample found; best bound {margin:.3g}"
        results[index] = Result(claims[index], "unknown", reason, None, margin, None, 0.0, 0.0)
    return [
        replace(result, search_seconds=search_seconds, check_seconds=float(check_seconds[index]))
        for index, result in enumerate(results)
        if result is not None
    ]
