"""The scripts in `benchmarks/` that run instances: they start, and their rows say what was found."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tlverify.bench.instances import Instance
from tlverify.bench.record import Record
from tlverify.bench.report import Row

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("TLVERIFY_DATA", ROOT.parent / "shared" / "data"))
data = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not there; set TLVERIFY_DATA")


@pytest.fixture
def script():
    return runpy.run_path(str(ROOT / "benchmarks" / "vnncomp.py"))


def test_row_counts_what_has_an_accepted_certificate(script):
    instance = Instance(Path("n.onnx"), Path("p.vnnlib"), 1.0, "verified")
    records = [
        Record("a", "n", "p", 1.0, "verified", "", claims=1, cpu_seconds=1.5, certificate_bytes=1000, leaves=2000),
        Record("b", "n", "p", 1.0, "verified", "empty region"),
        Record("c", "n", "p", 1.0, "falsified", "", claims=1, certificate_bytes=10),
        Record("d", "n", "p", 1.0, "unknown", "timeout"),
    ]
    cells = dict(zip(script["COLUMNS"], script["cells"]("toy", [Row(instance, r) for r in records]), strict=True))
    assert (cells["solved"], cells["accepted"], cells["wrong"]) == ("3 of 4 (2 + 1)", "3", "1")
    assert (cells["leaves"], cells["bytes"], cells["CPU s"]) == ("2,000", "1,010", "1.5")


@data
@pytest.mark.parametrize(("name", "tools"), [("acasxu", 4), ("mnist_fc", 3), ("oval21", 0)])
def test_figures_of_peers_are_read(script, name, tools):
    found = list(script["peers"](DATA, name))
    assert len(found) == tools
    for peer in found:
        assert 0 < len(peer.times) <= peer.tried
        assert str(peer).startswith(f"{peer.name}: {len(peer.times)} of {peer.tried} in ")


@data
def test_sets_run_from_the_command_line(tmp_path):
    pytest.importorskip("pebble")
    pytest.importorskip("onnx")
    command = [sys.executable, str(ROOT / "benchmarks" / "vnncomp.py"), "rl_benchmarks", "--timeout", "10"]
    more = ["--only", "cartpole_case_unsafe_29.", "--out", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=True, env=environment)
    assert "| rl_benchmarks | 1 of 1 (0 + 1) | 1 |" in done.stdout
    assert (tmp_path / "rl_benchmarks" / "results.csv").exists()
