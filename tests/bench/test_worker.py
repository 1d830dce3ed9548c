"""One instance: verdict, certificates that the kernel accepts, and errors as outcomes."""

from dataclasses import replace

import pytest

from tlverify.bench import worker
from tlverify.bench.instances import make_tasks, read_instances
from tlverify.bench.record import Store
from tlverify.certify import check_files, find_certificates

from .folder import make_folder


@pytest.fixture
def tasks(tmp_path):
    found = read_instances(make_folder(tmp_path))
    return {one.prop.stem: task for one, task in zip(found, make_tasks(found), strict=True)}


@pytest.mark.parametrize(
    ("name", "verdict", "claims"),
    [("holds", "verified", 1), ("fails", "falsified", 1), ("vacuous", "verified", 0), ("two", "verified", 2)],
)
def test_outcome_and_its_certificates(tasks, tmp_path, name, verdict, claims):
    outcome = worker.solve(tasks[name])
    record = outcome.record
    assert (record.verdict, record.claims, record.key) == (verdict, claims, tasks[name].key)
    assert record.peak_bytes > 1 << 20
    assert record.cpu_seconds > 0
    Store(tmp_path / "out").save(outcome)
    folder = tmp_path / "out" / "certificates" / record.key
    if claims:
        checked = list(
            check_files(find_certificates(folder), tmp_path / "out" / "graphs" / f"{record.graph}.graph.json")
        )
        assert [one.verdict for one in checked] == [verdict] * claims
        assert sum(one.size for one in checked) == record.certificate_bytes
    else:
        assert not folder.exists()


def test_broken_property_is_an_error_that_names_it(tasks):
    record = worker.solve(tasks["broken"]).record
    assert record.verdict == "error"
    assert "broken.vnnlib: line 1: the file ends inside" in record.reason


@pytest.mark.parametrize("field", ["network_digest", "prop_digest"])
def test_file_that_changed_since_is_an_error(tasks, field):
    record = worker.solve(replace(tasks["holds"], **{field: "0" * 64})).record
    assert record.verdict == "error"
    assert "the instance is about 000" in record.reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [(MemoryError(), "out of memory"), (ZeroDivisionError("x"), "internal error: ZeroDivisionError: x")],
)
def test_fault_of_ours_costs_the_instance_only(tasks, monkeypatch, error, reason):
    def fail(task, executor):
        raise error

    monkeypatch.setattr(worker, "_decide", fail)
    record = worker.solve(tasks["holds"]).record
    assert (record.verdict, record.reason) == ("error", reason)
