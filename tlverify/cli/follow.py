"""`--verbose`: how far a search is, on standard error, about once a second."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from tlverify.certify.claim import Claim
from tlverify.certify.prove import Report
from tlverify.certify.search.progress import Search


def follow(stream: TextIO | None = None) -> Report:
    """A report that prints what is new in the search's log, and where its bound and its leaves stand."""
    out = sys.stderr if stream is None else stream
    begin, claim, said = time.perf_counter(), "", 0

    def report(of: Claim, search: Search) -> None:
        nonlocal begin, claim, said
        if of.digest != claim or len(search.log) < said:
            begin, claim, said = time.perf_counter(), of.digest, 0
            out.write(f"claim {claim[:12]}\n")
        now = time.perf_counter() - begin
        for line in search.log[said:]:
            out.write(f"{now:8.1f} s  {line}\n")
        said = len(search.log)
        out.write(f"{now:8.1f} s  bound {search.lower:.4g}, {search.open} leaves open, {search.leaves} closed\n")
        out.flush()

    return report
