"""`tlverify doctor`"""

import json

from tlverify.cli import doctor


def test_all_is_well(run):
    code, printed, _ = run("doctor")
    assert code == 0
    assert printed.count("works ") == 4
    for words in ("numpy", "processor", "BLAS", "GPU", "machine code", "extra smt"):
        assert words in printed


def test_json(run):
    code, printed, _ = run("doctor", "--json")
    found = json.loads(printed)
    assert code == found["exit_code"] == 0
    assert [test["reason"] for test in found["tests"]] == ["", "", "", ""]
    assert "z3-solver" in found["facts"]["extra smt"]


def test_what_fails_is_told(run, monkeypatch):
    def broken() -> None:
        raise AssertionError("no two sums agree")

    monkeypatch.setitem(doctor.TESTS, "training is reproducible", broken)
    code, printed, _ = run("doctor")
    assert code == 70
    assert "failed  training is reproducible" in printed
    assert "AssertionError: no two sums agree" in printed


def test_a_missing_extra_has_a_remedy(run, monkeypatch):
    monkeypatch.setattr(doctor, "installed", lambda name: None if name == "z3-solver" else "1.0")
    assert doctor.describe()["extra smt"] == "without z3-solver: pip install 'tlverify[smt]'"
    assert "without z3-solver: pip install 'tlverify[smt]'" in run("doctor")[1]


def test_a_gpu_without_driver_is_told(monkeypatch):
    class Broken:
        def __getattr__(self, name):
            raise RuntimeError("no driver")

    monkeypatch.setattr(doctor.importlib, "import_module", lambda name: Broken())
    assert doctor.gpu() == "not used: RuntimeError: no driver"
