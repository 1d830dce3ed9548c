"""Every network of the shared benchmark data, against onnxruntime."""

import os
from pathlib import Path

import pytest

from tlverify.interop.onnx import cross_check, from_onnx

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TLVERIFY_DATA", ROOT.parent / "shared" / "data"))
NETWORKS = sorted(DATA.rglob("*.onnx*"))

pytestmark = pytest.mark.skipif(not NETWORKS, reason=f"{DATA} holds no networks; set TLVERIFY_DATA")


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.name)
def test_network_agrees_with_onnxruntime(path):
    pytest.importorskip("onnxruntime")
    check = cross_check(from_onnx(path), path, samples=4)
    assert check.runtime.startswith("onnxruntime")
    assert check.difference < 1e-4
