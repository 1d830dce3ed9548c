"""Formulas as machine code give the bits that Python gives."""

from __future__ import annotations

import ctypes
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlverify.core.formula import Formula, function_of, text_of
from tlverify.core.native import machine
from tlverify.core.native.formulas import function
from tlverify.graph import TlverifyError

FORMATS = {"float32": "f", "float64": "d", "int64": "q", "bool": "?"}
SOURCES = {"n": ("int64", ("given", 0)), "k": ("int64", ("given", 8)), "x": ("float64", ("given", 16))}


def by_machine_code(results, values):
    """The results, each a formula and a dtype, on values of n, k and x."""
    placed = [(formula, dtype, ("found", 8 * i)) for i, (formula, dtype) in enumerate(results)]
    text = function("numbers", ("given", "found"), SOURCES, placed)
    caller = "define void @go(ptr %a, ptr %b) {\n  call void @numbers(ptr %a, ptr %b)\n  ret void\n}\n"
    engine = machine.engine(f"@power = global ptr null\n{text}{caller}", machine.host())
    ctypes.c_size_t.from_address(engine.get_global_value_address("power")).value = machine.power()
    memory, found = ctypes.create_string_buffer(struct.pack("qqd", *values)), (ctypes.c_char * 8 * len(results))()
    go = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(engine.get_function_address("go"))
    go(ctypes.addressof(memory), ctypes.addressof(found))
    return [struct.unpack_from(FORMATS[dtype], found[i])[0] for i, (_, dtype) in enumerate(results)]


OPERATIONS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
}
LEAVES = st.one_of(
    st.sampled_from(["n", "k", "x"]).map(Formula),
    st.floats(-3, 3, allow_subnormal=False),
    st.integers(-5, 5),
    st.sampled_from([float("inf"), np.float64(0.9)]),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.tuples(st.sampled_from(list(OPERATIONS)), inner, inner) | st.tuples(st.just("minus"), inner),
    max_leaves=8,
).filter(lambda tree: not towering(tree))


def towering(tree, below=False):
    """Whether there is a power of powers, or one by a large number: Python's integers would grow without end."""
    if not isinstance(tree, tuple):
        return False
    power = tree[0] == "**"
    if power and (below or isinstance(tree[2], tuple) or text_of(tree[2]) == "n"):
        return True
    return any(towering(part, below or power) for part in tree[1:])


def built(tree):
    if not isinstance(tree, tuple):
        return tree if isinstance(tree, Formula) else Formula(text_of(tree))
    if tree[0] == "minus":
        return -built(tree[1])
    return OPERATIONS[tree[0]](built(tree[1]), built(tree[2]))


@settings(deadline=None, max_examples=60)
@given(st.lists(TREES, min_size=1, max_size=4), st.integers(1, 10**6), st.integers(-9, 9), st.floats(0.001, 2))
def test_values_are_those_of_python(trees, n, k, x):
    results = []
    for tree in trees:
        try:
            formula = built(tree)
            (value,) = function_of([formula], "nkx")(n, k, x)
        except (ArithmeticError, TypeError):
            continue
        if isinstance(value, complex) or (isinstance(value, int) and abs(value) >= 2**53):
            continue
        results.append((formula, value, "int64" if isinstance(value, int) else "float64"))
    usable = []
    for formula, value, dtype in results:
        try:
            (found,) = by_machine_code([(formula, dtype)], (n, k, x))
        except TlverifyError:  # a power of integers
            continue
        assert struct.pack(FORMATS[dtype], found) == struct.pack(FORMATS[dtype], value) or found != found
        usable.append((formula, value, dtype))
    if usable:
        together = by_machine_code([(formula, dtype) for formula, _, dtype in usable], (n, k, x))
        assert [repr(one) for one in together] == [repr(value) for _, value, _ in usable]


@pytest.mark.parametrize("step", [1, 2, 7, 100, 6_931, 10**6])
def test_bias_corrections_of_adam(step):
    n, x = Formula("n"), Formula("x")
    size, root = x / (1 - 0.9 ** (n + 1)), (1 - 0.999 ** (n + 1)) ** 0.5
    found = by_machine_code([(size, "float64"), (root, "float64"), (size, "float32"), (n + 1, "int64")], (step, 0, 0.1))
    expected = [0.1 / (1 - 0.9 ** (step + 1)), (1 - 0.999 ** (step + 1)) ** 0.5]
    assert found == [*expected, float(np.float32(expected[0])), step + 1]


def test_constants():
    assert by_machine_code([(3, "int64"), (0.5, "float32"), (True, "bool"), (2, "float64")], (0, 0, 0.0)) == [
        3,
        0.5,
        True,
        2.0,
    ]


def test_negative_and_numpy_numbers_as_text():
    assert text_of(-2.0) == "(-2.0)"
    assert function_of([Formula("n") ** 2, (-2.0) ** Formula("n")], "n")(3) == (9, -8.0)
    assert text_of(np.float64(0.1)) == "(0.1)"


def test_what_has_no_such_value():
    n, x = Formula("n"), Formula("x")
    with pytest.raises(TlverifyError, match=r"n \*\* 2: a power of integers; write one of them as a float"):
        by_machine_code([(n**2, "int64")], (1, 1, 1.0))
    with pytest.raises(TlverifyError, match="a float where an integer is to be; begin with a float"):
        by_machine_code([(n * x, "int64")], (1, 1, 1.0))


def test_where_python_would_raise():
    assert by_machine_code([(1 / Formula("n"), "float64")], (0, 0, 0.0)) == [float("inf")]
