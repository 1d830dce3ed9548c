"""Certificates on disk: `NAME.cert` proves `NAME.claim.json` about a `*.graph.json`, all in one folder or .zip."""

from __future__ import annotations

import functools
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tlverify.certify import audit, kernel
from tlverify.certify.claim import Claim
from tlverify.certify.prove import Result
from tlverify.graph import TlverifyError, to_bytes, write_atomic
from tlverify.interop.files import is_onnx, load_graph

GRAPH, CLAIM, CERTIFICATE = ".graph.json", ".claim.json", ".cert"
MAX_MEMBER = 1 << 31  # bytes of a .zip member, unpacked
Place = Path | zipfile.Path


class FilesError(TlverifyError):
    """A certificate's files cannot be found or read."""


@dataclass(frozen=True)
class Checked:
    """What was said of one certificate: `verdict` is verified, falsified, rejected, malformed or unknown.

    `reason` is empty if it was accepted; `accepted` holds what it proves. `answers` are those of the arithmetics that
    were asked, the one that counts first.
    """

    name: str
    verdict: str
    reason: str
    accepted: kernel.Accepted | None
    seconds: float
    size: int
    answers: tuple[audit.Answer, ...]


def certificates_in(folder: Path, names: Sequence[str], claims: Sequence[Claim]) -> dict[str, bytes]:
    """What `save_result` left under these names for just these claims: certificates by the digest of the claim."""
    found = {}
    for name, claim in zip(names, claims, strict=True):
        certificate, statement = folder / f"{name}{CERTIFICATE}", folder / f"{name}{CLAIM}"
        if certificate.is_file() and statement.is_file() and statement.read_bytes() == claim.data:
            found[claim.digest] = certificate.read_bytes()
    return found


def save_result(result: Result, folder: Path, name: str) -> None:
    """Write the claim, and the certificate if there is one, as `folder/name.claim.json` and `folder/name.cert`."""
    write_atomic(folder / f"{name}{CLAIM}", result.claim.data)
    if result.certificate is not None:
        write_atomic(folder / f"{name}{CERTIFICATE}", result.certificate)


def find_certificates(path: str | os.PathLike[str]) -> list[Place]:
    """The certificate at `path`, or all in a folder or a .zip, by name. FilesError if there is none."""
    place = Path(path)
    found: list[Place]
    if place.is_dir():
        found = [*sorted(place.glob(f"*{CERTIFICATE}"))]
    elif place.suffix == ".zip" and place.is_file():
        try:
            members = zipfile.Path(zipfile.ZipFile(place)).iterdir()
        except (zipfile.BadZipFile, OSError) as error:
            raise FilesError(f"{place}: cannot be read as a .zip: {error}") from None
        found = [*sorted((m for m in members if m.name.endswith(CERTIFICATE)), key=lambda member: member.name)]
    elif place.is_file():
        return [place]
    else:
        raise FilesError(f"{place}: no such file or folder")
    if not found:
        raise FilesError(f"{place}: holds no certificate (*{CERTIFICATE})")
    return found


def check_files(
    certificates: Sequence[Place], graph: str | os.PathLike[str] | None = None, arithmetic: str = audit.AUTO
) -> Iterator[Checked]:
    """Check each certificate against the claim beside it and the graph, which is read once.

    The graph is the one given (of an ONNX model, its import), or the only `*.graph.json` beside the certificates.
    `arithmetic` is one of audit.ARITHMETICS; "auto" for the one that is suited to each certificate; or "all", where
    `exact` counts and audit.Disagreement is raised if another contradicts it.
    FilesError if a file is missing; kernel.Malformed if the graph cannot be read.
    """
    if graph is not None and is_onnx(graph):
        structure, stored = to_bytes(load_graph(graph))
    else:
        location: Place = Path(graph) if graph is not None else _graph_beside(certificates[0])
        parameters = _beside(location, location.name.removesuffix(GRAPH) + ".safetensors")
        structure, stored = _read(location), _read(parameters)
    network = functools.lru_cache(partial(kernel.read_program, structure, stored))
    network(None)
    for place in certificates:
        yield _check(network, place, arithmetic)


def _check(read: Callable[[kernel.Contract | None], kernel.Program], place: Place, arithmetic: str) -> Checked:
    claim = _read(_beside(place, place.name.removesuffix(CERTIFICATE) + CLAIM))
    data = _read(place)
    try:
        network = read(kernel.contract_of(claim))
    except kernel.Malformed as malformed:  # the claim, or the graph as it must be read for it
        return Checked(place.name, "malformed", str(malformed), None, 0.0, len(data), ())
    if arithmetic == "all":
        answers = audit.check_all(network, claim, data)
    else:
        answers = (audit.answer(arithmetic, network, claim, data),)
    first, seconds = answers[0], sum(one.seconds for one in answers)
    return Checked(place.name, first.verdict, first.reason, first.accepted, seconds, len(data), answers)


def _graph_beside(certificate: Place) -> Place:
    folder: Any = certificate.parent
    found = [item.name for item in folder.iterdir() if item.name.endswith(GRAPH)]
    if len(found) != 1:
        raise FilesError(f"{folder}: expected one *{GRAPH}, found {len(found)}; give --graph")
    return _beside(certificate, found[0])


def _beside(place: Place, name: str) -> Place:
    folder: Any = place.parent
    beside: Place = folder / name
    return beside


def _read(place: Place) -> bytes:
    try:  # a .zip member may be damaged, encrypted (RuntimeError) or packed in a way unknown (NotImplementedError)
        if isinstance(place, Path):
            return place.read_bytes()
        with place.open("rb") as stream:  # the size that a .zip states may be a lie, so it is not asked for
            data: bytes = stream.read(MAX_MEMBER + 1)
    except (OSError, KeyError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise FilesError(f"{place}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MAX_MEMBER:
        raise FilesError(f"{place}: expected at most {MAX_MEMBER} bytes once unpacked, found more; unpack the .zip")
    return data
