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
    return f"{__package__}.{name}" in sys.modules or (installed() and (_folder() / name).exists())


@functools.cache
def load(name: str) -> Any:
    """The module. Its functions are compiled when they are called, if they are not in the cache folder."""
    import numba

    before = numba.config.CACHE_DIR  # others may compile as well
    numba.config.CACHE_DIR = str(_folder())
    try:
        module = importlib.import_module(f"{__package__}.{name}")
    finally:
        numba.config.CACHE_DIR = before
    with contextlib.suppress(OSError):
        _folder().mkdir(parents=True, exist_ok=True)
        (_folder() / name).touch()
    return module


def _folder() -> Path:
    """For code from all sources of this package: numba notices only when the file of a function changes, not those of
    the functions and constants that went into its code."""
    return cache.folder().parent / "numba" / _key()


@functools.cache
def _key() -> str:
    sources = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    said = repr((sources, version("numba"), sys.version, platform.machine()))
    return hashlib.sha256(said.encode()).hexdigest()[:32]
