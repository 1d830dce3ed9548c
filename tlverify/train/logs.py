"""Where the numbers of a training go: JSON lines, CSV, TensorBoard."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tlverify.graph import TlverifyError


class Log(Protocol):
    """Takes the numbers of a step."""

    def write(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class JsonLines:
    """One JSON object a line, as in `{"step": 10, "loss": 0.25}`, added to the end of the file."""

    path: Path | str

    def write(self, step: int, values: Mapping[str, float]) -> None:
        with _append(self.path) as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class CsvLog:
    """Rows of step, name, value, added to the end of the file: every row has the same columns whatever is logged."""

    path: Path | str

    def write(self, step: int, values: Mapping[str, float]) -> None:
        new = not Path(self.path).exists()
        with _append(self.path) as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(("step", "name", "value"))
            writer.writerows((step, name, value) for name, value in values.items())

    def close(self) -> None:
        pass


class TensorBoard:
    """Scalars for TensorBoard in `folder`; needs the `tensorboard` extra."""

    def __init__(self, folder: Path | str) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise TlverifyError("TensorBoard: needs tensorboardX: pip install 'tlverify[tensorboard]'") from None
        self._writer: Any = SummaryWriter(str(folder))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


def _append(path: Path | str) -> Any:
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.open("a", encoding="utf-8", newline="")
    except OSError as error:
        raise TlverifyError(f"log {target}: cannot be written: {error.strerror}") from None
