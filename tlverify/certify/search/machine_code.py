"""Modules of this package that numba makes machine code of (extra `native`). That takes some ten seconds, once on a
machine: what was made is kept in the cache folder."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import platform
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tlverify.core.native import cache


def installed() -> bool:
    """Whether there is a compiler."""
    return find_spec("numba") is not None


def made(name: str) -> bool:
    """Whether the module's machine code is there already."""
    return f"{__package__}.{name}" in sys.modules or (installed() and _marker(name).exists())


@functools.cache
def load(name: str) -> Any:
    """The module. Its functions are compiled when they are called, if they are not in the cache folder."""
    import numba

    before = numba.config.CACHE_DIR  # others may compile as well
    numba.config.CACHE_DIR = str(cache.folder().parent / "numba")
    try:
        module = importlib.import_module(f"{__package__}.{name}")
    finally:
        numba.config.CACHE_DIR = before
    with contextlib.suppress(OSError):
        _marker(name).parent.mkdir(parents=True, exist_ok=True)
        _marker(name).touch()
    return module


def _marker(name: str) -> Path:
    """A file whose name tells of what the machine code was made."""
    source = Path(__file__).with_name(f"{name}.py").read_bytes()
    key = hashlib.sha256(repr((source, version("numba"), sys.version, platform.machine())).encode()).hexdigest()
    return cache.folder().parent / "numba" / f"{name}-{key[:32]}"
