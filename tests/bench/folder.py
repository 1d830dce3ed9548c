"""A folder of instances, and what workers do in tests of pools, where other processes can import it."""

import os
import signal
import time
from pathlib import Path

from certify.nets import FALSIFIED, TWO_REGIONS, VACUOUS, VERIFIED, difference

from tlverify.bench.instances import Task
from tlverify.bench.record import Outcome
from tlverify.bench.worker import solve
from tlverify.graph import save_graph

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
