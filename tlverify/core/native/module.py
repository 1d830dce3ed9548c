"""The text of an LLVM module for a schedule.

Its functions take a table of addresses: sgemm and dgemm of BLAS, the scratch memory, the constants, a count of threads
that have come to where all wait, a function that lets others have the processor, and then the bases of the caller. A
buffer lies at an offset, in bytes, from one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tlverify.core.native import emit, machine, threads
from tlverify.core.native.schedule import Call, Instruction, Loop, Product, Schedule, View
from tlverify.core.native.shares import Round, rounds

SCRATCH, CONSTANTS, COUNT, REST, CALLER = 2, 3, 4, 5, 6
Places = Mapping[int, tuple[int, int]]
"""Of a buffer: the index of its base in the table, and its offset in bytes."""
Part = tuple[str, ...] | Call
"""The names of a function for each thread, and of one that does it all; or a call."""

_GEMM = "void (i32, i32, i32, i64, i64, i64, {0}, ptr, i64, ptr, i64, {0}, ptr, i64)"
_ROW_MAJOR, _PLAIN, _TRANSPOSED = 101, 111, 112
_WAIT = """define internal void @wait(ptr %table, i64 %until) noinline {{
entry:
  %place = getelementptr ptr, ptr %table, i64 {count}
  %count = load ptr, ptr %place
  %other = getelementptr ptr, ptr %table, i64 {rest}
  %rest = load ptr, ptr %other
  %before = atomicrmw add ptr %count, i64 1 seq_cst
  br label %look
look:
  %looks = phi i64 [ 0, %entry ], [ %more, %spin ], [ %more, %yield ]
  %now = load atomic i64, ptr %count seq_cst, align 8
  %there = icmp sge i64 %now, %until
  br i1 %there, label %done, label %again
again:
  %more = add i64 %looks, 1
{patiently}
done:
  ret void
}}
"""


def module(found: Schedule, places: Places, tile: emit.Tile = emit.WIDE, number: int = 1) -> tuple[str, list[Part]]:
    """The text of a module for that number of threads, and what to run."""
    text = _Text(found, places, tile)
    if number > 1:
        text.define_wait()
    parts: list[Part] = []
    for run in rounds(found, places, number):
        if isinstance(run, Call):
            parts.append(run)
        else:
            name = f"part{len(parts)}"
            several = [text.part(f"{name}.{thread}", run, thread) for thread in range(number if number > 1 else 0)]
            parts.append((*several, text.whole(name, run)))
    return "\n".join([*sorted(text.declared), *text.definitions]), parts


class _Text:
    def __init__(self, found: Schedule, places: Places, tile: emit.Tile):
        self.found, self.places, self.tile = found, places, tile
        self.kernels: dict[emit.Kernel, str] = {}
        self.declared: set[str] = set()
        self.definitions: list[str] = []
        self.number = 0

    def define_wait(self) -> None:
        """A function that says that a thread has come, and waits until so many have."""
        self.declared.add(machine.pause()[0])
        self.definitions.append(_WAIT.format(count=COUNT, rest=REST, patiently=threads.patiently()))

    def whole(self, name: str, run: list[Round]) -> str:
        """All that is done in a run, by one thread."""
        instructions = [one for shares in run for share in shares for one in share]
        return self.function(name, [line for one in instructions for line in self.instruction(one)])

    def part(self, name: str, run: list[Round], thread: int) -> str:
        """What a thread does in a run. At its end the first one waits for all, and the others are done."""
        count = len(run[0])
        lines: list[str] = []
        for number, shares in enumerate(run, 1):
            for instruction in shares[thread]:
                lines += self.instruction(instruction)
            until = 0 if number == len(run) and thread else count * number
            lines.append(f"  call void @wait(ptr %table, i64 {until})")
        return self.function(name, lines)

    def function(self, name: str, lines: Sequence[str]) -> str:
        body = "\n".join(lines)
        # It only calls: to optimize it would take longer than everything else.
        self.definitions.append(f"define void @{name}(ptr %table) noinline optnone {{\n{body}\n  ret void\n}}\n")
        return name

    def instruction(self, instruction: Instruction) -> Iterator[str]:
        self.number += 1
        if isinstance(instruction, Product):
            yield from self.product(instruction)
        elif isinstance(instruction, Loop) and (instruction.stores or instruction.reductions):
            kernel, views = emit.kernel_of(instruction, lambda view: self.found.buffers[view.buffer].dtype)
            if kernel not in self.kernels:
                self.kernels[kernel] = f"loop{len(self.kernels)}"
                text, needs = emit.function(self.kernels[kernel], kernel, self.tile)
                self.definitions.append(text)
                self.declared |= needs
            arguments = []
            for place, view in enumerate(views):
                pointer, lines = self.pointer(view, place)
                arguments.append(f"ptr {pointer}")
                yield from lines
            yield f"  call void @{self.kernels[kernel]}({', '.join(arguments)})"

    def pointer(self, view: View, place: int) -> tuple[str, list[str]]:
        """The address of the first element of the view, the so-manieth of an instruction."""
        base, offset = self.places[view.buffer]
        offset += view.offset * emit.SIZE[self.found.buffers[view.buffer].dtype]
        name = f"{self.number}.{place}"
        return f"%c{name}", [
            f"  %a{name} = getelementptr ptr, ptr %table, i64 {base}",
            f"  %b{name} = load ptr, ptr %a{name}",
            f"  %c{name} = getelementptr i8, ptr %b{name}, i64 {offset}",
        ]

    def product(self, product: Product) -> Iterator[str]:
        """Calls of BLAS for every index of the leading axes."""
        number, views = self.number, (product.left, product.right, product.result)
        dtype = self.found.buffers[product.result.buffer].dtype
        scalar, slot = emit.MEMORY[dtype], 0 if dtype == "float32" else 1
        alpha, beta = emit.literal(1.0, dtype), emit.literal(1.0 if product.accumulate else 0.0, dtype)
        pointers = []
        for place, view in enumerate(views):
            pointer, lines = self.pointer(view, place)
            pointers.append(pointer)
            yield from lines
        yield f"  %f{number} = getelementptr ptr, ptr %table, i64 {slot}"
        yield f"  %g{number} = load ptr, ptr %f{number}"
        (m, k), n = product.left.shape[-2:], product.right.shape[-1]
        (ta, lda), (tb, ldb) = _layout(product.left), _layout(product.right)
        ldc = max(product.result.strides[-2], n) if m > 1 else n
        signature = _GEMM.format(scalar)
        for place, index in enumerate(np.ndindex(*product.result.shape[:-2])):
            at = []
            for pointer, view, name in zip(pointers, views, "xyz", strict=True):
                step = sum(i * s for i, s in zip(index, view.strides, strict=False))
                yield f"  %{name}{number}.{place} = getelementptr {scalar}, ptr {pointer}, i64 {step}"
                at.append(f"%{name}{number}.{place}")
            yield (
                f"  call {signature} %g{number}(i32 {_ROW_MAJOR}, i32 {ta}, i32 {tb}, i64 {m}, i64 {n}, i64 {k}, "
                f"{scalar} {alpha}, ptr {at[0]}, i64 {lda}, ptr {at[1]}, i64 {ldb}, {scalar} {beta}, ptr {at[2]}, "
                f"i64 {ldc})"
            )


def _layout(view: View) -> tuple[int, int]:
    """How BLAS reads the matrices of the view: plain or transposed, and the leading dimension."""
    (m, n), (row, column) = view.shape[-2:], view.strides[-2:]
    if (column == 1 or n == 1) and (row >= n or m == 1):
        return _PLAIN, max(row, n, 1) if m > 1 else max(n, 1)
    return _TRANSPOSED, max(column, m, 1) if n > 1 else max(m, 1)
