"""Our CROWN bounds beside auto_LiRPA's, in turns in one run on one core; CPU seconds for a batch of boxes.

    TLVERIFY_DATA=../shared/data OPENBLAS_NUM_THREADS=1 python benchmarks/bounding.py --peers /tmp/peers/bin/python

The interpreter of --peers has PyTorch and auto_LiRPA: that of benchmarks/peers.py will do, since NeuralSAT brings
auto_LiRPA 0.6 along (the one on PyPI, 0.3, does not start with NumPy 2).

acasxu    the equal parts of prop_1's region, each input cut in four (1,000 of 1,024), network 1_1; five lower bounds.
          Ours: the rigorous float64 of the arithmetic `interval`, as in branch and bound: what is unstable at the
          root is bounded again in every part; and with numba the machine code of the search, which does the same.
          auto_LiRPA bounds each part from nothing. `acasxu, deep` is the same for parts of an eighth of the range of
          each input, as they are deeper in a tree.
mnist_fc  the regions of all properties with radius 0.03, network 256x4; ten lower bounds. Ours: the float32 of the
          phase search on a folded network, from interval bounds, one region after another. auto_LiRPA: in one batch.

Building networks is not counted on either side. `bound` is the mean of the lower bounds: higher is tighter.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from tlverify.certify import kernel
from tlverify.certify.claim import Claim
from tlverify.certify.claim import box as make_box
from tlverify.certify.interval.engine import Boxes, backward, rebound
from tlverify.certify.property import to_claims
from tlverify.certify.search import machine_code, walk
from tlverify.certify.search.bounding import crown
from tlverify.certify.search.dual import Relaxation, evaluate
from tlverify.certify.search.emit import Steps
from tlverify.certify.search.fold import single
from tlverify.certify.search.goals import region_of
from tlverify.certify.search.ground import Ground
from tlverify.certify.search.layers import INPUT, Layers, layers_of
from tlverify.certify.search.phases import folded
from tlverify.certify.search.root import Root, prepare_root
from tlverify.certify.search.walk import Chain
from tlverify.graph import to_bytes
from tlverify.interop import load_graph
from tlverify.interop.vnnlib import read_vnnlib

ROOT = Path(__file__).resolve().parents[1]
CUTS, BATCH = 4, 1000
LIRPA = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np, torch
torch.set_num_threads(1)
try:
    from src.abstractor.auto_LiRPA import BoundedModule, BoundedTensor, PerturbationLpNorm, __version__ as version
except ImportError:
    from auto_LiRPA import BoundedModule, BoundedTensor, PerturbationLpNorm, __version__ as version
data = np.load(sys.argv[1])
dtype = getattr(torch, sys.argv[2])
torch.set_default_dtype(dtype)
parts, count = [], int(data["count"])
for k in range(count):
    weight, bias = (torch.tensor(data[f"{name}{k}"], dtype=dtype) for name in ("weight", "bias"))
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight, layer.bias = torch.nn.Parameter(weight), torch.nn.Parameter(bias)
    parts += [layer, torch.nn.ReLU()][: 2 if k < count - 1 else 1]
lower, upper = (torch.tensor(data[name], dtype=dtype) for name in ("lower", "upper"))
middle = (lower + upper) / 2
network = BoundedModule(torch.nn.Sequential(*parts), middle)
print(json.dumps(f"auto_LiRPA {version}, torch {torch.__version__}"), flush=True)
for line in sys.stdin:
    begin = time.process_time()
    with torch.no_grad():
        box = BoundedTensor(middle, PerturbationLpNorm(x_L=lower, x_U=upper))
        found = network.compute_bounds(x=(box,), method="CROWN", bound_upper=False)[0]
    print(json.dumps([time.process_time() - begin, float(found.mean())]), flush=True)
"""
Floats = np.ndarray[Any, np.dtype[np.float64]]
Once = Callable[[], tuple[float, float]]
"""Bounds the batch; CPU seconds and the mean of the bounds."""


@contextmanager
def lirpa(python: str, data: Path, dtype: str) -> Iterator[tuple[str, Once]]:
    """A process of the peer that bounds the batch whenever it is asked."""
    command = [python, "-c", LIRPA, str(data), dtype]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        cwd=data.parent,
    ) as process:
        asked, answers = process.stdin, process.stdout
        if asked is None or answers is None:
            raise RuntimeError("a process without pipes")

        def once() -> tuple[float, float]:
            asked.write("\n")
            asked.flush()
            seconds, mean = json.loads(answers.readline())
            return seconds, mean

        yield json.loads(answers.readline()), once
        asked.close()


