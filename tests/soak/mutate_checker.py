"""Mutation of the checker: change one thing in a trusted module, run the tests that enter the function, see whether
they notice.

    python tests/soak/mutate_checker.py [--sample 60] [--seed 0] [--groups kernel fast] [--only kernel/tree.py:81]

Prints how each mutant ended, the score for each file, and every survivor with its line. Works on a copy of the tree.
First all tests run once without any change, to see which functions each enters and how long it takes; then each mutant
is loaded in a process of its own, which runs the tests of its function, the quickest first, until one fails. A mutant
that takes ten times as long as its tests should is killed too.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent.parent
BASE = Path("tlverify", "certify")
GROUPS = {"kernel": ("kernel/*.py",), "fast": ("fast/*.py",), "interval": ("interval/*.py", "leaves.py")}
SUITE = [
    "tests/certify",
    # of what only proposes:
    "--ignore=tests/certify/search",
    "--ignore=tests/certify/smt",
    "--ignore=tests/certify/test_real_data.py",
    # they look for lines of source as they are written:
    "--ignore=tests/certify/kernel/test_mutants.py",
    "--ignore=tests/certify/interval/test_mutants.py",
    # slow, and about the machine:
    "--deselect=tests/certify/test_arithmetics.py::test_answers_do_not_depend_on_blas_threads_or_hash_seed",
]
PYTEST = ["-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
PATIENCE, START = 10.0, 30.0  # a mutant may take so many times as long as its tests, and so many seconds more

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
NAMES = {
    a: b
    for pair in ("max min", "ceil floor", "maximum minimum", "any all", "lower upper", "low high", "below above")
    for a, b in (pair.split(), pair.split()[::-1])
}
Place = tuple[str, str]
"""A file relative to BASE, and the qualified name of a function in it ("" for what runs when it is imported)."""


@dataclass(frozen=True)
class Mutant:
    file: str
    function: str
    line: int
    column: int
    words: str
    position: int
    variant: int

    @property
    def source(self) -> str:
        """The module with this one change."""
        tree = ast.parse((ROOT / BASE / self.file).read_text())
        change(list(ast.walk(tree))[self.position], self.variant)
        return ast.unparse(ast.fix_missing_locations(tree))


def mutants(file: str) -> Iterator[Mutant]:
    """Every change of one operator, comparison, constant, name or call; every check, statement or sign dropped."""
    tree = ast.parse((ROOT / BASE / file).read_text())
    functions: dict[ast.AST, str] = {tree: ""}
    for node in ast.walk(tree):  # parents come first
        inside = functions[node]
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            outer = inside if inside.endswith(".") or not inside else f"{inside}.<locals>."
            inside = f"{outer}{node.name}" + "." * isinstance(node, ast.ClassDef)
        for child in ast.iter_child_nodes(node):
            functions[child] = inside
    for position, node in enumerate(ast.walk(tree)):
        for variant in range(3):
            words = change(copy.deepcopy(node), variant)
            if words:
                function = "" if functions[node].endswith(".") else functions[node]
                place = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
                yield Mutant(file, function, *place, words, position, variant)


def change(node: ast.AST, variant: int) -> str:
    """Make one of its changes to a node, in place, and say which; nothing if it has no such change."""
    if isinstance(node, ast.If) and variant < 2:
        raises = any(isinstance(inner, ast.Raise) for inner in node.body)
        if variant == 0 and raises:
            node.test = ast.Constant(False)
            return "check dropped"
        if variant == 1 and not raises:
            node.test = ast.UnaryOp(ast.Not(), node.test)
            return "condition negated"
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
        choices = SWAPS.get(type(node.op), [])
        if variant < len(choices):
            before = type(node.op).__name__
            changed: Any = node  # whose kind of operator depends on its own kind
            changed.op = choices[variant]()
            return f"{before} -> {choices[variant].__name__}"
        if variant == 2 and isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv | ast.RShift):
            node.left = ast.UnaryOp(ast.USub(), node.left)  # of what is rounded down, less by one now and then
            return "floor of -a for a"
        if variant == 2 and isinstance(node, ast.AugAssign):
            node.value, node.op = ast.Constant(0), ast.Add()
            return "statement without effect"
    if isinstance(node, ast.Compare):
        choices = SWAPS.get(type(node.ops[0]), [])
        if variant < len(choices):
            before, node.ops[0] = type(node.ops[0]).__name__, choices[variant]()
            return f"{before} -> {choices[variant].__name__}"
    if isinstance(node, ast.Constant) and type(node.value) is int and variant < 2:
        before, node.value = str(node.value), node.value + (1, -1)[variant]
        return f"{before} -> {node.value}"
    if isinstance(node, ast.Constant) and type(node.value) is bool and variant == 0:
        node.value = not node.value
        return f"{not node.value} -> {node.value}"
    if isinstance(node, ast.Name) and variant == 0 and node.id in NAMES and isinstance(node.ctx, ast.Load):
        before, node.id = node.id, NAMES[node.id]
        return f"{before} -> {node.id}"
    if isinstance(node, ast.Attribute) and variant == 0 and node.attr in NAMES and isinstance(node.ctx, ast.Load):
        before, node.attr = node.attr, NAMES[node.attr]
        return f"{before} -> {node.attr}"
    if isinstance(node, ast.Call) and variant == 1 and len(node.args) == 2 and not node.keywords:
        if isinstance(node.func, ast.Name) and node.func.id in ("max", "min", "Rejected"):  # the same, or a message
            return ""
        node.args.reverse()
        return "arguments exchanged"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and variant == 0:
        node.op = ast.UAdd()
        return "-x -> +x"
    if isinstance(node, ast.Expr) and variant == 0 and not isinstance(node.value, ast.Constant):
        node.value = ast.Constant(None)
        return "statement dropped"
    return ""


class Watch:
    """A plugin of pytest: which functions each test enters, and its seconds."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[float, list[Place]]] = {}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        seen: set[Any] = set()

        def enter(frame: Any, event: str, argument: Any) -> None:
            seen.add(frame.f_code)

        sys.settrace(enter)
        begin = time.process_time()
        yield
        sys.settrace(None)
        places = set()
        for code in seen:
            _, there, file = code.co_filename.partition(f"{BASE}/")
            if there:
                name, _, last = code.co_qualname.rpartition(".<locals>.")
                places.add((file, name if last.startswith("<") else code.co_qualname))
        self.found[item.nodeid] = time.process_time() - begin, sorted(places)


