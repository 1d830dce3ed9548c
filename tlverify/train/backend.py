"""Where the arrays of a training lie, and what runs a whole step there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from tlverify.graph import TlverifyError
from tlverify.train.packed import Host, Layout, PackedState, Store
from tlverify.train.planned import PlannedStep
from tlverify.train.whole import WholeStep


class WholeProgram(Protocol):
    """A step that runs as one. `reads` tells for each leaf of the arguments whether anything depends on it, and `scans`
    whether it has `scan(state, arrays, rates)`: leaves with one more leading axis, and a rate for each step."""

    reads: list[bool]
    scans: bool

    def __call__(self, state: PackedState, arrays: Sequence[Any], lr: float) -> tuple[PackedState, float]: ...


class SeveralProgram(Protocol):
    """A step of several batches: the leaves of the arguments of each, and their losses."""

    reads: list[bool]

    def __call__(
        self, state: PackedState, arrays: Sequence[Sequence[Any]], lr: float
    ) -> tuple[PackedState, list[float]]: ...


@dataclass(frozen=True)
class Backend:
    """`to_device` makes an array of the backend; `store` is where states lie that programs read and write: those of
    the executions native and compiled, and for several batches, of gradient_step and update_step. What has no program
    is run by the gradient's plan, and by the optimizer."""

    to_device: Callable[[Any], Any]
    store: Callable[[], Store]
    native: Callable[[WholeStep, Layout], WholeProgram]
    several: Callable[[WholeStep, WholeStep, Layout], SeveralProgram] | None = None
    compiled: Callable[[WholeStep, Layout], WholeProgram] | None = None


def _machine_code(whole: WholeStep, layout: Layout, winograd: bool = False) -> WholeProgram:
    from tlverify.train.compiled import CompiledStep  # it needs llvmlite

    return CompiledStep(whole, layout, winograd)


def _accumulated(gradient: WholeStep, update: WholeStep, layout: Layout, winograd: bool = False) -> SeveralProgram:
    from tlverify.train.compiled import AccumulatedStep

    return AccumulatedStep(gradient, update, layout, winograd)


def _recorded(whole: WholeStep, layout: Layout) -> WholeProgram:
    from tlverify.core.cuda.device import gpu
    from tlverify.train.recorded import RecordedStep

    return RecordedStep(whole, layout, gpu())


def _gpu_memory() -> Store:
    from tlverify.core.cuda.device import gpu

    return gpu()


def _cupy() -> Backend:
    try:
        import cupy
    except ImportError:
        raise TlverifyError("Trainer: backend cupy: needs CuPy: pip install 'tlverify[gpu]'") from None
    return Backend(cupy.asarray, _gpu_memory, _recorded)


HOST = Backend(np.asarray, Host, _machine_code, _accumulated, PlannedStep)
WINOGRAD = replace(HOST, native=partial(_machine_code, winograd=True), several=partial(_accumulated, winograd=True))
"""The host, with convolutions by Winograd's products in native execution"""
BACKENDS: Mapping[str, Callable[[], Backend]] = {"numpy": lambda: HOST, "cupy": _cupy}
