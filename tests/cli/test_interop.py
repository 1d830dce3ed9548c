"""`tlverify import` and `export`, and ONNX files in place of graphs."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tlverify.cli import main
from tlverify.graph import GraphBuilder, Type, digest, load_graph
from tlverify.interop.onnx import to_onnx

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; gives exit code, standard output and standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tlverify", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, printed.err

    return call


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """y = (x0 - x1, x1 - x0)"""
    builder = GraphBuilder()
    x = builder.input("x", Type((2,), "float32"))
    weight = builder.parameter(np.array([[1, -1], [-1, 1]], "float32"), "weight")
    bias = builder.parameter(np.zeros(2, "float32"), "bias")
    to_onnx(builder.build(builder.node("linear", x, weight, bias, name="y")), tmp_path / "net.onnx")
    np.savez(tmp_path / "data.npz", x=np.array([[0.75, 0.25]], "float32"), y=[0])
    return tmp_path / "net.onnx"


def test_import_and_export_give_the_same_graph(run: Run, network: Path, tmp_path: Path) -> None:
    graph, again = tmp_path / "a.graph.json", tmp_path / "b.onnx"
    code, printed, _ = run("import", network, "--out", graph)
    assert code == 0
    assert "1 nodes, 6 parameters" in printed
    assert f"digest {digest(load_graph(graph))}" in printed
    assert "agrees with onnxruntime" in printed
    code, printed, _ = run("export", graph, "--out", again)
    assert (code, digest(load_graph(graph)) in printed) == (0, True)
    assert again.read_bytes() == network.read_bytes()


def test_json_of_both(run: Run, network: Path, tmp_path: Path) -> None:
    found = json.loads(run("import", network, "--out", tmp_path / "a.graph.json", "--json")[1])
    assert (found["parameters"], found["cross_check"]["samples"]) == (6, 8)
    assert found["cross_check"]["difference"] < 1e-5
    more = json.loads(run("export", tmp_path / "a.graph.json", "--out", tmp_path / "b.onnx", "--json")[1])
    assert more["digest"] == found["digest"] == digest(load_graph(tmp_path / "a.graph.json"))
    assert more["bytes"] == (tmp_path / "b.onnx").stat().st_size


def test_import_says_when_it_did_not_compare(
    run: Run, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a.graph.json"
    assert "not compared with onnxruntime: --samples 0" in run("import", network, "--out", out, "--samples", "0")[1]
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name))
    assert "not compared with onnxruntime: onnxruntime is not installed" in run("import", network, "--out", out)[1]


def test_bad_names_and_files(run: Run, network: Path, tmp_path: Path) -> None:
    code, _, error = run("import", tmp_path / "net.pt", "--out", tmp_path / "a.graph.json")
    assert (code, "net.pt: expected a name ending in .onnx or .onnx.gz" in error) == (2, True)
    code, _, error = run("import", network, "--out", tmp_path / "a.json")
    assert (code, "a.json: expected a name ending in .graph.json" in error) == (2, True)
    run("import", network, "--out", tmp_path / "a.graph.json")
    code, _, error = run("export", tmp_path / "a.graph.json", "--out", tmp_path / "a.txt")
    assert (code, "--out: expected a name ending in .onnx, found" in error) == (2, True)
    network.write_bytes(b"hello")
    code, _, error = run("inspect", network)
    assert (code, "net.onnx: not an ONNX model" in error) == (2, True)


def test_commands_take_an_onnx_file(run: Run, network: Path, tmp_path: Path) -> None:
    assert "linear" in run("inspect", network)[1]
    out = tmp_path / "out"
    options = ("--data", tmp_path / "data.npz", "--epsilon", "0.125", "--out", out)
    assert run("certify", network, *options)[0] == 0
    certificate = out / "0000.cert"
    assert run("check", certificate)[0] == 0
    code, printed, _ = run("check", certificate, "--graph", network, "--arithmetic", "all")
    assert (code, printed.startswith("verified")) == (0, True)
    other = tmp_path / "other.onnx"
    data = bytearray(network.read_bytes())
    data[data.index(np.float32(-1).tobytes()) + 3] ^= 0x80  # another sign in the weights
    other.write_bytes(data)
    code, printed, _ = run("check", certificate, "--graph", other)
    assert (code, "it is about graph" in printed) == (30, True)
