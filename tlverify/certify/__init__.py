"""Claims about a graph, the search for certificates, and the kernel that checks them.

Importing this package loads nothing third-party, so that the kernel inside it can be imported alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tlverify.certify.claim import Claim as Claim
    from tlverify.certify.claim import Inequality as Inequality
    from tlverify.certify.claim import box as box
    from tlverify.certify.claim import pixel_robustness as pixel_robustness
    from tlverify.certify.claim import robustness as robustness
    from tlverify.certify.files import Checked as Checked
    from tlverify.certify.files import check_files as check_files
    from tlverify.certify.files import find_certificates as find_certificates
    from tlverify.certify.files import save_result as save_result
    from tlverify.certify.prove import Result as Result
    from tlverify.certify.prove import certify as certify

_HOMES = {
    "tlverify.certify.claim": ("Claim", "Inequality", "box", "pixel_robustness", "robustness"),
    "tlverify.certify.files": ("Checked", "check_files", "find_certificates", "save_result"),
    "tlverify.certify.prove": ("Result", "certify"),
}
_ATTRIBUTES = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted(_ATTRIBUTES)


def __getattr__(name: str) -> Any:
    if name in _ATTRIBUTES:
        return getattr(importlib.import_module(_ATTRIBUTES[name]), name)
    raise AttributeError(f"module 'tlverify.certify' has no attribute {name!r}")
