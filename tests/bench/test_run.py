"""Runs in pools of processes: dead and hanging workers, resuming, other executors, a Dask cluster."""

import os
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tlverify.bench.instances import BenchError, make_tasks, read_instances
from tlverify.bench.pool import dask_pool, executor_submit, local_pool
from tlverify.bench.record import Store
from tlverify.bench.run import pending, run_tasks
from tlverify.certify.files import check_files, find_certificates
from tlverify.certify.workers import THREADS

from .folder import die_once, environment, make_folder, make_hard, solve_or_die, solve_or_hang, solve_slowly

VERDICTS = {"holds": "verified", "fails": "falsified", "vacuous": "verified", "two": "verified", "broken": "error"}


@pytest.fixture
def tasks(tmp_path):
    return make_tasks(read_instances(make_folder(tmp_path)))


def run(tasks, store, submit):
    """Verdicts by name, each reported once."""
    seen = []
    records = run_tasks(tasks, store, submit, lambda task, record: seen.append(task.key))
    assert sorted(seen) == sorted(task.key for task in tasks) == sorted(records)
    return {task.prop.rpartition("/")[2].removesuffix(".vnnlib"): records[task.key] for task in tasks}


def verdicts(records):
    return {name: record.verdict for name, record in records.items()}


def test_processes_decide_all_and_results_are_taken_up(tasks, tmp_path):
    pytest.importorskip("pebble")
    store = Store(tmp_path / "out")
    with local_pool(2) as submit:
        assert verdicts(run(tasks, store, submit)) == VERDICTS
    records, missing = pending(tasks, store)
    assert len(records) == 4
    assert [task.prop.rpartition("/")[2] for task in missing] == ["broken.vnnlib"]


def test_worker_that_dies_costs_its_own_instance(tasks, tmp_path):
    pytest.importorskip("pebble")
    with local_pool(1, run=solve_or_die) as submit:
        records = run(tasks, Store(tmp_path / "out"), submit)
    assert verdicts(records) == VERDICTS | {"fails": "error"}
    assert "the worker died" in records["fails"].reason


def test_worker_that_hangs_is_ended(tmp_path):
    pytest.importorskip("pebble")
    tasks = make_tasks(read_instances(make_folder(tmp_path), timeout=0.0))
    with local_pool(1, grace=0.5, run=solve_or_hang) as submit:
        records = run([task for task in tasks if "fails" in task.prop], Store(tmp_path / "out"), submit)
    assert (records["fails"].verdict, records["fails"].settled) == ("unknown", True)
    assert records["fails"].reason.startswith("timeout: no answer")


def test_workers_have_one_blas_thread_and_the_parent_keeps_its_own_setting(tasks, monkeypatch):
    pytest.importorskip("pebble")
    monkeypatch.setenv(THREADS[0], "7")
    monkeypatch.delenv(THREADS[1], raising=False)
    with local_pool(1, run=environment) as submit:
        assert submit(tasks[0]).result() == "1"
    assert os.environ[THREADS[0]] == "7"
    assert THREADS[1] not in os.environ


def test_any_executor_will_do(tasks, tmp_path):
    with ThreadPoolExecutor(3) as executor:
        assert verdicts(run(tasks, Store(tmp_path / "out"), executor_submit(executor))) == VERDICTS


def test_interruption_keeps_what_is_finished(tasks, tmp_path):
    store = Store(tmp_path / "out")

    def interrupt(task, record):
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as executor, pytest.raises(KeyboardInterrupt):
        run_tasks(tasks, store, executor_submit(executor), interrupt)
    assert len(pending(tasks, store)[0]) >= 1


def test_instances_of_equal_content_run_once(tmp_path):
    path = make_folder(tmp_path, ("holds", "two"))
    path.write_text(path.read_text() * 2)
    tasks = make_tasks(read_instances(path))
    assert len(tasks) == 4
    assert len(pending(tasks, Store(tmp_path / "out"))[1]) == 2


def test_cancelled_task_is_an_error(tasks, tmp_path):
    def cancelled(task):
        future = Future()
        future.cancel()
        future.set_running_or_notify_cancel()
        return future

    records = run(tasks[:1], Store(tmp_path / "out"), cancelled)
    assert records["holds"].reason == "cancelled before it ran"


@pytest.fixture
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", silence_logs=50
    ) as cluster:
        yield cluster.scheduler_address


@pytest.mark.filterwarnings("ignore")
def test_dask_cluster_whose_worker_is_killed_decides_every_instance_once(tasks, tmp_path, cluster):
    with dask_pool(cluster, run=die_once) as submit:
        records = run(tasks, Store(tmp_path / "out"), submit)
    assert (tmp_path / "died").exists()
    assert verdicts(records) == VERDICTS
    assert Counter(record.key for record in records.values()).most_common(1)[0][1] == 1


@pytest.mark.filterwarnings("ignore")
def test_dask_worker_without_an_instance_takes_shards_even_if_another_was_killed(tmp_path, cluster):
    tasks, store = make_tasks(read_instances(make_hard(tmp_path))), Store(tmp_path / "out")
    with dask_pool(cluster, run=solve_slowly) as submit:
        record = run(tasks, store, submit)["hard"]
    assert (tmp_path / "died").exists()
    assert (tmp_path / "helped").exists()
    assert record.verdict == "verified"
    assert record.leaves > 50
    certificates = find_certificates(store.folder / "certificates" / record.key)
    graph = store.folder / "graphs" / f"{record.graph}.graph.json"
    assert [one.verdict for one in check_files(certificates, graph)] == ["verified"]


@pytest.mark.filterwarnings("ignore")
def test_scheduler_that_is_not_there_is_named(monkeypatch):
    pytest.importorskip("distributed")
    with pytest.raises(BenchError, match="no Dask scheduler answers"), dask_pool("tcp://127.0.0.1:9", seconds=1.0):
        pass


@pytest.mark.parametrize(
    ("package", "extra", "pool"),
    [("pebble", "bench", lambda: local_pool(1)), ("distributed", "scale", lambda: dask_pool("tcp://x"))],
)
def test_missing_package_is_named(monkeypatch, package, extra, pool):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(BenchError, match=rf"tlverify\[{extra}\]"), pool():
        pass
