"""Hostile files: each is refused with a one-line reason, never accepted and never a crash."""

import re

import pytest

from tlverify.certify import kernel as trusted
from tlverify.certify.fast import fast
from tlverify.certify.interval import interval

from .hostile import CASES, CERTIFICATES, EXAMPLE
from .laws import load

kernel = load()


def test_the_example_itself_is_accepted():
    assert kernel.api.check(**EXAMPLE).verdict == "verified"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_refused(case):
    case(kernel)


@pytest.mark.parametrize("name", ["fast", "interval"])
@pytest.mark.parametrize("case", CERTIFICATES)
def test_certificates_are_refused_in_every_arithmetic(name, case):
    program = trusted.read_program(EXAMPLE["graph"], EXAMPLE["parameters"])
    arithmetic = {"fast": fast, "interval": interval}[name]()
    certificate, reason = CERTIFICATES[case]
    with pytest.raises((trusted.Rejected, trusted.Malformed), match=re.escape(reason)):
        trusted.check_with(program, EXAMPLE["claim"], certificate, arithmetic)


@pytest.mark.parametrize(
    ("module", "limit", "value", "reason"),
    [
        ("reader", "MAX_JSON_BYTES", 20, "is over the limit of 20"),
        ("reader", "MAX_HEADER_BYTES", 20, "does not fit in the file"),
        ("reader", "MAX_BODY_BYTES", 1, "body of a stated size within limits"),
        ("reader", "MAX_ELEMENTS", 3, "is out of range"),
        ("reader", "MAX_RANK", 1, "is out of range"),
        ("reader", "MAX_RATIONAL_DIGITS", 2, "expected a rational"),
        ("network", "MAX_NODES", 6, "over the limit of 6 values"),
    ],
)
def test_limit(monkeypatch, module, limit, value, reason):
    monkeypatch.setattr(getattr(kernel, module), limit, value)
    with pytest.raises((kernel.api.Malformed, kernel.api.Rejected), match=reason):
        kernel.api.check(**EXAMPLE)
