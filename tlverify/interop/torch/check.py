"""Comparing a graph with the module that it came from, or became."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import run
from tlverify.graph import FLOATS, Graph
from tlverify.interop.torch.arrays import load_torch, to_numpy, to_tensor
from tlverify.interop.torch.errors import TorchError

TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
"""Rounding in another order may differ by this part of the largest output."""


@dataclass(frozen=True)
class CrossCheck:
    """How a graph and a module compare: the largest difference, as a part of the largest output."""

    samples: int
    difference: float


def cross_check(graph: Graph, module: Any, samples: int = 8, seed: int = 0, batch: bool = True) -> CrossCheck:
    """Run both on random inputs, uniform in [0, 1] and normal in turn; integers are 0 or 1.

    With `batch` the module takes and gives a first axis of size 1 that the graph lacks. TorchError if the results
    differ by more than TOLERANCE. It finds mistakes; it proves nothing.
    """
    torch = load_torch()
    rng = np.random.default_rng(seed)
    differences, largest, limit = [0.0], 0.0, 0.0
    for sample in range(samples):
        given = [_draw(rng, value.shape, value.dtype, sample) for value in graph.inputs]
        with np.errstate(all="ignore"):
            found = run(graph, given)
        with torch.no_grad():
            result = module(*(to_tensor(x[None] if batch else x) for x in given))
        tensors = [leaf for leaf in torch.utils._pytree.tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        if len(tensors) != len(graph.outputs):
            raise TorchError(f"the graph has {len(graph.outputs)} outputs, the module {len(tensors)}")
        for name, ours, tensor in zip(graph.outputs, found, tensors, strict=True):
            theirs = to_numpy(tensor)[0] if batch else to_numpy(tensor)
            if ours.shape != theirs.shape:
                raise TorchError(
                    f"output {name!r}: {list(ours.shape)} in the graph, {list(theirs.shape)} in the module"
                )
            differences.append(_difference(ours, theirs))
            largest = max(largest, float(np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)))
            limit = max(limit, TOLERANCE.get(theirs.dtype.name, 0.0))
    part = max(differences) / (largest or 1.0)
    if not part <= limit:
        raise TorchError(
            f"the graph and the module differ by {part:.3g} of the largest output, more than {limit}: "
            "please report this module"
        )
    return CrossCheck(samples, part)


def _draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: str, sample: int) -> Any:
    if dtype not in FLOATS:
        return rng.integers(0, 2, shape).astype(dtype)
    x = rng.normal(size=shape) if sample % 2 else rng.uniform(size=shape)
    return x.astype(dtype)


def _difference(ours: Any, theirs: Any) -> float:
    a, b = (np.asarray(x, np.float64) for x in (ours, theirs))
    both = np.isfinite(a) & np.isfinite(b)
    if not (both | (a == b) | (np.isnan(a) & np.isnan(b))).all():
        return float("inf")
    return float(np.abs(a[both] - b[both]).max(initial=0.0))
