"""The report of a run: frozen data in, one self-contained HTML page out.

The page needs no network and no script. It shows verdicts and proves nothing itself; it names the commands
that check them again.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from statistics import median
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from tlverify.graph import TlverifyError, write_atomic

Verdict = Literal["verified", "falsified", "unknown"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
GLYPHS: Mapping[Verdict, str] = {"verified": "✓", "falsified": "✗", "unknown": "?"}

MAX_EXAMPLES = 24


class ReportError(TlverifyError):
    """A report that cannot be written: an extra that is not installed, or data that is not a report."""


def checker_lines() -> int:
    """Number of lines of the trusted checker, blank lines and comments included."""
    kernel = resources.files("tlverify.certify.kernel")
    sources = [item for item in kernel.iterdir() if item.name.endswith(".py")]
    return sum(len(source.read_text("utf-8").splitlines()) for source in sources)


@dataclass(frozen=True, eq=False)
class Row:
    """The verdict on one image.

    `image` and `witness` have shape (h, w) and values in [0, 1]; `witness` is the adversarial example of a
    falsified row. `margin` is the certified lower bound of the smallest logit gap. `arithmetic` is the one that
    accepted the certificate, `remedy` what would help an unknown row.
    """

    index: int
    label: int | str
    predicted: int | str
    verdict: Verdict
    reason: str
    margin: float | None
    image: npt.NDArray[np.floating[Any]]
    witness: npt.NDArray[np.floating[Any]] | None = None
    witness_class: int | str | None = None
    search_seconds: float = 0.0
    check_seconds: float = 0.0
    certificate_bytes: int | None = None
    certificate_name: str = ""
    remedy: str = ""
    arithmetic: str = ""

    @property
    def misclassified(self) -> bool:
        """Whether the network is wrong before any perturbation."""
        return self.predicted != self.label


@dataclass(frozen=True, eq=False)
class Run:
    """One trained network and the verdicts on it.

    `test_accuracy` is (correct, total). A network that was not trained here has an empty `loss_curve` and no
    `train_seconds`. `semantics` says in words under which arithmetic the claims hold; `norm` is that of
    the distance from an image: linf, l2 or l1.
    """

    name: str
    recipe: str
    loss_curve: tuple[float, ...]
    train_seconds: float | None
    test_accuracy: tuple[int, int]
    graph_text: str
    graph_digest: str
    parameter_count: int
    epsilon: float
    semantics: str
    verdicts: tuple[Row, ...]
    norm: str = "linf"

    @property
    def measure(self) -> str:
        """How the radius is measured, in words."""
        return "per pixel" if self.norm == "linf" else f"in the {self.norm} norm"

    def count(self, verdict: Verdict) -> int:
        return Counter(row.verdict for row in self.verdicts)[verdict]


@dataclass(frozen=True, eq=False)
class Report:
    """What a command did. `started` is an ISO 8601 time, `seconds` the wall time of it all."""

    title: str
    runs: tuple[Run, ...]
    environment: Mapping[str, str]
    started: str
    seconds: float
    command: str
    checker_lines: int = field(default_factory=checker_lines)

    @property
    def best(self) -> Run:
        """The run with most verified images; of equals, the later."""
        return max(reversed(self.runs), key=lambda run: run.count("verified"))


def meaning(report: Report) -> str:
    """The headline in one sentence, for the best run."""
    run = report.best
    lines = -(-report.checker_lines // 10) * 10
    return (
        f"For {run.count('verified')} of {len(run.verdicts)} images a checker of about {lines:,} lines, "
        f"sharing no code with the trainer, accepted a proof that every image within {run.epsilon:g} of it "
        f"{run.measure} is classified correctly, in {printable(run.semantics)}."
    )


def comparison(run: Run) -> dict[str, str]:
    """Quantity to value in words: one column of the table that compares runs. Plain ASCII but for names."""
    total = len(run.verdicts)
    falsified = of(run.count("falsified"), total)
    missed = sum(row.verdict == "falsified" and row.misclassified for row in run.verdicts)
    checks = [row.check_seconds for row in run.verdicts if row.check_seconds]
    sizes = [row.certificate_bytes for row in run.verdicts if row.certificate_bytes is not None]
    return {
        "Recipe": printable(run.recipe) or "-",
        "Test accuracy": of(*run.test_accuracy),
        "Certified": of(run.count("verified"), total),
        "Falsified": f"{falsified}, {missed} of them unperturbed" if missed else falsified,
        "Unknown": of(run.count("unknown"), total),
        "Radius": f"{run.epsilon:g} {run.measure}",
        "Search per image": spread((row.search_seconds for row in run.verdicts), seconds),
        "Check per image": spread(checks, seconds),
        "Checked in": arithmetics(row.arithmetic for row in run.verdicts),
        "Certificate size": spread(sizes, size),
        "Training time": "-" if run.train_seconds is None else seconds(run.train_seconds),
        "Parameters": f"{run.parameter_count:,}",
    }


def arithmetics(names: Iterable[str]) -> str:
    """Which arithmetics accepted how many certificates."""
    counts = Counter(filter(None, names))
    return ", ".join(name if len(counts) == 1 else f"{name} {count}" for name, count in counts.most_common()) or "-"


def check_command(run: Run) -> str | None:
    """The shell command that checks the first certificate of `run` again."""
    names = (row.certificate_name for row in run.verdicts if row.verdict == "verified")
    name = next(filter(None, names), None)
    return None if name is None else f"tlverify check {shlex.quote(printable(name))}"


def write_report(report: Report, path: Path) -> None:
    """Write the page to `path`; ReportError without the extra `report`, or if the data is no report."""
    write_atomic(path, render(report).encode("utf-8"))


def render(report: Report) -> str:
    """The page as text; ReportError as in `write_report`."""
    try:
        import jinja2

        from tlverify.cli import figures
    except ImportError as error:
        raise ReportError(
            f"an HTML report needs {error.name}, which is not installed: pip install 'tlverify[report]'"
        ) from None
    _validate(report)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tlverify.cli"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    return environment.get_template("report.html.jinja").render(
        report=report,
        figures=figures,
        drawn=figures.is_drawn([row.image for run in report.runs for row in run.verdicts]),
        meaning=meaning(report),
        columns=[comparison(run) for run in report.runs],
        checks=[command for run in report.runs if (command := check_command(run))],
        verdicts=VERDICTS,
        glyphs=GLYPHS,
        max_examples=MAX_EXAMPLES,
        caption=caption,
        describe=describe,
        of=of,
        seconds=seconds,
        size=size,
    )


def caption(row: Row) -> str:
    """A few characters under the picture of a row: the mistake that was found, or else the margin."""
    if row.misclassified:
        return f"{row.label}→{row.predicted}"
    if row.verdict == "falsified" and row.witness_class is not None:
        return f"{row.label}→{row.witness_class}"
    return "" if row.margin is None else margin(row.margin)


def describe(row: Row) -> str:
    """A row in one line of words."""
    parts = [f"image {row.index}: {row.verdict}", f"label {row.label}", f"predicted {row.predicted}"]
    if row.margin is not None:
        parts.append(f"margin {margin(row.margin)}")
    if row.witness_class is not None:
        parts.append(f"counterexample classified {row.witness_class}")
    if row.arithmetic:
        parts.append(f"checked in {row.arithmetic}")
    return printable(", ".join([*parts, *filter(None, (row.reason, row.remedy))]))


def printable(text: str) -> str:
    """`text` with control, direction and surrogate characters replaced, so that it shows as what it is."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def of(part: int, whole: int) -> str:
    """`part / whole` with the percentage rounded down, so that only all of them are 100 %."""
    return f"{part} / {whole} ({part * 1000 // whole / 10} %)" if whole else "-"


