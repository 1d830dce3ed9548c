"""Strict readers: canonical JSON, typed fields, exact rationals, safetensors, the certificate container.

Anything unknown, missing, duplicated, out of range or not in canonical form is Malformed.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tlverify.certify.kernel.errors import (
    MAX_BODY_BYTES,
    MAX_ELEMENTS,
    MAX_HEADER_BYTES,
    MAX_INTEGER_DIGITS,
    MAX_JSON_BYTES,
    MAX_RANK,
    MAX_RATIONAL_DIGITS,
    Malformed,
)

RATIONAL = re.compile(r"(0|-?[1-9][0-9]*)(/[1-9][0-9]*)?")
ITEM_BYTES = {"F32": 4, "F64": 8}


def parse_json(raw: bytes, what: str, canonical: bool = True) -> Any:
    """JSON whose bytes equal its own re-encoding: no spaces, no duplicate keys, no numbers but integers.

    Canonical also means sorted keys and ASCII; files written by others (safetensors) need not have those.
    """
    if len(raw) > MAX_JSON_BYTES:
        raise Malformed(f"{what}: {len(raw)} bytes is over the limit of {MAX_JSON_BYTES}")

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) != len(items):
            raise Malformed(f"{what}: duplicate key in a JSON object")
        return result

    def integer(text: str) -> int:
        if len(text) > MAX_INTEGER_DIGITS:
            raise Malformed(f"{what}: an integer of {len(text)} digits is over {MAX_INTEGER_DIGITS}")
        return int(text)

    def refuse(text: str) -> Any:
        raise Malformed(f"{what}: {text[:40]} is not an integer; other numbers are written as strings")

    try:
        text = raw.decode("utf-8")
        value = json.loads(text, object_pairs_hook=pairs, parse_int=integer, parse_float=refuse, parse_constant=refuse)
        again = json.dumps(value, sort_keys=canonical, separators=(",", ":"), ensure_ascii=canonical)
    except RecursionError:
        raise Malformed(f"{what}: JSON is nested too deeply") from None
    except (json.JSONDecodeError, UnicodeError) as error:
        raise Malformed(f"{what}: not valid JSON: {error}") from None
    if again != text:
        raise Malformed(f"{what}: JSON is not in canonical form (sorted keys, no spaces, ASCII)")
    return value


def fields(data: Any, what: str, **types: type) -> list[Any]:
    """The values of an object that has exactly these fields with these types, in the order given."""
    if type(data) is not dict:
        raise Malformed(f"{what}: expected an object")
    for name in data:
        if name not in types:
            raise Malformed(f"{what}: unknown field {name[:40]!r}")
    for name, kind in types.items():
        if name not in data:
            raise Malformed(f"{what}: missing field {name!r}")
        if type(data[name]) is not kind:
            raise Malformed(f"{what}: field {name!r} is not {kind.__name__}")
    return [data[name] for name in types]


def items(data: list[Any], kind: type, what: str) -> list[Any]:
    """The list itself, if every item is of this very type."""
    for item in data:
        if type(item) is not kind:
            raise Malformed(f"{what}: expected a list of {kind.__name__}")
    return data


def shown(name: str) -> str:
    """A name from a file as it may stand in a message: short, with anything but printable ASCII escaped."""
    return ascii(name[:80])[1:-1]


def tagged(data: Any, what: str, form: str) -> None:
    """The object says it is of this format, version 1."""
    if type(data) is not dict or data.get("format") != form or type(data.get("version")) is not int:
        raise Malformed(f"{what}: expected format {form!r}")
    if data["version"] != 1:
        raise Malformed(f"{what}: version {data['version']} is not 1")


def shape_of(data: list[Any], what: str) -> tuple[int, ...]:
    """A shape: a short list of sizes >= 1 whose product is within the limit."""
    sizes = tuple(items(data, int, what))
    if len(sizes) > MAX_RANK or any(size < 1 for size in sizes) or math.prod(sizes) > MAX_ELEMENTS:
        raise Malformed(f"{what}: shape {list(sizes)[:MAX_RANK]} is out of range")
    return sizes


def rational(text: Any, what: str) -> Fraction:
    """An exact rational in lowest terms, written `p` or `p/q`."""
    if type(text) is not str or len(text) > MAX_RATIONAL_DIGITS or RATIONAL.fullmatch(text) is None:
        raise Malformed(f'{what}: expected a rational like "-3/4", found {str(text)[:40]!r}')
    value = Fraction(text)
    if str(value) != text:
        raise Malformed(f"{what}: {text[:40]} is not in lowest terms")
    return value


@dataclass(frozen=True)
class Tensor:
    """Raw little-endian bytes of a stored array, row-major."""

    dtype: str
    shape: tuple[int, ...]
    data: memoryview


def parse_safetensors(raw: bytes) -> dict[str, Tensor]:
    """Every tensor of the file by name. The tensors must tile the data exactly."""
    what = "parameters"
    if len(raw) < 8:
        raise Malformed(f"{what}: truncated before the header length")
    length = int.from_bytes(raw[:8], "little")
    if length > min(MAX_HEADER_BYTES, len(raw) - 8):
        raise Malformed(f"{what}: header of {length} bytes does not fit in the file")
    header = parse_json(raw[8 : 8 + length].rstrip(b" "), f"{what} header", canonical=False)
    if type(header) is not dict:
        raise Malformed(f"{what} header: expected an object")
    data, tensors, spans = memoryview(raw)[8 + length :], {}, []
    for name, entry in header.items():
        where = f"parameter {name[:80]!r}"
        dtype, shape, span = fields(entry, where, dtype=str, shape=list, data_offsets=list)
        if dtype not in ITEM_BYTES:
            raise Malformed(f"{where}: dtype {dtype[:20]!r} is not one of {', '.join(ITEM_BYTES)}")
        sizes = shape_of(shape, where)
        if len(items(span, int, where)) != 2 or not 0 <= span[0] <= span[1] <= len(data):
            raise Malformed(f"{where}: offsets {span[:2]} are outside the {len(data)} bytes of data")
        if span[1] - span[0] != math.prod(sizes) * ITEM_BYTES[dtype]:
            raise Malformed(f"{where}: {span[1] - span[0]} bytes do not hold {dtype}{list(sizes)}")
        tensors[name] = Tensor(dtype, sizes, data[span[0] : span[1]])
        spans.append((span[0], span[1]))
    end = 0
    for start, stop in sorted(spans):
        if start != end:
            raise Malformed(f"{what}: tensors overlap or leave a gap at byte {min(start, end)} of the data")
        end = stop
    if end != len(data):
        raise Malformed(f"{what}: {len(data) - end} bytes of data belong to no tensor")
    return tensors


def parse_certificate(raw: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and body. The file is one line of canonical JSON, a newline, and the zlib-compressed body, whose exact
    size is the header's field `size`."""
    end = raw.find(b"\n")
    header = parse_json(raw if end < 0 else raw[:end], "certificate header")
    tagged(header, "certificate header", "tlverify.certificate")
    size = header.get("size")
    if end < 0 or type(size) is not int or not 0 <= size <= MAX_BODY_BYTES:
        raise Malformed("certificate: the header must be followed by a body of a stated size within limits")
    inflate = zlib.decompressobj()
    try:
        body = inflate.decompress(memoryview(raw)[end + 1 :], size + 1)
    except zlib.error as error:
        raise Malformed(f"certificate: body is not valid zlib: {error}") from None
    if len(body) != size or not inflate.eof or inflate.unused_data:
        raise Malformed(f"certificate: body is not exactly the {size} bytes that the header states")
    return header, body


def parse_steps(header: dict[str, Any], body: bytes) -> tuple[list[Any], memoryview]:
    """The steps of a proof, as canonical JSON at the start of its body, and the payload that follows."""
    length = header.get("steps")
    if type(length) is not int or not 0 <= length <= len(body):
        raise Malformed("certificate: the steps must have a stated length within the body")
    steps = parse_json(body[:length], "steps")
    if type(steps) is not list:
        raise Malformed("steps: expected a list")
    return steps, memoryview(body)[length:]
