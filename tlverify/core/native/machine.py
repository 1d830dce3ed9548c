"""What the machine has: LLVM for its processor, and NumPy's BLAS."""

from __future__ import annotations

import ctypes
import functools
import hashlib
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


@functools.cache
def blas() -> tuple[int, int]:
    """The addresses of sgemm and dgemm of NumPy's BLAS, with 64-bit sizes."""
    folder = Path(np.__file__).parent
    for place in (folder.parent / "numpy.libs", folder / ".dylibs"):
        for path in sorted(place.glob("*openblas*")):
            library = ctypes.CDLL(str(path))
            names = ("scipy_cblas_sgemm64_", "scipy_cblas_dgemm64_")
            if all(hasattr(library, name) for name in names):
                first, second = (ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in names)
                return int(first or 0), int(second or 0)
    raise NativeError("native: found no OpenBLAS beside NumPy; install NumPy from PyPI, or take execution='compiled'")


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
