"""The kernel by itself: standard library only, the same answers under any flags, and its own command."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tlverify
from tlverify.certify.kernel import Malformed, Rejected, check
from tlverify.certify.kernel.__main__ import main

from .hostile import CERTIFICATE, EXAMPLE, SLOPES, container, edited
from .test_changed_files import EXAMPLES

ROOT = Path(tlverify.__file__).parents[1]
FOREIGN = """
import sys
sys.path.insert(0, sys.argv[1])
import tlverify.certify.kernel
names = {name.partition(".")[0] for name in sys.modules}
print(sorted(names - sys.stdlib_module_names - {"__main__", "tlverify"}))
print(sorted(name for name in sys.modules if name.startswith("tlverify") and ".kernel" not in name))
"""
ANSWERS = """
import json, sys
sys.path.insert(0, sys.argv[1])
from tlverify.certify.kernel import Malformed, Rejected, check
for parts in json.loads(sys.stdin.read()):
    try:
        print(check(*map(bytes.fromhex, parts)))
    except (Malformed, Rejected) as refusal:
        print(repr(refusal))
"""


def python(
    *arguments: str, flags: tuple[str, ...] = (), stdin: str = "", **environment: str
) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *flags, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
        check=False,
    )


def imported(root: Path) -> list[list[str]]:
    """What importing the kernel below `root` loads: modules of others, and modules of ours outside the kernel."""
    result = python("-c", FOREIGN, str(root), flags=("-I", "-S"))
    assert result.returncode == 0, result.stderr
    return [json.loads(line.replace("'", '"')) for line in result.stdout.splitlines()]


def test_only_the_standard_library_is_imported():
    assert imported(ROOT) == [[], ["tlverify", "tlverify.certify", "tlverify.version"]]


@pytest.mark.parametrize("where", ["kernel/rules.py", "__init__.py", "../__init__.py"])
def test_an_import_of_numpy_would_be_seen(tmp_path, where):
    shutil.copytree(ROOT / "tlverify", tmp_path / "tlverify", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "numpy.py").write_text("")
    path = tmp_path / "tlverify" / "certify" / where
    path.write_text(
        path.read_text().replace(
            "from __future__ import annotations\n", "from __future__ import annotations\nimport numpy\n", 1
        )
    )
    assert imported(tmp_path)[0] == ["numpy"]


def cases() -> list[tuple[bytes, ...]]:
    """Accepted and refused certificates of both kinds."""
    found = [*EXAMPLES.values(), tuple(EXAMPLE.values())]
    for path, new in (
        (("steps", 2, "slopes"), {}),
        (("steps", 2, "multipliers", 0, 0), "0"),
        (("claim",), "0"),
        (("x",), 1),
    ):
        found.append((*tuple(EXAMPLE.values())[:3], container(edited(CERTIFICATE, path, new), SLOPES)))
    return [*found, (b"[]", *found[0][1:]), (*found[0][:2], b"{", found[0][3])]


def test_flags_and_hash_seeds_do_not_change_an_answer():
    def answer(parts: tuple[bytes, ...]) -> str:
        try:
            return str(check(*parts))
        except (Malformed, Rejected) as refusal:
            return repr(refusal)

    expected = [answer(parts) for parts in cases()]
    assert len(set(expected)) == len(expected)
    data = json.dumps([[part.hex() for part in parts] for parts in cases()])
    for flags, seed in (
        (("-O",), "0"),
        (("-OO",), "1"),
        ((), "2"),
        (("-I", "-S", "-O"), "random"),
        (("-bb", "-X", "dev"), "3"),
    ):
        result = python("-c", ANSWERS, str(ROOT), flags=flags, stdin=data, PYTHONHASHSEED=seed)
        assert result.stdout.splitlines() == expected, result.stderr


@pytest.fixture
def folder(tmp_path):
    for name, example in EXAMPLES.items():
        (tmp_path / f"{name}.graph.json").write_bytes(example.graph)
        (tmp_path / f"{name}.safetensors").write_bytes(example.parameters)
        (tmp_path / f"{name}.claim.json").write_bytes(example.claim)
        (tmp_path / f"{name}.cert").write_bytes(example.certificate)
    return tmp_path


def paths(folder: Path, graph: str = "verified", claim: str = "verified", certificate: str = "verified") -> list[str]:
    return [
        str(folder / f"{graph}.graph.json"),
        str(folder / f"{claim}.claim.json"),
        str(folder / f"{certificate}.cert"),
    ]


def test_exit_codes(folder, capsys):
    assert main(paths(folder)) == 0
    assert capsys.readouterr().out.startswith("verified: for every x in")
    assert main(paths(folder, *["falsified"] * 3)) == 10
    assert capsys.readouterr().out.startswith("falsified: for every x in")
    assert main(paths(folder, certificate="falsified")) == 30
    assert capsys.readouterr().err.startswith("rejected: certificate: it is for claim")
    assert main(paths(folder, claim="falsified")) == 30
    assert capsys.readouterr().err.startswith("rejected: claim: it is about graph")
    (folder / "verified.cert").write_bytes(b"{}\n")
    assert main(paths(folder)) == 2
    assert capsys.readouterr().err.startswith("malformed: certificate header: expected format")
    (folder / "verified.safetensors").unlink()
    assert main(paths(folder)) == 2
    assert "No such file" in capsys.readouterr().err
    assert main([]) == 2
    assert "python -m tlverify.certify.kernel" in capsys.readouterr().err


def test_command(folder):
    result = python(
        "-m", "tlverify.certify.kernel", *paths(folder, *["falsified"] * 3), flags=("-O",), PYTHONPATH=str(ROOT)
    )
    assert (result.returncode, result.stderr) == (10, "")
