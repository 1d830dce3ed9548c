"""A folder of instances, and what workers do in tests of pools, where other processes can import it."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
from certify.nets import FALSIFIED, TWO_REGIONS, VACUOUS, VERIFIED, difference

from tlverify.bench.instances import Task
from tlverify.bench.pool import solve_on_cluster
from tlverify.bench.record import Outcome
from tlverify.bench.worker import solve
from tlverify.certify.search import branch, explore, machine_code
from tlverify.certify.search.shards import Found, Shard, search_shard
from tlverify.graph import GraphBuilder, Type, save_graph

PROPERTIES = {
    "holds": VERIFIED,
    "fails": FALSIFIED,
    "vacuous": VACUOUS,
    "two": TWO_REGIONS + "(assert (>= Y_0 4))",
    "broken": "(assert",
}


def make_folder(folder: Path, names=tuple(PROPERTIES), expected: str = "") -> Path:
    """The path of an instances.csv with these properties of one network."""
    save_graph(difference(), folder / "net.graph.json")
    for name in names:
        (folder / f"{name}.vnnlib").write_text(PROPERTIES[name])
    rows = "".join(f"net.graph.json,./{name}.vnnlib,20\n" for name in names)
    (folder / "instances.csv").write_text(rows)
    if expected:
        (folder / "expected.csv").write_text("network,property,expected\n" + expected)
    return folder / "instances.csv"


def solve_or_die(task: Task) -> Outcome:
    """As `solve`, but the worker is killed by the instance `fails`."""
    if "fails" in task.prop:
        os.kill(os.getpid(), signal.SIGKILL)
    return solve(task)


def solve_or_hang(task: Task) -> Outcome:
    """As `solve`, but the worker never answers on the instance `fails`."""
    if "fails" in task.prop:
        time.sleep(600)
    return solve(task)


def environment(task: Task) -> str:
    """What a worker's BLAS was told."""
    return os.environ["OPENBLAS_NUM_THREADS"]


def die_once(task: Task) -> Outcome:
    """Kills its worker the first time that any instance comes; the mark is a file beside the property."""
    mark = Path(task.prop).with_name("died")
    if "two" in task.prop and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return solve(task)


def make_hard(folder: Path) -> Path:
    """The path of an instances.csv with one property, which holds; its tree has some hundred leaves."""
    rng, builder = np.random.default_rng(3), GraphBuilder()
    value = builder.input("x", Type((3,), "float32"))
    for layer, (m, n) in enumerate(((3, 12), (12, 12), (12, 12), (12, 1))):
        weight = (rng.standard_normal((n, m)) * np.sqrt(2 / m)).astype("float32")
        bias = builder.parameter((rng.standard_normal(n) * 0.2).astype("float32"))
        value = builder.node("linear", value, builder.parameter(weight), bias)
        value = builder.node("relu", value) if layer < 3 else value
    save_graph(builder.build(value), folder / "hard.graph.json")
    lines = ["(declare-const Y_0 Real)", "(assert (>= Y_0 1.65))"]
    for i in range(3):
        lines += [f"(declare-const X_{i} Real)", f"(assert (>= X_{i} -1))", f"(assert (<= X_{i} 1))"]
    (folder / "hard.vnnlib").write_text("\n".join(lines))
    (folder / "instances.csv").write_text("hard.graph.json,hard.vnnlib,60\n")
    return folder / "instances.csv"


def solve_slowly(task: Task) -> Outcome:
    """As on a cluster, so slowly that others have time for shards, of which the first kills its worker."""
    advance = branch.Branch.advance

    def slowly(engine):
        time.sleep(0.05)
        return advance(engine)

    machine_code.installed = lambda: False
    branch.BLOCK, branch.Branch.advance = 2, slowly
    explore.ALONE, explore.SECONDS, explore.FEWEST = 0.0, 0.05, 1
    explore.search_shard = partial(search_or_die, str(Path(task.prop).with_name("died")))
    return solve_on_cluster(task)


def search_or_die(mark: str, shard: Shard) -> Found:
    """As `search_shard`, but the first time the worker is killed."""
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    Path(mark).with_name("helped").touch()
    return search_shard(shard)
