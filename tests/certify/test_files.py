"""Certificates in folders and archives."""

import random
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tlverify.certify import check_files, files, find_certificates, kernel, save_result
from tlverify.certify.files import FilesError
from tlverify.certify.prove import Result

from .kernel.laws import SUM, UNIT, above, box, simple_proof
from .kernel.test_changed_files import changes


def archive(folder: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """A .zip beside the folder of what is in it."""
    path = folder.parent / f"{folder.name}.zip"
    with zipfile.ZipFile(path, "w", method) as file:
        for member in sorted(folder.iterdir()):
            file.write(member, member.name)
    return path


def verdicts(path: Path, graph: Path | None = None) -> list[tuple[str, str]]:
    return [(checked.name, checked.verdict) for checked in check_files(find_certificates(path), graph)]


def test_a_folder_an_archive_and_a_single_file(record):
    both = [("a.cert", "verified"), ("b.cert", "verified")]
    assert verdicts(record) == both
    assert verdicts(archive(record)) == both
    assert verdicts(record / "b.cert") == [("b.cert", "verified")]


def test_what_is_said_of_each(record):
    (record / "b.claim.json").write_bytes((record / "b.claim.json").read_bytes().replace(b'"4"', b'"5"'))
    (record / "c.cert").write_bytes(b"{}\n")
    (record / "c.claim.json").write_bytes((record / "a.claim.json").read_bytes())
    a, b, c = check_files(find_certificates(record))
    assert (a.verdict, a.reason) == ("verified", "")
    assert a.accepted.margin > 0
    assert a.size == (record / "a.cert").stat().st_size
    assert b.verdict == "rejected"
    assert b.reason.startswith("certificate: it is for claim")
    assert c.verdict == "malformed"
    assert c.reason.startswith("certificate header: expected format")
    assert b.accepted is c.accepted is None


def test_a_graph_elsewhere(record, tmp_path_factory):
    other = tmp_path_factory.mktemp("elsewhere")
    for name in ("model.graph.json", "model.safetensors"):
        (record / name).rename(other / name)
    with pytest.raises(FilesError, match=r"expected one \*\.graph\.json, found 0; give --graph"):
        verdicts(record)
    assert verdicts(record, other / "model.graph.json")[0] == ("a.cert", "verified")
    assert verdicts(archive(record), other / "model.graph.json")[0] == ("a.cert", "verified")


def test_two_graphs_beside_a_certificate(record):
    (record / "other.graph.json").write_bytes(b"{}")
    with pytest.raises(FilesError, match="found 2; give --graph"):
        verdicts(record)


@pytest.mark.parametrize("missing", ["a.claim.json", "model.safetensors"])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_missing_file_is_named(record, missing, zipped):
    (record / missing).unlink()
    with pytest.raises(FilesError, match=f"{missing}: cannot be read"):
        verdicts(archive(record) if zipped else record)


def test_nothing_to_check(record, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    for path, reason in (
        (empty, "holds no certificate"),
        (archive(empty), "holds no certificate"),
        (empty / "nope.cert", "no such file or folder"),
    ):
        with pytest.raises(FilesError, match=reason):
            find_certificates(path)
    broken = empty / "broken.zip"
    broken.write_bytes(archive(record).read_bytes()[:200])
    with pytest.raises(FilesError, match=r"cannot be read as a \.zip"):
        find_certificates(broken)


def test_a_malformed_graph(record):
    (record / "model.graph.json").write_bytes(b"{}")
    with pytest.raises(kernel.Malformed, match="graph: expected format"):
        verdicts(record)


@pytest.mark.parametrize("name", ["a.claim.json", "model.graph.json", "model.safetensors"])
def test_no_changed_file_is_accepted(record, name):
    path = record / name
    raw = path.read_bytes()
    for changed in changes(random.Random(name), raw, 60):
        if changed == raw:
            continue
        path.write_bytes(changed)
        try:
            (checked,) = check_files([record / "a.cert"])
        except kernel.Malformed:
            continue
        assert checked.verdict in ("rejected", "malformed")
        assert checked.accepted is None


def test_a_damaged_archive_is_a_files_error(record):
    path = archive(record)
    raw = path.read_bytes()
    for changed in changes(random.Random(1), raw, 200):
        path.write_bytes(changed)
        try:
            found = verdicts(path)
        except (FilesError, kernel.Malformed):
            continue
        assert {verdict for _, verdict in found} <= {"verified", "rejected", "malformed"}


def test_save_result(tmp_path):
    claim = box(SUM, UNIT, [[above(SUM, 0, 4)]])
    data = simple_proof(SUM, claim, ["1"])
    result = Result(claim, "verified", "", data, 0.75, None, 0.0, 0.0)
    save_result(result, tmp_path / "new", "one")
    assert (tmp_path / "new" / "one.claim.json").read_bytes() == claim.data
    assert (tmp_path / "new" / "one.cert").read_bytes() == data
    unknown = Result(claim, "unknown", "timeout", None, float(np.nan), None, 0.0, 0.0)
    save_result(unknown, tmp_path / "new", "two")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "one.cert",
        "one.claim.json",
        "two.claim.json",
    ]


@pytest.mark.parametrize("member", ["a.cert", "a.claim.json", "model.safetensors"])
def test_a_member_of_an_archive_has_a_limit(record, monkeypatch, member):
    size = (record / member).stat().st_size
    monkeypatch.setattr(files, "MAX_MEMBER", max(path.stat().st_size for path in record.iterdir()))
    assert verdicts(archive(record))[0] == ("a.cert", "verified")
    (record / member).write_bytes(bytes(files.MAX_MEMBER + 1))  # packs to almost nothing
    with pytest.raises(FilesError, match=f"{member}: expected at most {files.MAX_MEMBER} bytes once unpacked"):
        verdicts(archive(record))
    assert size <= files.MAX_MEMBER