def timed(work: Callable[[], Floats]) -> Once:
    def once() -> tuple[float, float]:
        begin = time.process_time()
        with np.errstate(all="ignore"):
            found = work()
        return time.process_time() - begin, float(found.mean())

    return once


def save(layers: Layers, output: str, lower: Floats, upper: Floats, path: Path) -> None:
    """A network of layers in a row, and the boxes, as the peer reads them."""
    forms = [*(layer.form for layer in layers.layers), layers.visible[output]]
    arrays: dict[str, Any] = {"lower": lower, "upper": upper, "count": len(forms)}
    for k, form in enumerate(forms):
        if set(form.parts) != {k - 1 if k else INPUT}:
            raise SystemExit(f"layer {k} does not just follow the one before it")
        arrays[f"weight{k}"], arrays[f"bias{k}"] = next(iter(form.parts.values())), form.bias
    np.savez(path, **arrays)


def parts_of(region: Floats) -> tuple[Floats, Floats]:
    """Each input's range in CUTS equal parts, in all combinations; the first BATCH."""
    low, width = region[:, 0], (region[:, 1] - region[:, 0]) / CUTS
    corner = np.array(list(product(range(CUTS), repeat=len(region))))[:BATCH]
    return low + corner * width, low + (corner + 1) * width


def machine_code_of(root: Root, chain: Chain, boxes: Floats) -> Callable[[], Floats]:
    """Bounds of the conjuncts in each of the boxes (parts, 2, inputs), by the functions of the search."""
    import numba

    walk_kernel = machine_code.load(walk.KERNEL)
    tables_of, pull, least = walk_kernel.tighten, walk_kernel.pull, walk_kernel.least_of
    network = walk.network_of(root, chain)
    room = walk.room_of(network, chain)
    whole = np.stack(
        [np.concatenate([ends[n][0] for n in chain.names]) for ends in (root.boxes.lower, root.boxes.upper)]
    )

    @numba.njit
    def many(network: Any, room: Any, boxes: Any, whole: Any, found: Any) -> None:
        shape, weights, biases, errors, conjuncts, _, _ = network
        alive, slopes, space, seen, R, C, _, _, planes, shares, either, _, _, _, _, table = room
        n, before = boxes.shape[2], conjuncts.shape[1] - 1
        for part in range(len(boxes)):
            table[:] = whole
            tables_of(
                shape,
                weights,
                biases,
                errors,
                alive,
                slopes,
                space,
                seen,
                R,
                boxes[part],
                table,
                planes,
                shares,
                either,
            )
            C[:] = 0.0
            C[: len(conjuncts), :before] = conjuncts[:, :before]
            C[: len(conjuncts), C.shape[1] - 1] = conjuncts[:, before]
            rows = np.int64(len(conjuncts) + len(conjuncts) % 2)
            pull(shape, weights, biases, alive, slopes, space, seen, C, rows, np.int64(len(shape) - 1), np.int64(0))
            for k in range(len(conjuncts)):
                C[k, n] = C[k, C.shape[1] - 1]
                found[part, k] = least(C[k, : n + 1], boxes[part])

    def work() -> Floats:
        found = np.zeros((len(boxes), len(chain.constants)))
        many(network, room, boxes, whole, found)
        return found

    return work


