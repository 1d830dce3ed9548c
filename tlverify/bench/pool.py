"""Where instances run: processes of this machine, or any executor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import get_context
from typing import Any

from tlverify.bench.instances import BenchError, Task
from tlverify.bench.record import Outcome
from tlverify.bench.worker import solve
from tlverify.certify.workers import ignore_interrupts, one_thread

Submit = Callable[[Task], "Future[Outcome]"]
"""Starts a task. Its future holds the outcome, TimeoutError if it ran too long, or what its worker died of."""


@contextmanager
def local_pool(jobs: int, grace: float = 60.0, run: Callable[[Task], Outcome] = solve) -> Iterator[Submit]:
    """`jobs` processes with one BLAS thread each, which live from instance to instance.

    One that dies costs its own instance only; one that gives no answer `grace` seconds after its time limit is ended.
    """
    try:
        from pebble import ProcessPool
    except ImportError:
        raise BenchError("bench needs the package pebble: pip install 'tlverify[bench]'") from None
    with one_thread():
        pool: Any = ProcessPool(max_workers=jobs, context=get_context("spawn"), initializer=ignore_interrupts)
        try:
            yield lambda task: pool.schedule(run, args=[task], timeout=task.timeout + grace)
            pool.close()
        finally:
            pool.stop()
            pool.join()


def executor_submit(executor: Executor, run: Callable[[Task], Outcome] = solve) -> Submit:
    """Submission to any executor. Its workers must see the files of the instances under the same paths."""
    return lambda task: executor.submit(run, task)


def solve_on_cluster(task: Task) -> Outcome:
    """Decide an instance on a worker of a Dask cluster. Others that have no instance take shards of a long search."""
    distributed: Any = import_module("distributed")
    worker, client = distributed.get_worker(), distributed.get_client()
    others = [address for address in client.nthreads() if address != worker.address]
    if not others:
        return solve(task)
    executor = client.get_executor(pure=False, workers=others, allow_other_workers=True)
    try:
        return solve(task, executor)
    finally:
        executor.shutdown(wait=False)


@contextmanager
def dask_pool(
    address: str, run: Callable[[Task], Outcome] = solve_on_cluster, seconds: float = 20.0
) -> Iterator[Submit]:
    """The workers of a Dask cluster, such as tcp://host:8786. An instance whose worker dies goes to another.

    BenchError if no scheduler answers within `seconds`.
    """
    try:
        distributed: Any = import_module("distributed")  # it has no type annotations
    except ImportError:
        raise BenchError("--scheduler needs Dask: pip install 'tlverify[scale]'") from None
    try:
        client = distributed.Client(address, timeout=seconds)
    except (OSError, ValueError) as error:
        raise BenchError(f"--scheduler {address}: no Dask scheduler answers: {error}") from None
    with client:
        executor = client.get_executor(pure=False)
        try:
            yield executor_submit(executor, run)
        finally:
            executor.shutdown(wait=False)  # after an interruption nobody waits for what is left
