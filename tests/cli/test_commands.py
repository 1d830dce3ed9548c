"""The commands as a user types them: exit codes, output, errors, resuming."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tlverify import __version__
from tlverify.certify import prove
from tlverify.certify.audit import arithmetic
from tlverify.certify.kernel import EXACT, Arithmetic, Program
from tlverify.certify.kernel.arithmetic import Constant
from tlverify.certify.kernel.backward import Bounds, Job
from tlverify.graph import GraphBuilder, Type, save_graph

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """y = (x0 - x1, x1 - x0) on two inputs, through a ReLU that changes nothing near the data."""
    builder = GraphBuilder()
    x = builder.input("x", Type((2,), "float32"))
    identity = builder.parameter(np.eye(2, dtype="float32"), "first.weight")
    zeros = builder.parameter(np.zeros(2, "float32"), "bias")
    hidden = builder.node("relu", builder.node("linear", x, identity, zeros))
    weight = builder.parameter(np.array([[1, -1], [-1, 1]], "float32"), "last.weight")
    graph = builder.build(builder.node("linear", hidden, weight, zeros, name="y"))
    save_graph(graph, tmp_path / "model.graph.json")
    np.savez(tmp_path / "data.npz", x=np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]], "float32"), y=[0, 0, 1])
    return tmp_path / "model.graph.json"


def certify(run: Run, model: Path, *more: object, epsilon: str = "0.125") -> tuple[int, str, str]:
    return run("certify", model, "--data", model.parent / "data.npz", "--epsilon", epsilon, *more)


def test_certify_verifies_and_writes_certificates_that_check_accepts(run: Run, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, printed, _ = certify(run, model, "--index", "0", "--out", out)
    assert (code, "1 / 1" in printed) == (0, True)
    names = sorted(path.name for path in out.iterdir())
    expected = ["0000.cert", "0000.claim.json", "model.graph.json", "model.safetensors", "report.html", "results.json"]
    assert names == expected
    code, printed, _ = run("check", out / "0000.cert")
    assert code == 0
    assert printed.startswith("verified")
    assert "never (y[1] - y[0] >= 0)" in printed


def test_certify_falsifies_with_a_witness_and_exit_code_10(run: Run, model: Path, tmp_path: Path) -> None:
    code, printed, _ = certify(run, model, "--out", tmp_path / "out", "--json")
    summary = json.loads(printed)
    assert code == summary["exit_code"] == 10
    assert [row["verdict"] for row in summary["results"]] == ["verified", "falsified", "verified"]
    assert (summary["verified"], summary["falsified"], summary["unknown"]) == (2, 1, 0)
    assert run("check", tmp_path / "out", "--json")[0] == 10


def test_a_repeated_command_takes_up_the_certificates_it_finds(run: Run, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    certify(run, model, "--out", out)
    times = {path.name: path.stat().st_mtime_ns for path in out.glob("*.cert")}
    before = {path.name: path.read_bytes() for path in out.glob("*.cert")}
    (out / "0002.cert").write_bytes(b"broken")
    assert certify(run, model, "--out", out)[0] == 10
    assert {path.name: path.read_bytes() for path in out.glob("*.cert")} == before
    assert len(times) == 3


def test_timeout_of_zero_is_unknown_with_its_reason(run: Run, model: Path) -> None:
    code, printed, _ = certify(run, model, "--index", "0", "--epsilon", "0.24", "--timeout", "0", "--json")
    row = json.loads(printed)["results"][0]
    assert (code, row["verdict"]) in ((20, "unknown"), (0, "verified"))
    assert "timeout" in row["reason"] or row["verdict"] == "verified"


def test_ctrl_c_keeps_the_examples_that_are_done(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = prove.Deep.search
    calls: list[object] = []

    def search(self: prove.Deep, *arguments: Any) -> prove.Result:
        calls.append(arguments)
        result = real(self, *arguments)
        return result if len(calls) < 2 else replace(result, verdict="unknown", interrupted=True, certificate=None)

    monkeypatch.setattr(prove.Deep, "search", search)
    code, printed, _ = certify(run, model, "--out", tmp_path / "out")
    assert code == 20
    assert "Interrupted after 2 of 3 examples." in printed
    assert (tmp_path / "out" / "0000.cert").is_file()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("--epsilon", "NaN"), "epsilon: expected a finite number"),
        (("--epsilon", "-1/8"), "expected a radius >= 0"),
        (("--property", "beauty"), "--property: expected robustness or a .vnnlib file"),
        (("--semantics", "float16"), "--semantics: expected one of real, float32"),
        (("--index", "9"), "selects none of the 3 examples"),
        (("--index", "a:b"), "--index: expected a number or a range"),
        (("--data", "nowhere.npz"), "nowhere.npz"),
    ],
)
def test_bad_options_name_the_thing(run: Run, model: Path, change: tuple[str, str], reason: str) -> None:
    code, printed, error = certify(run, model, *change)
    assert code == 2
    assert printed == ""
    assert reason in error
    code, printed, error = certify(run, model, *change, "--json")
    assert reason in json.loads(printed)["error"]
    assert error == ""


def test_data_of_the_wrong_size_is_refused(run: Run, model: Path) -> None:
    np.savez(model.parent / "data.npz", x=np.zeros((1, 3), "float32"), y=[0])
    code, _, error = certify(run, model)
    assert (code, "the graph takes [2], an example of x is [3]" in error) == (2, True)


def test_check_of_a_changed_parameter_is_rejected(run: Run, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    certify(run, model, "--index", "0", "--out", out)
    data = bytearray((out / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (out / "model.safetensors").write_bytes(data)
    code, printed, _ = run("check", out)
    assert (code, "rejected" in printed, "it is about graph" in printed) == (30, True, True)


def test_check_says_what_is_missing(run: Run, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    certify(run, model, "--index", "0", "--out", out)
    (out / "0000.claim.json").unlink()
    code, _, error = run("check", out)
    assert (code, "0000.claim.json: cannot be read" in error) == (2, True)
    assert "no such file or folder" in run("check", tmp_path / "nothing")[2]


def test_check_says_which_arithmetic_accepted(run: Run, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    certify(run, model, "--out", out)
    found = json.loads(run("check", out, "--json")[1])
    assert found["arithmetic"] == "auto"
    assert [one["arithmetic"] for one in found["certificates"]] == ["interval", "exact", "interval"]
    assert "; accepted in interval" in run("check", out / "0000.cert")[1]
    assert "; accepted in fast" in run("check", out / "0000.cert", "--arithmetic", "fast")[1]
    assert "; accepted in exact" in run("check", out / "0001.cert", "--arithmetic", "fast")[1]  # a witness


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ((), "every float32 execution of the graph"),
        (("--semantics", "cuda-tf32"), "operands of products as stored or tf32-truncated"),
        (("--semantics", "real"), "arithmetic is over the reals"),
    ],
)
def test_claims_say_their_semantics(run: Run, model: Path, tmp_path: Path, chosen: tuple[str, ...], words: str) -> None:
    out = tmp_path / "out"
    certify(run, model, "--index", "0", "--out", out, *chosen)
    assert words in run("check", out)[1]
    assert json.loads((out / "results.json").read_text())["semantics"] == (chosen[1] if chosen else "float32")
    code, printed, _ = run("check", out, "--arithmetic", "all")
    assert (code, "exact verified, fast verified, interval verified" in printed) == (0, True)


def test_other_norms(run: Run, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, printed, _ = certify(run, model, "--index", "0", "--norm", "l2", "--out", out, epsilon="0.3")
    assert code == 0
    assert "0.3 in the l2 norm" in " ".join(printed.split())
    assert json.loads((out / "results.json").read_text())["norm"] == "l2"
    assert "the l2 ball of radius 3/10" in run("check", out)[1]
    assert certify(run, model, "--index", "0", epsilon="0.3")[0] == 10  # of the box it is false
    assert "--norm: expected one of linf, l2, l1" in certify(run, model, "--norm", "l0")[2]


def test_a_float64_network_needs_other_semantics(run: Run, tmp_path: Path) -> None:
    builder = GraphBuilder()
    x = builder.input("x", Type((2,), "float64"))
    eye, zeros = builder.parameter(np.eye(2)), builder.parameter(np.zeros(2))
    save_graph(builder.build(builder.node("linear", x, eye, zeros)), tmp_path / "model.graph.json")
    np.savez(tmp_path / "data.npz", x=np.array([[0.25, 0.75]]), y=np.array([1]))
    given = ("certify", tmp_path / "model.graph.json", "--data", tmp_path / "data.npz", "--epsilon", "0.02")
    code, _, error = run(*given)
    assert code == 2
    assert "is float64" in error
    assert "semantics real" in error
    assert run(*given, "--semantics", "real")[0] == 0


@pytest.mark.parametrize("arithmetic", ["exact", "fast", "interval", "z3", "all"])
def test_check_in_each_arithmetic(run: Run, model: Path, tmp_path: Path, arithmetic: str) -> None:
    out = tmp_path / "out"
    certify(run, model, "--semantics", "real", "--out", out)
    code, printed, _ = run("check", out, "--arithmetic", arithmetic, "--json")
    found = json.loads(printed)
    assert code == found["exit_code"] == 10
    assert found["arithmetic"] == arithmetic
    assert [one["verdict"] for one in found["certificates"]] == ["verified", "falsified", "verified"]
    asked = ["exact", "fast", "interval", "z3"] if arithmetic == "all" else [arithmetic]
    for one in found["certificates"]:
        assert [(a["arithmetic"], a["verdict"]) for a in one["answers"]] == [(name, one["verdict"]) for name in asked]
    printed = run("check", out / "0000.cert", "--arithmetic", arithmetic)[1]
    assert ("exact verified, fast verified, interval verified, z3 verified" in printed) == (arithmetic == "all")


def test_check_says_unknown_where_an_arithmetic_is_at_its_limit(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certify(run, model, "--index", "0", "--semantics", "real", "--out", tmp_path / "out")
    monkeypatch.setattr("tlverify.certify.smt.solver.MAX_UNSTABLE", -1)
    code, printed, _ = run("check", tmp_path / "out", "--arithmetic", "z3")
    assert (code, printed.startswith("unknown"), "over the limit of -1" in printed) == (20, True, True)
    code, printed, _ = run("check", tmp_path / "out", "--arithmetic", "all")
    assert (code, printed.startswith("verified"), "z3 unknown (0 ReLUs" in printed) == (0, True, True)


def test_arithmetics_that_disagree_are_exit_70_and_saved(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certify(run, model, "--index", "0", "--out", tmp_path / "out")

    def unsound(program: Program, bounds: Bounds, jobs: Sequence[Job]) -> list[Constant]:
        return [(integer + 1, exponent) for integer, exponent in EXACT.engine(program, bounds, jobs)]

    monkeypatch.setattr("tlverify.certify.fast.fast", lambda: Arithmetic(unsound, EXACT.rules))
    monkeypatch.chdir(tmp_path)
    arithmetic.cache_clear()
    code, printed, error = run("check", tmp_path / "out", "--arithmetic", "all")
    again = run("check", tmp_path / "out", "--arithmetic", "all", "--json")
    arithmetic.cache_clear()
    (saved,) = tmp_path.glob("disagreement-*.json")
    record = json.loads(saved.read_text())
    assert (code, printed) == (70, "")
    assert f"arithmetics disagree: exact and fast differ; all answers are in {saved.name}" in error
    assert json.loads(again[1])["exit_code"] == again[0] == 70
    assert saved.name == f"disagreement-{record['claim']}.json"
    assert len({one["margin"] for one in record["answers"][:2]}) == 2


def test_an_unknown_arithmetic_is_refused(run: Run, model: Path) -> None:
    code, _, error = run("check", model, "--arithmetic", "float16")
    assert (code, "--arithmetic: expected auto, exact, fast, interval, z3 or all, found 'float16'" in error) == (
        2,
        True,
    )


def test_inspect_prints_a_table_and_graphviz(run: Run, model: Path) -> None:
    code, printed, _ = run("inspect", model)
    assert code == 0
    assert "relu_0" in printed
    assert "digest" in printed
    assert run("inspect", model, "--dot")[1].startswith("digraph {")
    assert json.loads(run("inspect", model, "--json")[1])["parameters"] == 10


def test_train_runs_a_configuration(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "train.toml"
    config.write_text(
        '[model]\nlayers = ["flatten", { linear = 16 }, "relu", { linear = 10 }]\n[data]\nsource = "digits"\n'
        '[train]\nsteps = 5\n[output]\ngraph = "model.graph.json"\n'
    )
    code, printed, _ = run("train", config, "--json")
    assert code == 0
    assert len(json.loads(printed)["losses"]) == 5
    assert json.loads(run("inspect", tmp_path / "model.graph.json", "--json")[1])["parameters"] == 16 * 65 + 10 * 17


def test_unknown_command_and_version(run: Run) -> None:
    assert run("nonsense")[0] == 2
    assert run("--version")[1] == f"tlverify {__version__}\n"


def test_an_internal_error_is_exit_70_without_a_traceback(
    run: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("tlverify.cli.inspect.inspect", broken)
    code, printed, error = run("inspect", model)
    assert (code, printed) == (70, "")
    assert "internal error: ZeroDivisionError" in error
    assert "Traceback" not in error


def test_importing_the_package_loads_nothing_third_party() -> None:
    program = "import sys, tlverify; sys.exit(any(m in sys.modules for m in ('numpy', 'rich', 'typer', 'safetensors')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