class Chosen:
    """A plugin of pytest: only these tests, in this order; the first that fails."""

    def __init__(self, tests: list[str]) -> None:
        self.order = {test: number for number, test in enumerate(tests)}
        self.failed = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.order), key=lambda item: self.order[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid


def apart(work: Callable[[], Any], seconds: float) -> Any:
    """What the work gives (as JSON) in a process of its own; None if it takes longer, or dies."""
    with tempfile.NamedTemporaryFile("r") as answer:
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException), open(os.devnull, "w") as nothing:
                os.setsid()
                os.dup2(nothing.fileno(), 1)
                os.dup2(nothing.fileno(), 2)
                Path(answer.name).write_text(json.dumps(work()))
            os._exit(0)
        end = time.monotonic() + seconds
        while not os.waitpid(child, os.WNOHANG)[0]:
            if time.monotonic() > end:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return None
            time.sleep(0.02)
        text = answer.read()
        return json.loads(text) if text else None


def measure() -> dict[str, tuple[float, list[Place]]]:
    watch = Watch()
    if pytest.main([*PYTEST, "-x", *SUITE], [watch]):
        return {}
    return watch.found


def first_failure(tests: list[str]) -> str:
    """The first of these tests to fail, "collection" if they cannot run at all, or nothing."""
    chosen = Chosen(tests)
    files = sorted({test.partition("::")[0] for test in tests})
    code = pytest.main([*PYTEST, "-x", *files], [chosen])
    return chosen.failed or ("" if code == 0 else "collection")


