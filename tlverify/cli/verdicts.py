"""Certifying the images of a dataset one by one: the loop behind `certify` and `quickstart`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tlverify.certify import certify, robustness, save_result
from tlverify.certify.claim import Number, Semantics
from tlverify.certify.files import CERTIFICATE, certificates_in
from tlverify.certify.prove import Report, Result
from tlverify.cli.report import Row
from tlverify.core import run
from tlverify.graph import Graph, TlverifyError, save_graph
from tlverify.train.data import Dataset

GRAPH_NAME = "model.graph.json"


def verdicts(
    graph: Graph,
    data: Dataset,
    epsilon: Number,
    indices: Sequence[int],
    *,
    out: Path | None = None,
    timeout: float | None = None,
    seed: int = 0,
    report: Report | None = None,
    semantics: Semantics = "float32",
    norm: str = "linf",
    executor: Executor | None = None,
) -> Iterator[Row]:
    """The verdict on the robustness of each image, in order.

    With `out`, the graph, every claim and every certificate are written there as they come; a later call with the
    same claims takes up the certificates that it finds, after the kernel has accepted them again. `report` and
    `executor` are as for tlverify.certify.certify.
    """
    points = examples(graph, data)
    claims = robustness(
        graph, points[list(indices)], data.y[list(indices)].tolist(), epsilon, semantics=semantics, norm=norm
    )
    width = max(4, len(str(len(data) - 1)))
    names = [f"{index:0{width}d}" for index in indices]
    known = {} if out is None else certificates_in(out, names, claims)
    if out is not None:
        save_graph(graph, out / GRAPH_NAME)
    results = certify(graph, claims, timeout=timeout, seed=seed, known=known, report=report, executor=executor)
    for index, name, result in zip(indices, names, results, strict=True):
        if out is not None:
            save_result(result, out, name)
        yield _row(graph, data, points[index], index, name, result, out)


def examples(graph: Graph, data: Dataset) -> npt.NDArray[np.float32]:
    """The data as (n, *input shape): flattened or reshaped where only the number of entries agrees."""
    if len(graph.inputs) != 1:
        raise TlverifyError(f"expected a graph with one input, found {len(graph.inputs)}")
    source = graph.inputs[0]
    if math.prod(data.features) != math.prod(source.shape):
        raise TlverifyError(f"data: the graph takes {list(source.shape)}, an example of x is {list(data.features)}")
    return data.x.reshape(len(data), *source.shape).astype(source.dtype)


def classify(graph: Graph, point: npt.NDArray[np.floating]) -> int:
    """The class of one example by eager execution."""
    return int(np.argmax(run(graph, [point])[0]))


def _row(
    graph: Graph,
    data: Dataset,
    point: npt.NDArray[np.float32],
    index: int,
    name: str,
    result: Result,
    out: Path | None,
) -> Row:
    witness = witness_class = None
    if result.witness is not None:
        found = next(iter(result.witness.values())).astype(point.dtype).reshape(point.shape)
        witness, witness_class = _image(found, data), classify(graph, found)
    return Row(
        index=index,
        label=int(data.y[index]),
        predicted=classify(graph, point),
        verdict=result.verdict,  # type: ignore[arg-type]
        reason=result.reason,
        remedy=result.remedy,
        arithmetic=result.arithmetic,
        margin=result.margin if math.isfinite(result.margin) else None,
        image=_image(point, data),
        witness=witness,
        witness_class=witness_class,
        search_seconds=result.search_seconds,
        check_seconds=result.check_seconds,
        certificate_bytes=None if result.certificate is None else len(result.certificate),
        certificate_name="" if out is None or result.certificate is None else str(out / f"{name}{CERTIFICATE}"),
    )


def _image(point: npt.NDArray[np.floating], data: Dataset) -> npt.NDArray[np.floating]:
    """One example as a grey picture (h, w): channels averaged, a vector drawn as a square if it fills one."""
    shape = data.features
    if len(shape) == 1:
        side = math.isqrt(shape[0])
        return point.reshape((side, side) if side * side == shape[0] else (1, shape[0]))
    picture: npt.NDArray[np.floating] = point.reshape(-1, *shape[-2:]).mean(0)
    return picture
