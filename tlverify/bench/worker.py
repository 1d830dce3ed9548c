"""One instance in a worker's process."""

from __future__ import annotations

import hashlib
import re
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tlverify.bench.instances import Task
from tlverify.bench.record import Outcome, Record
from tlverify.graph.errors import TlverifyError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from tlverify.certify.decide import Decision
    from tlverify.graph import Graph

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def solve(task: Task, executor: Executor | None = None) -> Outcome:
    """Decide an instance, with the help of an executor's workers if there is one. What its files do wrong is an outcome
    with the verdict "error", not an exception."""
    from tlverify.certify.kernel import Malformed, Rejected

    _forget_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    decision: Decision | None = None
    files: dict[str, bytes] = {}
    graph = reason = ""
    try:
        decision, files, graph = _decide(task, executor)
    except (TlverifyError, Malformed, Rejected, OSError) as error:
        reason = str(error)
    except MemoryError:
        reason = "out of memory"
    except Exception as error:  # a fault of ours costs this instance, not the run
        reason = f"internal error: {type(error).__name__}: {error}"
    results = () if decision is None else decision.results
    record = Record(
        key=task.key,
        network=task.network,
        prop=task.prop,
        timeout=task.timeout,
        verdict="error" if decision is None else decision.verdict,
        reason=reason if decision is None else decision.reason,
        claims=len(results),
        search_seconds=sum(result.search_seconds for result in results),
        check_seconds=sum(result.check_seconds for result in results),
        cpu_seconds=time.process_time() - cpu + sum(result.helper_seconds for result in results),
        wall_seconds=time.perf_counter() - wall,
        leaves=sum(result.stats.get("leaves", 0) for result in results),
        certificate_bytes=sum(len(result.certificate) for result in results if result.certificate is not None),
        peak_bytes=_peak(),
        graph=graph,
    )
    return Outcome(record, files)


def failed(task: Task, verdict: str, reason: str, seconds: float = 0.0) -> Outcome:
    """The outcome of an instance whose worker gave none."""
    return Outcome(Record(task.key, task.network, task.prop, task.timeout, verdict, reason, wall_seconds=seconds), {})


def _decide(task: Task, executor: Executor | None) -> tuple[Decision, dict[str, bytes], str]:
    from tlverify.certify.decide import decide
    from tlverify.certify.files import CERTIFICATE, CLAIM
    from tlverify.certify.property import to_claims
    from tlverify.graph import digest, to_bytes
    from tlverify.interop.vnnlib import read_vnnlib

    begin = time.perf_counter()
    for path, expected in ((task.network, task.network_digest), (task.prop, task.prop_digest)):
        found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        if found != expected:
            raise TlverifyError(f"{path}: its sha256 is {found}, the instance is about {expected}")
    graph = _load(task.network, task.network_digest)
    claims = [claim.under(task.semantics) for claim in to_claims(read_vnnlib(task.prop), graph)]
    left = max(0.0, task.timeout - (time.perf_counter() - begin))
    decision = decide(graph, claims, timeout=left, seed=task.seed, executor=executor)
    name = digest(graph)
    structure, parameters = to_bytes(graph)
    files = {f"graphs/{name}.graph.json": structure, f"graphs/{name}.safetensors": parameters}
    for index, result in enumerate(decision.results):
        if result.certificate is not None:
            stem = f"certificates/{task.key}/{index:04d}"
            files[stem + CLAIM], files[stem + CERTIFICATE] = result.claim.data, result.certificate
    return decision, files, name


@lru_cache(maxsize=1)
def _load(path: str, digest: str) -> Graph:
    """The network, kept for the next instance: those of one network mostly follow each other."""
    from tlverify.interop import load_graph

    return load_graph(path)


def _forget_peak() -> None:
    """Start the measure of the peak anew, where the system can (Linux)."""
    with suppress(OSError):
        _CLEAR.write_text("5")


def _peak() -> int:
    """The most memory that this process held, in bytes: since `_forget_peak` on Linux, else since it began."""
    with suppress(OSError):
        found = re.search(r"^VmHWM:\s*(\d+) kB", _STATUS.read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    import resource
    import sys

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
