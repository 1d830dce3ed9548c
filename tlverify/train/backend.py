"""Where the arrays of a training lie, and what runs a whole step there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tlverify.graph import TlverifyError
from tlverify.train.packed import Host, Layout, PackedState, Store
from tlverify.train.whole import WholeStep


class SeveralProgram(Protocol):
    """A step of several batches: the leaves of the arguments of each, and their losses."""

    reads: list[bool]

    def __call__(
        self, state: PackedState, arrays: Sequence[Sequence[Any]], lr: float
    ) -> tuple[PackedState, list[float]]: ...


class WholeProgram(Protocol):
    """A step that runs as one. `reads` tells for each leaf of the arguments whether anything depends on it, `scans`
    whether it has `scan`, which takes leaves with one more leading axis, and a rate for each step."""

    reads: list[bool]
    scans: bool

    def __call__(self, state: PackedState, arrays: Sequence[Any], lr: float) -> tuple[PackedState, float]: ...

    def scan(self, state: PackedState, arrays: Sequence[Any], rates: Any) -> tuple[PackedState, Any]: ...


@dataclass(frozen=True)
class Backend:
    """`to_device` makes an array of the backend; `store` is where states lie that `program` reads and writes, and so
    does `several`, of gradient_step and update_step, where the backend has it."""

    to_device: Callable[[Any], Any]
    store: Callable[[], Store]
    program: Callable[[WholeStep, Layout], WholeProgram]
    several: Callable[[WholeStep, WholeStep, Layout], SeveralProgram] | None = None


def _machine_code(whole: WholeStep, layout: Layout) -> WholeProgram:
    from tlverify.train.compiled import CompiledStep  # it needs llvmlite

    return CompiledStep(whole, layout)


def _accumulated(gradient: WholeStep, update: WholeStep, layout: Layout) -> SeveralProgram:
    from tlverify.train.compiled import AccumulatedStep

    return AccumulatedStep(gradient, update, layout)


def _cupy() -> Backend:
    try:
        import cupy
    except ImportError:
        raise TlverifyError("Trainer: backend cupy: needs CuPy: pip install 'tlverify[gpu]'") from None
    return Backend(cupy.asarray, Host, _machine_code)


HOST = Backend(np.asarray, Host, _machine_code, _accumulated)
BACKENDS: Mapping[str, Callable[[], Backend]] = {"numpy": lambda: HOST, "cupy": _cupy}
