# ruff: noqa: E501
"""Wrong kernels: one line of the real one changed. Each breaks the law named beside it, so the laws can fail."""

import shutil
import sys
from itertools import count
from pathlib import Path

import pytest

import tlverify.certify.kernel
from tlverify.certify import kernel as real

from . import hostile
from .laws import LAWS, OPS, load, op_is_right

SOURCE = Path(tlverify.certify.kernel.__file__).parent
PROPERTIES = {**LAWS, **hostile.CASES, **{op: (lambda kernel, op=op: op_is_right(kernel, op, "normal")) for op in OPS}}
serial = count()

MUTANTS = [
    # arithmetic.py
    ("sign of a stored float", "arithmetic", "-integer if word >> (width + mantissa) else integer", "integer", "decode_is_exact"),
    ("denormals one place off", "arithmetic", "max(field, 1)", "field", "decode_is_exact"),
    ("hidden bit of a denormal", "arithmetic", "(1 << mantissa if field else 0)", "(1 << mantissa)", "decode_is_exact"),
    ("exponent bias", "arithmetic", "1075, 52", "1074, 52", "decode_is_exact"),
    ("trailing zeros lost", "arithmetic", "lowest - bias + zeros", "lowest - bias", "decode_is_exact"),
    ("NaN is a number", "arithmetic", "if field == special:", "if False:", "safetensors: NaN"),
    ("lanes too narrow", "arithmetic", "factor_bits + len(rows).bit_length() + 2", "factor_bits + 2", "packed_is_exact"),
    ("lanes not signed", "arithmetic", '"little") - half\n', '"little")\n', "packed_is_exact"),
    ("lower end rounded up", "arithmetic", "[v >> drop for v in lower]", "[-(-v >> drop) for v in lower]", "rounding_is_outward"),
    ("upper end rounded down", "arithmetic", "[-(-v >> drop) for v in upper]", "[v >> drop for v in upper]", "rounding_is_outward"),
    ("region rounded inward", "arithmetic", "math.floor(v / unit)", "math.ceil(v / unit)", "rounding_is_outward"),
    ("region rounded inward above", "arithmetic", "math.ceil(v / unit)", "math.floor(v / unit)", "rounding_is_outward"),
    ("union for intersection", "arithmetic", "max(x << a, y << b)", "min(x << a, y << b)", "rounding_is_outward"),
    ("unaligned intersection", "arithmetic", "min(x << a, y << b)", "min(x, y << b)", "rounding_is_outward"),
    ("unaligned sum", "arithmetic", "b = shift(right.integers, right.exponent - exponent)", "b = right.integers", "add"),
    # rules.py
    ("bias lost in the value", "rules", "repeated = Vector([*bias.integers]", "repeated = Vector([0 for _ in bias.integers]", "linear"),
    ("bias lost in the interval", "rules", "doubled = Vector([*bias.integers]", "doubled = Vector([0 for _ in bias.integers]", "linear"),
    ("bias counted once in the interval", "rules", "bias.exponent + 1)", "bias.exponent)", "linear"),
    ("bias lost backward", "rules", "constant += sum(a * b for", "constant += sum(0 * a * b for", "linear"),
    ("radius lost", "rules", "lower = [c - r for", "lower = [c for", "linear"),
    ("signed radius", "network", "abs(value) for value in column", "value for value in column", "linear"),
    ("interval swapped", "rules", "for c, r in zip(middle.integers, around, strict=True)]\n    upper = [c + r", "for c, r in zip(middle.integers, around, strict=True)]\n    upper = [c - r", "linear"),
    ("transposed weight", "network", "return Packed(list(zip(*self.rows, strict=True)), len(self.rows), INTERVAL_BITS + 2)", "return Packed([*map(list, reversed([*zip(*self.rows)]))], len(self.rows), INTERVAL_BITS + 2)", "linear"),
    ("one branch of add", "rules", "return [(node.inputs[0], row), (node.inputs[1], row)], ZERO", "return [(node.inputs[0], row)], ZERO", "add"),
    ("add takes the upper end of one side", "rules", "Vector(a.lower, a.exponent), Vector(b.lower", "Vector(a.lower, a.exponent), Vector(b.upper", "add"),
    ("relu of the lower end kept", "rules", "Interval([max(v, 0) for v in x.lower]", "Interval([max(v, 1) for v in x.lower]", "relu"),
    ("chord u/(u+l)", "rules", "(high - low))  # high", "(high + low or 1))  # high", "relu"),
    ("chord rounded down", "rules", "-((-high << CHORD_BITS) // (high - low))", "(high << CHORD_BITS) // (high - low)", "relu"),
    ("intercept lost", "rules", "constant -= taken * neuron.lower", "constant -= 0", "relu"),
    ("intercept of the other sign", "rules", "constant -= taken * neuron.lower", "constant += taken * neuron.lower", "relu"),
    ("chord's coefficient rounded up", "rules", "taken = a * neuron.chord >> CHORD_BITS", "taken = -(-a * neuron.chord >> CHORD_BITS)", "relu"),
    ("slope for either sign", "rules", "if a > 0:\n            result", "if a:\n            result", "relu"),
    ("unstable neuron taken as active", "rules", "if low >= 0:", "if high > 0:", "relu"),
    ("unstable neuron taken as inactive", "rules", "elif high > 0:", "elif low > 0:", "relu"),
    # proof.py
    ("no charge for weakening", "proof", "charge = sum(low for low in bounds.lower if low < 0)", "charge = 0", "weakening_is_charged"),
    ("charge at the upper end", "proof", "charge = sum(low for low in bounds.lower if low < 0)", "charge = sum(min(v, 0) for v in bounds.upper)", "weakening_is_charged"),
    ("weakened to above", "proof", "Vector([a >> drop for a in row.integers], exponent)", "Vector([-(-a >> drop) for a in row.integers], exponent)", "weakening_is_charged"),
    ("charge not added", "proof", "constant = add(constant, charge)", "pass", "proofs_are_sound"),
    ("constant of an op lost", "proof", "constant = add(constant, gained)", "pass", "proofs_are_sound"),
    ("input's part lost", "proof", "constant = add(constant, _least(row, state.bounds[name]))", "pass", "proofs_are_sound"),
    ("greatest for least", "proof", "a * (low if a > 0 else high)", "a * (high if a > 0 else low)", "least_and_floor_are_exact"),
    ("bound rounded up", "proof", "value.integers[0] >> -places", "-(-value.integers[0] >> -places)", "least_and_floor_are_exact"),
    ("second use overwrites the first", "proof", "add(pending[source], part) if source in pending else part", "part", "proofs_are_sound"),
    ("bound of the wrong sign", "proof", "high[index] = min(high[index], -rounded)", "high[index] = min(high[index], rounded)", "proofs_are_sound"),
    ("strictness ignored", "proof", "value < 0 or (value == 0 and not strict)", "value < 0", "strictness_matters"),
    ("strict row without weight", "proof", "row.strict and weight > 0", "row.strict", "strictness_matters"),
    ("any strict disjunct", "proof", "strict = any(row.strict and weight > 0 for row, weight in zip(disjunct, weights, strict=True))", "strict = True", "strictness_matters"),
    ("last disjunct skipped", "proof", "zip(claim.bad, multipliers, strict=True)", "zip(claim.bad[:-1] or claim.bad, multipliers)", "every_disjunct_counts"),
    ("first disjunct skipped", "proof", "if value < 0 or", "if number and value < 0 or", "every_disjunct_counts"),
    ("largest margin", "proof", "return min(margins)", "return max(margins)", "margins_are_exact"),
    ("bound of the bad set lost", "proof", "(w * row.bound for row, w in", "(abs(w * row.bound) for row, w in", "false_claims_are_rejected"),
    ("negation lost", "proof", "Fraction(0)) - weight * coefficient", "Fraction(0)) + weight * coefficient", "false_claims_are_rejected"),
    ("negative multipliers", "proof", "if any(weight < 0 for weight in weights):", "if False:", "certificate: negative multiplier"),
    ("slopes above 1", "proof", "if any(slope > 1 << SLOPE_BITS for slope in part):", "if False:", "container: slope above 1"),
    ("payload not used up", "proof", "if state.used != len(payload):", "if False:", "certificate: slopes left over"),
    ("steps after close", "proof", "if margin is not None:", "if False:", "certificate: step after close"),
    ("negative entry", "proof", "if not 0 <= index < size:", "if not index < size:", "certificate: bound of negative entry"),
    # claim.py, witness.py, __init__.py
    ("any graph", "claim", "if graph != network.digest:", "if False:", "proofs_cannot_be_moved"),
    ("any claim", "__init__", 'if header.get("claim") != statement.digest:', "if False:", "proofs_cannot_be_moved"),
    ("parameters not in the digest", "network", '"parameters": hashes}', '"parameters": sorted(hashes)}', "margins_are_exact"),
    ("empty region", "claim", "if a > b:", "if False:", "claim: empty region"),
    ("empty bad set", "claim", "if not bad:", "if False:", "claim: empty bad set"),
    ("repeated term", "claim", "if (name, index) in seen:", "if False:", "claim: repeated term"),
    ("hidden values", "claim", "if name not in visible or", "if", "claim: hidden value"),
    ("input given twice", "claim", "if name in boxes:", "if False:", "claim: input given twice"),
    ("strict is not strict", "claim", "left > self.bound if self.strict else left >= self.bound", "left >= self.bound", "witnesses_are_replayed"),
    ("witness outside below", "witness", "if not low <= point <= high:", "if not point <= high:", "witnesses_are_replayed"),
    ("witness outside above", "witness", "if not low <= point <= high:", "if not low <= point:", "witnesses_are_replayed"),
    ("witness with a tolerance", "witness", "if not low <= point <= high:", "if not low <= point <= high + Fraction(1, 10**9):", "witnesses_are_replayed"),
    ("one inequality is enough", "witness", "if all(inequality.holds(exact)", "if any(inequality.holds(exact)", "witness_needs_every_inequality"),
    # reader.py and network.py
    ("duplicate keys", "reader", "if len(result) != len(items):", "if False:", "JSON: duplicate key"),
    ("any spelling", "reader", "if again != text:", "if False:", "JSON: space"),
    ("floats", "reader", "parse_float=refuse", "parse_float=str", "JSON: float"),
    ("true is 1", "reader", "if type(data[name]) is not kind:", "if not isinstance(data[name], kind):", "claim: true as strict"),
    ("unknown fields", "reader", "if name not in types:", "if False:", "claim: unknown field"),
    ("gaps and overlaps", "reader", "if start != end:", "if False:", "safetensors: overlap"),
    ("trailing tensor data", "reader", "if end != len(data):", "if False:", "safetensors: trailing byte"),
    ("trailing bytes", "reader", "or inflate.unused_data", "", "container: trailing byte"),
    ("no zlib checksum", "reader", "or not inflate.eof", "", "container: truncated payload"),
    ("rational not in lowest terms", "reader", "if str(value) != text:", "if False:", "rational: lowest terms"),
    ("bound twice", "network", "if node.name in nodes:", "if False:", "graph: bound twice"),
    ("any name", "network", "if NAME.fullmatch(node.name) is None:", "if False:", "graph: control character in a name"),
    ("any dtype", "network", "if nodes[source].dtype != dtype:", "if False:", "graph: other dtype than its inputs"),
    ("any shape", "network", "if derived != node.shape:", "if False:", "graph: declared shape"),
    ("undeclared tensors", "network", "for name in tensors:", "for name in ():", "graph: undeclared tensor"),
]  # fmt: skip


