"""Threads that run machine code beside the one that asks.

Each has a box in memory: its state, the code of a job, and the table of addresses that this takes. After a job a thread
looks out for the next one for about a millisecond, then it sleeps by reading from a file. All that is machine code: it
does without Python's lock, and Ctrl-C cannot come between.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from tlverify.core.native import machine
from tlverify.core.native.memory import address, aligned

LINE = 128  # bytes of a box, so that no two share a line of the cache
PATIENCE = 2000  # looks into a box, or at a count, before somebody else may have the processor
LOOKS = 6000  # before a thread sleeps
PAUSE = 6  # times as long as the last run with the others it goes without them, where these only hinder

_lock = threading.Lock()  # of who gives out jobs, until they are done: a box holds one
_boxes: list[Any] = []

# A box: state (0 nothing, 1 a job, 2 asleep), code, table, rest(), read(), write(), and where to read and write.
# go(jobs, n, code, table): `jobs` are n pairs of a box and code; the last code is run here.
_TEXT = """{declaration}
define void @go(ptr %jobs, i64 %n, ptr %code, ptr %table) {{
entry:
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %post, label %run
post:
  %i = phi i64 [ 0, %entry ], [ %next, %posted ]
  %at = mul i64 %i, 2
  %p = getelementptr ptr, ptr %jobs, i64 %at
  %box = load ptr, ptr %p
  %q = getelementptr ptr, ptr %p, i64 1
  %job = load ptr, ptr %q
  %a = getelementptr i64, ptr %box, i64 1
  store ptr %job, ptr %a
  %b = getelementptr i64, ptr %box, i64 2
  store ptr %table, ptr %b
  %before = atomicrmw xchg ptr %box, i64 1 seq_cst
  %asleep = icmp eq i64 %before, 2
  br i1 %asleep, label %wake, label %posted
wake:
  %c = getelementptr i64, ptr %box, i64 5
  %write = load ptr, ptr %c
  %d = getelementptr i64, ptr %box, i64 7
  %end = load i32, ptr %d
  %written = call i64 %write(i32 %end, ptr %box, i64 8)
  br label %posted
posted:
  %next = add i64 %i, 1
  %all = icmp eq i64 %next, %n
  br i1 %all, label %run, label %post
run:
  call void %code(ptr %table)
  ret void
}}
define void @serve(ptr %box) {{
entry:
  %c = getelementptr i64, ptr %box, i64 3
  %rest = load ptr, ptr %c
  %d = getelementptr i64, ptr %box, i64 4
  %read = load ptr, ptr %d
  %e = getelementptr i64, ptr %box, i64 6
  %end = load i32, ptr %e
  %rubbish = alloca i64
  br label %look
look:
  %looks = phi i64 [ {looks}, %entry ], [ 0, %job ], [ %more, %spin ], [ %more, %yield ], [ {looks}, %sleep ]
  %state = load atomic i64, ptr %box seq_cst, align 8
  %there = icmp eq i64 %state, 1
  br i1 %there, label %job, label %none
job:
  %a = getelementptr i64, ptr %box, i64 1
  %code = load ptr, ptr %a
  %b = getelementptr i64, ptr %box, i64 2
  %table = load ptr, ptr %b
  store atomic i64 0, ptr %box seq_cst, align 8
  call void %code(ptr %table)
  br label %look
none:
  %more = add i64 %looks, 1
  %tired = icmp ugt i64 %more, {looks}
  br i1 %tired, label %tire, label %wait
wait:
{patiently}
tire:
  %pair = cmpxchg ptr %box, i64 0, i64 2 seq_cst seq_cst
  %found = extractvalue {{ i64, i1 }} %pair, 0
  %came = icmp eq i64 %found, 1
  br i1 %came, label %job, label %sleep
sleep:
  %got = call i64 %read(i32 %end, ptr %rubbish, i64 8)
  br label %look
}}
"""


def patiently() -> str:
    """The text that leads back to the label look, after a rest if there were many looks."""
    pause = machine.pause()[1]
    return f"""  %long = icmp ugt i64 %more, {PATIENCE}
  br i1 %long, label %yield, label %spin
spin:
  {pause}
  br label %look
yield:
  %ignored = call i32 %rest()
  br label %look"""


def count() -> int:
    """OMP_NUM_THREADS, which NumPy's BLAS and PyTorch read as well, or the processors that this process may use."""
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if given.isdecimal() and int(given) > 0:
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(codes: Sequence[int], table: int, arrived: Any) -> None:
    """Functions at these addresses, of the table: the first one here, the others on threads of their own. They end
    together, by the count `arrived`, which begins at 0."""
    go, serve, _ = _functions()
    with _lock:
        while len(_boxes) < len(codes) - 1:
            box = aligned(LINE).view(np.int64)
            box[:8] = [0, 0, 0, *machine.system(), *_ends()]
            name = f"tlverify-{len(_boxes) + 1}"
            threading.Thread(target=serve, args=(address(box),), name=name, daemon=True).start()
            _boxes.append(box)
        first, *others = codes
        jobs = [word for box, code in zip(_boxes, others, strict=False) for word in (address(box), code)]
        arrived[0] = 0
        go((ctypes.c_int64 * len(jobs))(*jobs), len(others), first, table)


@dataclass
class Pace:
    """Whether to take all threads or one, by the seconds that runs took: where other processes want the processors,
    threads wait for one another longer than they gain."""

    threads: int
    together: deque[float] = field(default_factory=lambda: deque(maxlen=3))
    alone: deque[float] = field(default_factory=lambda: deque(maxlen=3))
    best: float = inf  # of those together
    left: float = 0.0  # seconds of runs alone before the others are tried again

    def choose(self) -> bool:
        """Whether the next run is to be together."""
        return self.left <= 0

    def note(self, together: bool, seconds: float) -> None:
        if not together:
            self.alone.append(seconds)
            self.left -= seconds
            return
        self.together.append(seconds)
        self.best = min(self.best, seconds)
        if len(self.together) == 3 and min(self.together) > min(self.alone, default=self.threads * self.best):
            self.left = PAUSE * seconds


def _ends() -> tuple[int, int]:
    """What a thread reads from to sleep, and what to write to for waking it. A pipe would wake it on the processor of
    the one who writes, where Linux has a choice."""
    if hasattr(os, "eventfd"):
        end = os.eventfd(0)
        return end, end
    return os.pipe()


@functools.cache
def _functions() -> tuple[Any, Any, Any]:
    """go, serve, and what keeps them."""
    text = _TEXT.format(declaration=machine.pause()[0], patiently=patiently(), looks=LOOKS)
    engine, pointer = machine.engine(text, machine.host()), ctypes.c_void_p
    go = ctypes.CFUNCTYPE(None, pointer, ctypes.c_int64, pointer, pointer)(engine.get_function_address("go"))
    return go, ctypes.CFUNCTYPE(None, pointer)(engine.get_function_address("serve")), engine


def _forked() -> None:
    """A process that was forked has none of the threads."""
    global _lock
    _boxes.clear()
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
