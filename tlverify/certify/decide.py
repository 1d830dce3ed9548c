"""One verdict for a property of several claims."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

from tlverify.certify.claim import Claim
from tlverify.certify.prove import FINISH, TIMEOUT, Report, Result, certify
from tlverify.graph import Graph

FIRST_SHARE = 0.1
FIRST_SECONDS = 1.0


@dataclass(frozen=True)
class Decision:
    """`verdict` is "verified" if all claims are, "falsified" if one is, else "unknown" with its `reason`.

    `results` has one Result for each claim that was tried, in their order; times in them are sums over all tries.
    `remedy` is what would help if it is unknown.
    """

    verdict: str
    reason: str
    results: tuple[Result, ...]
    remedy: str = ""

    @property
    def counterexample(self) -> Result | None:
        """The result that falsifies the property."""
        return next((result for result in self.results if result.verdict == "falsified"), None)


def decide(
    graph: Graph,
    claims: Sequence[Claim],
    *,
    timeout: float | None = TIMEOUT,
    seed: int = 0,
    known: Mapping[str, bytes] = MappingProxyType({}),
    report: Report | None = None,
    executor: Executor | None = None,
) -> Decision:
    """Search all claims of a property within `timeout` seconds together, until one is falsified.

    Each is tried for a tenth of the time (a second at most) before the open ones share the rest, so that a claim that
    is easily falsified does not wait for one that is hard to prove. `known`, `report` and `executor` are as for
    `certify`. Without claims the property holds: nothing is in its region. Ctrl-C ends the search: what is not decided
    is unknown.
    """
    if not claims:
        return Decision("verified", "no input satisfies the property's assertions on inputs", ())
    begin = time.perf_counter()
    search = partial(certify, graph, seed=seed, known=known, report=report, executor=executor)
    results: dict[int, Result] = {}
    rounds = [timeout] if len(claims) == 1 else [min(FIRST_SECONDS, FIRST_SHARE * (timeout or 10.0)), timeout]
    for seconds in rounds:
        remaining = [
            index for index in range(len(claims)) if index not in results or results[index].verdict == "unknown"
        ]
        for position, index in enumerate(remaining):
            limit = seconds
            if timeout is not None:
                left = max(0.0, timeout - (time.perf_counter() - begin))
                limit = min(seconds or left, left / (len(remaining) - position))
            try:
                result = next(search([claims[index]], timeout=limit))
            except KeyboardInterrupt:  # between two searches
                return _open(claims, results, "interrupted")
            if index in results:
                result = _after(results[index], result)
            results[index] = result
            if result.verdict == "falsified":
                return Decision("falsified", "", _ordered(results))
            if result.interrupted:
                return _open(claims, results, result.reason)
    ordered = _ordered(results)
    first = next((result for result in ordered if result.verdict == "unknown"), None)
    if first is None:
        return Decision("verified", "", ordered)
    return replace(_open(claims, results, first.reason), remedy=first.remedy)


def _open(claims: Sequence[Claim], results: Mapping[int, Result], reason: str) -> Decision:
    left = len(claims) - sum(result.verdict == "verified" for result in results.values())
    if len(claims) > 1:
        reason = f"{left} of {len(claims)} claims open; first: {reason}"
    return Decision("unknown", reason, _ordered(results), FINISH)


def _ordered(results: Mapping[int, Result]) -> tuple[Result, ...]:
    return tuple(results[index] for index in sorted(results))


def _after(earlier: Result, later: Result) -> Result:
    return replace(
        later,
        search_seconds=earlier.search_seconds + later.search_seconds,
        check_seconds=earlier.check_seconds + later.check_seconds,
        helper_seconds=earlier.helper_seconds + later.helper_seconds,
    )
