"""Machine code that reads one piece of memory and writes another one, done once or again and again from what it wrote.

Between the times the addresses of what it reads and writes move on, so that all of them are one call: a call from
Python takes longer than a step of a small network.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tlverify.core.native import machine

_POINTERS = ("table", "code", "power", "record")
_TEXT = """{pointers}
{numbers}
define internal void @work_out(ptr %table, ptr %rate) {{
  %a = getelementptr ptr, ptr %table, i64 {before}
  %before = load ptr, ptr %a
  %b = getelementptr ptr, ptr %table, i64 {after}
  %after = load ptr, ptr %b
  %c = getelementptr ptr, ptr %table, i64 {results}
  %results = load ptr, ptr %c
  call void @numbers(ptr %before, ptr %after, ptr %rate, ptr %results)
  ret void
}}
define void @prepare() {{
  %table = load ptr, ptr @table
  %record = load ptr, ptr @record
  %before = load ptr, ptr %record
  %a = getelementptr ptr, ptr %table, i64 {before}
  store ptr %before, ptr %a
  %place = getelementptr ptr, ptr %record, i64 1
  %after = load ptr, ptr %place
  %b = getelementptr ptr, ptr %table, i64 {after}
  store ptr %after, ptr %b
  %rate = getelementptr i8, ptr %record, i64 {in_record}
  call void @work_out(ptr %table, ptr %rate)
  ret void
}}
define void @step() {{
  call void @prepare()
  %table = load ptr, ptr @table
  %code = load ptr, ptr @code
  call void %code(ptr %table)
  ret void
}}
define void @steps(i64 %count, ptr %table) {{
entry:
  %r = getelementptr ptr, ptr %table, i64 {rate}
  %s = getelementptr ptr, ptr %table, i64 {spare}
  %code = load ptr, ptr @code
  br label %again
again:
  %i = phi i64 [ 0, %entry ], [ %next, %again ]
  %rate = load ptr, ptr %r
  call void @work_out(ptr %table, ptr %rate)
  call void %code(ptr %table)
{moves}
  %a = getelementptr ptr, ptr %table, i64 {before}
  %b = getelementptr ptr, ptr %table, i64 {after}
  %written = load ptr, ptr %b
  %spare = load ptr, ptr %s
  store ptr %written, ptr %a
  store ptr %spare, ptr %b
  store ptr %written, ptr %s
  %next = add i64 %i, 1
  %done = icmp eq i64 %next, %count
  br i1 %done, label %end, label %again
end:
  ret void
}}
"""
_MOVE = """  %p{0} = getelementptr ptr, ptr %table, i64 {0}
  %old{0} = load ptr, ptr %p{0}
  %new{0} = getelementptr i8, ptr %old{0}, i64 {stride}
  store ptr %new{0}, ptr %p{0}"""
RATE = 16  # where a record holds the rate, behind the addresses of what is read and written


@dataclass(frozen=True, eq=False)
class Stepping:
    """`step()` takes what it reads and writes from the record: two addresses, and a float at RATE.

    `prepare()` does that without the code. `steps(count, table)` takes all addresses from a table of the caller's: that
    of the code, and behind it where the rates are and a piece of memory to spare. It writes by turns there and to what
    the table says, so that nothing but these is overwritten; the table is left as after the last step.
    """

    step: Callable[[], None]
    prepare: Callable[[], None]
    steps: Callable[[int, int], None]
    _engine: Any


def stepping(
    numbers: str,
    code: int,
    table: int,
    record: int,
    slots: tuple[int, int, int],
    moves: Mapping[int, int],
    size: int,
) -> Stepping:
    """Of the code at an address that takes the table at another one, with `size` slots; `numbers` is the text of a
    function of the same name, which is called before it with what is read, what is written, the rate, and where its
    results go. `slots` of the table hold the addresses of the first, the second and the last one; `moves` says by how
    many bytes others move on at each step."""
    before, after, results = slots
    moved = "\n".join(_MOVE.format(slot, stride=stride) for slot, stride in {**moves, size: 8}.items())
    pointers = "\n".join(f"@{name} = global ptr null" for name in _POINTERS)
    places = {"before": before, "after": after, "results": results, "rate": size, "spare": size + 1, "in_record": RATE}
    text = _TEXT.format(pointers=pointers, numbers=numbers, moves=moved, **places)
    engine = machine.engine(text, machine.host())
    alone = ctypes.CFUNCTYPE(None)
    step, prepare = (alone(engine.get_function_address(name)) for name in ("step", "prepare"))
    steps = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(engine.get_function_address("steps"))
    for name, address in zip(_POINTERS, (table, code, machine.power(), record), strict=True):
        ctypes.c_size_t.from_address(engine.get_global_value_address(name)).value = address
    return Stepping(step, prepare, steps, engine)
