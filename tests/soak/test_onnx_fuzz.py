"""Damaged ONNX models: each is refused or read, within 2 s, and raises nothing but a refusal.

TLVERIFY_SOAK is how many models to read in all (10^5 if not given); `pytest -m slow -s tests/soak/test_onnx_fuzz.py`.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from tlverify.interop.onnx import OnnxError, from_onnx, to_onnx

COUNT = int(os.environ.get("TLVERIFY_SOAK", "100000"))
SECONDS = 2.0
node = helper.make_node


def model(nodes: list[NodeProto], shape: tuple[int, ...], constants: dict[str, np.ndarray]) -> bytes:
    """A model from x to y."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    data: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString()
    return data


IMAGES = model(
    [
        node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1], strides=[2, 1]),
        node("BatchNormalization", ["a", "s", "s", "s", "s"], ["b"]),
        node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], ceil_mode=1),
        node("AveragePool", ["c"], ["d"], kernel_shape=[2, 2], pads=[1, 0, 0, 1], count_include_pad=1),
        node("Flatten", ["d"], ["e"]),
        node("Gemm", ["e", "g"], ["y"], alpha=0.5, transB=1),
    ],
    (1, 2, 6, 6),
    {"w": np.ones((3, 2, 3, 3), "float32"), "s": np.ones(3, "float32"), "g": np.ones((2, 30), "float32")},
)
SHAPES = model(
    [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["t"]),
        node("Concat", ["t", "last"], ["v"], axis=0),
        node("Reshape", ["x", "v"], ["a"]),
        node("Slice", ["a", "zero", "last", "one"], ["b"]),
        node("Split", ["b", "sizes"], ["c", "d"], axis=1),
        node("Pad", ["c", "pads"], ["e"]),
        node("ReduceMean", ["e"], ["h"], axes=[1]),
        node("Expand", ["h", "wide"], ["k"]),
        node("Transpose", ["k"], ["l"], perm=[1, 0]),
        node("Div", ["l", "third"], ["y"]),
    ],
    (2, 3, 4),
    {
        "zero": np.array([0]),
        "one": np.array([1]),
        "last": np.array([-1]),
        "sizes": np.array([5, 6]),
        "pads": np.array([0, 1, 0, 1]),
        "wide": np.array([2, 3]),
        "third": np.array(3, "float32"),
    },
)


def damaged(rng: random.Random, raw: bytes) -> bytes:
    """One to four bytes changed, or runs of them left out or put in."""
    data = bytearray(raw)
    for _ in range(rng.randrange(1, 5)):
        kind, place = rng.random(), rng.randrange(len(data))
        if kind < 0.6:
            data[place] = rng.randrange(256)
        elif kind < 0.8:
            del data[place : place + rng.randrange(1, 9)]
        else:
            data[place:place] = rng.randbytes(rng.randrange(1, 9))
    return bytes(data)


@pytest.mark.slow
def test_damaged_models() -> None:
    rng = random.Random(0)
    seeds = [IMAGES, SHAPES, to_onnx(from_onnx(IMAGES)), to_onnx(from_onnx(SHAPES))]
    counts: Counter[str] = Counter()
    longest = 0.0
    for _ in range(COUNT):
        data = damaged(rng, rng.choice(seeds))
        start = time.process_time()
        try:
            from_onnx(data)
            counts["read"] += 1
        except OnnxError:
            counts["refused"] += 1
        longest = max(longest, time.process_time() - start)
    print(f"{counts['read']:,} read, {counts['refused']:,} refused, at most {longest:.2f} s")
    assert longest < SECONDS
    assert counts["read"] > 0