def mutant(folder: Path, module: str, old: str, new: str):
    """The modules of a copy of the kernel in which `old`, found once, is `new`."""
    package = f"wrong_kernel_{next(serial)}"
    shutil.copytree(SOURCE, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (folder / package).glob("*.py"):
        text = path.read_text()
        if path.stem == module:
            assert text.count(old) == 1, f"{module}.py no longer has one {old!r}: bring this row up to date"
            text = text.replace(old, new)
        path.write_text(text.replace("tlverify.certify.kernel", package))
    return package


@pytest.mark.parametrize(("module", "old", "new", "law"), [row[1:] for row in MUTANTS], ids=[row[0] for row in MUTANTS])
def test_wrong_kernel_is_caught(tmp_path, monkeypatch, module, old, new, law):
    package = mutant(tmp_path, module, old, new)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        with pytest.raises((AssertionError, OverflowError)):
            PROPERTIES[law](load(package))
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]


def test_an_unchanged_copy_obeys(tmp_path, monkeypatch):
    package = mutant(tmp_path, "errors", "MAX_RANK = 16", "MAX_RANK = 16")
    monkeypatch.syspath_prepend(tmp_path)
    copy = load(package)
    assert copy.api.check is not real.check
    for law in {row[4] for row in MUTANTS}:
        PROPERTIES[law](copy)
