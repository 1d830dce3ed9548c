"""`tlverify doctor`: what this installation runs on, and whether it works here."""

from __future__ import annotations

import importlib
import os
import platform
import re
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tlverify.cli.environment import environment
from tlverify.cli.output import INTERNAL, VERIFIED, print_json
from tlverify.graph import Graph, GraphBuilder, Type, digest

FEATURES = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "asimd", "sve")
THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def doctor(as_json: bool) -> None:
    """Print the facts and the tests; exit code 70 if a test fails."""
    facts, found = describe(), [run_test(name, test) for name, test in TESTS.items()]
    code = VERIFIED if all(not reason for _, reason, _ in found) else INTERNAL
    if as_json:
        tests = [{"test": name, "reason": reason, "seconds": round(took, 3)} for name, reason, took in found]
        print_json({"facts": facts, "tests": tests, "exit_code": code})
        raise SystemExit(code)
    table = Table(box=None, show_header=False)
    for name, words in facts.items():
        table.add_row(name, Text(words))
    console = Console()
    console.print(table)
    for name, reason, took in found:
        mark, style = ("failed", "bold red") if reason else ("works ", "green")
        console.print(
            Text(f"{mark}  {name} ({took:.2f} s){': ' + reason if reason else ''}", style=style), soft_wrap=True
        )
    raise SystemExit(code)


def describe() -> dict[str, str]:
    """Versions, processor, BLAS, GPU and extras, in words."""
    facts = environment()
    facts["processor"] = processor()
    set_threads = [f"{name}={os.environ[name]}" for name in THREADS if name in os.environ]
    facts["BLAS"] = f"{blas()}, {', '.join(set_threads) or 'as many threads as it likes'}"
    facts["GPU"] = gpu()
    facts["machine code"] = machine_code()
    for extra, packages in extras().items():
        missing = [name for name in packages if installed(name) is None]
        words = ", ".join(f"{name} {installed(name)}" for name in packages if name not in missing)
        if missing:
            lacking = f"without {', '.join(missing)}: pip install 'tlverify[{extra}]'"
            words = f"{words}; {lacking}" if words else lacking
        facts[f"extra {extra}"] = words
    return facts


def processor() -> str:
    """Model and the vector instructions it has, where the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            told = dict(line.split(":", 1) for line in lines.read().split("\n\n")[0].splitlines() if ":" in line)
    except OSError:
        return platform.processor() or platform.machine()
    known = {name.strip(): value.strip() for name, value in told.items()}
    flags = (known.get("flags") or known.get("Features") or "").split()
    return ", ".join([known.get("model name", platform.machine()), *(name for name in FEATURES if name in flags)])


def blas() -> str:
    """The library that NumPy multiplies matrices with."""
    config: Any = np.show_config(mode="dicts")
    told = config.get("Build Dependencies", {}).get("blas", {})
    return f"{told.get('name', 'unknown')} {told.get('version', '')}".strip()


def gpu() -> str:
    """The CUDA device that CuPy sees."""
    try:
        cupy: Any = importlib.import_module("cupy")
        properties = cupy.cuda.runtime.getDeviceProperties(0)
    except ImportError:
        return "not used: CuPy is not installed (extra gpu)"
    except RuntimeError as error:  # CuPy's errors of the driver and the runtime are of this kind
        return f"not used: {type(error).__name__}: {error}"
    return f"{properties['name'].decode()}, CuPy {cupy.__version__}"


def machine_code() -> str:
    """What execution="native" compiles for."""
    from tlverify.core import native

    if not native.installed():
        return "not made: llvmlite is not installed (extra native)"
    from tlverify.core.native import cache, machine, threads

    host = machine.host()
    return f"for {host.cpu}, {host.tile.lanes} sums a row, {threads.count()} threads, kept in {cache.folder()}"


def installed(package: str) -> str | None:
    """Its version."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def extras() -> dict[str, list[str]]:
    """The packages of each extra, by what tlverify was installed with; those for developing are left out."""
    found: dict[str, list[str]] = {}
    try:
        listed = requires("tlverify") or []
    except PackageNotFoundError:
        return {}
    for line in listed:
        match = re.match(r"([A-Za-z0-9_.-]+).*extra == ['\"](\w+)['\"]", line)
        if match and match[2] != "dev":
            found.setdefault(match[2], []).append(match[1])
    return found


