"""How much there is to read before one believes a verdict."""

import ast
from pathlib import Path

import tlverify.certify.kernel

LIMIT = 2_290


def code_lines(source: str) -> int:
    """Lines that hold code: neither blank, nor a comment alone, nor of a docstring (any string that is a statement)."""
    words = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate(source.splitlines(), 1)
    return sum(1 for n, line in lines if n not in words and line.strip() and not line.lstrip().startswith("#"))


def test_lines_of_code_are_those_of_neither_words_nor_space():
    assert code_lines('"""Words\n\nmore."""\n\n# note\nx = 1  # said\n\n\ndef f():\n    """It."""\n    return x\n') == 3


def test_the_kernel_stays_small():
    files = sorted(Path(tlverify.certify.kernel.__file__).parent.glob("*.py"))
    counts = {path.name: code_lines(path.read_text()) for path in files}
    assert sum(counts.values()) <= LIMIT, counts
    assert max(counts.values()) <= 400, counts
