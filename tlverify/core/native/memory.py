"""Memory: aligned arrays, their addresses, and where the scratch buffers of a schedule lie."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlverify.core.native import emit
from tlverify.core.native.schedule import Schedule, views_of

ALIGN = 64


def aligned(size: int) -> Any:
    """Memory of so many bytes that begins at a multiple of ALIGN."""
    memory = np.empty(size + ALIGN, np.uint8)
    start = -address(memory) % ALIGN
    return memory[start : start + size]


def address(array: Any) -> int:
    """Of its first element."""
    return int(array.__array_interface__["data"][0])


def arena(found: Schedule) -> tuple[dict[int, int], int]:
    """A place for every scratch buffer such that buffers that live at the same time are apart, and the total size."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for number, instruction in enumerate(found.instructions):
        for view in views_of(instruction):
            first.setdefault(view.buffer, number)
            last[view.buffer] = number
    chosen = [b for b, buffer in enumerate(found.buffers) if buffer.kind == "scratch" and b in first]
    bytes_of = {b: -(-found.buffers[b].size * emit.SIZE[found.buffers[b].dtype] // ALIGN) * ALIGN for b in chosen}
    placed: list[tuple[int, int, int]] = []  # start, stop, buffer
    offsets = {b: 0 for b, buffer in enumerate(found.buffers) if buffer.kind == "scratch"}
    for b in sorted(chosen, key=lambda b: -bytes_of[b]):
        start = 0
        for low, high, other in sorted(placed):
            if last[other] < first[b] or first[other] > last[b]:
                continue
            if low - start >= bytes_of[b]:
                break
            start = max(start, high)
        offsets[b] = start
        placed.append((start, start + bytes_of[b], b))
    return offsets, max((high for _, high, _ in placed), default=0)
