"""Claims in, verdicts out: the search proposes certificates, the kernel decides."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain, groupby
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tlverify.certify import kernel
from tlverify.certify.audit import check_in, suited
from tlverify.certify.certificate import read_witness
from tlverify.certify.claim import Claim
from tlverify.certify.search.bounds import Network, UnsupportedOp, prepare, supported
from tlverify.certify.search.input_split import propose_boxes
from tlverify.certify.search.layers import Layers, TooLarge, layers_of
from tlverify.certify.search.phases import Search, propose_phases
from tlverify.certify.search.problem import build, form
from tlverify.certify.search.strategy import Progress, Proposal, propose
from tlverify.graph import Graph, to_bytes

T = TypeVar("T")

BATCH = 64
TIMEOUT = 60.0  # seconds for a claim, unless said otherwise
FEW_INPUTS = 12  # up to which boxes are halved rather than phases split


@dataclass(frozen=True)
class Result:
    """The verdict on one claim.

    `verdict` is "verified" or "falsified" if the kernel accepted `certificate`, in `arithmetic`; else "unknown" with
    its `reason`. `margin` is the least amount by which the bad set is missed: proved if verified, else the search's
    best bound (not proved). `witness` is a point of the region that is bad, by input name. Times are in seconds; a
    search over several claims at once is divided evenly. `stats` counts what the search did ("leaves"), `log` says it
    in words.
    """

    claim: Claim
    verdict: str
    reason: str
    certificate: bytes | None
    margin: float
    witness: dict[str, npt.NDArray[np.float64]] | None
    search_seconds: float
    check_seconds: float
    arithmetic: str = "exact"
    stats: Mapping[str, int] = field(default_factory=dict)
    log: tuple[str, ...] = ()


def certify(
    graph: Graph,
    claims: Sequence[Claim],
    *,
    timeout: float | None = TIMEOUT,
    seed: int = 0,
    known: Mapping[str, bytes] = MappingProxyType({}),
) -> Iterator[Result]:
    """Yield a Result for each claim, in order.

    Claims on many inputs are first tried together, cheaply; what is left is searched one by one, by halving boxes where
    there are few inputs, by splitting phases otherwise.

    `known` holds certificates of an earlier run by claim digest: what the kernel accepts is not searched again.
    `timeout` is in seconds of search for each claim; None: no limit. The same call gives the same certificates on one
    machine, unless a timeout strikes.
    """
    try:
        trusted = kernel.read_program(*to_bytes(graph))
    except kernel.Malformed as error:
        raise UnsupportedOp(f"the graph cannot be certified: {error}") from None
    deep = Deep(graph, trusted, timeout, seed)
    network = prepare(graph) if supported(graph) else None
    for _, group in groupby(claims, form):
        same = list(group)
        for start in range(0, len(same), BATCH):
            part = same[start : start + BATCH]
            if network is None or deep.few_inputs:
                for claim in part:
                    result = deep.search(claim, known.get(claim.digest))
                    if result.verdict == "unknown" and deep.failed and network is not None:
                        (result,) = _certify_batch(network, trusted, [claim], timeout, seed, {})
                    yield result
                continue
            for result in _certify_batch(network, trusted, part, timeout, seed, known):
                left = math.inf if timeout is None else timeout - result.search_seconds
                yield result if result.verdict != "unknown" or left <= 0 else deep.after(result, left)


class Deep:
    """The search of one claim at a time, as long as it takes."""

    def __init__(self, graph: Graph, program: kernel.Program, timeout: float | None, seed: int) -> None:
        self.graph, self.program, self.timeout, self.seed = graph, program, timeout, seed
        self.few_inputs = sum(math.prod(value.shape) for value in graph.inputs) <= FEW_INPUTS
        self._layers: Layers | None = None
        self.failed = False  # the last search could not begin, or not go on

    def after(self, earlier: Result, timeout: float) -> Result:
        """Go on with a claim that the cheap search left open."""
        result = self.search(earlier.claim, None, timeout)
        return replace(
            result,
            search_seconds=result.search_seconds + earlier.search_seconds,
            check_seconds=result.check_seconds + earlier.check_seconds,
        )

    def search(self, claim: Claim, known: bytes | None, timeout: float | None = None) -> Result:
        """Take what is proposed, until the kernel accepts it or the time is over."""
        timeout = self.timeout if timeout is None else timeout
        begin, checking, reason, accepted = time.perf_counter(), 0.0, "", None
        search = Search(math.inf if timeout is None else begin + timeout)
        proposals = chain([] if known is None else [known], _quietly(self._propose(claim, search)))
        for data in proposals:
            start = time.perf_counter()
            name = suited(data)
            try:
                accepted = check_in(name, self.program, claim.data, data)
            except (kernel.Rejected, kernel.Malformed) as rejection:
                reason = f"certificate rejected: {rejection}"
            took = time.perf_counter() - start
            checking += took
            search.deadline += took
            if accepted is not None:
                break
        spent = time.perf_counter() - begin - checking
        stats = MappingProxyType({"leaves": search.leaves})
        if accepted is None:
            best = f"; best bound {search.lower:.3g}" if math.isfinite(search.lower) else ""
            if search.late():
                reason = reason or f"timeout after {timeout:g} s{best}"
            reason = reason or f"no proof and no counterexample found{best}"
            return Result(
                claim, "unknown", reason, None, search.lower, None, spent, checking, "", stats, tuple(search.log)
            )
        margin = search.lower if accepted.margin is None else as_float(accepted.margin)
        point = read_witness(data, self.graph) if accepted.verdict == "falsified" else None
        return Result(claim, accepted.verdict, "", data, margin, point, spent, checking, name, stats, tuple(search.log))

    def _propose(self, claim: Claim, search: Search) -> Iterator[bytes]:
        """Where numbers are beyond float64, or matrices too large, nothing is proposed."""
        self.failed = False
        propose_one = propose_boxes if self.few_inputs else propose_phases
        try:
            if self._layers is None:
                self._layers = layers_of(self.program)
            yield from propose_one(self.program, self._layers, claim, search, np.random.default_rng(self.seed))
        except (TooLarge, kernel.Rejected, OverflowError) as error:
            self.failed = True
            search.log.append(str(error))


def as_float(value: Fraction) -> float:
    """The nearest float64, or an infinity."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _quietly(proposals: Iterator[T]) -> Iterator[T]:
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
