"""pytest plugin: `pytest --tlverify-certificates FOLDER` replays every certificate in a folder or .zip as a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("tlverify").addoption(
        "--tlverify-certificates",
        action="append",
        default=[],
        metavar="PATH",
        help="a certificate, a folder or a .zip of certificates; each becomes a test (repeatable)",
    )
    parser.getgroup("tlverify").addoption(
        "--tlverify-graph",
        default=None,
        metavar="PATH",
        help="the graph of the certificates (default: the only *.graph.json beside them)",
    )


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    for path in config.getoption("--tlverify-certificates"):
        collector = Certificates.from_parent(session, path=Path(path).resolve(), name=str(path))
        items.extend(collector.collect())


class Certificates(pytest.Collector):
    """The certificates at one path."""

    def __init__(self, path: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.place = path

    def collect(self) -> Iterator[pytest.Item]:
        from tlverify.certify import find_certificates
        from tlverify.graph import TlverifyError

        try:
            found = find_certificates(self.place)
        except TlverifyError as error:
            raise pytest.UsageError(str(error)) from None
        for certificate in found:
            yield Certificate.from_parent(self, name=certificate.name, certificate=certificate)


class Certificate(pytest.Item):
    """One certificate: passes if the kernel accepts it."""

    def __init__(self, certificate: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.certificate = certificate

    def runtest(self) -> None:
        from tlverify.certify import check_files
        from tlverify.certify.kernel import Malformed
        from tlverify.graph import TlverifyError

        try:
            (checked,) = check_files([self.certificate], self.config.getoption("--tlverify-graph"))
        except (TlverifyError, Malformed) as error:
            pytest.fail(str(error), pytrace=False)
        if checked.accepted is None:
            pytest.fail(f"{checked.name}: {checked.verdict}: {checked.reason}", pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        return Path(str(self.certificate)), None, f"certificate {self.name}"
