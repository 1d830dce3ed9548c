"""The schedule on instances that it was not tuned on: other MNIST images and radii, for the networks of MNIST-FC.

    TLVERIFY_DATA=../shared/data PYTHONPATH=. OPENBLAS_NUM_THREADS=1 python benchmarks/held_out.py --timeout 60

The images are drawn by a fixed seed from the 10,000 test images that the network classifies rightly, without those from
which the set was made; the radii go round. Every verdict has an accepted certificate.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from statistics import median

import numpy as np

from tlverify.certify import certify, robustness
from tlverify.core import run
from tlverify.graph import Graph
from tlverify.interop import load_graph
from tlverify.train.data import mnist

RADII = ("0.02", "0.03", "0.04", "0.05", "0.06")
USED = 100  # the first images of the test set, among which the set's own are


def classified(graph: Graph, points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which points are given their label."""
    return np.array([int(run(graph, [x])[0].argmax()) == y for x, y in zip(points, labels, strict=True)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=["256x2", "256x4"])
    parser.add_argument("--count", type=int, default=10, help="instances of each network")
    parser.add_argument("--timeout", type=float, default=60, help="seconds for each")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = Path(os.environ.get("TLVERIFY_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (data / "mnist").is_dir():
        parser.error(f"{data / 'mnist'} is not a folder; set TLVERIFY_DATA")
    names = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
    everything = mnist(*(data / "mnist" / name for name in names))
    images, labels = everything.x[USED:], everything.y[USED:]
    for network in options.networks:
        graph = load_graph(data / "mnist_fc" / "onnx" / f"mnist-net_{network}.onnx")
        order = np.random.default_rng(options.seed).permutation(len(images))[: 2 * options.count]
        points = images[order].reshape(-1, *graph.inputs[0].shape)
        right = np.flatnonzero(classified(graph, points, labels[order]))[: options.count]
        times, verdicts = [], []
        for number, k in enumerate(right.tolist()):
            radius = RADII[number % len(RADII)]
            claims = robustness(graph, points[k][None], labels[order][k][None], radius)
            begin = time.process_time()
            (result,) = certify(graph, claims, timeout=options.timeout)
            times.append(time.process_time() - begin)
            verdicts.append(result.verdict)
            parts = f"search {result.search_seconds:.2f}, check {result.check_seconds:.2f}"
            print(
                f"  {network} image {USED + order[k]} radius {radius}: {result.verdict}, {times[-1]:.2f} CPU s "
                f"({parts} by the clock), {result.stats.get('leaves', 0):,} leaves  {result.reason}",
                flush=True,
            )
        counts = ", ".join(f"{verdicts.count(v)} {v}" for v in ("verified", "falsified", "unknown"))
        print(f"{network}: {counts}; {sum(times):.1f} CPU s, median {median(times):.2f}, largest {max(times):.2f}")


if __name__ == "__main__":
    main()
