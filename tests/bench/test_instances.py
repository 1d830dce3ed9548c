"""Reading lists of instances, their keys, and shards."""

import gzip
import re
from dataclasses import replace

import pytest

from tlverify.bench import instances as module
from tlverify.bench.instances import BenchError, make_tasks, read_instances, take_shard

from .folder import make_folder


def test_rows_relative_to_the_csv_with_expected_verdicts(tmp_path):
    path = make_folder(
        tmp_path,
        expected="net.graph.json,holds.vnnlib,unsat\nnet.graph.json,fails.vnnlib,sat\nnet.graph.json,two.vnnlib,open\n",
    )
    found = read_instances(path)
    assert [one.name for one in found] == [
        f"net.graph.json / {n}" for n in ("holds", "fails", "vacuous", "two", "broken")
    ]
    assert [one.expected for one in found] == ["verified", "falsified", "", "", ""]
    assert {one.timeout for one in found} == {20.0}
    assert found[0].prop.samefile(tmp_path / "holds.vnnlib")


def test_timeout_and_only_replace_and_select(tmp_path):
    (one,) = read_instances(make_folder(tmp_path), timeout=1.5, only="two")
    assert (one.timeout, one.prop.name) == (1.5, "two.vnnlib")


def test_packed_files_are_found_under_the_plain_name(tmp_path):
    path = make_folder(tmp_path, ("holds",))
    prop = tmp_path / "holds.vnnlib"
    prop.with_name("holds.vnnlib.gz").write_bytes(gzip.compress(prop.read_bytes()))
    prop.unlink()
    (one,) = read_instances(path)
    assert (one.prop.name, one.name) == ("holds.vnnlib.gz", "net.graph.json / holds")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no instance"),
        ("net.graph.json\n", "line 1: expected network,property,timeout, found 1 columns"),
        ("net.graph.json,holds.vnnlib,soon\n", "line 1: expected a timeout in seconds, found 'soon'"),
        ("net.graph.json,holds.vnnlib,-1\n", "expected a timeout in seconds, found '-1'"),
        ("net.graph.json,holds.vnnlib\n", "expected a timeout in seconds, found ''; or give --timeout"),
        ("net.graph.json,holds.vnnlib,1\nnet.graph.json,gone.vnnlib,1\n", "line 2: no file"),
        ("\xff", "cannot be read"),
    ],
)
def test_bad_lists_are_refused(tmp_path, text, reason):
    path = make_folder(tmp_path, ("holds",))
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BenchError, match=re.escape(reason)):
        read_instances(path)


def test_list_or_selection_that_is_not_there(tmp_path):
    with pytest.raises(BenchError, match="cannot be read: No such file"):
        read_instances(tmp_path / "instances.csv")
    with pytest.raises(BenchError, match="no instance holds 'nothing'"):
        read_instances(make_folder(tmp_path), only="nothing")
    (tmp_path / "expected.csv").write_text("a,b\n")
    with pytest.raises(BenchError, match="expected columns network,property,expected, found a,b"):
        read_instances(tmp_path / "instances.csv")


def test_shards_are_a_partition(tmp_path):
    found = read_instances(make_folder(tmp_path))
    parts = [take_shard(found, f"{i}/3") for i in (1, 2, 3)]
    assert sorted((one for part in parts for one in part), key=found.index) == found


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/2/3"])
def test_bad_shards_are_refused(shard):
    with pytest.raises(BenchError, match="expected i/n"):
        take_shard([], shard)


def test_key_is_of_contents_and_settings(tmp_path, monkeypatch):
    (one,) = read_instances(make_folder(tmp_path, ("holds",)))
    (task,) = make_tasks([one])
    assert make_tasks([one]) == [task]
    assert make_tasks([replace(one, timeout=21.0)])[0].key != task.key
    assert make_tasks([one], seed=1)[0].key != task.key
    one.prop.write_text(one.prop.read_text() + " ")
    assert make_tasks([one])[0].key != task.key
    monkeypatch.setattr(module, "source_digest", lambda: "another program")
    assert make_tasks([one])[0].key not in (task.key, make_tasks([replace(one, timeout=21.0)])[0].key)


def test_one_file_is_read_once_for_many_instances(tmp_path):
    found = read_instances(make_folder(tmp_path))
    assert len({task.network_digest for task in make_tasks(found)}) == 1
    assert len({task.key for task in make_tasks(found)}) == len(found)
