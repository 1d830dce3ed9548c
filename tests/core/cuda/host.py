"""A device for tests without a GPU: kernels compiled as C++ by g++, run thread after thread on the processor."""

from __future__ import annotations

import ctypes
import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tlverify.core.native.memory import aligned

SHIM = r"""
#include <cmath>
#include <cstring>
#include <ucontext.h>
#include <vector>
using namespace std;
#define __device__
#define __global__
#define __shared__ static
#define __launch_bounds__(n)
struct Index { unsigned x; };
static Index threadIdx, blockIdx;
static double __longlong_as_double(long long bits) { double x; memcpy(&x, &bits, 8); return x; }

// Threads of a block that wait for one another run as coroutines.
static ucontext_t scheduler;
static vector<ucontext_t> threads;
static vector<bool> ended;
static unsigned current;
static void (*body)();
static void __syncthreads() { swapcontext(&threads[current], &scheduler); }
static void enter() { unsigned mine = current; body(); ended[mine] = true; swapcontext(&threads[mine], &scheduler); }
static void run_block(unsigned block) {
  static vector<vector<char>> stacks;
  threads.resize(block); ended.assign(block, false); stacks.resize(block);
  for (unsigned t = 0; t < block; t++) {
    stacks[t].resize(1 << 16);
    getcontext(&threads[t]);
    threads[t].uc_stack.ss_sp = stacks[t].data();
    threads[t].uc_stack.ss_size = stacks[t].size();
    makecontext(&threads[t], enter, 0);
  }
  for (bool any = true; any;) {
    any = false;
    for (current = 0; current < block; current++)
      if (!ended[current]) { any = true; threadIdx.x = current; swapcontext(&scheduler, &threads[current]); }
  }
}
static void** given;
static void run(void (*what)(), bool waits, unsigned grid, unsigned block, void** pointers) {
  body = what; given = pointers;
  for (blockIdx.x = 0; blockIdx.x < grid; blockIdx.x++)
    if (waits) run_block(block);
    else for (threadIdx.x = 0; threadIdx.x < block; threadIdx.x++) body();
}
"""
SIGNATURE = re.compile(r'extern "C" __global__ void __launch_bounds__\(\d+\) (\w+)\((.*?)\) \{\n(.*?)\n\}', re.S)


def as_cpp(text: str) -> str:
    """The kernels with a function `run_NAME(grid, block, pointers)` for each."""
    parts = [SHIM, text]
    for name, arguments, lines in SIGNATURE.findall(text):
        types = [one.split("*")[0] for one in arguments.split(", ")]
        values = ", ".join(f"({type_}*)given[{i}]" for i, type_ in enumerate(types))
        waits = str("__syncthreads" in lines).lower()
        parts.append(f"static void call_{name}() {{ {name}({values}); }}")
        parts.append(
            f'extern "C" void run_{name}(unsigned grid, unsigned block, void** p) '
            f"{{ run(call_{name}, {waits}, grid, block, p); }}"
        )
    return "\n".join(parts)


class Host:
    """Memory is NumPy's; what is recorded is run again."""

    def memory(self, size: int) -> tuple[Any, int]:
        array = aligned(max(size, 1))
        array[...] = 0
        return array, array.ctypes.data

    def view(self, memory: Any, offset: int, type_: Any) -> Any:
        return np.ndarray(type_.shape, type_.dtype, memory, offset)

    def write(self, address: int, array: Any) -> None:
        array = np.ascontiguousarray(array)
        ctypes.memmove(address, array.ctypes.data, array.nbytes)

    def array(self, address: int, size: int, dtype: Any) -> Any:
        memory = (ctypes.c_byte * (size * dtype.itemsize)).from_address(address)
        return np.frombuffer(memory, dtype)

    def read(self, address: int, size: int, dtype: Any) -> Any:
        return self.array(address, size, dtype).copy()

    def build(self, text: str) -> Callable[[str], Any]:
        with tempfile.TemporaryDirectory() as folder:
            source, library = Path(folder, "kernels.cpp"), Path(folder, "kernels.so")
            source.write_text(as_cpp(text))
            flags = ["-std=c++17", "-O1", "-ffp-contract=off", "-fPIC", "-shared", "-w", "-mfma"]
            subprocess.run(["g++", *flags, str(source), "-o", str(library)], check=True)
            loaded = ctypes.CDLL(str(library))
        return lambda name: getattr(loaded, f"run_{name}")

    def launch(self, function: Any, grid: int, block: int, addresses: Any) -> None:
        function(grid, block, (ctypes.c_void_p * len(addresses))(*addresses))

    def multiply(self, gemm: Any, left: int, right: int, result: int) -> None:
        (m, k, n), dtype = gemm.size, np.dtype(gemm.dtype)
        shapes = [(m, k), (k, n), (m, n)]
        turned = [*gemm.turned, False]
        for i in range(gemm.count):
            a, b, c = (
                self.matrix(address + i * step * dtype.itemsize, shape, lead, flag, dtype)
                for address, step, shape, lead, flag in zip(
                    (left, right, result), gemm.steps, shapes, gemm.leading, turned, strict=True
                )
            )
            c[...] = a @ b + c if gemm.add else a @ b

    def matrix(self, address: int, shape: Any, lead: int, turned: bool, dtype: Any) -> Any:
        rows, columns = shape[::-1] if turned else shape
        flat = self.array(address, (rows - 1) * lead + columns, dtype)
        found = np.lib.stride_tricks.as_strided(flat, (rows, columns), (lead * dtype.itemsize, dtype.itemsize))
        return found.T if turned else found

    def record(self, do: Callable[[], None]) -> Callable[[], None]:
        do()
        return do
