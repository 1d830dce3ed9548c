"""One search by several: the same tree, whatever becomes of the shards."""

import os
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.certify.search.test_input_split import at_least, claim, extremes, net
from tlverify.certify import certify, prove
from tlverify.certify.search import branch, explore, input_split, machine_code, shards, walk
from tlverify.certify.workers import Workers
from tlverify.core import run
from tlverify.graph import to_bytes

from .killed import die_once


@pytest.fixture(autouse=True, params=["NumPy", "machine code"])
def engine(request, monkeypatch):
    """Both engines, in steps of a few parts; shards are given away at once, and are short."""
    if request.param == "NumPy":
        monkeypatch.setattr(machine_code, "installed", lambda: False)
    else:
        pytest.importorskip("numba")
        monkeypatch.setattr(machine_code, "made", lambda name: True)
    monkeypatch.setattr(branch, "BLOCK", 8)
    monkeypatch.setattr(walk, "FIRST", 1)
    monkeypatch.setattr(walk, "LAST", 1)
    monkeypatch.setattr(explore, "ALONE", 0.0)
    monkeypatch.setattr(explore, "SECONDS", 0.003)
    monkeypatch.setattr(explore, "FEWEST", 1)
    return request.param


def hard(share=0.02, seed=3, semantics="real"):
    """A claim whose tree has some hundred leaves."""
    graph = net(3, 12, 12, 12, 2, seed=seed)
    low, top = extremes(graph)
    return graph, claim(graph, [at_least(graph, top + share * (top - low))]).under(semantics)


def result_of(graph, statement, executor=None, **more):
    return next(certify(graph, [statement], executor=executor, **more))


def alike(one, two):
    """The same tree. Multipliers depend on which leaves were closed before, and their last bits on what is bounded
    together."""
    return one.verdict == two.verdict == "verified" and one.stats == two.stats


class Recorded(Executor):
    """Hands calls on and keeps their futures, whose end it may wait for."""

    def __init__(self, submit, waits=True):
        self.call, self.waits, self.futures = submit, waits, []

    def submit(self, function, /, *args):
        self.futures.append(self.call(function, *args))
        if self.waits:
            self.futures[-1].exception()
        return self.futures[-1]


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("semantics", ["real", "float32"])
def test_the_same_tree_as_alone(semantics, waits):
    graph, statement = hard(semantics=semantics)
    alone = result_of(graph, statement)
    with ThreadPoolExecutor(2) as threads:
        executor = Recorded(threads.submit, waits)
        shared = result_of(graph, statement, executor)
    assert (alone.verdict, shared.verdict) == ("verified", "verified")
    assert alike(shared, alone)
    assert len(executor.futures) > 2
    assert shared.helper_seconds > 0 == alone.helper_seconds


def test_processes():
    graph, statement = hard()
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        result = result_of(graph, statement, Recorded(pool.submit))
    assert alike(result, result_of(graph, statement))
    assert result.helper_seconds > 0


def test_a_worker_knows_a_claim_again():
    one, two, other = (shards.Job(b"", b"", text.digest, text) for _, text in (hard(), hard(), hard(share=1)))
    assert one == two != other
    assert hash(one) == hash(two)


def false():
    """A counterexample must be found by branch and bound: see `no_attack`."""
    graph, _ = hard()
    return graph, claim(graph, [at_least(graph, extremes(graph)[1])])


@pytest.fixture
def no_attack(monkeypatch):
    monkeypatch.setattr(input_split, "attack", lambda layers, bad, lower, upper, rng: (lower, -1.0))


def test_a_counterexample_ends_all(no_attack):
    assert result_of(*false()).verdict == "falsified"
    executor = Never(False)
    result = result_of(*false(), executor)
    assert result.verdict == "falsified"
    assert executor.futures
    assert all(future.cancelled() for future in executor.futures)


def test_a_counterexample_that_a_worker_finds(no_attack, monkeypatch):
    monkeypatch.setattr(explore, "SECONDS", 10.0)
    with ThreadPoolExecutor(1) as threads:
        result = result_of(*false(), Recorded(threads.submit))
    assert result.verdict == "falsified"
    assert result.helper_seconds > 0


def test_a_counterexample_ends_a_shard(engine):
    graph, statement = false()
    root, _, chain, *_ = shards._prepared(job := shards.Job(*to_bytes(graph), statement.digest, statement))
    begun = branch.Branch(root) if engine == "NumPy" else walk.Walk(root, chain)
    shard = shards.Shard(job, engine != "NumPy", begun.take(slice(None)), 60.0)
    found = shards.search_shard(shard)
    assert run(graph, [found.point[0].astype("float32")])[0][0] >= extremes(graph)[1]
    assert found.open is not None


def test_a_worker_that_is_killed_costs_its_shard(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # processes inherit it
    graph, statement = hard()
    with Workers(1) as workers:
        executor = Recorded(lambda *call: workers.submit(die_once, tmp_path / "died", *call))
        result = result_of(graph, statement, executor)
    assert (tmp_path / "died").exists()
    assert "a shard is lost: BrokenProcessPool" in " ".join(result.log)
    assert alike(result, result_of(graph, statement))


def test_a_pool_that_is_broken_is_not_asked_again(tmp_path):
    graph, statement = hard()
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        with pytest.raises(BrokenProcessPool):
            pool.submit(os._exit, 1).result()
        result = result_of(graph, statement, pool)
    assert "going on alone: BrokenProcessPool" in " ".join(result.log)
    assert alike(result, result_of(graph, statement))


class Never(Executor):
    """Begins no call, or ends none."""

    def __init__(self, begins):
        self.begins, self.futures = begins, []

    def submit(self, function, /, *args):
        self.futures.append(Future())
        if self.begins:
            self.futures[-1].set_running_or_notify_cancel()
        return self.futures[-1]


@pytest.mark.parametrize("begins", [False, True])
def test_nothing_depends_on_the_others(begins, monkeypatch):
    monkeypatch.setattr(explore, "PATIENCE", 0.2)
    graph, statement = hard()
    executor = Never(begins)
    result = result_of(graph, statement, executor)
    assert alike(result, result_of(graph, statement))
    assert executor.futures
    assert all(future.cancelled() != begins for future in executor.futures)


def test_time_that_is_over_ends_all(monkeypatch):
    executor = Never(False)
    monkeypatch.setattr(prove.Search, "late", lambda search: bool(executor.futures))
    result = result_of(*hard(), executor)
    assert (result.verdict, result.remedy) == ("unknown", prove.MORE_TIME)
    assert all(future.cancelled() for future in executor.futures)


def test_ctrl_c_ends_all(monkeypatch):
    executor = Never(False)

    def struck(search):
        if executor.futures:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr(prove.Search, "late", struck)
    result = result_of(*hard(), executor)
    assert (result.verdict, result.interrupted) == ("unknown", True)
    assert all(future.cancelled() for future in executor.futures)


def test_shards_that_always_fail_are_not_given_away_for_ever():
    graph, statement = hard()
    with ThreadPoolExecutor(1) as threads:
        executor = Recorded(lambda *call: threads.submit(divmod, 1, 0))
        result = result_of(graph, statement, executor)
    assert alike(result, result_of(graph, statement))
    assert "a shard is lost: ZeroDivisionError" in " ".join(result.log)
    assert len(executor.futures) <= explore.LOSSES + 2


def test_a_short_search_asks_nobody(monkeypatch):
    monkeypatch.setattr(explore, "ALONE", 60.0)
    executor = Never(False)
    assert result_of(*hard(), executor).verdict == "verified"
    assert not executor.futures
