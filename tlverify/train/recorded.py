"""A step of training on a GPU: kernels and matrix products recorded once, and launched as one."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from tlverify.core.cuda.program import Device, compile_code
from tlverify.train.packed import Layout, PackedState, packed_state
from tlverify.train.whole import WholeStep


class RecordedStep:
    """`state, loss = step(state, arrays, lr)` for states of the layout, which lie on the device, and leaves of
    arguments of the step's types: numbers or arrays of the host or the device. `reads` tells for each of these whether
    anything depends on it."""

    scans = False

    def __init__(self, whole: WholeStep, layout: Layout, device: Device):
        self.whole, self.layout, self.device, self._lock = whole, layout, device, threading.Lock()
        self.code = compile_code(whole.graph, whole.inputs, whole.outputs, device)
        self.reads = whole.read(self.code.reads)
        sizes = [math.prod(type_.shape) * np.dtype(type_.dtype).itemsize for type_ in whole.given]
        self._numbers: Any = np.empty(8 * whole.count, np.uint8)
        self._kept, self._places = zip(*map(device.memory, (8, 8 * whole.count, *sizes)), strict=True)

    def __call__(self, state: PackedState, arrays: Sequence[Any], lr: float) -> tuple[PackedState, float]:
        device, count = self.device, self.whole.count
        loss, numbers, *given = self._places
        after = self.layout.memory()
        with self._lock:
            values = self.whole.evaluate(lr, *state.numbers)
            self.whole.format.pack_into(self._numbers, 0, *values[:count])
            device.write(numbers, self._numbers)
            for array, type_, place, read in zip(arrays, self.whole.given, given, self.reads, strict=True):
                if read:
                    array = array if hasattr(array, "astype") else np.asarray(array)
                    device.write(place, array.astype(type_.dtype, copy=False))
            self.code.run((state.memory.address, loss, after.address, numbers, *given))
            told = float(device.read(loss, 1, self.whole.loss_type)[0])
        return packed_state(state.step + 1, self.layout, after, values[count:]), told
