"""The loop: what has no result yet is submitted, and every outcome is written as it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait

from tlverify.bench.instances import Task
from tlverify.bench.pool import Submit
from tlverify.bench.record import Outcome, Record, Store
from tlverify.bench.worker import failed

Progress = Callable[[Task, Record], None]


def pending(tasks: Sequence[Task], store: Store) -> tuple[dict[str, Record], list[Task]]:
    """Records that the store has by key, and one task for each other key."""
    records: dict[str, Record] = {}
    missing: dict[str, Task] = {}
    for task in tasks:
        record = store.load(task.key)
        if record is not None and record.settled:
            records[task.key] = record
        else:
            missing[task.key] = task
    return records, list(missing.values())


def run_tasks(tasks: Sequence[Task], store: Store, submit: Submit, progress: Progress) -> dict[str, Record]:
    """Run tasks and save every outcome in the store; the records by key. `progress` is called for each."""
    records: dict[str, Record] = {}
    futures: dict[Future[Outcome], Task] = {submit(task): task for task in tasks}
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            task = futures.pop(future)
            outcome = _outcome(future, task)
            store.save(outcome)
            records[task.key] = outcome.record
            progress(task, outcome.record)
    return records


def _outcome(future: Future[Outcome], task: Task) -> Outcome:
    try:
        return future.result()
    except TimeoutError:
        reason = f"timeout: no answer long after {task.timeout:g} s, the worker was ended"
        return failed(task, "unknown", reason, task.timeout)
    except CancelledError:
        return failed(task, "error", "cancelled before it ran")
    except Exception as error:  # whatever a pool or cluster raises for a worker that died
        return failed(task, "error", f"the worker died: {' '.join(str(error).split()) or type(error).__name__}")
