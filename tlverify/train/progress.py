"""A progress bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

Update = Callable[[int, str], None]
"""Steps done, and a short text about how it goes."""


@contextlib.contextmanager
def progress_bar(title: str, total: int, enabled: bool = True) -> Iterator[Update]:
    """Yields the function that moves the bar. It is drawn on standard error, if that is a terminal."""
    if not (enabled and sys.stderr.isatty()):
        yield lambda done, text: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[status]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title or "training", total=total, status="")
        yield lambda done, text: progress.update(task, completed=done, status=text)
