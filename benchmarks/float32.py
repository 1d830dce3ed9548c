"""Executions in float32 against what is proved of them: how many leave their bounds, and how near they come.

    TLVERIFY_DATA=../shared/data PYTHONPATH=. OPENBLAS_NUM_THREADS=1 python benchmarks/float32.py --executions 100000

For each network the kernel bounds every value over regions of inputs, for every float32 execution. Then inputs of the
regions (corners, and points between) are run in random orders: sequential, reversed, pairwise, blocked, permuted,
contracted to FMA, bias first, flushed to zero, and by the BLAS of this machine; every value must lie in its interval.
`nearest` is the largest share of the error bound that a value's error took, against the same sum in float64. `lost` is
by how much less the kernel proves of the outputs than for real numbers, as a share of their range (the median entry).

With `--backend cupy` all inputs are run by cuBLAS and CuPy's kernels, in batches of several sizes, under the contract
`cuda-no-tf32`, or `cuda-tf32` if CUPY_TF32=1 is set.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from tlverify import Trainer, data, losses, nn, optim
from tlverify.certify import kernel
from tlverify.certify.claim import SEMANTICS, Inequality, box
from tlverify.certify.search.emit import Steps
from tlverify.certify.search.ground import Ground
from tlverify.certify.search.problem import inside
from tlverify.core import run
from tlverify.core.backend import to_numpy
from tlverify.core.binary32 import Execution, Mode, Order, run_binary32
from tlverify.core.ops.forward import FORWARD
from tlverify.graph import Graph, GraphBuilder, Node, Type, to_bytes
from tlverify.interop import load_graph

SIZES = {"numpy": (64,), "cupy": (1, 17, 64, 512)}  # of a batch
RADII = (0.004, 0.02, 0.05)


@dataclass(frozen=True)
class Count:
    """Executions, values compared, values outside their interval, and the largest share of an error bound."""

    executions: int
    values: int
    outside: int
    nearest: float
    lost: float


def batched(graph: Graph, count: int) -> Graph:
    """The same network on `count` inputs at once, with every value that a step of the proof bounds as an output."""
    builder = GraphBuilder()
    names: dict[str, str] = {}
    for value in graph.inputs:
        names[value.name] = builder.input(value.name, Type((count, *value.shape), value.dtype))
    for parameter in graph.parameters:
        names[parameter.name] = builder.parameter(parameter.data, parameter.name)
    for node in graph.nodes:
        given = [names[name] for name in node.inputs]
        names[node.name] = builder.node(node.op, *given, name=node.name, **moved(node, count))
    return builder.build(*(names[node.name] for node in graph.nodes))


def moved(node: Node, count: int) -> dict[str, Any]:
    """The attributes of a node of a batch."""
    attributes: dict[str, Any] = dict(node.attributes)
    if node.op in ("reshape", "broadcast_to"):
        attributes["shape"] = (count, *attributes["shape"])
    return attributes


def executions(rng: np.random.Generator) -> Iterator[Execution]:
    while True:
        tree = ("sequential", "pairwise", "blocked")[int(rng.integers(3))]
        seed = int(rng.integers(1 << 30)) if rng.random() < 0.5 else None
        order = Order(tree, int(rng.choice([2, 4, 8, 16, 64])), bool(rng.random() < 0.5), seed)
        mode = Mode(ftz=bool(rng.random() < 0.3), daz=bool(rng.random() < 0.3))
        yield Execution(order, bool(rng.random() < 0.25), "first" if rng.random() < 0.5 else "last", mode)


def bounded(graph: Graph, low: Sequence[Fraction], high: Sequence[Fraction], semantics: str = "float32") -> Ground:
    """The kernel's table over a box: interval steps, and backward bounds of what ReLUs take and of the outputs."""
    (source,) = graph.inputs
    (out,) = graph.outputs
    bad = [[Inequality(((out, 0, Fraction(1)),), Fraction(10**9))]]
    statement = box(graph, {source.name: (low, high)}, bad, semantics)
    program = kernel.read_program(*to_bytes(graph), kernel.contract_of(statement.data))
    ground, steps = Ground(program, statement), Steps()
    for name, value in program.values.items():
        steps.interval(ground, [name] if value.kind != "input" else [])
        takes = any(v.kind == "relu" and v.source == name for v in program.values.values())
        if (takes or name == out) and value.kind == "affine":
            steps.bound(ground, name, range(value.size), range(value.size))
    return ground


