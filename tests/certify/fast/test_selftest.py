"""The self-test passes here, and sees each way in which a machine can be unfit, some of them for real."""

import ctypes
import mmap
import platform
from types import SimpleNamespace

import numpy as np
import pytest

from tlverify.certify.fast import SelfTestError, engine, fast, selftest
from tlverify.certify.fast.selftest import TESTS, self_test

X86_LINUX = platform.machine() == "x86_64" and platform.system() == "Linux"


def test_this_machine_is_fit():
    for test in TESTS:
        test(np)


class Inexact(np.ndarray):
    """Products that are one unit off in one place where they are large."""

    def __matmul__(self, other):
        result = np.asarray(self) @ np.asarray(other)
        if result.dtype == float and abs(result[0, 0]) > 2.0**51:
            result[-1, -1] += 1
        return result


class Emulated(np.ndarray):
    """Products of float64 from 44 bits of each operand, which is all that short integers need."""

    def __matmul__(self, other):
        parts = [np.asarray(part) for part in (self, other)]
        if parts[0].dtype == float:
            parts = [np.ldexp(np.rint(np.ldexp(m, 44)), e - 44) for m, e in map(np.frexp, parts)]
        return parts[0] @ parts[1]


class Library(SimpleNamespace):
    """A module's stand-in; like one, the same as nothing else."""

    __hash__ = object.__hash__


def broken(**changed):
    """NumPy with some functions changed."""
    return Library(**{**{name: getattr(np, name) for name in np.__all__}, "__name__": "broken", **changed})


def single(values, **_):
    return np.asarray(np.asarray(values, dtype="float32"), dtype=float)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"asarray": lambda values, **more: np.asarray(values, **more).view(Inexact)}, "a product of integers"),
        ({"asarray": lambda values, **more: np.asarray(values, **more).view(Emulated)}, "a product .* is off by more"),
        ({"asarray": single}, "subnormal numbers are flushed to zero"),
        ({"frexp": lambda values: (values, np.frexp(values)[1] + (np.abs(values) > 2.0**51))}, "frexp is not exact"),
        ({"ldexp": lambda one, k: np.exp2(k.astype("float32") * np.float32(1.0000001))}, "ldexp is not exact"),
        ({"floor": np.trunc}, "floor is not exact"),
        ({"floor": np.rint}, "floor is not exact"),
    ],
)
def test_a_broken_library_is_seen(changed, reason):
    with pytest.raises(SelfTestError, match=f"the arithmetic fast: {reason}.* use --arithmetic exact"):
        self_test.__wrapped__(broken(**changed))


@pytest.mark.skipif(not X86_LINUX, reason="sets the rounding mode of an x86-64 processor")
@pytest.mark.parametrize("mode", [0x400, 0x800, 0xC00], ids=["down", "up", "to zero"])
def test_another_rounding_mode_is_seen(mode):
    library = ctypes.CDLL("libm.so.6")
    library.fesetround(mode)
    try:
        with pytest.raises(SelfTestError, match="rounding is not to nearest"):
            selftest.rounding_is_to_nearest(np)
    finally:
        library.fesetround(0)
    selftest.rounding_is_to_nearest(np)


@pytest.mark.skipif(not X86_LINUX, reason="sets the MXCSR register of an x86-64 processor")
@pytest.mark.parametrize("bits", [0x8000, 0x0040], ids=["flush to zero", "denormals are zero"])
def test_flushing_subnormals_is_seen(bits):
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\x0f\xae\x17\xc3")  # ldmxcsr [rdi]; ret
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(ctypes.addressof(ctypes.c_char.from_buffer(code)))

    def control(word):
        run(ctypes.addressof(ctypes.c_uint32(word)))

    control(0x1F80 | bits)
    try:
        with pytest.raises(SelfTestError, match="subnormal numbers are flushed to zero"):
            selftest.subnormals_are_kept(np)
    finally:
        control(0x1F80)
    selftest.subnormals_are_kept(np)


def test_nothing_is_accepted_on_an_unfit_machine(monkeypatch):
    def unfit(xp):
        raise SelfTestError("unfit")

    monkeypatch.setattr(engine, "self_test", unfit)
    with pytest.raises(SelfTestError, match="unfit"):
        fast()


def test_it_runs_once_in_a_process():
    fast()
    before = self_test.cache_info()
    fast()
    after = self_test.cache_info()
    assert (after.misses, after.hits) == (before.misses, before.hits + 1)
