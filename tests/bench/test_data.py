"""The shared benchmark data: every property is read, and a small part of the instances is decided as agreed."""

import math
import os
from pathlib import Path

import pytest

from tlverify.bench.instances import make_tasks, read_instances
from tlverify.bench.report import Row
from tlverify.bench.worker import solve
from tlverify.interop.vnnlib import read_vnnlib

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("TLVERIFY_DATA", ROOT.parent / "shared" / "data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not there; set TLVERIFY_DATA")
LISTS = {
    "acasxu/instances.csv": (186, 5, 5),
    "mnist_fc/instances.csv": (90, 784, 10),
    "oval21/instances.csv": (30, 3072, 10),
    "rl_benchmarks/instances.csv": (296, None, None),
    "verivital2021/verivital_instances.csv": (60, 784, 10),
    "eran2021/eran_instances.csv": (72, 784, 10),
}


@pytest.mark.parametrize(("name", "expected"), LISTS.items(), ids=lambda value: str(value).partition("/")[0])
def test_every_property_is_read(name, expected):
    pytest.importorskip("onnx")
    count, inputs, outputs = expected
    instances = read_instances(DATA / name)
    assert len(instances) == count
    for path in sorted({one.prop for one in instances})[::3]:
        prop = read_vnnlib(path)
        assert inputs in (None, prop.inputs)
        assert outputs in (None, prop.outputs)
        assert prop.cases
        assert all(math.prod(map(len, case.bad)) >= 1 for case in prop.cases)


@pytest.mark.parametrize(
    ("prop", "cases", "rows"),
    [("prop_6", 2, [1, 1, 1, 1]), ("prop_7", 1, [3, 3]), ("prop_8", 1, [2, 2, 2]), ("prop_2", 1, [4])],
)
def test_shape_of_acas_properties(prop, cases, rows):
    found = read_vnnlib(DATA / "acasxu" / "vnnlib" / f"{prop}.vnnlib").cases
    assert len(found) == cases
    assert [[len(conjunction) for conjunction in case.bad] for case in found] == [rows] * cases


@pytest.mark.parametrize(
    ("name", "only"),
    [
        ("mnist_fc", "256x2.onnx,vnnlib/prop_0_0.03"),
        ("mnist_fc", "256x2.onnx,vnnlib/prop_1_0.03"),
        ("rl_benchmarks", "cartpole_case_unsafe_29."),
        ("rl_benchmarks", "cartpole_case_unsafe_0."),
    ],
)
def test_instance_is_decided_as_agreed(name, only):
    pytest.importorskip("onnx")
    (instance,) = read_instances(DATA / name / "instances.csv", timeout=20, only=only)
    (task,) = make_tasks([instance])
    outcome = solve(task)
    assert Row(instance, outcome.record).agrees, outcome.record