def boxes_case(data: Path, path: Path, deep: bool = False) -> tuple[int, dict[str, Once]]:
    """Branch and bound's bounds of all parts of a region, or of a small part of it."""
    graph = load_graph(data / "acasxu/onnx/ACASXU_run2a_1_1_batch_2000.onnx")
    (claim,) = to_claims(read_vnnlib(data / "acasxu/vnnlib/prop_1.vnnlib"), graph)
    program = kernel.read_program(*to_bytes(graph))
    if deep:
        ends = {name: (claim.lower[name], claim.upper[name]) for name in program.inputs}
        small = {
            name: (
                [(5 * a + 3 * b) / 8 for a, b in zip(*pair, strict=True)],
                [(a + b) / 2 for a, b in zip(*pair, strict=True)],
            )
            for name, pair in ends.items()
        }
        claim = make_box(graph, small, claim.bad)
    root = prepare_root(program, claim)
    (name,), (output,) = program.inputs, program.outputs
    lower, upper = parts_of(np.stack([root.boxes.lower[name][0], root.boxes.upper[name][0]], 1))
    save(layers_of(program), output, lower, upper, path)
    every, size = np.arange(len(lower)), program.values[output].size
    start = {output: np.repeat(np.eye(size)[:, None], len(lower), 1)}
    whole: Boxes = root.boxes.part(np.zeros(1, dtype=np.intp))
    for layer in root.layers:
        rebound(root.network, root.reaches, whole, layer)

    def work() -> Floats:
        boxes: Boxes = whole.part(np.zeros(len(lower), dtype=np.intp))
        boxes.lower[name], boxes.upper[name] = lower, upper
        for layer in root.layers:
            rebound(root.network, root.reaches, boxes, layer)
        return backward(root.network, root.reaches, boxes, every, start, np.zeros((len(start[output]), len(lower))), {})

    if not machine_code.installed():
        return len(lower), {"tlverify": timed(work)}
    # All outputs as inequalities, in one disjunct: a part takes what it takes in the search, but for the split.
    every_output = replace(root, rows={output: -np.eye(size)}, bounds=np.zeros(size), disjuncts=[np.arange(size)])
    chain = Chain.of(replace(every_output, boxes=whole), layers_of(program))
    if chain is None:
        raise RuntimeError("not a chain")
    code = machine_code_of(replace(every_output, boxes=whole), chain, np.stack([lower, upper], 1))
    return len(lower), {"tlverify": timed(work), "tlverify, machine code": timed(code)}


def regions_case(data: Path, path: Path) -> tuple[int, dict[str, Once]]:
    """The phase search's bounds of one region after another."""
    graph = load_graph(data / "mnist_fc/onnx/mnist-net_256x4.onnx")
    properties = sorted((data / "mnist_fc/vnnlib").glob("prop_*_0.03.vnnlib"))
    claims: list[Claim] = [claim for one in properties for claim in to_claims(read_vnnlib(one), graph)]
    program = kernel.read_program(*to_bytes(graph))
    layers = layers_of(program)
    (output,) = program.outputs
    boxes = [region_of(layers, claim).box for claim in claims]
    center, radius = (np.stack([getattr(box, part) for box in boxes]) for part in ("center", "radius"))
    save(layers, output, center - radius, center + radius, path)

    def work() -> Floats:
        found = []
        for claim, box in zip(claims, boxes, strict=True):
            ground = Ground(program, claim)
            folding = folded(ground, layers, box, crown(ground, layers, Steps()))
            relaxation = Relaxation.of(folding.fold())
            rows = single(folding.rows(layers.visible[output], output))
            found.append(evaluate(relaxation, rows, relaxation.root(len(rows.constant)), gradient=False).lower)
        return np.concatenate(found).astype(np.float64)

    return len(boxes), {"tlverify": timed(work)}


CASES: Mapping[str, Callable[[Path, Path], tuple[int, dict[str, Once]]]] = {
    "acasxu": boxes_case,
    "acasxu, deep": partial(boxes_case, deep=True),
    "mnist_fc": regions_case,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", required=True, help="Python interpreter with torch and auto_LiRPA")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run; the median counts")
    options = parser.parse_args()
    data = Path(os.environ.get("TLVERIFY_DATA", ROOT.parent / "shared" / "data")).resolve()
    if not data.is_dir():
        sys.exit(f"{data} is not a folder; set TLVERIFY_DATA")
    print("| boxes | tool | boxes per CPU-s | ours to it | bound |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, case in CASES.items():
            path = Path(folder) / f"{name.replace(', ', '_')}.npz"
            count, ours = case(data, path)
            with lirpa(options.peers, path, "float32") as single_, lirpa(options.peers, path, "float64") as double:
                tools = {**ours, f"{single_[0]}, float32": single_[1], f"{double[0]}, float64": double[1]}
                times: dict[str, list[float]] = {tool: [] for tool in tools}
                bounds: dict[str, float] = {}
                for number in range(options.rounds + 1):
                    for tool, once in tools.items():
                        seconds, bounds[tool] = once()
                        if number:  # the first warms up
                            times[tool].append(seconds)
            rate = {tool: count / median(taken) for tool, taken in times.items()}
            for tool in tools:
                ratios = ", ".join(f"{rate[mine] / rate[tool]:.1f}" for mine in ours)
                print(f"| {name}, {count} | {tool} | {rate[tool]:.0f} | {ratios} | {bounds[tool]:.4g} |", flush=True)


if __name__ == "__main__":
    main()
