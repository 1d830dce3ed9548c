"""The arithmetic `fast` on CuPy: its self-test, bit-identity with `exact`, and leaves per second.

    PYTHONPATH=. python benchmarks/gpu_checker.py [--library cupy|numpy] [--seconds 150]

Needs NumPy and CuPy only. Every part reports for itself, so that one that fails does not hide the others; parts that
would start after the time is over are left out, which is said. Exit code 1 if a part failed or an answer differed.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from types import ModuleType

import numpy as np
from checker import NETWORKS, proof, statement_of

from tlverify.certify import kernel
from tlverify.certify.fast import fast
from tlverify.certify.fast.engine import Engine, gather, run
from tlverify.certify.fast.selftest import TESTS
from tlverify.certify.kernel.arithmetic import enclose
from tlverify.certify.kernel.backward import Bounds, Job, propagate_all
from tlverify.certify.kernel.program import Program, enclose_value
from tlverify.graph import Graph, GraphBuilder, Type, to_bytes

Part = Callable[[], str]


@dataclass
class Report:
    """Prints parts as they are done, until the time is over."""

    until: float
    failed: int = 0

    def part(self, name: str, work: Part) -> None:
        begin = time.perf_counter()
        if begin > self.until:
            print(f"{name}: left out, the time is over", flush=True)
            return
        try:
            result = work()
        except Exception:
            self.failed += 1
            result = "FAILED\n" + traceback.format_exc()
        print(f"{name}: {result} ({time.perf_counter() - begin:.1f} s)", flush=True)


def about(library: ModuleType) -> str:
    text = f"Python {platform.python_version()}, NumPy {np.__version__}"
    if library is not np:
        device = library.cuda.runtime.getDeviceProperties(0)["name"].decode()
        versions = library.cuda.runtime.runtimeGetVersion(), library.cuda.runtime.driverGetVersion()
        text += f", CuPy {library.__version__}, {device}, CUDA runtime {versions[0]}, driver {versions[1]}"
    return text


def small(family: str, rng: np.random.Generator) -> Graph:
    """A small random network of the kinds that the tests use."""
    builder = GraphBuilder()
    if family == "convolution":
        value = builder.input("x", Type((1, 4, 4), "float32"))
        weight = builder.parameter(rng.standard_normal((2, 1, 3, 3)).astype("float32"))
        bias = builder.parameter(rng.standard_normal(2).astype("float32"))
        options = {"stride": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
        value = builder.node("relu", builder.node("conv2d", value, weight, bias, **options))
        value = builder.node("avg_pool2d", value, kernel=(3, 3), stride=(1, 1), padding=(0,) * 4, count_include_pad=0)
        value = builder.node("max_pool2d", value, kernel=(2, 2), stride=(2, 2), padding=(0,) * 4, dilation=(1, 1))
        value = builder.node("reshape", value, shape=(2,))
        last = builder.parameter(rng.standard_normal((4, 2)).astype("float32"))
        return builder.build(builder.node("linear", value, last, builder.parameter(np.zeros(4, "float32"))))
    sizes = (3, 8, 8, 4) if family != "wide" else (6, 300, 300, 4)
    dtype = "float64" if family == "double" else "float32"
    value = builder.input("x", Type((sizes[0],), dtype))
    for layer, (m, n) in enumerate(pairwise(sizes)):
        weight = rng.standard_normal((n, m))
        if family == "ill-scaled":
            weight *= 10.0 ** rng.integers(-8, 9, (n, m))
        elif family == "denormal":
            weight *= np.where(rng.random((n, m)) < 0.5, 1e-42, 1.0)
        elif family == "cancelling":
            weight[1::2] = -weight[::2]
        elif family == "integers":
            weight = rng.integers(-1, 2, (n, m)).astype(float)
        elif family == "dyadic":
            weight = np.round(weight * 8) / 8
            weight[0, 0] = 1 + 2.0**-23
        bias = (rng.standard_normal(n) * 0.3).astype(dtype)
        before = value
        value = builder.node("linear", value, builder.parameter(weight.astype(dtype)), builder.parameter(bias))
        if layer < len(sizes) - 2:
            value = builder.node("relu", value)
            if family == "residual" and m == n:
                value = builder.node("add", value, before)
    return builder.build(value)


FAMILIES = (
    *("plain", "ill-scaled", "denormal", "cancelling", "double", "integers", "dyadic", "residual", "convolution"),
    "wide",
)


def table(program: Program, rng: np.random.Generator) -> Bounds:
    """Bounds by interval steps over a random box."""
    bounds = Bounds({})
    for name in program.inputs:
        center = rng.random(program.values[name].size).astype("float32")
        bounds[name] = enclose(*([Fraction(float(v)) for v in center + np.float32(s)] for s in (-0.2, 0.2)))
    for value in program.values.values():
        if value.kind != "input":
            bounds[value.name] = enclose_value(value, bounds)
    return bounds


def jobs(program: Program, bounds: Bounds, rng: np.random.Generator, count: int) -> Iterator[Job]:
    """Random objectives with slopes, multipliers on phase cuts, and halved inputs."""
    out, source = program.outputs[0], program.inputs[0]
    relus = [value for value in program.values.values() if value.kind == "relu"]
    unstable = [(v.source, n.number) for v in relus for n in bounds[v.source].phases.unstable]
    for _ in range(count):
        chosen = rng.permutation(program.values[out].size)[:2]
        rows = {out: {int(i): int(rng.integers(-(2**20), 2**20)) for i in chosen}}
        path = []
        for k in rng.permutation(len(unstable))[:3]:
            name, index = unstable[k]
            above = bool(rng.integers(2))
            path.append((name, index, not above, 0))
            weight = int(rng.integers(0, 2**18)) * int(rng.integers(2))
            rows.setdefault(name, {})[index] = -weight if above else weight
        if rng.integers(2):
            index = int(rng.integers(program.values[source].size))
            middle = (bounds[source].lower[index] + bounds[source].upper[index]) // 2
            path.append((source, index, bool(rng.integers(2)), middle))
        slopes = {v.name: {n.number: int(rng.integers(129)) for n in bounds[v.source].phases.unstable} for v in relus}
        yield Job(rows, int(rng.integers(-30, 5)), (int(rng.integers(-9, 9)), 0), slopes, path)


def identical(family: str, library: ModuleType, rounds: int, count: int) -> str:
    """Bounds of random jobs against those of `exact`, plain and with products verified."""
    undone = differing = total = 0
    for seed in range(rounds):
        rng = np.random.default_rng(seed)
        program = kernel.read_program(*to_bytes(small(family, rng)))
        bounds = table(program, rng)
        todo = list(jobs(program, bounds, rng, count))
        expected = propagate_all(program, bounds, todo)
        for verify in (False, True):
            engine = Engine(library, verify)
            found = engine(program, bounds, todo)
            differing += sum(a != b for a, b in zip(found, expected, strict=True))
        prepared = Engine(library).prepare(program, bounds)
        batch = gather(prepared, todo[: prepared.batch])
        run(prepared, batch)
        undone += int(batch.undone.sum())
        total += count
    if differing:
        raise AssertionError(f"{differing} of {2 * total} bounds differ from exact")
    return f"{2 * total} bounds as exact, {undone} of {total} jobs left to exact"


def same_margin(title: str, library: ModuleType, leaves: int) -> str:
    """A tree of phase splits by `exact` and by `fast`."""
    graph, asked = statement_of(title)
    program = kernel.read_program(*to_bytes(graph))
    data = proof(graph, asked, leaves, np.random.default_rng(2))[0]
    engines = {"exact": kernel.EXACT, "fast": fast(xp=library), "verified": fast(True, library)}
    margins = {name: kernel.check_with(program, asked.data, data, engine).margin for name, engine in engines.items()}
    if len(set(margins.values())) > 1:
        raise AssertionError(f"margins differ: {margins}")
    return f"{leaves} leaves, one margin"


def throughput(title: str, library: ModuleType, leaves: int, verify: bool) -> str:
    """As in checker.py: every leaf has multipliers and slopes of its own; reading and the root are not counted."""
    graph, asked = statement_of(title)
    program = kernel.read_program(*to_bytes(graph))
    data = proof(graph, asked, leaves, np.random.default_rng(1))[0]
    few = proof(graph, asked, 512, np.random.default_rng(1))[0]
    engine = fast(verify, library)
    kernel.check_with(program, asked.data, few, engine)  # what is done once
    times = []
    for certificate in (few, data):
        begin = time.perf_counter()
        kernel.check_with(program, asked.data, certificate, engine)
        times.append(time.perf_counter() - begin)
    rate = (leaves - 512) / (times[1] - times[0])
    return f"{rate:,.0f} leaves/s ({leaves} leaves in {times[1]:.2f} s, 512 in {times[0]:.3f} s)"


def propagation(title: str, library: ModuleType, count: int) -> str:
    """Backward passes alone, from rows that are there already: what the device does."""
    graph, asked = statement_of(title)
    program = kernel.read_program(*to_bytes(graph))
    bounds = Bounds({"x": enclose(asked.lower["x"], asked.upper["x"])})
    for value in program.values.values():
        if value.kind != "input":
            bounds[value.name] = enclose_value(value, bounds)
    rng = np.random.default_rng(3)
    out = program.outputs[0]
    todo = [Job({out: {int(rng.integers(5)): int(rng.integers(1, 999))}}, 0, (0, 0), {}) for _ in range(count)]
    prepared = Engine(library).prepare(program, bounds)
    best = float("inf")
    for _ in range(4):
        batch = gather(prepared, todo)
        begin = time.perf_counter()
        run(prepared, batch)
        batch.total.tolist()  # waits for the device
        best = min(best, time.perf_counter() - begin)
    return f"{count} rows at once: {count / best:,.0f} rows/s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", choices=["cupy", "numpy"], default="cupy")
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--leaves", type=int, default=65536)
    arguments = parser.parse_args()
    library = importlib.import_module(arguments.library)
    report = Report(time.perf_counter() + arguments.seconds)
    report.part("machine", lambda: about(library))
    for test in TESTS:
        report.part(f"self-test {test.__name__}", lambda test=test: test(library) or "passed")
    for family in FAMILIES:
        rounds, count = (1, 20) if family == "wide" else (3, 40)
        report.part(f"identity {family}", lambda f=family, r=rounds, c=count: identical(f, library, r, c))
    for title, leaves in (("5-50x6-5", 256), ("784-256x6-10", 64)):
        report.part(f"tree {title}", lambda t=title, n=leaves: same_margin(t, library, n))
    for title in NETWORKS:
        report.part(f"rows {title}", lambda t=title: propagation(t, library, 16384))
        for verify in (False, True):
            name = f"leaves {title}" + " verified" * verify
            report.part(name, lambda t=title, v=verify: throughput(t, library, arguments.leaves, v))
    if library is not np:
        for title in NETWORKS:
            report.part(f"leaves {title} on NumPy", lambda t=title: throughput(t, np, 4096, False))
    print(f"{report.failed} parts failed")
    sys.exit(report.failed > 0)


if __name__ == "__main__":
    main()
