"""What tests of several folders share."""

from __future__ import annotations

from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def cupy() -> ModuleType:
    """CuPy with a device; a test that asks for it is skipped, with the reason, where there is none."""
    module = pytest.importorskip("cupy", reason="CuPy is not installed")
    try:
        count = module.cuda.runtime.getDeviceCount()
    except module.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"no CUDA device: {error}")
    if not count:
        pytest.skip("no CUDA device")
    return module
