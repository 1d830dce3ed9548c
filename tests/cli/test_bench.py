"""`tlverify bench` as a user types it: results, resuming after kill -9, disagreement, shards."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench.folder import make_folder
from certify.nets import HEADER, box

pytest.importorskip("pebble")

ROOT = Path(__file__).parents[2]


def rows(out):
    with (out / "results.csv").open() as stream:
        return {row["property"].removesuffix(".vnnlib"): row for row in csv.DictReader(stream)}


def test_all_instances_and_again_from_the_folder(run, tmp_path):
    path = make_folder(tmp_path, expected="net.graph.json,holds.vnnlib,unsat\nnet.graph.json,fails.vnnlib,sat\n")
    out = tmp_path / "out"
    code, printed, error = run("bench", path, "--out", out, "--jobs", "2")
    assert code == 0
    assert "5 instances: 3 verified, 1 falsified, 1 error, 2 as expected" in printed
    assert len([line for line in error.splitlines() if "/5 " in line]) == 5
    found = rows(out)
    assert {name: row["agrees"] for name, row in found.items() if row["agrees"]} == {"holds": "yes", "fails": "yes"}
    assert found["holds"]["certificate_bytes"] != "0"
    assert int(found["holds"]["peak_bytes"]) > 1 << 20
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["verified"], summary["disagree"]) == (3, [])
    code, printed, error = run("bench", path, "--out", out, "--only", "holds", "--json")
    assert (code, json.loads(printed)["verified"], error) == (0, 1, "")
    key = found["fails"]["key"]
    graph = next((out / "graphs").glob("*.graph.json"))
    assert run("check", out / "certificates" / key, "--graph", graph)[0] == 10


def test_disagreement_is_loud(run, tmp_path):
    path = make_folder(
        tmp_path, ("holds", "fails"), "net.graph.json,holds.vnnlib,sat\nnet.graph.json,fails.vnnlib,sat\n"
    )
    code, printed, error = run("bench", path, "--out", tmp_path / "out")
    assert code == 70
    assert "DISAGREES  net.graph.json / holds: found verified, expected falsified" in printed
    assert "DISAGREES: expected falsified" in error
    assert rows(tmp_path / "out")["holds"]["agrees"] == "NO"


def test_shards_fill_one_folder(run, tmp_path):
    path, out = make_folder(tmp_path, ("holds", "fails", "two")), tmp_path / "out"
    counts = [
        json.loads(run("bench", path, "--out", out, "--shard", f"{i}/2", "--json")[1])["instances"] for i in (1, 2)
    ]
    assert counts == [2, 1]
    assert len(list((out / "results").iterdir())) == 3


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("--shard", "3/2"), "--shard: expected i/n"),
        (("--only", "nothing"), "no instance holds 'nothing'"),
        (("--scheduler", "nonsense://x"), "--scheduler nonsense://x"),
    ],
)
def test_bad_options_name_the_thing(run, tmp_path, more, reason):
    if "--scheduler" in more:
        pytest.importorskip("distributed")
    code, printed, error = run("bench", make_folder(tmp_path), "--out", tmp_path / "out", *more)
    assert (code, printed) == (2, "")
    assert reason in error


def test_live_table_on_a_terminal(run, tmp_path, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    code, _, error = run("bench", make_folder(tmp_path), "--out", tmp_path / "out")
    assert code == 0
    assert "5 / 5" in error
    assert "3 verified" in error


def test_instances_of_equal_content_keep_their_names(run, tmp_path):
    path = make_folder(tmp_path, ("holds",))
    (tmp_path / "same.vnnlib").write_text((tmp_path / "holds.vnnlib").read_text())
    path.write_text(path.read_text() + "net.graph.json,same.vnnlib,20\n")
    assert run("bench", path, "--out", tmp_path / "out")[0] == 0
    assert set(rows(tmp_path / "out")) == {"holds", "same"}


def slow_folder(folder: Path) -> Path:
    """Instances that take a worker a while each: many regions to prove one by one."""
    path = make_folder(folder, ("holds",))
    regions = "".join(f"(and (>= X_0 {k / 8}) (<= X_0 {k / 8 + 1}) (>= X_1 -2) (<= X_1 -1))" for k in range(400))
    for number in range(5):
        bad = f"(assert (or {regions})) (assert (>= Y_1 {number + 1}))"
        (folder / f"slow{number}.vnnlib").write_text(HEADER + box("0", "99") + bad)
    path.write_text("".join(f"net.graph.json,slow{number}.vnnlib,60\n" for number in range(5)))
    return path


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_run_goes_on_where_it_stopped(tmp_path, how):
    path, out = slow_folder(tmp_path), tmp_path / "out"
    command = [sys.executable, "-m", "tlverify", "bench", str(path), "--out", str(out)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True) as process:
        while not list(out.glob("results/*.json")) and process.poll() is None:
            time.sleep(0.01)
        os.killpg(process.pid, how) if how == signal.SIGKILL else process.send_signal(how)
        _, error = process.communicate()
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert b"run the same command again to go on" in error
    finished = {file.name: file.stat().st_mtime_ns for file in out.glob("results/*.json")}
    assert finished
    done = subprocess.run([*command, "--json"], env=environment, capture_output=True, check=False)
    assert json.loads(done.stdout)["verified"] == 5
    after = {file.name: file.stat().st_mtime_ns for file in out.glob("results/*.json")}
    assert len(after) == 5
    assert after.items() >= finished.items()