def run_test(name: str, test: Callable[[], None]) -> tuple[str, str, float]:
    """The name, why it failed or "", and the seconds it took."""
    begin = time.perf_counter()
    try:
        test()
        reason = ""
    except Exception as error:  # a diagnosis must not end in a traceback: any failure is a test that failed, exit 70
        reason = f"{type(error).__name__}: {error}"
    return name, reason, time.perf_counter() - begin


def network() -> Graph:
    """y = (|x0 - x1|, 1/4) with ReLUs."""
    builder = GraphBuilder()
    x = builder.input("x", Type((2,), "float32"))
    first, second = np.array([[1, -1], [-1, 1]], np.float32), np.array([[1, 1], [0, 0]], np.float32)
    zeros, quarter = builder.parameter(np.zeros(2, np.float32)), builder.parameter(np.array([0, 0.25], np.float32))
    hidden = builder.node("relu", builder.node("linear", x, builder.parameter(first), zeros))
    return builder.build(builder.node("linear", hidden, builder.parameter(second), quarter))


def arithmetic_works() -> None:
    """What the arithmetic `fast` asks of float64 and BLAS."""
    from tlverify.certify.fast.selftest import self_test

    self_test(np)


def proofs_work() -> None:
    """A robust point is verified, in every arithmetic alike, and one that is not is falsified."""
    from tlverify.certify import certify, robustness
    from tlverify.certify.audit import check_all
    from tlverify.certify.kernel import contract_of, read_program
    from tlverify.graph import to_bytes

    graph = network()
    for semantics in ("real", "float32"):
        points = np.array([[0.75, 0.25], [0.5, 0.25]], np.float32)
        claims = robustness(graph, points, [0, 0], "0.0625", semantics=semantics)
        robust, broken = certify(graph, claims, timeout=30)
        if (robust.verdict, broken.verdict) != ("verified", "falsified"):
            raise AssertionError(
                f"{semantics}: expected verified and falsified, found {robust.verdict}, {broken.verdict}"
            )
        for result in (robust, broken):
            program = read_program(*to_bytes(graph), contract_of(result.claim.data))
            check_all(program, result.claim.data, result.certificate or b"")


def training_works() -> None:
    """The same steps twice give the same bits."""
    from tlverify import Trainer, losses, nn, optim
    from tlverify.train.data import tensor_dataset

    rng = np.random.default_rng(0)
    points = tensor_dataset(rng.random((64, 4), np.float32), rng.integers(0, 3, 64))
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    trainer = Trainer(model, optimizer=optim.Adam(lr=1e-2), loss=losses.cross_entropy, seed=0)
    one, two = (trainer.train(points, steps=5, batch_size=16) for _ in range(2))
    if digest(one.graph) != digest(two.graph):
        raise AssertionError("two trainings with one seed gave different parameters")


def native_works() -> None:
    """Machine code gives what NumPy does; where llvmlite is not installed there is none to try."""
    from tlverify.core import jit, native, ops

    def network(x: Any, w: Any) -> Any:
        return ops.sum(ops.tanh(x @ w), 0)

    x, w = (np.random.default_rng(seed).random((9, 9), np.float32) for seed in (0, 1))
    if native.installed() and not np.allclose(jit(network, "native")(x, w), np.tanh(x @ w).sum(0), 1e-5):
        raise AssertionError("machine code and NumPy give different values")


TESTS: dict[str, Callable[[], None]] = {
    "float64 and BLAS are exact where the checker needs it": arithmetic_works,
    "claims are proved and refuted, in every arithmetic alike": proofs_work,
    "training is reproducible": training_works,
    "machine code gives what NumPy does": native_works,
}
