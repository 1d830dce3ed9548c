"""Claims in, verdicts out: the search proposes certificates, the kernel decides."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache, partial
from itertools import chain, groupby
from math import inf
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tlverify.certify import kernel
from tlverify.certify.audit import accept
from tlverify.certify.certificate import read_witness
from tlverify.certify.claim import Claim
from tlverify.certify.search.ball import Ball
from tlverify.certify.search.bounds import Network, UnsupportedOp, prepare, supported
from tlverify.certify.search.input_split import propose_boxes
from tlverify.certify.search.layers import Layers, TooLarge, layers_of
from tlverify.certify.search.memory import keep_freed
from tlverify.certify.search.phases import propose_phases
from tlverify.certify.search.problem import build, form
from tlverify.certify.search.progress import Search
from tlverify.certify.search.shards import Job, Sharing
from tlverify.certify.search.strategy import Progress, Proposal, propose
from tlverify.graph import Graph, to_bytes

T = TypeVar("T")
Report = Callable[[Claim, Search], None]
"""Told about once a second how far the deep search of a claim is, and once more at its end."""

BATCH = 64
TIMEOUT = 60.0  # seconds for a claim, unless said otherwise
FEW_INPUTS = 12  # up to which boxes are halved rather than phases split

# What would help a claim that is unknown.
MORE_TIME = "more time may help"
FINISH = "let it run on"
LESS_MEMORY = "a machine with more memory may help, or the property in several parts"
SMALLER = "no search of this program handles such a network; a smaller one may be proved"
EASIER = "more time does not help; a smaller region or a weaker bound may be proved"
REPORT = "the search proposes what the kernel refuses; please report it"


@dataclass(frozen=True)
class Result:
    """The verdict on one claim.

    `verdict` is "verified" or "falsified" if the kernel accepted `certificate`, in `arithmetic`; else "unknown" with
    its `reason`. `margin` is the least amount by which the bad set is missed: proved if verified, else the search's
    best bound (not proved). `witness` is a point of the region that is bad, by input name. Times are in seconds; a
    search over several claims at once is divided evenly, and `helper_seconds` are CPU seconds of the executor's
    workers. `stats` counts what the search did ("leaves", and the "open" ones that are left), `log` says it in words.
    `remedy` is what would help an unknown claim; it is `interrupted` by Ctrl-C, or there was an `obstacle` that kept
    the search from being made at all.
    """

    claim: Claim = field(repr=False)
    verdict: str
    reason: str
    certificate: bytes | None = field(repr=False)
    margin: float
    witness: dict[str, npt.NDArray[np.float64]] | None = field(repr=False)
    search_seconds: float
    check_seconds: float
    arithmetic: str = "exact"
    stats: Mapping[str, int] = field(default_factory=dict)
    log: tuple[str, ...] = ()
    helper_seconds: float = 0.0
    remedy: str = ""
    interrupted: bool = False
    obstacle: bool = False


def certify(
    graph: Graph,
    claims: Sequence[Claim],
    *,
    timeout: float | None = TIMEOUT,
    seed: int = 0,
    known: Mapping[str, bytes] = MappingProxyType({}),
    report: Report | None = None,
    executor: Executor | None = None,
) -> Iterator[Result]:
    """Yield a Result for each claim, in order.

    Claims on many inputs are first tried together, cheaply; what is left is searched one by one, by halving boxes where
    there are few inputs, by splitting phases otherwise.

    `known` holds certificates of an earlier run by claim digest: what the kernel accepts is not searched again.
    `timeout` is in seconds of search for each claim; None: no limit. The same call gives the same certificates on one
    machine, unless a timeout strikes. The workers of an `executor`, such as a ProcessPoolExecutor, take shards of a
    claim on few inputs that is searched for more than a second or two. After Ctrl-C the claims that were being searched
    are yielded as unknown, and KeyboardInterrupt is raised when the next result is asked for. UnsupportedOp if the
    kernel cannot read the graph.
    """
    keep_freed()
    network = prepare(graph) if supported(graph) else None
    deep = None
    for (semantics, _), group in groupby(claims, lambda claim: (claim.semantics, form(claim))):
        same = list(group)
        contract = None if semantics == "real" else kernel.contract_of(same[0].data)
        if deep is None or contract != deep.program.contract:
            deep = _deep(graph, contract, timeout, seed, report, executor)
        trusted = deep.program
        for start in range(0, len(same), BATCH):
            part = same[start : start + BATCH]
            earlier: list[Result | None] = [None] * len(part)
            if network is not None and not deep.few_inputs:
                earlier = list(_certify_batch(network, trusted, part, timeout, seed, known))
            stopped = any(result.interrupted for result in earlier if result is not None)
            for claim, result in zip(part, earlier, strict=True):
                if result is None:
                    result = deep.search(claim, known.get(claim.digest))
                    if result.obstacle and network is not None:
                        (result,) = _certify_batch(network, trusted, [claim], timeout, seed, {})
                elif result.verdict == "unknown" and not stopped:
                    result = deep.after(result)
                yield result
                stopped = stopped or result.interrupted
                if stopped and earlier[0] is None:
                    break
            if stopped:
                raise KeyboardInterrupt


def _deep(
    graph: Graph,
    contract: kernel.Contract | None,
    timeout: float | None,
    seed: int,
    report: Report | None,
    executor: Executor | None,
) -> Deep:
    try:
        return Deep(graph, _program(*to_bytes(graph), contract), timeout, seed, report, executor)
    except kernel.Malformed as error:
        other = "" if contract is None else "; or make the claim about real numbers (semantics real)"
        raise UnsupportedOp(f"the graph cannot be certified: {error}{other}") from None


@lru_cache(maxsize=1)
def _program(structure: bytes, parameters: bytes, contract: kernel.Contract | None) -> kernel.Program:
    """Kept for the next claims about the same network: reading a large one takes longer than most proofs."""
    return kernel.read_program(structure, parameters, contract)


class Deep:
    """The search of one claim at a time, as long as it takes."""

    def __init__(
        self,
        graph: Graph,
        program: kernel.Program,
        timeout: float | None,
        seed: int,
        report: Report | None,
        executor: Executor | None,
    ) -> None:
        self.graph, self.program, self.timeout, self.seed, self.report = graph, program, timeout, seed, report
        self.executor = executor
        self.few_inputs = sum(math.prod(value.shape) for value in graph.inputs) <= FEW_INPUTS
        self._layers: Layers | None = None

    def after(self, earlier: Result) -> Result:
        """Go on with a claim that the cheap search left open, if there is time left."""
        left = None if self.timeout is None else self.timeout - earlier.search_seconds
        if left is not None and left <= 0:
            return earlier
        result = self.search(earlier.claim, None, left)
        return replace(
            result,
            search_seconds=result.search_seconds + earlier.search_seconds,
            check_seconds=result.check_seconds + earlier.check_seconds,
        )

    def search(self, claim: Claim, known: bytes | None, timeout: float | None = None) -> Result:
        """Take what is proposed, until the kernel accepts it, the time or the memory is over, or Ctrl-C."""
        timeout = self.timeout if timeout is None else timeout
        begin, checking, reason, stopped, name, accepted = time.perf_counter(), 0.0, "", "", "", None
        tell = None if self.report is None else partial(self.report, claim)
        search = Search(inf if timeout is None else begin + timeout, report=tell, sharing=self._sharing(claim))
        proposals = chain([] if known is None else [known], _quietly(self._propose(claim, search)))
        try:
            for data in proposals:
                start = time.perf_counter()
                try:
                    accepted, name = accept(self.program, claim.data, data)
                except (kernel.Rejected, kernel.Malformed) as rejection:
                    reason = f"certificate rejected: {rejection}"
                finally:
                    took = time.perf_counter() - start
                    checking += took
                    search.deadline += took
                if accepted is not None:
                    break
        except KeyboardInterrupt:
            stopped = "interrupted"
        except MemoryError:
            stopped = "out of memory"
        if tell is not None:
            tell(search)
        spent = time.perf_counter() - begin - checking
        stats = MappingProxyType({"leaves": search.leaves, "open": search.open})
        log, elsewhere = tuple(search.log), search.elsewhere
        found = Result(claim, "unknown", "", None, search.lower, None, spent, checking, "", stats, log, elsewhere)
        if accepted is not None:
            margin = search.lower if accepted.margin is None else as_float(accepted.margin)
            point = read_witness(data, self.graph) if accepted.verdict == "falsified" else None
            return replace(
                found, verdict=accepted.verdict, certificate=data, margin=margin, witness=point, arithmetic=name
            )
        bound = f"; best bound {search.lower:.3g}" if math.isfinite(search.lower) else ""
        bound += f", {search.open} leaves open" if search.open > 1 else ""
        if stopped:
            remedy = FINISH if stopped == "interrupted" else LESS_MEMORY
            return replace(found, reason=f"{stopped}{bound}", remedy=remedy, interrupted=stopped == "interrupted")
        if search.obstacle:
            return replace(found, reason=search.obstacle, remedy=SMALLER, obstacle=True)
        if reason:
            return replace(found, reason=reason, remedy=MORE_TIME if search.late() else REPORT)
        if search.late():
            return replace(found, reason=f"timeout after {timeout:g} s{bound}", remedy=MORE_TIME)
        return replace(found, reason=f"no proof and no counterexample found{bound}", remedy=EASIER)

    def _propose(self, claim: Claim, search: Search) -> Iterator[bytes]:
        """Where numbers are beyond float64, or matrices too large, nothing is proposed."""
        few = self.few_inputs and Ball.of(claim) is None
        propose_one = propose_boxes if few else propose_phases
        try:
            if self._layers is None:
                self._layers = layers_of(self.program)
            yield from propose_one(self.program, self._layers, claim, search, np.random.default_rng(self.seed))
        except (TooLarge, kernel.Rejected, OverflowError) as error:
            search.obstacle = str(error)

    def _sharing(self, claim: Claim) -> Sharing | None:
        if self.executor is None or not self.few_inputs:
            return None
        return Sharing(self.executor, Job(*to_bytes(self.graph), claim.digest, claim))


def as_float(value: Fraction) -> float:
    """The nearest float64, or an infinity."""
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


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
    progress = Progress(np.ones(count, dtype=bool), np.full(count, -inf))
    results: list[Result | None] = [None] * count
    reasons = [""] * count
    check_seconds = np.zeros(count)
    begin = time.perf_counter()
    problem = build(network, claims)
    earlier = (Proposal(i, known[claim.digest]) for i, claim in enumerate(claims) if claim.digest in known)
    if timeout is not None:
        progress.deadline = begin + timeout * count
    stopped = ""
    try:
        for proposal in chain(earlier, _quietly(propose(problem, progress, np.random.default_rng(seed)))):
            index, claim = proposal.index, claims[proposal.index]
            checking = time.perf_counter()
            try:
                accepted, name = accept(trusted, claim.data, proposal.data)
            except (kernel.Rejected, kernel.Malformed) as rejection:
                reasons[index] = f"certificate rejected: {rejection}"
            else:
                margin = progress.margin[index] if accepted.margin is None else as_float(accepted.margin)
                point = read_witness(proposal.data, network.graph) if accepted.verdict == "falsified" else None
                results[index] = Result(claim, accepted.verdict, "", proposal.data, margin, point, 0.0, 0.0, name)
                progress.open[index] = False
            took = time.perf_counter() - checking
            check_seconds[index] += took
            progress.deadline += took
            if progress.late():
                break
    except KeyboardInterrupt:
        stopped = "interrupted"
    except MemoryError:
        stopped = "out of memory"
    late = progress.late()
    search_seconds = (time.perf_counter() - begin - check_seconds.sum()) / count
    for index in progress.rows:
        margin, reason = progress.margin[index], reasons[index]
        bound = f"best bound {margin:.3g}"
        if stopped:
            reason = f"{stopped}; {bound}"
        elif not reason:
            reason = f"timeout after {timeout:g} s" if late else f"no proof and no counterexample found; {bound}"
        results[index] = Result(
            claims[index],
            "unknown",
            reason,
            None,
            margin,
            None,
            0.0,
            0.0,
            arithmetic="",
            remedy=FINISH if stopped == "interrupted" else MORE_TIME,
            interrupted=stopped == "interrupted",
        )
    return [
        replace(result, search_seconds=search_seconds, check_seconds=float(check_seconds[index]))
        for index, result in enumerate(results)
        if result is not None
    ]
