"""Files that must be refused, each with its reason, as edits of one small verified example."""

import hashlib
import json
import struct
import zlib
from copy import deepcopy
from typing import Any

from .laws import refuses

DROP = object()
REGION, BAD = "region", "bad"


def encode(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def edited(value: Any, path: tuple, new: Any) -> Any:
    """A copy in which the item at `path` is new, dropped, or appended where the index is one past the end."""
    result = deepcopy(value)
    place = result
    for key in path[:-1]:
        place = place[key]
    if new is DROP:
        del place[path[-1]]
    elif type(place) is list and path[-1] == len(place):
        place.append(new)
    else:
        place[path[-1]] = new
    return result


def tensor_file(header: Any, data: bytes) -> bytes:
    text = header if type(header) is bytes else json.dumps(header, separators=(",", ":")).encode()
    return len(text).to_bytes(8, "little") + text + data


def _value(name: str, *shape: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "dtype": "float32", **more}


def _node(name: str, op: str, inputs: list[str], *shape: int, **attributes: Any) -> dict[str, Any]:
    return _value(name, *shape, op=op, inputs=inputs, attributes=attributes)


GRAPH = {
    "format": "tlverify.graph",
    "version": 1,
    "inputs": [_value("x", 2)],
    "parameters": [_value("W", 2, 2), _value("b", 2)],
    "nodes": [
        _node("z", "linear", ["x", "W", "b"], 2),
        _node("h", "relu", ["z"], 2),
        _node("s", "add", ["h", "h"], 2),
        _node("y", "reshape", ["s"], 2, 1, shape=[2, 1]),
    ],
    "outputs": ["y"],
}
DATA = struct.pack("<6f", 1, 1, 1, -1, 0, 0.25)
HEADER = {
    "W": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
    "b": {"dtype": "F32", "shape": [2], "data_offsets": [16, 24]},
}
PARAMETERS = tensor_file(HEADER, DATA)


def graph_digest(graph: dict[str, Any] = GRAPH) -> str:
    structure = {**graph, "nodes": sorted(graph["nodes"], key=lambda node: node["name"])}
    hashes = {"W": hashlib.sha256(DATA[:16]).hexdigest(), "b": hashlib.sha256(DATA[16:]).hexdigest()}
    return hashlib.sha256(encode({"graph": structure, "parameters": hashes})).hexdigest()


CLAIM = {
    "format": "tlverify.claim",
    "version": 1,
    "graph": graph_digest(),
    "semantics": "real",
    "region": [{"kind": "box", "input": "x", "lower": ["-1", "-1"], "upper": ["1", "2/3"]}],
    "bad": [
        [{"terms": [["y", 0, "1"]], "bound": "100", "strict": 0}],
        [
            {"terms": [["y", 1, "1"], ["x", 0, "-1/3"]], "bound": "50", "strict": 0},
            {"terms": [["x", 0, "1"]], "bound": "0", "strict": 1},
        ],
    ],
}
BALL = {"kind": "linf_ball", "input": "x", "center": ["0", "0"], "radius": "1/2", "clip": ["0", "1"]}
STEPS = [
    {"rule": "interval", "nodes": ["z", "h", "s", "y"]},
    {"rule": "bound", "node": "z", "lower": [0, 1], "upper": [1], "slopes": {}, "cuts": [], "multipliers": []},
    {"rule": "close", "multipliers": [["1"], ["1", "0"]], "slopes": {"h": [0]}, "cuts": []},
]
SLOPES = bytes([64, 128])
SPLIT = {"rule": "split", "node": "x", "index": 0, "at": "0"}
LEMMA = {"rule": "lemma", "node": "x", "index": 0, "side": "upper", "at": "0"}
CLOSED = {"rule": "close", "multipliers": [["1"]], "slopes": {}, "cuts": []}
TREE = {"rule": "tree", "nodes": 3, "entries": [["x", 0]], "steps": [], "slopes": {}, "weighted": 0}


def certificate(claim: bytes, kind: str, **more: Any) -> dict[str, Any]:
    """A certificate's header with its steps in full, and without `size`: `container` works out the rest."""
    digest = hashlib.sha256(claim).hexdigest()
    return {"format": "tlverify.certificate", "version": 1, "claim": digest, "kind": kind, **more}


def container(described: Any, payload: bytes) -> bytes:
    """The file; a `size` that is given is written as it is."""
    if type(described) is not dict:
        return packed(described, payload)
    listed = encode(described["steps"]) if "steps" in described else b""
    lengths = {"steps": len(listed)} if "steps" in described else {}
    return packed({"size": len(listed + payload), **described, **lengths}, listed + payload)


def packed(header: Any, body: bytes) -> bytes:
    return encode(header) + b"\n" + zlib.compress(body, 9)


def unpacked(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The certificate as `container` takes it, and its payload."""
    line, _, rest = data.partition(b"\n")
    header, body = json.loads(line), zlib.decompress(rest)
    del header["size"]
    length = header.get("steps", 0)
    return {**header, **({"steps": json.loads(body[:length])} if "steps" in header else {})}, body[length:]


CERTIFICATE = certificate(encode(CLAIM), "proof", steps=STEPS)
BODY = encode(STEPS) + SLOPES
EXAMPLE = {
    "graph": encode(GRAPH),
    "parameters": PARAMETERS,
    "claim": encode(CLAIM),
    "certificate": container(CERTIFICATE, SLOPES),
}

JSON_CASES: dict[str, tuple[bytes, str]] = {
    "empty file": (b"", "not valid JSON"),
    "half a file": (b'{"a":', "not valid JSON"),
    "two values": (b"{}{}", "not valid JSON"),
    "duplicate key": (b'{"a":1,"a":1}', "duplicate key"),
    "duplicate key by escape": (b'{"a":1,"\\u0061":1}', "duplicate key"),
    "NaN": (b'{"a":NaN}', "NaN is not an integer"),
    "infinity": (b'{"a":-Infinity}', "-Infinity is not an integer"),
    "float": (b'{"a":1.0}', "1.0 is not an integer"),
    "exponent": (b'{"a":1e5}', "1e5 is not an integer"),
    "10 MB integer": (b"1" * 10_000_000, "10000000 digits"),
    "21 digits": (b"1" * 21, "an integer of 21 digits is over 20"),
    "minus zero": (b"-0", "not in canonical form"),
    "space": (b'{"a": 1}', "not in canonical form"),
    "newline at the end": (b"{}\n", "not in canonical form"),
    "unsorted": (b'{"b":1,"a":1}', "not in canonical form"),
    "escape of a letter": (b'"\\u0061"', "not in canonical form"),
    "escape in capitals": (b'"\\u00FF"', "not in canonical form"),
    "raw non-ASCII": ('"\xe9"'.encode(), "not in canonical form"),
    "invalid UTF-8": (b'"\xff"', "not valid JSON"),
    "UTF-8 of a surrogate": (b'"\xed\xa0\x80"', "not valid JSON"),
    "UTF-16": ("{}".encode("utf-16"), "not valid JSON"),
    "byte order mark": (b"\xef\xbb\xbf{}", "not valid JSON"),
    "control character": (b'"\x01"', "not valid JSON"),
    "NUL": (b"{}\0", "not valid JSON"),
    "a million brackets": (b"[" * 1_000_000, "nested too deeply"),
    "a million closed brackets": (b"[" * 1_000_000 + b"]" * 1_000_000, "nested too deeply"),
    "a million objects": (b'{"a":' * 1_000_000, "nested too deeply"),
}

RATIONAL_CASES: dict[str, tuple[Any, str]] = {
    "lowest terms": ("2/4", "not in lowest terms"),
    "integer over one": ("5/1", "not in lowest terms"),
    "zero over two": ("0/2", "not in lowest terms"),
    "minus zero": ("-0", "expected a rational"),
    "plus": ("+1", "expected a rational"),
    "leading zero": ("01", "expected a rational"),
    "zero denominator": ("1/0", "expected a rational"),
    "negative denominator": ("1/-2", "expected a rational"),
    "decimal": ("0.5", "expected a rational"),
    "exponent": ("1e9", "expected a rational"),
    "underscore": ("1_0", "expected a rational"),
    "other digits": ("\u0661", "expected a rational"),
    "space": (" 1", "expected a rational"),
    "newline": ("1\n", "expected a rational"),
    "empty": ("", "expected a rational"),
    "NaN": ("nan", "expected a rational"),
    "a number": (1, "expected a rational"),
    "a list": (["1"], "expected a rational"),
    "401 digits": ("1" * 401, "expected a rational"),
}

GRAPH_CASES: dict[str, tuple[tuple, Any, str]] = {
    "unknown field": (("extra",), 1, "unknown field 'extra'"),
    "missing field": (("outputs",), DROP, "missing field 'outputs'"),
    "null field": (("inputs",), None, "field 'inputs' is not list"),
    "other format": (("format",), "onnx", "expected format 'tlverify.graph'"),
    "version 2": (("version",), 2, "version 2 is not 1"),
    "true as version": (("version",), True, "expected format"),
    "node is no object": (("nodes", 0), [], "node: expected an object"),
    "unknown field of a node": (("nodes", 0, "domain"), "", "unknown field 'domain'"),
    "missing field of a node": (("nodes", 0, "dtype"), DROP, "missing field 'dtype'"),
    "unknown op": (("nodes", 1, "op"), "exp", "the kernel has no rule for op 'exp'"),
    "attribute of relu": (("nodes", 1, "attributes"), {"alpha": 1}, "relu has the attributes []"),
    "relu of two": (("nodes", 1, "inputs"), ["z", "z"], "relu takes 1 inputs"),
    "add of one": (("nodes", 2, "inputs"), ["h"], "add takes 2 inputs"),
    "add of unequal shapes": (("nodes", 2, "inputs"), ["h", "W"], "declared shape [2], its op gives []"),
    "linear without bias": (("nodes", 0, "inputs"), ["x", "W"], "linear takes 3 inputs"),
    "weight is no parameter": (("nodes", 0, "inputs"), ["x", "x", "b"], "its op gives []"),
    "linear of wrong shapes": (("nodes", 0, "inputs"), ["W", "b", "W"], "its op gives []"),
    "reshape without shape": (("nodes", 3, "attributes"), {}, "reshape has the attributes ['shape']"),
    "reshape to a string": (("nodes", 3, "attributes", "shape"), "2", "attribute 'shape' is not list"),
    "reshape to true": (("nodes", 3, "attributes", "shape"), [2, True], "expected a list of int"),
    "reshape to another size": (("nodes", 3, "attributes", "shape"), [3], "its op gives []"),
    "name with a part's mark": (("inputs", 0, "name"), "x#0", "a name is 1 to 200 printable"),
    "reshape to very many sizes": (("nodes", 3, "attributes", "shape"), [10**19] * 3000, "out of range"),
    "reshape to negative sizes": (("nodes", 3, "attributes", "shape"), [-2, -1], "its op gives []"),
    "declared shape": (("nodes", 1, "shape"), [1], "declared shape [1], its op gives [2]"),
    "input is a number": (("nodes", 1, "inputs"), [1], "expected a list of str"),
    "unknown input": (("nodes", 1, "inputs"), ["nope"], "uses 'nope' before it is bound"),
    "cycle": (("nodes", 1, "inputs"), ["h"], "uses 'h' before it is bound"),
    "unordered": (("nodes", 1, "inputs"), ["s"], "uses 's' before it is bound"),
    "bound twice": (("nodes", 1, "name"), "z", "bound twice"),
    "name of a parameter": (("nodes", 1, "name"), "W", "bound twice"),
    "name of an input": (("parameters", 0, "name"), "x", "not among the stored tensors"),
    "empty name": (("inputs", 0, "name"), "", "a name is 1 to 200 printable"),
    "space in a name": (("inputs", 0, "name"), "a b", "a name is 1 to 200 printable"),
    "control character in a name": (("inputs", 0, "name"), "x\x1b[2J", "a name is 1 to 200 printable"),
    "newline after a name": (("inputs", 0, "name"), "x\n", "a name is 1 to 200 printable"),
    "surrogate in a name": (("inputs", 0, "name"), "\ud800", "a name is 1 to 200 printable"),
    "right-to-left name": (("inputs", 0, "name"), "\u202ex", "a name is 1 to 200 printable"),
    "long name": (("inputs", 0, "name"), "x" * 201, "a name is 1 to 200 printable"),
    "integer dtype": (("inputs", 0, "dtype"), "int64", "dtype 'int64' is not one of"),
    "other dtype than its inputs": (("nodes", 1, "dtype"), "float64", "but its input 'z' is float32"),
    "other dtype than stored": (("parameters", 0, "dtype"), "float64", "stored as F32[2, 2]"),
    "other shape than stored": (("parameters", 0, "shape"), [4], "stored as F32[2, 2]"),
    "zero size": (("inputs", 0, "shape"), [0], "is out of range"),
    "negative size": (("inputs", 0, "shape"), [-2], "is out of range"),
    "true as size": (("inputs", 0, "shape"), [True], "expected a list of int"),
    "17 axes": (("inputs", 0, "shape"), [1] * 17, "is out of range"),
    "huge shape": (("inputs", 0, "shape"), [10**19] * 16, "is out of range"),
    "undeclared tensor": (("parameters", 1), DROP, "not declared by the graph"),
    "missing tensor": (("parameters", 2), _value("c", 2), "not among the stored tensors"),
    "unknown output": (("outputs",), ["nope"], "not a value of the graph"),
    "output is a number": (("outputs",), [0], "expected a list of str"),
}

HUGE = "1" + "0" * 19
SAFETENSORS_CASES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "truncated before the header length"),
    "seven bytes": (b"\0" * 7, "truncated before the header length"),
    "header longer than the file": ((2**63).to_bytes(8, "little") + b"{}", "does not fit in the file"),
    "truncated header": (PARAMETERS[:40], "does not fit in the file"),
    "truncated data": (PARAMETERS[:-1], "are outside the 23 bytes"),
    "trailing byte": (PARAMETERS + b"\0", "1 bytes of data belong to no tensor"),
    "header is a list": (tensor_file([], DATA), "expected an object"),
    "header is not JSON": (tensor_file(b"{", DATA), "not valid JSON"),
    "duplicate tensor": (tensor_file(b'{"W":{},"W":{}}', DATA), "duplicate key"),
    "spaces in the header": (tensor_file(json.dumps(HEADER).encode(), DATA), "not in canonical form"),
    "unknown field": (tensor_file(edited(HEADER, ("W", "crc"), 1), DATA), "unknown field 'crc'"),
    "metadata": (tensor_file({"__metadata__": {"a": "b"}, **HEADER}, DATA), "unknown field 'a'"),
    "half precision": (tensor_file(edited(HEADER, ("W", "dtype"), "F16"), DATA), "dtype 'F16' is not one of"),
    "overlap": (
        tensor_file(edited(HEADER, ("b", "data_offsets"), [8, 16]), DATA[:16]),
        "overlap or leave a gap at byte 8",
    ),
    "same bytes twice": (tensor_file({"a": HEADER["W"], **HEADER}, DATA), "overlap or leave a gap at byte 0"),
    "gap": (tensor_file(edited(HEADER, ("b", "data_offsets"), [17, 25]), DATA + b"\0"), "overlap or leave a gap"),
    "reversed offsets": (tensor_file(edited(HEADER, ("W", "data_offsets"), [16, 0]), DATA), "are outside"),
    "negative offset": (tensor_file(edited(HEADER, ("W", "data_offsets"), [-16, 0]), DATA), "are outside"),
    "offset past the end": (tensor_file(edited(HEADER, ("b", "data_offsets"), [24, 32]), DATA), "are outside the 24"),
    "huge offsets": (tensor_file(edited(HEADER, ("b", "data_offsets"), [int(HUGE), int(HUGE)]), DATA), "are outside"),
    "three offsets": (tensor_file(edited(HEADER, ("b", "data_offsets"), [0, 16, 24]), DATA), "are outside"),
    "true as offset": (tensor_file(edited(HEADER, ("W", "data_offsets"), [False, 16]), DATA), "expected a list of int"),
    "other size than the shape": (tensor_file(edited(HEADER, ("b", "shape"), [3]), DATA), "8 bytes do not hold F32[3]"),
    "zero size": (tensor_file(edited(HEADER, ("b", "shape"), [0]), DATA), "is out of range"),
    "huge shape": (tensor_file(edited(HEADER, ("b", "shape"), [10**19, 10**19]), DATA), "is out of range"),
    "NaN": (tensor_file(HEADER, DATA[:-4] + struct.pack("<f", float("nan"))), "holds a NaN or an infinity"),
    "infinity": (tensor_file(HEADER, struct.pack("<f", float("-inf")) + DATA[4:]), "holds a NaN or an infinity"),
}

CLAIM_CASES: dict[str, tuple[tuple, Any, str]] = {
    "unknown field": (("note",), "", "unknown field 'note'"),
    "missing field": (("semantics",), DROP, "missing field 'semantics'"),
    "other format": (("format",), "tlverify.graph", "expected format 'tlverify.claim'"),
    "version 2": (("version",), 2, "version 2 is not 1"),
    "another graph": (("graph",), "0" * 64, "it is about graph '000"),
    "other semantics": (("semantics",), "float32", "semantics 'float32' is neither"),
    "no region": (("region",), [], "expected every input of ['x']"),
    "region is no object": (("region", 0), "x", "kind 'None' is not one of"),
    "unknown kind": (("region", 0, "kind"), "l3_ball", "kind 'l3_ball' is not one of"),
    "kind that is a list": (("region", 0, "kind"), ["box"], "is not one of"),
    "unknown input": (("region", 0, "input"), "nope", "'nope' is not an input"),
    "region of an output": (("region", 0, "input"), "y", "'y' is not an input"),
    "input given twice": (("region", 1), CLAIM["region"][0], "input 'x' is given twice"),
    "unknown field of the region": (("region", 0, "norm"), 2, "unknown field 'norm'"),
    "empty region": (("region", 0, "lower"), ["2", "0"], "empty at x[0], where 2 > 1"),
    "too few ends": (("region", 0, "lower"), ["-1"], "input 'x' has 2 entries"),
    "too many ends": (("region", 0, "upper"), ["1", "1", "1"], "input 'x' has 2 entries"),
    "float in the region": (("region", 0, "upper", 0), "0.5", "expected a rational"),
    "ball of negative radius": (("region", 0), {**BALL, "radius": "-1"}, "empty at x[0]"),
    "ball with reversed clip": (("region", 0), {**BALL, "clip": ["1", "0"]}, "empty at x[0]"),
    "ball outside its clip": (("region", 0), {**BALL, "clip": ["2", "3"]}, "empty at x[0]"),
    "ball with three clips": (("region", 0), {**BALL, "clip": ["0", "1", "2"]}, "expected two rationals"),
    "empty bad set": (("bad",), [], "the bad set is empty"),
    "empty conjunction": (("bad", 1), [], "a conjunction of the bad set is empty"),
    "conjunction is no list": (("bad", 0), {}, "expected a list of list"),
    "inequality is no object": (("bad", 0, 0), [], "inequality: expected an object"),
    "true as strict": (("bad", 0, 0, "strict"), True, "field 'strict' is not int"),
    "strict is 2": (("bad", 0, 0, "strict"), 2, "strict is 0 or 1"),
    "bound is a number": (("bad", 0, 0, "bound"), 1, "field 'bound' is not str"),
    "term of two": (("bad", 0, 0, "terms", 0), ["y", 0], "expected [value name, index, coefficient]"),
    "repeated term": (("bad", 0, 0, "terms", 1), ["y", 0, "2"], "y[0] stands twice"),
    "hidden value": (("bad", 0, 0, "terms", 0, 0), "z", "z[0] is not an entry of an input or output"),
    "unknown value with control characters": (("bad", 0, 0, "terms", 0, 0), "\x1b[2J\n\ud800", "is not an entry"),
    "long unknown value": (("bad", 0, 0, "terms", 0, 0), "v" * 100_000, "is not an entry"),
    "index out of range": (("bad", 0, 0, "terms", 0, 1), 2, "y[2] is not an entry"),
    "negative index": (("bad", 0, 0, "terms", 0, 1), -1, "y[-1] is not an entry"),
    "true as index": (("bad", 0, 0, "terms", 0, 1), True, "expected [value name, index, coefficient]"),
    "coefficient not in lowest terms": (("bad", 0, 0, "terms", 0, 2), "2/2", "not in lowest terms"),
}

CERTIFICATE_CASES: dict[str, tuple[tuple, Any, str]] = {
    "unknown field": (("signature",), "", "unknown field 'signature'"),
    "missing steps": (("steps",), DROP, "missing field 'steps'"),
    "other format": (("format",), "lrat", "expected format 'tlverify.certificate'"),
    "version 2": (("version",), 2, "version 2 is not 1"),
    "another claim": (("claim",), "0" * 64, "it is for claim '000"),
    "claim is a number": (("claim",), 1, "it is for claim '1'"),
    "unknown kind": (("kind",), "axiom", "kind 'axiom' is not one of proof, witness"),
    "witness with steps": (("kind",), "witness", "unknown field 'steps'"),
    "true as size": (("size",), True, "body of a stated size"),
    "negative size": (("size",), -1, "body of a stated size"),
    "size over the limit": (("size",), 1 << 40, "body of a stated size"),
    "smaller size": (("size",), len(BODY) - 1, "body is not exactly the"),
    "larger size": (("size",), len(BODY) + 1, "body is not exactly the"),
    "field of the payload": (("payload",), 2, "unknown field 'payload'"),
    "steps are an object": (("steps",), {}, "steps: expected a list"),
    "no steps": (("steps",), [], "it ends with 1 open goals"),
    "step is no object": (("steps", 0), [], "unknown rule 'None'"),
    "unknown rule": (("steps", 0, "rule"), "assume", "unknown rule 'assume'"),
    "unknown node with control characters": (("steps", 1, "node"), "\x1b[2J\n\ud800", "is not an entry"),
    "rule with control characters": (("steps", 0, "rule"), "\x1b[2J\n\ud800", "unknown rule"),
    "rule is a list": (("steps", 0, "rule"), [], "unknown rule '[]'"),
    "no close": (("steps", 2), DROP, "it ends with 1 open goals"),
    "step after close": (("steps", 3), STEPS[0], "it comes after the proof is closed"),
    "interval with unknown field": (("steps", 0, "why"), "", "unknown field 'why'"),
    "interval of nothing known": (("steps", 0, "nodes"), ["nope"], "'nope' is not a value that is computed"),
    "interval of an input": (("steps", 0, "nodes"), ["x"], "'x' is not a value that is computed"),
    "interval of a parameter": (("steps", 0, "nodes"), ["W"], "'W' is not a value that is computed"),
    "interval of a number": (("steps", 0, "nodes"), [0], "expected a list of str"),
    "interval out of order": (("steps", 0, "nodes"), ["h", "z"], "'h' needs bounds of 'z' first"),
    "bound before interval": (("steps", 0, "nodes"), [], "'z' has no bounds yet; an interval step must come first"),
    "bound of nothing known": (("steps", 1, "node"), "nope", "nope[0] is not an entry of a value of the program"),
    "bound of entry out of range": (("steps", 1, "lower"), [2], "z[2] is not an entry"),
    "bound of negative entry": (("steps", 1, "upper"), [-1], "z[-1] is not an entry"),
    "bound of true": (("steps", 1, "lower"), [True], "expected a list of int"),
    "bound without slopes": (("steps", 1, "slopes"), DROP, "missing field 'slopes'"),
    "close before interval": (("steps", 0, "nodes"), ["z", "h"], "bounds: 'y' has none yet"),
    "close of one disjunct": (("steps", 2, "multipliers"), [["1"]], "the bad set has 2 disjuncts, the step refutes 1"),
    "close of three disjuncts": (("steps", 2, "multipliers", 2), ["1"], "the step refutes 3"),
    "too many multipliers": (("steps", 2, "multipliers", 0), ["1", "1"], "expected 1 multipliers"),
    "no multipliers": (("steps", 2, "multipliers", 0), [], "expected 1 multipliers"),
    "multipliers are a string": (("steps", 2, "multipliers", 0), "1", "expected 1 multipliers"),
    "multipliers are an object": (("steps", 2, "multipliers", 0), {"1": "1"}, "expected 1 multipliers"),
    "multipliers are a number": (("steps", 2, "multipliers", 0), 1, "expected 1 multipliers"),
    "multipliers are null": (("steps", 2, "multipliers", 0), None, "expected 1 multipliers"),
    "negative multiplier": (("steps", 2, "multipliers", 1, 1), "-1/8", "a multiplier is negative"),
    "multiplier is a number": (("steps", 2, "multipliers", 0, 0), 1, "expected a list of str"),
    "all multipliers zero": (("steps", 2, "multipliers", 0, 0), "0", "not refuted"),
    "multiplier is no binary fraction": (("steps", 2, "multipliers", 0, 0), "1/3", "not a binary fraction"),
    "multiplier not in lowest terms": (("steps", 2, "multipliers", 0, 0), "2/4", "not in lowest terms"),
    "cut that does not hold": (("steps", 2, "cuts"), [0], "a cut is not among the 0 of this goal"),
    "negative cut": (("steps", 1, "cuts"), [-1], "a cut is not among the 0 of this goal"),
    "multipliers without cuts": (("steps", 1, "multipliers"), [["1"]] * 3, "expected multipliers for 0 rows, found 3"),
    "rebound of nothing known": (("steps", 1), {"rule": "rebound", "node": "nope"}, "nope[0] is not an entry"),
    "split of nothing known": (("steps", 1), {**SPLIT, "node": "W"}, "W[0] is not an entry"),
    "split of negative entry": (("steps", 1), {**SPLIT, "index": -1}, "x[-1] is not an entry"),
    "split of true": (("steps", 1), {**SPLIT, "index": True}, "field 'index' is not int"),
    "split at a float": (("steps", 1), {**SPLIT, "at": "0.5"}, "expected a rational"),
    "split without its second half": (("steps", 1), SPLIT, "it ends with 1 open goals"),
    "cases with a field": (("steps", 1), {"rule": "cases", "why": ""}, "unknown field 'why'"),
    "cases without the second": (("steps", 1), {"rule": "cases"}, "the bad set has 1 disjuncts, the step refutes 2"),
    "lemma of no side": (("steps", 1), {**LEMMA, "side": "left"}, "side is lower or upper"),
    "lemma without what follows": (("steps",), [{**LEMMA, "at": "2"}, CLOSED], "it ends with 1 open goals"),
    "lemma that is false": (("steps",), [LEMMA, CLOSED, *STEPS], "not refuted"),
    "tree of an even number of nodes": (("steps", 2), {**TREE, "nodes": 2}, "expected an odd number of nodes"),
    "tree of no nodes": (("steps", 2), {**TREE, "nodes": -1}, "expected an odd number of nodes"),
    "tree of too many nodes": (("steps", 2), {**TREE, "nodes": 10**9 + 1}, "expected an odd number of nodes"),
    "tree of which the payload has no bits": (("steps", 2), {**TREE, "nodes": 2001}, "the payload is too short"),
    "tree with too many nodes for its file": (("steps", 2), {**TREE, "nodes": 20001}, "over 4096 steps and nodes"),
    "more steps than its file may have": (("steps",), [STEPS[0]] * 60_000, "over 4096 steps and nodes"),
    "tree with too many steps at a node": (
        ("steps", 2),
        {**TREE, "steps": [{"rule": "rebound", "node": "h"}] * 100},
        "over 8 for each value",
    ),
    "tree with too many values in the steps of a node": (
        ("steps", 2),
        {**TREE, "steps": [{"rule": "interval", "nodes": ["h"] * 100}]},
        "over 8 for each value",
    ),
    "interval of a value twice": (("steps", 0), {"rule": "interval", "nodes": ["h", "h"]}, "listed twice"),
    "tree with weights twice": (("steps", 2), {**TREE, "weighted": 2}, "and weighted 0 or 1"),
    "tree of entries that are none": (("steps", 2), {**TREE, "entries": [["x", 2]]}, "x[2] is not an entry"),
    "tree of entries that are no pairs": (("steps", 2), {**TREE, "entries": ["x"]}, "entries are pairs [value, index]"),
    "tree of which the bits are none": (("steps", 2), TREE, "a bit after the last node is set"),
    "tree with other steps": (("steps", 2), {**TREE, "steps": [{"rule": "lemma"}]}, "the steps of a node are"),
    "tree with steps that are no objects": (("steps", 2), {**TREE, "steps": [1]}, "the steps of a node are"),
    "slopes of no node": (("steps", 2, "slopes"), {"nope": [0]}, "slopes are given for 'nope'"),
    "slopes of a linear node": (("steps", 2, "slopes"), {"z": [0]}, "slopes are given for 'z'"),
    "slopes of an input": (("steps", 2, "slopes"), {"x": [0]}, "slopes are given for 'x'"),
    "slopes are a number": (("steps", 2, "slopes"), {"h": 0}, "expected a list of its neurons"),
    "slope of neuron out of range": (("steps", 2, "slopes"), {"h": [2]}, "expected a list of its neurons"),
    "slope of negative neuron": (("steps", 2, "slopes"), {"h": [-1]}, "expected a list of its neurons"),
    "slope of true": (("steps", 2, "slopes"), {"h": [True]}, "expected a list of int"),
    "too few slopes": (("steps", 2, "slopes"), {"h": [0, 1]}, "the payload is too short"),
    "slopes left over": (("steps", 2, "slopes"), {}, "2 bytes of the payload are not used"),
}


def _other_side(splits: int) -> bytes:
    """Bits and entries of a tree whose halves below are all leaves."""
    return sum(1 << 2 * k for k in range(splits)).to_bytes(-(-(2 * splits + 1) // 8), "little") + bytes(splits)


IN_TREE = edited(CERTIFICATE, ("steps", 2), TREE)
_LINE, _, _PACKED = EXAMPLE["certificate"].partition(b"\n")
CONTAINER_CASES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not valid JSON"),
    "header only": (_LINE, "must be followed by a body"),
    "no body": (_LINE + b"\n", "body is not exactly"),
    "body not compressed": (_LINE + b"\n" + BODY, "body is not valid zlib"),
    "truncated body": (_LINE + b"\n" + _PACKED[:-1], "body is not exactly"),
    "wrong checksum": (_LINE + b"\n" + _PACKED[:-1] + b"\0", "body is not valid zlib"),
    "trailing byte": (_LINE + b"\n" + _PACKED + b"\0", "body is not exactly"),
    "body twice": (_LINE + b"\n" + _PACKED * 2, "body is not exactly"),
    "bomb": (_LINE + b"\n" + zlib.compress(bytes(50_000_000), 9), f"body is not exactly the {len(BODY)} bytes"),
    **{
        f"steps of {name}": (packed({**CERTIFICATE, "size": len(BODY), "steps": length}, BODY), reason)
        for name, length, reason in (
            ("true as length", True, "field 'steps' is not int"),
            ("a list as length", [], "field 'steps' is not int"),
            ("negative length", -1, "stated length within the body"),
            ("no length", 0, "not valid JSON"),
            ("more than the body", len(BODY) + 1, "stated length within the body"),
            ("a byte too few", len(BODY) - 3, "not valid JSON"),
            ("a byte too many", len(BODY) - 1, "not valid JSON"),
        )
    },
    "steps with a space": (
        packed({**CERTIFICATE, "size": len(BODY) + 1, "steps": len(BODY) - 1}, b" " + BODY),
        "not in canonical form",
    ),
    "bit after the last node of a tree": (container(IN_TREE, bytes([9, 0])), "a bit after the last node is set"),
    "tree with a node after its end": (container(IN_TREE, bytes([4, 0])), "not those of a tree in preorder"),
    "tree whose nodes bound a value twice": (
        container(edited(IN_TREE, ("steps", 2, "steps"), [{"rule": "interval", "nodes": ["h", "h"]}]), bytes([1, 0])),
        "something is listed twice",
    ),
    "tree without its last half": (
        container(edited(IN_TREE, ("steps", 2, "nodes"), 1), bytes([1, 0])),
        "not those of a tree in preorder",
    ),
    "tree deeper than its limit": (
        container(
            edited(IN_TREE, ("steps", 2, "nodes"), 2003), ((1 << 1001) - 1).to_bytes(251, "little") + bytes(1001)
        ),
        "the tree is deeper than 1000",
    ),
    "tree deeper than its limit on the other side": (
        container(edited(IN_TREE, ("steps", 2, "nodes"), 2003), _other_side(1001)),
        "the tree is deeper than 1000",
    ),
    "tree as deep as its limit, but wrong elsewhere": (
        container(
            edited(edited(IN_TREE, ("steps", 2, "nodes"), 2001), ("steps", 2, "slopes"), {"nope": [0]}),
            _other_side(1000),
        ),
        "slopes are given for 'nope'",
    ),
    "tree with a slope of two above 1": (
        container(edited(IN_TREE, ("steps", 2, "slopes"), {"h": [0, 1]}), bytes([1, 0, 0, 129, *[0] * 6])),
        "a slope is above 1",
    ),
    "tree with a slope above 1": (
        container(edited(IN_TREE, ("steps", 2, "slopes"), {"h": [0]}), bytes([1, 0, 129, 0, 0, 0])),
        "a slope is above 1",
    ),
    "tree with a slope above 1 by its difference": (
        container(edited(IN_TREE, ("steps", 2, "slopes"), {"h": [0]}), bytes([1, 0, 128, 0, 1, 0])),
        "a slope is above 1",
    ),
    "split of a tree without entry": (container(IN_TREE, bytes([1, 1])), "a split is not among the 1 entries"),
    "leaves of a tree without weights": (
        container(edited(IN_TREE, ("steps", 2, "weighted"), 1), bytes([1, 0])),
        "too short",
    ),
    "slope above 1": (container(CERTIFICATE, bytes([64, 129])), "a slope of 'h' is above 1"),
    "carriage return": (_LINE + b"\r\n" + _PACKED, "not in canonical form"),
}


CERTIFICATES: dict[str, tuple[bytes, str]] = {
    **{
        f"certificate: {name}": (container(edited(CERTIFICATE, path, new), SLOPES), reason)
        for name, (path, new, reason) in CERTIFICATE_CASES.items()
    },
    **{f"container: {name}": case for name, case in CONTAINER_CASES.items()},
}


def _check(kernel, **parts: bytes):
    return kernel.api.check(**{**EXAMPLE, **parts})


def _cases():
    for name, (raw, reason) in JSON_CASES.items():
        yield f"JSON: {name}", reason, lambda kernel, raw=raw: kernel.reader.parse_json(raw, "it")
    for name, (text, reason) in RATIONAL_CASES.items():
        yield f"rational: {name}", reason, lambda kernel, text=text: kernel.reader.rational(text, "it")
    for part, value, cases in (("graph", GRAPH, GRAPH_CASES), ("claim", CLAIM, CLAIM_CASES)):
        for name, (path, new, reason) in cases.items():
            data = encode(edited(value, path, new))
            yield f"{part}: {name}", reason, lambda kernel, part=part, data=data: _check(kernel, **{part: data})
    for name, (data, reason) in SAFETENSORS_CASES.items():
        yield f"safetensors: {name}", reason, lambda kernel, data=data: _check(kernel, parameters=data)
    for name, (data, reason) in CERTIFICATES.items():
        yield name, reason, lambda kernel, data=data: _check(kernel, certificate=data)


CASES = {
    name: (lambda kernel, call=call, reason=reason: refuses(kernel, lambda: call(kernel), reason))
    for name, reason, call in _cases()
}
"""By name, a law: this file is refused, for this reason."""
