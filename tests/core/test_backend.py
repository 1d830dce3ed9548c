"""CuPy is stood in for by a module with an array class of its own; nothing here needs a GPU."""

import sys
import types

import numpy as np
import pytest

from tlverify.core import backend
from tlverify.graph import ShapeError


class DeviceArray:
    def __init__(self, host):
        self.host = host

    def get(self):
        return self.host


@pytest.fixture
def cupy(monkeypatch):
    module = types.ModuleType("cupy")
    module.ndarray = DeviceArray
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def test_numpy_is_the_namespace_when_cupy_was_not_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    assert backend.namespace(np.ones(2)) is np
    assert "cupy" not in sys.modules


def test_the_namespace_is_that_of_the_arrays(cupy):
    assert backend.namespace(np.ones(2), 1.0) is np
    assert backend.namespace(DeviceArray(np.ones(2))) is cupy
    with pytest.raises(ShapeError, match=r"NumPy and CuPy are mixed; move all of them with cupy.asarray"):
        backend.namespace(DeviceArray(np.ones(2)), np.ones(2))


def test_to_numpy_copies_from_the_device(cupy):
    host = np.ones(2)
    assert backend.to_numpy(DeviceArray(host)) is host
    assert backend.to_numpy(host) is host
    assert backend.to_numpy(1.5).dtype == np.float64
