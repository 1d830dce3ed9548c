"""Mutation of the checker: change one thing in a trusted module, run the tests of the kernel, see whether they notice.

    python tests/soak/mutate_checker.py [--sample 100] [--seed 0] [--modules kernel/backward.py ...]

Prints the score for each module and every survivor with its line. Works on a copy of the tree; takes about half a
minute a mutant.
"""

from __future__ import annotations

import argparse
import ast
import copy
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
MODULES = ("kernel", "fast", "interval", "leaves.py")
COMMON = [
    "tests/certify/test_arithmetics.py",
    "tests/certify/test_tree_writer.py",
    # slow, and about the machine:
    "--deselect=tests/certify/test_arithmetics.py::test_answers_do_not_depend_on_blas_threads_or_hash_seed",
]
TESTS = {
    "fast": ["tests/certify/fast", *COMMON],
    "interval": ["tests/certify/interval", *COMMON, "tests/certify/test_prove.py"],
    "certify": ["tests/certify/fast", "tests/certify/interval", *COMMON],
    "kernel": [
        "tests/certify/kernel",
        "--ignore=tests/certify/kernel/test_mutants.py",  # it looks for lines of source as they are written
        *COMMON,
        "tests/certify/test_certificate_mutants.py",
    ],
}
SECONDS = 600

SWAPS: dict[type, list[type]] = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Add],
    ast.LShift: [ast.RShift],
    ast.RShift: [ast.LShift],
    ast.FloorDiv: [ast.Mult],
    ast.Lt: [ast.LtE, ast.Gt],
    ast.LtE: [ast.Lt],
    ast.Gt: [ast.GtE, ast.Lt],
    ast.GtE: [ast.Gt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
}
CALLS = {"max": "min", "min": "max", "ceil": "floor", "floor": "ceil", "maximum": "minimum", "minimum": "maximum"}


@dataclass(frozen=True)
class Mutant:
    path: Path
    line: int
    words: str
    position: int
    variant: int

    @property
    def source(self) -> str:
        """The module with this one change."""
        tree = ast.parse(self.path.read_text())
        _change(list(ast.walk(tree))[self.position], self.variant)
        return ast.unparse(ast.fix_missing_locations(tree))


def mutants(path: Path) -> Iterator[Mutant]:
    """Every change of one operator, comparison, constant or call; and every `raise` dropped."""
    for position, node in enumerate(ast.walk(ast.parse(path.read_text()))):
        for variant in range(3):
            words = _change(copy.deepcopy(node), variant)
            if words:
                yield Mutant(path, getattr(node, "lineno", 0), words, position, variant)


def _change(node: ast.AST, variant: int) -> str:
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
        choices = SWAPS.get(type(node.op), [])
        if variant < len(choices):
            before = type(node.op).__name__
            node.op = choices[variant]()  # type: ignore[assignment]
            return f"{before} -> {choices[variant].__name__}"
    if isinstance(node, ast.Compare):
        choices = SWAPS.get(type(node.ops[0]), [])
        if variant < len(choices):
            before = type(node.ops[0]).__name__
            node.ops[0] = choices[variant]()
            return f"{before} -> {choices[variant].__name__}"
    if isinstance(node, ast.Constant) and type(node.value) is int and variant < 1:
        node.value += 1
        return f"{node.value - 1} -> {node.value}"
    if isinstance(node, ast.Call) and variant < 1:
        name = node.func
        if isinstance(name, ast.Name) and name.id in CALLS:
            name.id, before = CALLS[name.id], name.id
            return f"{before} -> {name.id}"
        if isinstance(name, ast.Attribute) and name.attr in CALLS:
            name.attr, before = CALLS[name.attr], name.attr
            return f"{before} -> {name.attr}"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and variant < 1:
        node.op = ast.UAdd()
        return "-x -> +x"
    if isinstance(node, ast.If) and variant < 1 and any(isinstance(inner, ast.Raise) for inner in node.body):
        node.test = ast.Constant(False)
        return "check dropped"
    return ""


def fails(sources: Mapping[Path, str], folder: Path) -> bool:
    """Whether the tests fail with these sources in place. A test that runs for SECONDS has failed."""
    targets = {folder / path.relative_to(ROOT): source for path, source in sources.items()}
    kept = {target: target.read_text() for target in targets}
    packages = {path.parent.name for path in sources}
    tests = list(dict.fromkeys(test for package in sorted(packages) for test in TESTS[package]))
    for target, source in targets.items():
        target.write_text(source)
    try:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        environment = {"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=folder, capture_output=True, env=environment, timeout=SECONDS, check=False)
        return done.returncode != 0
    except subprocess.TimeoutExpired:
        return True
    finally:
        for target, source in kept.items():
            target.write_text(source)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--modules", nargs="*", default=MODULES)
    arguments = parser.parse_args()
    base = ROOT / "tlverify" / "certify"
    paths = sorted(p for m in arguments.modules for p in ([base / m] if m.endswith(".py") else (base / m).glob("*.py")))
    every = [mutant for path in paths for mutant in mutants(path)]
    chosen = random.Random(arguments.seed).sample(every, min(arguments.sample, len(every)))
    score: Counter[tuple[str, bool]] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        ignored = shutil.ignore_patterns(".git", ".venv", "*cache*", "quickstart", ".hypothesis")
        shutil.copytree(ROOT, tree, ignore=ignored)
        if fails({path: ast.unparse(ast.parse(path.read_text())) for path in paths}, tree):
            sys.exit("the tests fail when the modules are only written anew, so they would kill any mutant")
        for done, mutant in enumerate(sorted(chosen, key=lambda m: (m.path, m.line))):
            name = str(mutant.path.relative_to(base))
            dead = fails({mutant.path: mutant.source}, tree)
            score[name, dead] += 1
            if not dead:
                print(f"survived {name}:{mutant.line}: {mutant.words}", flush=True)
            if done % 10 == 9:
                print(f"{done + 1} of {len(chosen)}", flush=True)
    for name in sorted({name for name, _ in score}):
        print(f"{name}: {score[name, True]} of {score[name, True] + score[name, False]} killed")
    total = sum(n for (_, dead), n in score.items() if dead)
    print(f"{total} of {len(chosen)} killed, of {len(every)} possible mutants")


if __name__ == "__main__":
    main()