def compare(graph: Graph, center: np.ndarray, least: int, rng: np.random.Generator, backend: str) -> Count:
    """At least as many executions, in batches of inputs of a region."""
    radius = Fraction(float(rng.choice(RADII)))
    exact = [Fraction(v) for v in center.ravel().tolist()]
    ground = bounded(graph, [v - radius for v in exact], [v + radius for v in exact], contract(backend))
    by_size = {size: batched(graph, size) for size in SIZES[backend]}
    shape = graph.inputs[0].shape
    ends = np.array([inside(v - radius, v + radius) for v in exact], np.float32)
    low, high = ends[:, 0].reshape(shape), ends[:, 1].reshape(shape)
    done = counted = outside = 0
    nearest = 0.0
    for number, execution in enumerate(executions(rng)):
        if done >= least:
            break
        size = int(rng.choice(SIZES[backend]))
        wide = by_size[size]
        t = rng.random((size, *shape)).astype(np.float32)
        t[::2] = np.round(t[::2])
        points = np.clip(low + (high - low) * t, low, high).astype(np.float32)
        if backend == "cupy" or number % 10 == 9:
            found = blas(wide, points, backend)
        else:
            found = dict(zip(wide.outputs, run_binary32(wide, [points], execution), strict=True))
        for name, values in found.items():
            flat = values.reshape(size, -1).astype(np.float64)
            below, above = ground.ends(name)
            outside += int(((flat < below) | (flat > above)).sum())
            counted += flat.size
        nearest = max(nearest, closeness(wide, points, found, ground))
        done += size
    return Count(done, counted, outside, nearest, loss(graph, ground, exact, radius))


def loss(graph: Graph, every: Ground, center: Sequence[Fraction], radius: Fraction) -> float:
    """How much lower the outputs' lower bounds are than for real numbers, as a share of the range of the outputs."""
    real = bounded(graph, [v - radius for v in center], [v + radius for v in center], "real")
    (out,) = graph.outputs
    (low, high), (lower, _) = real.ends(out), every.ends(out)
    return float(np.median((low - lower) / (high.max() - low.min())))


def contract(backend: str) -> str:
    """What the executions of the backend keep to."""
    return "float32" if backend == "numpy" else "cuda-tf32" if os.environ.get("CUPY_TF32") == "1" else "cuda-no-tf32"


def blas(wide: Graph, points: np.ndarray, backend: str) -> dict[str, np.ndarray]:
    """By NumPy or CuPy in float32: its BLAS and its own loops."""
    given = importlib.import_module(backend).asarray(points)
    return dict(zip(wide.outputs, map(to_numpy, run(wide, [given])), strict=True))


def closeness(wide: Graph, points: np.ndarray, found: dict[str, np.ndarray], ground: Ground) -> float:
    """The largest |executed - exact| / bound over linear and convolution nodes; exact: float64 on executed inputs."""
    known = {wide.inputs[0].name: points, **found, **{p.name: p.data for p in wide.parameters}}
    most = 0.0
    for node in wide.nodes:
        error = ground.error(node.name)
        if node.op in ("linear", "conv2d") and error is not None:
            given = [known[name].astype(np.float64) for name in node.inputs]
            exact = FORWARD[node.op](*given, **node.attributes)
            missed = np.abs(found[node.name].astype(np.float64) - exact).reshape(len(points), -1)
            most = max(most, float((missed / np.maximum(error, 1e-300)).max()))
    return most


def networks(folder: Path) -> Iterator[tuple[str, Graph, np.ndarray]]:
    """Name, graph, and centers of regions."""
    train, test = data.digits()
    images = test.x.astype(np.float32)
    layers = [nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2), nn.ReLU(), nn.Flatten(-3)]
    model = nn.Sequential(nn.Flatten(), nn.Reshape((1, 8, 8)), *layers, nn.Linear(72, 10))
    trainer = Trainer(model, optimizer=optim.Adam(lr=3e-3), loss=losses.cross_entropy, seed=0)
    yield "digits CNN", trainer.train(train, epochs=10, batch_size=64).graph, images
    for name in ("256x2", "256x4", "256x6"):
        path = folder / f"mnist_fc/onnx/mnist-net_{name}.onnx"
        if path.is_file():
            graph = load_graph(path)
            rng = np.random.default_rng(1)
            yield f"MNIST {name}", graph, rng.random((20, *graph.inputs[0].shape), np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", choices=sorted(SIZES), default="numpy")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    cases = list(networks(Path(os.environ.get("TLVERIFY_DATA", "../shared/data"))))
    name = contract(options.backend)
    print(f"contract {name} {SEMANTICS[name]}")
    for name, graph, centers in cases:
        regions, counts = 5, []
        least = -(-options.executions // (len(cases) * regions))
        for k in rng.permutation(len(centers))[:regions]:
            counts.append(compare(graph, centers[k], least, rng, options.backend))
        total = sum(count.executions for count in counts)
        values, outside = sum(count.values for count in counts), sum(count.outside for count in counts)
        nearest = max(count.nearest for count in counts)
        print(f"{name:12} {total:7,} executions, {values:12,} values, {outside} outside", end=", ")
        print(f"nearest {nearest:.3g}, lost {max(count.lost for count in counts):.2%}", flush=True)


if __name__ == "__main__":
    main()
