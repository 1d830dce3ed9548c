"""The result file, read as the competition's harness reads it; the three scripts."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from certify.nets import FALSIFIED, TOUCHING, TWO_REGIONS, VACUOUS, VERIFIED, difference, spec

from tlverify.bench.vnncomp import main, replayable, result_text
from tlverify.certify.decide import Decision, decide
from tlverify.certify.property import to_claims
from tlverify.certify.prove import Result
from tlverify.core import run
from tlverify.graph import save_graph
from tlverify.interop.vnnlib import parse_vnnlib

SCRIPTS = Path(__file__).parents[2] / "vnncomp"


def parse_witness(text):
    """As the harness does: one list of (name value) pairs, X in order and then Y, values by float()."""
    content = text.replace("\n", " ").strip()
    assert content[0] == "("
    assert content[-1] == ")"
    found = {"X": [], "Y": []}
    for part in filter(None, (part.strip() for part in content[1:-1].split(")"))):
        name, value = part.removeprefix("(").split(" ")
        assert int(name[2:]) == len(found[name[0]])
        found[name[0]].append(float(value))
    return found["X"], found["Y"]


def text_of(text, graph=None, **options):
    graph = graph or difference()
    prop = parse_vnnlib(text)
    return result_text(decide(graph, to_claims(prop, graph), **options), prop, graph)


@pytest.mark.parametrize(
    ("text", "first"),
    [(VERIFIED, "unsat"), (VACUOUS, "unsat"), (FALSIFIED, "sat"), (TWO_REGIONS + "(assert (<= Y_0 Y_1))", "sat")],
)
def test_first_line(text, first):
    assert text_of(text).splitlines()[0] == first


@pytest.mark.parametrize(
    ("reason", "first"),
    [
        ("timeout after 3 s", "timeout\n"),
        ("2 of 5 claims open; first: timeout after 3 s", "timeout\n"),
        ("no proof and no counterexample found; best bound -1", "unknown\n"),
    ],
)
def test_undecided(reason, first):
    assert result_text(Decision("unknown", reason, ()), parse_vnnlib(VERIFIED), difference()) == first


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("text", [FALSIFIED, TOUCHING, spec(("0.1", "0.1000001"), ("0.1", "0.3"))])
def test_witness_reads_back_to_a_counterexample_inside_the_box(text, dtype):
    graph = difference(dtype)
    (case,) = parse_vnnlib(text).cases
    _, _, witness = text_of(text, graph).partition("\n")
    x, y = parse_witness(witness)
    replayed = np.array(x, dtype).astype(float)
    for value, low, high in zip(x, case.lower, case.upper, strict=True):
        assert low <= Fraction(value) <= high
        assert float(low) <= value <= float(high)
    assert np.array_equal(replayed, x)
    (output,) = run(graph, [np.array(x, dtype).reshape(1, 2)])
    assert output.ravel().tolist() == y
    assert y[0] <= y[1]


def falsified(text, point):
    graph = difference()
    (claim,) = to_claims(parse_vnnlib(text), graph)
    return graph, Result(claim, "falsified", "", b"", 0.0, {"x": np.array(point)}, 0.0, 0.0)


def test_point_between_float32_numbers_is_moved_to_one_inside_the_box():
    graph, result = falsified(spec(("0.1", "0.2"), ("0.1", "0.9")), [0.1, 0.89999999])
    (point,) = replayable(graph, result)
    assert np.array_equal(point, point.astype(np.float32))
    assert Fraction(point[0]) >= Fraction("0.1")


def test_point_that_no_float32_number_replaces_stays_as_the_kernel_accepted_it():
    exact = spec(("0.1", "0.10000000000000002"), ("0.1", "0.10000000000000002"), "(= Y_0 Y_1)")
    graph, result = falsified(exact, [0.1, 0.1])
    assert np.array_equal(replayable(graph, result)[0], [0.1, 0.1])


def test_witness_of_version_2_assigns_the_tensors_in_order():
    pytest.importorskip("vnnlib")
    text = """(vnnlib-version <2.0>)
    (declare-network f (declare-input X float32 [1, 2]) (declare-output Y real [2]))
    (assert (and (>= X[0,0] 0.0) (<= X[0,0] 1.0))) (assert (and (>= X[0,1] 0.0) (<= X[0,1] 1.0)))
    (assert (<= Y[0] Y[1]))"""
    lines = text_of(text).splitlines()
    assert (lines[0], lines[1], lines[4]) == ("sat", "X float32 [1, 2]", "Y real [2]")
    assert len(lines) == 7
    assert float(lines[2]) <= float(lines[3])


def test_main_writes_the_file_and_error_for_what_it_cannot_read(tmp_path, capsys):
    save_graph(difference(), tmp_path / "net.graph.json")
    (tmp_path / "p.vnnlib").write_text(FALSIFIED)
    arguments = [str(tmp_path / name) for name in ("net.graph.json", "p.vnnlib", "results.txt")]
    assert main(*arguments, "20") == 0
    assert (tmp_path / "results.txt").read_text().startswith("sat\n((X_0 ")
    (tmp_path / "p.vnnlib").write_text("(")
    assert main(*arguments, "20") == 0
    assert (tmp_path / "results.txt").read_text() == "error\n"
    assert main(*arguments, "soon") == 0
    printed = capsys.readouterr()
    assert printed.out == "sat\nerror\nerror\n"
    assert "p.vnnlib: line 1" in printed.err


def script(name, *arguments):
    environment = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(SCRIPTS.parent)}
    command = ["bash", str(SCRIPTS / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_scripts_run_an_instance(tmp_path):
    save_graph(difference(), tmp_path / "net.graph.json")
    (tmp_path / "p.vnnlib").write_text(VERIFIED)
    files = "test", tmp_path / "net.graph.json", tmp_path / "p.vnnlib"
    assert script("prepare_instance.sh", "v1", *files).returncode == 0
    assert script("run_instance.sh", "v1", *files, tmp_path / "results.txt", 20).stdout == "unsat\n"
    assert (tmp_path / "results.txt").read_text() == "unsat\n"


@pytest.mark.parametrize("name", ["install_tool.sh", "prepare_instance.sh", "run_instance.sh"])
def test_scripts_refuse_another_version(name):
    done = script(name, "v2", "test", "a", "b", "c", "1")
    assert (done.returncode, done.stderr) == (1, "expected v1 as first argument, found 'v2'\n")


def test_prepare_refuses_files_that_are_not_there(tmp_path):
    assert script("prepare_instance.sh", "v1", "test", tmp_path / "a.onnx", tmp_path / "b.vnnlib").returncode == 1
