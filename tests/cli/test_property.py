"""`tlverify certify NETWORK --property SPEC.vnnlib` as a user types it."""

import json
import re

import pytest
from certify.nets import FALSIFIED, HEADER, TWO_REGIONS, VACUOUS, VERIFIED, difference

from tlverify.certify import prove
from tlverify.graph import save_graph


@pytest.fixture
def certify(run, tmp_path):
    """Certify the property with this text; gives exit code, standard output and standard error."""
    save_graph(difference(), tmp_path / "net.graph.json")

    def call(text, *more):
        (tmp_path / "spec.vnnlib").write_text(text)
        return run("certify", tmp_path / "net.graph.json", "--property", tmp_path / "spec.vnnlib", *more)

    return call


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (VERIFIED, 0, "verified"),
        (FALSIFIED, 10, "falsified"),
        (VACUOUS, 0, "no input satisfies"),
        (TWO_REGIONS + "(assert (>= Y_0 4))", 0, "2 of 2 claims proved"),
    ],
)
def test_verdict_and_exit_code(certify, text, code, words):
    found, printed, _ = certify(text)
    assert found == code
    assert words in printed


def test_short_searches_start_no_processes(certify, monkeypatch):
    monkeypatch.setattr("tlverify.certify.workers.Workers.submit", lambda *_: pytest.fail("nobody is to be asked"))
    assert certify(VERIFIED, "--jobs", "2")[0] == 0


def test_counterexample_is_printed_and_lies_in_the_box(certify):
    _, printed, _ = certify(FALSIFIED)
    name, _, values = printed.splitlines()[1].partition(" = ")
    first, second = map(float, values.split(", "))
    assert name.strip() == "x"
    assert 0.1 <= first <= second <= 0.7


def test_certificates_are_written_accepted_and_taken_up_again(certify, run, tmp_path):
    out = tmp_path / "out"
    text = TWO_REGIONS + "(assert (>= Y_0 4))"
    assert certify(text, "--out", out)[0] == 0
    names = sorted(path.name for path in out.iterdir())
    stems = ["0000.cert", "0000.claim.json", "0001.cert", "0001.claim.json"]
    assert names == [*stems, "model.graph.json", "model.safetensors", "results.json"]
    assert run("check", out)[0] == 0
    code, printed, _ = certify(text, "--out", out, "--timeout", "0", "--json")
    assert (code, json.loads(printed)["verdict"]) == (0, "verified")


def test_json_is_one_object_with_the_witness(certify):
    code, printed, _ = certify(FALSIFIED, "--json")
    summary = json.loads(printed)
    assert code == summary["exit_code"] == 10
    assert (summary["verdict"], summary["claims"], len(summary["witness"]["x"])) == ("falsified", 1, 2)


def test_without_time_it_is_unknown(certify):
    code, printed, _ = certify(FALSIFIED, "--timeout", "0")
    assert code == 20
    assert "timeout" in printed


@pytest.mark.parametrize(
    ("text", "more", "reason"),
    [
        (HEADER + "(assert (<= X_0 1))", (), "spec.vnnlib: X_0 has no lower bound"),
        ("(assert", (), "spec.vnnlib: line 1: the file ends inside"),
        (
            VERIFIED.replace("(declare-const Y_1 Real)", "").replace("Y_1", "0"),
            (),
            "declares 1 outputs, the network has 2",
        ),
        (VERIFIED, ("--epsilon", "0.1"), "--data and --epsilon do not go with a .vnnlib property"),
    ],
)
def test_errors_name_the_thing(certify, text, more, reason):
    code, printed, error = certify(text, *more)
    assert (code, printed) == (2, "")
    assert reason in error


def test_robustness_needs_its_options(run, tmp_path):
    save_graph(difference(), tmp_path / "net.graph.json")
    code, _, error = run("certify", tmp_path / "net.graph.json")
    assert code == 2
    assert "needs --data and --epsilon" in error


def test_ctrl_c_is_unknown_and_keeps_what_is_done(certify, tmp_path, monkeypatch):
    real, calls = prove.propose_boxes, []

    def propose(*arguments):
        calls.append(arguments)
        if len(calls) > 1:
            raise KeyboardInterrupt
        yield from real(*arguments)

    monkeypatch.setattr(prove, "propose_boxes", propose)
    code, printed, _ = certify(TWO_REGIONS + "(assert (>= Y_0 4))", "--out", tmp_path / "out")
    assert code == 20
    assert "1 of 2 claims open; first: interrupted" in printed
    assert (tmp_path / "out" / "0000.cert").is_file()
    assert json.loads((tmp_path / "out" / "results.json").read_text())["verdict"] == "unknown"


def test_verbose_goes_to_standard_error_and_the_arithmetic_is_named(certify):
    code, printed, error = certify(VERIFIED, "--verbose")
    assert code == 0
    assert re.search(r"check [^,]* \((exact|fast|interval)\)", printed)
    assert re.search(r"^claim [0-9a-f]{12}\n(.*\n)* *\d+\.\d s  bound ", error)
    summary = json.loads(certify(VERIFIED, "--json")[1])
    assert summary["results"][0]["arithmetic"] in ("exact", "fast", "interval")


def test_unknown_says_what_would_help(certify):
    assert prove.MORE_TIME in certify(FALSIFIED, "--timeout", "0")[1]
    assert json.loads(certify(FALSIFIED, "--timeout", "0", "--json")[1])["remedy"] == prove.MORE_TIME
