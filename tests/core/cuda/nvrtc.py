"""NVIDIA's compiler, which needs no GPU: the wheel nvidia-cuda-nvrtc."""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata

from tlverify.core.cuda.device import OPTIONS


@functools.cache
def library() -> ctypes.CDLL | None:
    """None if it is not installed."""
    try:
        files = importlib.metadata.files("nvidia-cuda-nvrtc") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [file for file in files if file.name.startswith("libnvrtc.so.")]
    return ctypes.CDLL(str(found[0].locate())) if found else None


def compile_to_ptx(text: str, architecture: str = "compute_80") -> str:
    """ValueError with the compiler's log if it refuses."""
    nvrtc = library()
    assert nvrtc is not None
    program = ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernels.cu", 0, None, None) == 0
    options = [f"--gpu-architecture={architecture}", *OPTIONS]
    given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    status = nvrtc.nvrtcCompileProgram(program, len(options), given)
    kind = "PTX" if status == 0 else "ProgramLog"
    size = ctypes.c_size_t()
    getattr(nvrtc, f"nvrtcGet{kind}Size")(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    getattr(nvrtc, f"nvrtcGet{kind}")(program, log)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    if status:
        raise ValueError(log.value.decode())
    return log.value.decode()