def covering(found: dict[str, tuple[float, list[Place]]]) -> dict[Place, list[str]]:
    """The tests that enter a function, quickest first."""
    result: dict[Place, list[str]] = defaultdict(list)
    for test in sorted(found, key=lambda test: found[test][0]):
        result[("", "")].append(test)
        for place in found[test][1]:
            result[(place[0], place[1])].append(test)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=60, help="mutants of each group")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--groups", nargs="*", default=list(GROUPS), choices=list(GROUPS))
    parser.add_argument("--only", nargs="*", default=[], help="files as kernel/tree.py, or lines as kernel/tree.py:81")
    parser.add_argument("--seconds", type=float, default=60.0, help="leave out a mutant's slowest tests beyond these")
    parser.add_argument("--measured", type=Path, help="where to keep what the tests enter, to measure it once")
    arguments = parser.parse_args()
    files = {
        group: sorted(str(path.relative_to(ROOT / BASE)) for p in GROUPS[group] for path in (ROOT / BASE).glob(p))
        for group in arguments.groups
    }
    todo: list[Mutant] = []
    possible = 0
    for group, names in files.items():
        every = [m for name in names for m in mutants(name)]
        if arguments.only:
            every = [m for m in every if {m.file, f"{m.file}:{m.line}"} & set(arguments.only)]
        possible += len(every)
        rng = random.Random(f"{arguments.seed} {group}")
        todo += sorted(rng.sample(every, min(arguments.sample, len(every))), key=lambda m: (m.file, m.line))
    with tempfile.TemporaryDirectory() as folder:
        if arguments.measured:
            arguments.measured = arguments.measured.resolve()
        tree = Path(folder).resolve() / "tree"
        ignored = shutil.ignore_patterns(".git", ".venv", "*cache*", "quickstart", ".hypothesis", ".gpu")
        shutil.copytree(ROOT, tree, ignore=ignored)
        os.chdir(tree)
        sys.path.insert(0, str(tree))
        os.environ.update(PYTHONPATH=str(tree), OPENBLAS_NUM_THREADS="1")
        sys.dont_write_bytecode = True  # a stale file would hide a mutant
        hypothesis.settings.register_profile(
            "mutants",
            derandomize=True,
            database=None,
            phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        hypothesis.settings.load_profile("mutants")
        np.ones((2, 2)) @ np.ones((2, 2))
        for names in files.values():
            for name in names:
                target = tree / BASE / name
                target.write_text(ast.unparse(ast.parse(target.read_text())))
        kept = arguments.measured
        found = json.loads(kept.read_text()) if kept and kept.exists() else apart(measure, 3600)
        if kept and found:
            kept.write_text(json.dumps(found))
        if not found:
            sys.exit("the tests fail when the modules are only written anew, so they would kill any mutant")
        print(f"{len(found)} tests, {sum(seconds for seconds, _ in found.values()):.0f} s", flush=True)
        tests = covering(found)
        score: Counter[tuple[str, bool]] = Counter()
        for number, mutant in enumerate(todo, 1):
            target = tree / BASE / mutant.file
            before = target.read_text()
            covers = tests[mutant.file, mutant.function] if mutant.function else tests["", ""]
            total = accumulate(found[test][0] for test in covers)
            chosen = [test for test, seconds in zip(covers, total, strict=True) if seconds <= arguments.seconds]
            target.write_text(mutant.source)
            limit = START + PATIENCE * sum(found[test][0] for test in chosen)
            killer = apart(lambda chosen=chosen: first_failure(chosen), limit) if chosen else ""
            target.write_text(before)
            score[mutant.file, killer != ""] += 1
            end = "SURVIVED" if killer == "" else f"killed by {killer or 'time'}"
            where = f"{mutant.file}:{mutant.line}:{mutant.column} {mutant.function}: {mutant.words}"
            print(f"{number} of {len(todo)}: {where}: {end} ({len(chosen)} of {len(covers)} tests)", flush=True)
    for file in sorted({file for file, _ in score}):
        print(f"{file}: {score[file, True]} of {score[file, True] + score[file, False]} killed")
    print(f"{sum(n for (_, dead), n in score.items() if dead)} of {len(todo)} killed, of {possible} possible mutants")


if __name__ == "__main__":
    main()
