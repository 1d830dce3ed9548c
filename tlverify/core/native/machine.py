"""What the machine has: LLVM for its processor, and NumPy's BLAS."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any

import numpy as np


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
                assert first is not None and second is not None
                return first, second
    raise RuntimeError("no BLAS with 64-bit sizes beside NumPy")


def engine(text: str) -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2, jit=True
    )
    parsed = llvm.parse_assembly(f'target triple = "{llvm.get_default_triple()}"\n{text}')
    parsed.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    passes = builder.getModulePassManager()
    passes.run(parsed, builder)
    found = llvm.create_mcjit_compiler(parsed, machine)
    found.finalize_object()
    return found
