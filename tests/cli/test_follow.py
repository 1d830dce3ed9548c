"""`--verbose`."""

import io
import re
from types import SimpleNamespace

from tlverify.certify.search.progress import Search
from tlverify.cli.follow import follow


def test_lines_of_two_claims():
    out = io.StringIO()
    report = follow(out)
    one, two = SimpleNamespace(digest="1" * 64), SimpleNamespace(digest="2" * 64)
    search = Search(lower=-0.25, leaves=3, open=5, log=["crown"])
    report(one, search)
    search.log.append("attack")
    report(one, search)
    report(two, Search(log=["crown"]))
    lines = [re.sub(r"^ *\d+\.\d s", "T", line) for line in out.getvalue().splitlines()]
    first, second = "claim 111111111111", "claim 222222222222"
    bound = "T  bound -0.25, 5 leaves open, 3 closed"
    assert lines == [
        *(first, "T  crown", bound),
        *("T  attack", bound),
        *(second, "T  crown", "T  bound -inf, 0 leaves open, 0 closed"),
    ]
