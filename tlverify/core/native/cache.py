"""Compiled code kept on disk, in TLVERIFY_CACHE or the cache folder of the user.

A file holds the SHA-256 of the code and then the code. One that is damaged is made anew; in a folder that cannot be
written nothing is kept, so code is compiled every time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

KEPT = 256  # files, the latest used


def folder() -> Path:
    """Where the files are."""
    base = os.environ.get("TLVERIFY_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (Path(base) if base else Path(home).expanduser() / "tlverify") / "native"


def load(key: str) -> bytes | None:
    """The code of that key, if it is there and whole."""
    path = folder() / key
    try:
        held = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    code = held[32:]
    return code if hashlib.sha256(code).digest() == held[:32] else None


def store(key: str, code: bytes) -> None:
    """Keep the code, and forget what was not used for longest."""
    with contextlib.suppress(OSError):
        folder().mkdir(parents=True, exist_ok=True)
        part = folder() / f"{key}.{os.getpid()}"
        part.write_bytes(hashlib.sha256(code).digest() + code)
        part.replace(folder() / key)
        files = sorted(folder().iterdir(), key=lambda path: path.stat().st_mtime)
        for path in files[:-KEPT]:
            path.unlink(missing_ok=True)
