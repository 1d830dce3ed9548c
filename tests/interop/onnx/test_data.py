"""Every network of the shared benchmark data, against onnxruntime."""

import os
from pathlib import Path

import numpy as np
import pytest

from tlverify.core import run
from tlverify.interop.onnx import OnnxError, from_onnx
from tlverify.interop.onnx.reader import read_model

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TLVERIFY_DATA", ROOT.parent / "shared" / "data"))
NETWORKS = sorted(DATA.rglob("*.onnx*"))

pytestmark = pytest.mark.skipif(not NETWORKS, reason=f"{DATA} holds no networks; set TLVERIFY_DATA")


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.name)
def test_network_agrees_with_onnxruntime(path):
    runtime = pytest.importorskip("onnxruntime")
    if "SIGMOID" in path.name:
        with pytest.raises(OnnxError, match="op 'Sigmoid' is not supported; supported: Abs, Add"):
            from_onnx(path)
        return
    graph = from_onnx(path)
    session = runtime.InferenceSession(read_model(path).SerializeToString())
    rng = np.random.default_rng(0)
    for _ in range(4):
        given = {
            value.name: rng.normal(size=value.shape).astype(value.dtype) for value in session_inputs(session, graph)
        }
        expected = session.run(None, given)
        for one, other in zip(run(graph, list(given.values())), expected, strict=True):
            assert one.shape == other.shape
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())


def session_inputs(session, graph):
    assert [value.name for value in session.get_inputs()] == [value.name for value in graph.inputs]
    return graph.inputs
