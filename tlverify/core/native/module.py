"""The text of an LLVM module for a schedule.

Its functions take a table of addresses: sgemm and dgemm of BLAS, the scratch memory, the constants, and then the bases
of the caller. A buffer lies at an offset, in bytes, from one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tlverify.core.native import emit, schedule
from tlverify.core.native.schedule import Call, Loop, Product, Schedule, View

SCRATCH, CONSTANTS, CALLER = 2, 3, 4
Places = Mapping[int, tuple[int, int]]
"""Of a buffer: the index of its base in the table, and its offset in bytes."""

_GEMM = "void (i32, i32, i32, i64, i64, i64, {0}, ptr, i64, ptr, i64, {0}, ptr, i64)"
_ROW_MAJOR, _PLAIN, _TRANSPOSED = 101, 111, 112


def module(
    found: Schedule, places: Places, tile: emit.Tile = emit.WIDE, separate: bool = False
) -> tuple[str, list[str | Call]]:
    """The text of a module, and what to run: names of its functions, and calls between them. With `separate` every
    instruction has a function of its own, which can be timed.
    """
    kernels: dict[emit.Kernel, str] = {}
    declared: set[str] = set()
    definitions: list[str] = []
    parts: list[str | Call] = []
    lines: list[str] = []

    def close() -> None:
        if lines:
            name = f"part{len(parts)}"
            body = "\n".join(lines)
            # It only calls: to optimize it would take longer than everything else.
            definitions.append(f"define void @{name}(ptr %table) noinline optnone {{\n{body}\n  ret void\n}}\n")
            parts.append(name)
            lines.clear()

    for number, instruction in enumerate(found.instructions):
        if separate:
            close()
        if isinstance(instruction, Call):
            close()
            parts.append(instruction)
        elif isinstance(instruction, Loop):
            if not instruction.stores and not instruction.reductions:
                continue
            kernel, views = emit.kernel_of(instruction, lambda view: found.buffers[view.buffer].dtype)
            if kernel not in kernels:
                kernels[kernel] = f"loop{len(kernels)}"
                text, needs = emit.function(kernels[kernel], kernel, tile)
                definitions.append(text)
                declared |= needs
            arguments = [_pointer(lines, found, places, view, f"{number}.{i}") for i, view in enumerate(views)]
            lines.append(f"  call void @{kernels[kernel]}({', '.join(f'ptr {a}' for a in arguments)})")
        else:
            lines.extend(_product(found, places, instruction, number))
    close()
    return "\n".join([*sorted(declared), *definitions]), parts


def _pointer(lines: list[str], found: Schedule, places: Places, view: View, name: str) -> str:
    """The address of the first element of the view."""
    base, offset = places[view.buffer]
    offset += view.offset * emit.SIZE[found.buffers[view.buffer].dtype]
    lines.append(f"  %a{name} = getelementptr ptr, ptr %table, i64 {base}")
    lines.append(f"  %b{name} = load ptr, ptr %a{name}")
    lines.append(f"  %c{name} = getelementptr i8, ptr %b{name}, i64 {offset}")
    return f"%c{name}"


def _product(found: Schedule, places: Places, product: Product, number: int) -> Iterator[str]:
    """Calls of BLAS for every index of the leading axes."""
    dtype = found.buffers[product.result.buffer].dtype
    scalar, slot = emit.MEMORY[dtype], 0 if dtype == "float32" else 1
    one, zero = emit.literal(1.0, dtype), emit.literal(1.0 if product.accumulate else 0.0, dtype)
    lines: list[str] = []
    left, right, result = _flattened(product)
    base = [_pointer(lines, found, places, view, f"{number}.{i}") for i, view in enumerate((left, right, result))]
    yield from lines
    yield f"  %f{number} = getelementptr ptr, ptr %table, i64 {slot}"
    yield f"  %g{number} = load ptr, ptr %f{number}"
    (m, k), n = left.shape[-2:], right.shape[-1]
    (ta, lda), (tb, ldb) = _layout(left), _layout(right)
    signature = _GEMM.format(scalar)
    for place, index in enumerate(np.ndindex(*product.result.shape[:-2])):
        at = []
        for pointer, view, name in zip(base, (left, right, result), "xyz", strict=True):
            step = sum(i * s for i, s in zip(index, view.strides, strict=False))
            yield f"  %{name}{number}.{place} = getelementptr {scalar}, ptr {pointer}, i64 {step}"
            at.append(f"%{name}{number}.{place}")
        yield (
            f"  call {signature} %g{number}(i32 {_ROW_MAJOR}, i32 {ta}, i32 {tb}, i64 {m}, i64 {n}, i64 {k}, "
            f"{scalar} {one}, ptr {at[0]}, i64 {lda}, ptr {at[1]}, i64 {ldb}, {scalar} {zero}, ptr {at[2]}, i64 {n})"
        )


def _flattened(product: Product) -> tuple[View, View, View]:
    """The rows of all left matrices as those of one, if they lie behind one another and share the right one."""
    left, right, result = product.left, product.right, product.result
    *lead, m, k = left.shape
    apart = all(s == 0 or n == 1 for n, s in zip(right.shape[:-2], right.strides[:-2], strict=True))
    if lead and apart and left.strides[-1] == 1 and not product.accumulate:
        joined = schedule.reshaped(View(left.buffer, left.offset, (*lead, m), left.strides[:-1]), (_size(lead) * m,))
        if joined is not None:
            rows = _size(lead) * m
            left = View(left.buffer, left.offset, (rows, k), (*joined.strides, 1))
            right = View(right.buffer, right.offset, right.shape[-2:], right.strides[-2:])
            result = View(result.buffer, result.offset, (rows, result.shape[-1]), result.strides[-2:])
    return left, right, result


def _size(shape: Sequence[int]) -> int:
    result = 1
    for n in shape:
        result *= n
    return result


def _layout(view: View) -> tuple[int, int]:
    """How BLAS reads the matrices of the view: plain or transposed, and the leading dimension."""
    (m, n), (row, column) = view.shape[-2:], view.strides[-2:]
    if (column == 1 or n == 1) and (row >= n or m == 1):
        return _PLAIN, max(row, n, 1) if m > 1 else max(n, 1)
    return _TRANSPOSED, max(column, m, 1) if n > 1 else max(m, 1)
