"""What tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator
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


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Machine code is kept in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TLVERIFY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
