import os

import numpy as np
import pytest

from tlverify.core import ops, trace
from tlverify.core.native import cache, machine
from tlverify.core.native.program import compile_graph

X = np.arange(6, dtype=np.float32).reshape(2, 3)
GRAPH = trace(lambda x: (ops.exp(x), ops.sum(x, 0)), X).graph


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TLVERIFY_CACHE", str(tmp_path))
    return tmp_path / "native"


def passes(monkeypatch):
    """Counts modules that are compiled from their text."""
    made = []
    original = machine.llvm.create_pass_builder
    monkeypatch.setattr(machine.llvm, "create_pass_builder", lambda *args: made.append(1) or original(*args))
    return made


def test_code_is_compiled_once(folder, monkeypatch):
    made = passes(monkeypatch)
    first, second = compile_graph(GRAPH)(X), compile_graph(GRAPH)(X)
    assert len(made) == len(list(folder.iterdir())) == 1
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    compile_graph(GRAPH, machine.Target("x86-64", ""))(X)
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    "damage", [lambda held: held[:-1], lambda held: b"", lambda held: held[:40] + b"x" + held[41:]]
)
def test_a_damaged_file_is_made_anew(folder, monkeypatch, damage):
    compile_graph(GRAPH)
    (path,) = folder.iterdir()
    held = path.read_bytes()
    path.write_bytes(damage(held))
    made = passes(monkeypatch)
    np.testing.assert_allclose(compile_graph(GRAPH)(X)[0], np.exp(X), 1e-6)
    assert len(made) == 1
    assert path.read_bytes() == held


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TLVERIFY_CACHE", str(tmp_path / "file"))
    np.testing.assert_allclose(compile_graph(GRAPH)(X)[0], np.exp(X), 1e-6)


def test_the_latest_used_are_kept(folder, monkeypatch):
    monkeypatch.setattr(cache, "KEPT", 3)
    for number in range(5):
        cache.store(str(number), b"code")
        os.utime(folder / str(number), (number, number))
        if number == 3:
            assert cache.load("1") == b"code"
    assert {path.name for path in folder.iterdir()} == {"1", "3", "4"}
