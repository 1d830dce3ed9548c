"""The certificates of record are still accepted, by this kernel."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tlverify.certify import check_files, find_certificates

RECORD = Path(__file__).parent / "record"


@pytest.mark.parametrize(
    ("name", "verified", "falsified"), [("quickstart-plain.zip", 356, 4), ("quickstart-certified.zip", 355, 5)]
)
def test_every_certificate_of_record_is_accepted(name: str, verified: int, falsified: int) -> None:
    found = list(check_files(find_certificates(RECORD / name)))
    assert Counter(checked.verdict for checked in found) == {"verified": verified, "falsified": falsified}
    assert [checked.reason for checked in found if checked.accepted is None] == []
