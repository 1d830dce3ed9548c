"""What the machine has: LLVM for its processor, and NumPy's BLAS."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import platform
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from tlverify.core.native import cache
from tlverify.core.native.emit import NARROW, WIDE, Tile
from tlverify.graph import TlverifyError


class NativeError(TlverifyError):
    """This machine cannot run machine code that is made here."""


@dataclass(frozen=True)
class Blas:
    """NumPy's OpenBLAS: the addresses of sgemm and dgemm with 64-bit sizes, and how many threads it may take."""

    sgemm: int
    dgemm: int
    threads: Callable[[], int]
    take: Callable[[int], None]


@functools.cache
def blas() -> Blas:
    folder = Path(np.__file__).parent
    for place in (folder.parent / "numpy.libs", folder / ".dylibs"):
        for path in sorted(place.glob("*openblas*")):
            library = ctypes.CDLL(str(path))
            names = ("cblas_sgemm", "cblas_dgemm", "openblas_get_num_threads", "openblas_set_num_threads")
            if all(hasattr(library, f"scipy_{name}64_") for name in names):
                sgemm, dgemm, threads, take = (getattr(library, f"scipy_{name}64_") for name in names)
                first, second = (ctypes.cast(one, ctypes.c_void_p).value or 0 for one in (sgemm, dgemm))
                return Blas(first, second, threads, take)
    raise NativeError("native: found no OpenBLAS beside NumPy; install NumPy from PyPI, or take execution='compiled'")


_alone = threading.Lock()
_before: list[int] = []


@contextlib.contextmanager
def blas_alone() -> Iterator[None]:
    """BLAS takes one thread meanwhile, since products are cut among threads by who asks for them."""
    library = blas()
    with _alone:
        _before.append(library.threads())
        library.take(1)
    try:
        yield
    finally:
        with _alone:
            first = _before[0]
            _before.pop()
            if not _before:
                library.take(first)


@functools.cache
def system() -> tuple[int, int, int]:
    """The addresses of the system's functions that let others have the processor, that read, and that write a file."""
    if sys.platform == "win32":
        files = ctypes.CDLL("ucrtbase")
        found = ctypes.WinDLL("kernel32").SwitchToThread, files._read, files._write
    else:
        library = ctypes.CDLL(None)
        found = library.sched_yield, library.read, library.write
    yields, reads, writes = (ctypes.cast(function, ctypes.c_void_p).value or 0 for function in found)
    return yields, reads, writes


@functools.cache
def power() -> int:
    """The address of the C library's pow, by which Python takes powers of floats."""
    library = ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)
    return ctypes.cast(library.pow, ctypes.c_void_p).value or 0


def pause() -> tuple[str, str]:
    """The text that declares and that calls what a processor does while it waits for another one, if LLVM has it."""
    name = _PAUSES.get(platform.machine())
    return (f"declare void @{name[0]}({name[1]})", f"call void @{name[0]}({name[2]})") if name else ("", "")


_PAUSES = {
    **dict.fromkeys(("x86_64", "AMD64"), ("llvm.x86.sse2.pause", "", "")),
    **dict.fromkeys(("aarch64", "arm64"), ("llvm.aarch64.hint", "i32", "i32 1")),
}


@dataclass(frozen=True)
class Target:
    """A processor by LLVM's names: of the processor, and of what it can do beyond it."""

    cpu: str
    features: str

    @property
    def tile(self) -> Tile:
        """What its registers hold."""
        return WIDE if "+avx512f" in self.features.split(",") else NARROW


def host() -> Target:
    """This processor."""
    return Target(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())


def engine(text: str, target: Target) -> Any:
    """The module of this text compiled, for as long as the result is kept. Code made before is taken from disk."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=target.cpu, features=target.features, opt=2, jit=True
    )
    triple = llvm.get_default_triple()
    said = repr((triple, target.cpu, target.features, llvm.llvm_version_info, text))
    key = hashlib.sha256(said.encode()).hexdigest()
    code = cache.load(key)
    parsed = llvm.parse_assembly(f'target triple = "{triple}"\n{text}')
    if code is None:
        parsed.verify()
        options = llvm.create_pipeline_tuning_options(speed_level=2)
        options.loop_vectorization = options.slp_vectorization = False
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(parsed, builder)
    found = llvm.create_mcjit_compiler(parsed, machine)
    found.set_object_cache(lambda module, made: cache.store(key, made), lambda module: code)
    found.finalize_object()
    return found