def spread(values: Iterable[float], words: Any) -> str:
    """Median and maximum of `values`, each put in words by `words`."""
    found = list(values)
    return f"median {words(median(found))}, max {words(max(found))}" if found else "-"


def margin(value: float) -> str:
    """A few digits, short enough to stand under a small picture."""
    if value and abs(value) < 0.01:
        return f"{value:.0e}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def seconds(value: float) -> str:
    if value >= 60:
        return f"{int(value) // 60} min {int(value) % 60} s"
    return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.3g} ms"


def size(value: float) -> str:
    """Bytes in decimal units."""
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:,.1f} GB"


def _validate(report: Report) -> None:
    if not report.runs:
        raise ReportError(f"report {report.title!r}: expected at least one run, found none")
    for run in report.runs:
        for row in run.verdicts:
            where = f"run {run.name!r}, image {row.index}"
            if row.verdict not in VERDICTS:
                raise ReportError(f"{where}: expected a verdict of {', '.join(VERDICTS)}, found {row.verdict!r}")
            if row.image.ndim != 2:
                raise ReportError(f"{where}: expected an image of shape (h, w), found {row.image.shape}")
            if row.witness is not None and row.witness.shape != row.image.shape:
                raise ReportError(f"{where}: expected a witness of shape {row.image.shape}, found {row.witness.shape}")
