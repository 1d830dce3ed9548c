"""The folder of results."""

import json

import pytest

from tlverify.bench.record import Outcome, Record, Store

RECORD = Record("k" * 32, "net.onnx", "p.vnnlib", 20.0, "verified", "", leaves=3)


def test_what_is_saved_is_loaded(tmp_path):
    store = Store(tmp_path)
    store.save(Outcome(RECORD, {"certificates/k/0000.cert": b"proof"}))
    assert store.load(RECORD.key) == RECORD
    assert (tmp_path / "certificates/k/0000.cert").read_bytes() == b"proof"
    assert store.load("another") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"key": 1}', b"\xff"])
def test_damaged_record_counts_as_none(tmp_path, content):
    store = Store(tmp_path)
    store.save(Outcome(RECORD, {}))
    (tmp_path / "results" / f"{RECORD.key}.json").write_bytes(content)
    assert store.load(RECORD.key) is None


def test_record_with_an_unknown_field_counts_as_none(tmp_path):
    store = Store(tmp_path)
    store.save(Outcome(RECORD, {}))
    path = tmp_path / "results" / f"{RECORD.key}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "new": 1}))
    assert store.load(RECORD.key) is None


def test_file_that_is_there_is_left_alone_and_a_damaged_one_replaced(tmp_path):
    store, name = Store(tmp_path), "graphs/d.graph.json"
    store.save(Outcome(RECORD, {name: b"graph"}))
    before = (tmp_path / name).stat().st_mtime_ns
    store.save(Outcome(RECORD, {name: b"graph"}))
    assert (tmp_path / name).stat().st_mtime_ns == before
    (tmp_path / name).write_bytes(b"grapH")
    store.save(Outcome(RECORD, {name: b"graph"}))
    assert (tmp_path / name).read_bytes() == b"graph"


def test_only_errors_are_run_again():
    verdicts = ("verified", "falsified", "unknown", "error")
    assert [Record("k", "n", "p", 1.0, verdict, "").settled for verdict in verdicts] == [True, True, True, False]
