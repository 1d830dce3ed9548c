"""Comparing an import with an independent runtime."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tlverify.core import run
from tlverify.graph import FLOATS, Array, Graph
from tlverify.interop.onnx.errors import OnnxError
from tlverify.interop.onnx.reader import Source, read_model

if TYPE_CHECKING:
    import onnx

TOLERANCE = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-10}
"""Rounding in another order may differ by this part of the largest output."""


@dataclass(frozen=True)
class CrossCheck:
    """How an import compares: the largest difference, as a part of the largest output."""

    runtime: str
    samples: int
    difference: float


def cross_check(graph: Graph, model: Source, samples: int = 8, seed: int = 0) -> CrossCheck:
    """Run the graph and the model on random inputs, uniform in [0, 1] and normal in turn.

    The runtime is onnxruntime, or the reference implementation in onnx where that lacks an op for a dtype. OnnxError
    if the results differ by more than TOLERANCE, or if onnxruntime is not installed. It finds mistakes; it proves
    nothing.
    """
    message = read_model(model)
    if any(value.dtype not in FLOATS for value in graph.inputs):
        raise OnnxError("cross-check: expected float inputs, found integers or bool")
    runtime, execute = _runtime(message)
    stored = {tensor.name for tensor in message.graph.initializer}
    entries = [entry for entry in message.graph.input if entry.name not in stored]
    counts = (len(graph.inputs), len(graph.outputs)), (len(entries), len(message.graph.output))
    if counts[0] != counts[1]:
        raise OnnxError(f"cross-check: the graph has (inputs, outputs) {counts[0]}, the model {counts[1]}")
    rng = np.random.default_rng(seed)
    differences, largest, limit = [0.0], 0.0, 0.0
    for sample in range(samples):
        given = [_draw(rng, entry, value.shape, sample) for entry, value in zip(entries, graph.inputs, strict=True)]
        with np.errstate(all="ignore"):
            found = run(graph, [x.astype(value.dtype) for x, value in zip(given, graph.inputs, strict=True)])
        expected = execute({entry.name: x for entry, x in zip(entries, given, strict=True)})
        for name, ours, theirs in zip(graph.outputs, found, expected, strict=True):
            if ours.shape != theirs.shape:
                raise OnnxError(f"cross-check: output {name!r} has shape {list(ours.shape)}, not {list(theirs.shape)}")
            differences.append(_difference(ours, theirs))
            largest = max(largest, float(np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)))
            limit = max(limit, TOLERANCE.get(theirs.dtype.name, 0.0))
    part = max(differences) / (largest or 1.0)
    if part > limit:
        raise OnnxError(
            f"cross-check: the graph and {runtime} differ by {part:.3g} of the largest output, more than {limit}: "
            "please report this model"
        )
    return CrossCheck(runtime, samples, part)


def _draw(rng: np.random.Generator, entry: onnx.ValueInfoProto, shape: Sequence[int], sample: int) -> Array:
    from onnx.helper import tensor_dtype_to_np_dtype

    x = rng.normal(size=shape) if sample % 2 else rng.uniform(size=shape)
    return x.astype(tensor_dtype_to_np_dtype(entry.type.tensor_type.elem_type))


def _difference(ours: Array, theirs: Array) -> float:
    """The largest difference; two NaN, or two equal infinities, do not differ."""
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    a, b = np.where(same, 0.0, a), np.where(same, 0.0, b)
    if not (np.isfinite(a) & np.isfinite(b)).all():
        return math.inf
    return float(np.abs(a - b).max(initial=0.0))


def _runtime(message: onnx.ModelProto) -> tuple[str, Callable[[dict[str, Array]], Sequence[Array]]]:
    """The name of a runtime that has all ops of the model, and the model in it."""
    try:
        import onnxruntime
    except ImportError:
        raise OnnxError("the cross-check needs onnxruntime: pip install 'tlverify[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    failures = _failures()
    try:
        session: Any = onnxruntime.InferenceSession(message.SerializeToString(), options)
        name = f"onnxruntime {onnxruntime.__version__}"
    except failures:
        import onnx
        from onnx.reference import ReferenceEvaluator

        try:
            session = ReferenceEvaluator(message)
        except failures as error:
            raise OnnxError(f"cross-check: neither onnxruntime nor onnx can run the model: {error}") from None
        name = f"onnx {onnx.__version__} (reference)"

    def execute(given: dict[str, Array]) -> list[Array]:
        try:
            return [np.asarray(value) for value in session.run(None, given)]
        except failures as error:
            raise OnnxError(f"cross-check: {name} cannot run the model: {error}") from None

    return name, execute


def _failures() -> tuple[type[Exception], ...]:
    """What onnxruntime and onnx raise when they cannot take a model."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    ours = state.NotImplemented, state.Fail, state.InvalidGraph, state.InvalidArgument, state.RuntimeException
    return (*ours, RuntimeError, ValueError, TypeError, LookupError, AttributeError)
