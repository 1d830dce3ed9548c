"""`tlverify train`"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from tlverify.cli.output import print_json


def train(path: Path, as_json: bool) -> None:
    """Train what the TOML file describes and say where the graph went."""
    from tlverify.train.config import run_config

    trained = run_config(path)
    if as_json:
        report = trained.report
        print_json(
            {
                "digest": trained.digest,
                "losses": list(report.losses),
                "scores": [list(score) for score in report.scores],
                "seconds": round(report.seconds, 3),
            }
        )
    else:
        Console().print(trained.summary(), highlight=False, markup=False)
