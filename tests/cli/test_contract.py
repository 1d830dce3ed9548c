"""`tlverify contract`"""

import json


def test_list(run):
    code, printed, _ = run("contract", "list")
    assert code == 0
    assert "every float32 execution" in " ".join(printed.split())
    found = json.loads(run("contract", "list", "--json")[1])["contracts"]
    assert found["real"] == "real"
    assert found["cuda-tf32"]["operands"] == "tf32-truncated"


def test_measure(run, tmp_path):
    out = tmp_path / "ulps.json"
    code, printed, _ = run("contract", "measure", "--functions", "exp,sqrt", "--every", "1000003", "--out", out)
    assert code == 0
    assert "sqrt" in printed
    table = json.loads(out.read_text())
    assert table["format"] == "tlverify.ulps"
    assert set(table["functions"]) == {"exp", "sqrt"}
    assert table["functions"]["sqrt"]["ulps"] < 0.51


def test_bad_options(run):
    assert "--functions: expected some of" in run("contract", "measure", "--functions", "gamma")[2]
    assert "--backend: expected numpy or cupy" in run("contract", "measure", "--backend", "tpu")[2]
    assert run("contract", "measure", "--backend", "tpu")[0] == 2
