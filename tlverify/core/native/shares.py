"""What each of several threads does of a schedule.

An instruction is cut along an axis whose indices have results of their own, so that no sum is cut: bits do not depend
on the number of threads. Threads wait for one another only where one touches what another one wrote, or writes what
another one touched.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tlverify.core.native import emit
from tlverify.core.native.schedule import Call, Instruction, Loop, Product, Schedule, View, reshaped

Places = Mapping[int, tuple[int, int]]
"""Of a buffer: a base, and its offset from that in bytes. What has different bases does not overlap."""
Round = list[list[Instruction]]
"""For each thread what it does before it waits for all others."""

SMALLEST_SHARE = 1 << 14  # work of an instruction below which one thread does it alone
SMALLEST_RUN = 1 << 21  # work of a whole schedule below which another thread is not worth waking
WORK_OF_PRODUCT = 0.25  # of a multiplication in a sum of products
VECTORS = 64  # elements of the last axis that stay together
PARTS, PART = 4, 64  # of a matrix product, however many threads there are; and rows or columns of a part at least


def work(instruction: Instruction) -> float:
    """How many elements are read, made or written, about."""
    if isinstance(instruction, Loop):
        if instruction.reductions and not instruction.stores and len(instruction.statements) == 1:
            return math.prod(instruction.domain) * WORK_OF_PRODUCT
        each = len(instruction.statements) + len(instruction.loads) + len(instruction.stores)
        return float(math.prod(instruction.domain) * each)
    if isinstance(instruction, Product):
        return math.prod(instruction.result.shape) * instruction.left.shape[-1] * WORK_OF_PRODUCT
    return 0.0


def worthwhile(found: Schedule, threads: int) -> int:
    """How many of the threads the schedule is to have."""
    return threads if sum(map(work, found.instructions)) >= SMALLEST_RUN else 1


def rounds(found: Schedule, places: Places, threads: int) -> list[Call | list[Round]]:
    """The schedule as calls, which one thread makes while the others rest, and rounds between them."""
    result: list[Call | list[Round]] = []
    run: list[Round] = []
    seen: list[list[_Touched]] = []  # in the last round, by each thread
    for instruction in found.instructions:
        if isinstance(instruction, Call):
            result.extend([run] if run else [])
            result.append(instruction)
            run = []
            continue
        shares = split(instruction, threads)
        touched = [[_Touched.of(found, places, one) for one in share] for share in shares]
        if not run or _conflict(seen, touched):
            run.append([[] for _ in range(threads)])
            seen = [[] for _ in range(threads)]
        for mine, share, theirs, more in zip(run[-1], shares, seen, touched, strict=True):
            mine += share
            theirs += more
    return [*result, run] if run else result


# Who touches what.

Span = tuple[int, int, int]
"""A base, and the first byte and the one after the last."""


class _Touched:
    """The memory that an instruction reads, and that it writes."""

    def __init__(self, reads: Sequence[Span], writes: Sequence[Span]):
        self.reads, self.writes = reads, writes

    @classmethod
    def of(cls, found: Schedule, places: Places, instruction: Instruction) -> _Touched:
        def span(view: View) -> Span:
            base, start = places[view.buffer]
            size = emit.SIZE[found.buffers[view.buffer].dtype]
            low = high = view.offset
            for n, s in zip(view.shape, view.strides, strict=True):
                steps = s if isinstance(s, tuple) else (0, s * (n - 1))
                low, high = low + min(steps), high + max(steps)
            return base, start + low * size, start + (high + 1) * size

        if isinstance(instruction, Loop):
            domain = instruction.domain
            reads = [span(replace(view, shape=domain)) for view in instruction.loads]
            writes = [span(replace(view, shape=domain)) for _, view in instruction.stores]
            writes += [span(emit.spread(view, instruction)) for _, _, view in instruction.reductions]
            return cls(reads, writes)
        assert isinstance(instruction, Product)
        return cls([span(instruction.left), span(instruction.right)], [span(instruction.result)])


def _conflict(seen: Sequence[Sequence[_Touched]], now: Sequence[Sequence[_Touched]]) -> bool:
    """Whether a thread writes what another one has touched, or touches what another one has written."""
    for mine, new in enumerate(now):
        for other, old in enumerate(seen):
            if mine == other:
                continue
            for a in new:
                for b in old:
                    if _overlap(a.writes, b.writes) or _overlap(a.reads, b.writes) or _overlap(a.writes, b.reads):
                        return True
    return False


def _overlap(some: Sequence[Span], others: Sequence[Span]) -> bool:
    return any(base == of and low < stop and start < high for base, low, high in some for of, start, stop in others)


# How an instruction is cut.


def split(instruction: Instruction, threads: int) -> list[list[Instruction]]:
    """For each thread its share."""
    if isinstance(instruction, Product):
        return _dealt(_parts(_flattened(instruction)), threads)
    if threads > 1 and isinstance(instruction, Loop) and work(instruction) >= SMALLEST_SHARE:
        axis, unit = _axis(instruction, threads)
        if axis is not None:
            count = instruction.domain[axis] // unit
            ends = [
                instruction.domain[axis] if k == threads else count * k // threads * unit for k in range(threads + 1)
            ]
            return [[_cut(instruction, axis, a, b - a)] for a, b in itertools.pairwise(ends)]
    return [[instruction], *([] for _ in range(threads - 1))]


def _dealt(parts: Sequence[Instruction], threads: int) -> list[list[Instruction]]:
    ends = [len(parts) * k // threads for k in range(threads + 1)]
    return [list(parts[a:b]) for a, b in itertools.pairwise(ends)]


def _axis(loop: Loop, threads: int) -> tuple[int | None, int]:
    """The axis to cut, the most even, and of those the first one; and how many of its elements stay together."""
    results = [view for _, view in loop.stores]
    sums = [emit.spread(view, loop) for _, _, view in loop.reductions]
    written = {view.buffer for view in [*results, *sums]}
    if any(view.buffer in written and view not in results for view in loop.loads):
        return None, 1  # it reads what it writes elsewhere
    if not all(_apart(view, loop) for view in [*results, *sums]):
        return None, 1
    best: tuple[float, int | None, int] = 2.0, None, 1
    over = loop.over if loop.reductions else ()
    last = len(loop.domain) - 1
    for axis, n in enumerate(loop.domain):
        unit = VECTORS if axis == last else 1
        least = n // unit // threads  # of a share, in units
        # A share of one element would be an axis less, and then a sum over the last axis might have another order.
        if axis in over or least * unit < 2:
            continue
        if any(isinstance(view.strides[axis], tuple) for view in [*loop.loads, *results, *sums]):
            continue
        if any(view.strides[axis] == 0 for view in [*results, *sums]):
            continue
        most = -(-(n // unit) // threads) * unit + n % unit
        uneven = most * threads / n
        if uneven < best[0] - 0.02:
            best = uneven, axis, unit
    return best[1:]


def _apart(view: View, loop: Loop) -> bool:
    """Whether each index that is not summed over has an element of its own, but for strides of 0."""
    if any(isinstance(stride, tuple) for stride in view.strides):
        return False
    reach = 0
    for stride, n in sorted((abs(s), n) for s, n in zip(view.strides, loop.domain, strict=True) if s and n > 1):
        if stride <= reach:
            return False
        reach += stride * (n - 1)
    return True


def _cut(loop: Loop, axis: int, start: int, count: int) -> Loop:
    """The loop over `count` indices of an axis, from `start` on."""

    def moved(view: View, axis: int) -> View:
        return replace(view, offset=view.offset + start * view.strides[axis])

    inner = axis - sum(1 for other in loop.over if other < axis)
    return replace(
        loop,
        domain=(*loop.domain[:axis], count, *loop.domain[axis + 1 :]),
        loads=[moved(view, axis) for view in loop.loads],
        stores=[(operand, moved(view, axis)) for operand, view in loop.stores],
        reductions=[(kind, operand, moved(view, inner)) for kind, operand, view in loop.reductions],
    )


def _parts(product: Product) -> list[Instruction]:
    """A matrix product by blocks of its rows, or columns, or by matrices: always the same ones."""
    *lead, m, n = product.result.shape
    if lead:
        return [
            replace(product, left=_at(product.left, i), right=_at(product.right, i), result=_at(product.result, i))
            for i in range(lead[0])
        ]
    count = max(1, min(PARTS, max(m, n) // PART))
    ends = [max(m, n) * k // count for k in range(count + 1)]
    if m >= n:
        return [
            replace(product, left=_range(product.left, 0, a, b), result=_range(product.result, 0, a, b))
            for a, b in itertools.pairwise(ends)
        ]
    return [
        replace(product, right=_range(product.right, 1, a, b), result=_range(product.result, 1, a, b))
        for a, b in itertools.pairwise(ends)
    ]


def _at(view: View, index: int) -> View:
    return View(view.buffer, view.offset + index * view.strides[0], view.shape[1:], view.strides[1:])


def _range(view: View, axis: int, start: int, stop: int) -> View:
    shape = tuple(stop - start if a == axis else n for a, n in enumerate(view.shape))
    return replace(view, offset=view.offset + start * view.strides[axis], shape=shape)


def _flattened(product: Product) -> Product:
    """The rows of all left matrices as those of one, if they lie behind one another and share the right one."""
    left, right, result = product.left, product.right, product.result
    *lead, m, k = left.shape
    apart = all(s == 0 or n == 1 for n, s in zip(right.shape[:-2], right.strides[:-2], strict=True))
    if lead and apart and left.strides[-1] == 1 and not product.accumulate:
        rows = math.prod(lead) * m
        joined = reshaped(View(left.buffer, left.offset, (*lead, m), left.strides[:-1]), (rows,))
        if joined is not None:
            return Product(
                View(left.buffer, left.offset, (rows, k), (*joined.strides, 1)),
                View(right.buffer, right.offset, right.shape[-2:], right.strides[-2:]),
                View(result.buffer, result.offset, (rows, result.shape[-1]), result.strides[-2:]),
            )
    return product
