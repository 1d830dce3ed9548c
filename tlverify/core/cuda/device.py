"""The GPU, by CuPy; matrix products by cuBLAS itself, since CuPy's do not let themselves be recorded."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tlverify.core.cuda.program import Gemm, Launch
from tlverify.graph import TlverifyError, Type

OPTIONS = ("-std=c++17", "-fmad=false")
WORKSPACE = 1 << 25  # bytes that NVIDIA recommends for Hopper
_PLAIN, _TURNED = 0, 1
_DEFAULT_MATH, _TF32 = 0, 3
_POINTER, _LONG = ctypes.c_void_p, ctypes.c_longlong


class Gpu:
    """The current device. Its queue waits for what the default stream was told before, and the other way round."""

    def __init__(self) -> None:
        import cupy

        self.cupy = cupy
        self.stream = cupy.cuda.Stream()
        self.blas = _library(cupy)
        self.handle = _POINTER()
        self.call("cublasCreate_v2", ctypes.byref(self.handle))
        self.call("cublasSetStream_v2", self.handle, _POINTER(self.stream.ptr))
        self.workspace, address = self.memory(WORKSPACE)
        self.call("cublasSetWorkspace_v2", self.handle, _POINTER(address), ctypes.c_size_t(WORKSPACE))
        mode = _TF32 if os.environ.get("CUPY_TF32") == "1" else _DEFAULT_MATH
        self.call("cublasSetMathMode", self.handle, mode)

    def call(self, name: str, *args: Any) -> None:
        status = getattr(self.blas, name)(*args)
        if status:
            raise TlverifyError(f"{name} of cuBLAS failed with status {status}")

    def memory(self, size: int) -> tuple[Any, int]:
        array = self.cupy.zeros(max(size, 1), np.uint8)
        return array, array.data.ptr

    def write(self, address: int, array: Any) -> None:
        if isinstance(array, np.ndarray | np.generic):
            array, kind = np.ascontiguousarray(array), self.cupy.cuda.runtime.memcpyHostToDevice
            source = array.ctypes.data
        else:
            array, kind = self.cupy.ascontiguousarray(array), self.cupy.cuda.runtime.memcpyDeviceToDevice
            source = array.data.ptr
        if array.nbytes:
            self.cupy.cuda.runtime.memcpyAsync(address, source, array.nbytes, kind, self.stream.ptr)

    def read(self, address: int, size: int, dtype: Any) -> Any:
        array, runtime = np.empty(size, dtype), self.cupy.cuda.runtime
        runtime.memcpyAsync(array.ctypes.data, address, array.nbytes, runtime.memcpyDeviceToHost, self.stream.ptr)
        self.stream.synchronize()
        return array

    def view(self, memory: Any, offset: int, type_: Type) -> Any:
        return self.cupy.ndarray(type_.shape, type_.dtype, memory.data + offset)

    def array(self, address: int, size: int, dtype: Any) -> Any:
        memory = self.cupy.cuda.UnownedMemory(address, max(size, 1) * dtype.itemsize, self)
        return self.cupy.ndarray(size, dtype, self.cupy.cuda.MemoryPointer(memory, 0))

    def build(self, text: str) -> Callable[[str], Any]:
        module = self.cupy.RawModule(code=text, options=OPTIONS)
        return functools.lru_cache(maxsize=None)(module.get_function)

    def launch(self, function: Any, grid: int, block: int, addresses: Sequence[int]) -> None:
        with self.stream:
            function((grid,), (block,), tuple(map(np.uint64, addresses)))

    def multiply(self, gemm: Gemm, left: int, right: int, result: int) -> None:
        """Row-major matrices are transposed ones of cuBLAS: result' = right' left'."""
        scalar = ctypes.c_float if gemm.dtype == "float32" else ctypes.c_double
        name = f"cublas{'S' if gemm.dtype == 'float32' else 'D'}gemmStridedBatched"
        (m, k, n), (a_turned, b_turned), (lda, ldb, ldc) = gemm.size, gemm.turned, gemm.leading
        alpha, beta = scalar(1.0), scalar(1.0 if gemm.add else 0.0)
        a = _POINTER(left), lda, _LONG(gemm.steps[0])
        b = _POINTER(right), ldb, _LONG(gemm.steps[1])
        c = _POINTER(result), ldc, _LONG(gemm.steps[2])
        how = _TURNED if b_turned else _PLAIN, _TURNED if a_turned else _PLAIN
        factors = *b, *a, ctypes.byref(beta), *c
        self.call(name, self.handle, *how, n, m, k, ctypes.byref(alpha), *factors, gemm.count)

    def record(self, do: Launch) -> Launch:
        do()  # what is loaded on first use cannot be loaded while recording
        self.stream.synchronize()
        self.stream.begin_capture()
        try:
            do()
        finally:
            graph = self.stream.end_capture()
        return lambda: graph.launch(self.stream)


@functools.cache
def gpu() -> Gpu:
    """The one of this process."""
    return Gpu()


def _library(cupy: Any) -> Any:
    """The cuBLAS that CuPy has loaded."""
    cupy.cuda.device.get_cublas_handle()
    major = cupy.cuda.runtime.runtimeGetVersion() // 1000
    try:
        return ctypes.CDLL(f"libcublas.so.{major}")
    except OSError:
        raise TlverifyError(f"libcublas.so.{major} is not found; pip install 'cupy-cuda{major}x[ctk]'") from None
