import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import tlverify.cli
from tlverify.cli.report import (
    MAX_EXAMPLES,
    Report,
    ReportError,
    Row,
    Run,
    caption,
    check_command,
    checker_lines,
    comparison,
    margin,
    meaning,
    of,
    printable,
    render,
    seconds,
    size,
    write_report,
)


def row(index=0, verdict="verified", image=None, **fields):
    image = np.zeros((8, 8)) if image is None else image
    defaults = {"label": 3, "predicted": 3, "reason": "", "margin": 1.25 if verdict == "verified" else None}
    if verdict == "verified":
        defaults |= {"check_seconds": 0.002, "certificate_bytes": 1000, "certificate_name": f"{index}.cert"}
    if verdict == "falsified":
        defaults |= {"witness": np.clip(image + 0.02, 0, 1), "witness_class": 8, "reason": "witness replayed"}
    return Row(index=index, verdict=verdict, image=image, search_seconds=0.01, **(defaults | fields))


def run(name="plain training", verdicts=None, **fields):
    rows = (
        row(0),
        row(1, "falsified"),
        row(2, "falsified", predicted=8),
        row(3, "unknown", margin=-0.5, reason="timeout"),
    )
    defaults = {
        "recipe": "cross-entropy, Adam",
        "loss_curve": (),
        "train_seconds": 6.25,
        "test_accuracy": (349, 360),
        "graph_text": "graph(x: float32[64]) -> y\n  y: float32[64] = relu(x)",
        "graph_digest": "ab" * 32,
        "parameter_count": 6570,
        "epsilon": 0.02,
        "semantics": "exact real arithmetic",
    }
    return Run(name=name, verdicts=rows if verdicts is None else verdicts, **(defaults | fields))


def report(*runs, **fields):
    defaults = {
        "title": "Digits",
        "environment": {"Python": "3.11.2"},
        "started": "2026-03-14T09:26:53",
        "seconds": 41.7,
        "command": "tlverify quickstart",
        "checker_lines": 1437,
    }
    return Report(runs=runs or (run(),), **(defaults | fields))


class Page(HTMLParser):
    """Structure (tags with the names of their attributes), attribute values and text of a page."""

    def __init__(self, html):
        super().__init__()
        self.structure, self.attributes, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.structure.append((tag, tuple(name for name, _ in attrs)))
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data):
        self.text += data


HOSTILE = [
    "</style></title><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "--><svg onload=alert(1)>",
    "{{ report.__class__ }}{% raw %}",
    "&lt;b&gt;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_strings_are_shown_and_change_nothing(text):
    def page(word):
        rows = (
            row(0, label=word, predicted=word, reason=word, certificate_name=word),
            row(1, "falsified", label=word, predicted=word, witness_class=word, reason=word),
        )
        fields = dict.fromkeys(("name", "recipe", "graph_text", "graph_digest", "semantics"), word)
        one = run(verdicts=rows, **fields)
        return Page(render(report(one, one, title=word, environment={word: word}, started=word, command=word)))

    hostile = page(text)
    assert hostile.structure == page("plain").structure
    assert hostile.text.count(text) > 20


def test_the_page_needs_nothing_from_outside():
    page = Page(render(report(run(loss_curve=(2.3, 1.0)), run("certified training", loss_curve=(3.0,)))))
    tags = {tag for tag, _ in page.structure}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "base"}
    for tag, name, value in page.attributes:
        assert not name.startswith("on")
        if name == "src":
            assert value.startswith("data:image/png;base64,")
        if name.endswith("href"):
            assert value.startswith("#"), tag
    assert "url(http" not in page.text
    assert "@import" not in page.text


def test_the_page_says_what_was_found():
    text = " ".join(Page(render(report(run(), run("certified training", verdicts=(row(0), row(1)))))).text.split())
    assert "certified training For 2 of 2 images" in text
    assert "plain training 1 of 4 certified ✓ 1 verified ✗ 2 falsified ? 1 unknown" in text
    assert "plain training: 1 found" in text
    assert "certified training: none found" in text
    assert "tlverify check 0.cert" in text
    assert "1,437 lines of Python" in text
    assert "timeout" in text


def test_unprintable_characters_are_replaced():
    text = "a\x00b\x1b[31mc\u202ed\ud800e\r"
    assert printable(text) == "a�b�[31mc�d�e�"
    assert printable("two\n\tlines") == "two\n\tlines"
    html = render(report(title=text)).encode("utf-8").decode("utf-8")
    assert "<h1>a�b�[31mc�d�e�</h1>" in html


def test_more_examples_than_are_shown_are_counted():
    rows = tuple(row(i, "falsified") for i in range(MAX_EXAMPLES + 5))
    page = Page(render(report(run(verdicts=rows))))
    assert f"The first {MAX_EXAMPLES} are shown; the grid above marks all {MAX_EXAMPLES + 5}." in page.text
    assert page.attributes.count(("img", "alt", "adversarial example")) == MAX_EXAMPLES


def test_full_size_and_repeatable():
    pixels = np.random.default_rng(0).random((360, 8, 8))
    rows = tuple(row(i, image=image, reason="certificate accepted") for i, image in enumerate(pixels))
    curve = tuple((1 + np.random.default_rng(1).random(5000)).tolist())
    one = run(verdicts=rows, loss_curve=curve)
    html = render(report(one, one))
    assert len(html.encode()) < 1_000_000
    small = report(run(loss_curve=curve))
    assert render(small) == render(small)


def test_a_network_not_trained_here_and_no_verdicts():
    page = Page(render(report(run(train_seconds=None, verdicts=(), test_accuracy=(0, 0)))))
    assert "Training time" in page.text
    assert "svg" not in {tag for tag, _ in page.structure}


@pytest.mark.parametrize("module", ["jinja2", "matplotlib"])
def test_without_the_extra_the_error_says_how_to_install_it(module, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "tlverify.cli.figures", raising=False)
    monkeypatch.delattr(tlverify.cli, "figures", raising=False)
    with pytest.raises(ReportError, match=rf"needs {module}, .*pip install 'tlverify\[report\]'"):
        write_report(report(), tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (
            report(replace(run(), verdicts=(row(7, "proved"),))),
            "image 7: expected a verdict of .* found 'proved'",
        ),
        (
            report(run(verdicts=(row(image=np.zeros(64)),))),
            r"expected an image of shape \(h, w\), found \(64,\)",
        ),
        (
            report(run(verdicts=(row(0, "falsified", witness=np.zeros((4, 4))),))),
            r"expected a witness of shape \(8, 8\), found \(4, 4\)",
        ),
        (replace(report(), runs=()), "expected at least one run, found none"),
    ],
)
def test_data_that_is_no_report_is_refused(broken, reason):
    with pytest.raises(ReportError, match=reason):
        render(broken)


def test_write_report(tmp_path):
    write_report(report(), tmp_path / "out" / "report.html")
    assert (tmp_path / "out" / "report.html").read_text("utf-8") == render(report())


def test_meaning_is_about_the_best_run():
    assert meaning(report(run(), run(verdicts=(row(0), row(1)), epsilon=0.25))) == (
        "For 2 of 2 images a checker of about 1,440 lines, sharing no code with the trainer, accepted "
        "a proof that every image within 0.25 of it per pixel is classified correctly, in exact "
        "real arithmetic."
    )


def test_comparison():
    assert comparison(run()) == {
        "Recipe": "cross-entropy, Adam",
        "Test accuracy": "349 / 360 (96.9 %)",
        "Certified": "1 / 4 (25.0 %)",
        "Falsified": "2 / 4 (50.0 %), 1 of them unperturbed",
        "Unknown": "1 / 4 (25.0 %)",
        "Radius": "0.02 per pixel",
        "Search per image": "median 10 ms, max 10 ms",
        "Check per image": "median 2 ms, max 2 ms",
        "Checked in": "-",
        "Certificate size": "median 1 kB, max 1 kB",
        "Training time": "6.2 s",
        "Parameters": "6,570",
    }


@pytest.mark.parametrize(
    ("function", "arguments", "words"),
    [
        (of, (360, 360), "360 / 360 (100.0 %)"),
        (of, (9999, 10000), "9999 / 10000 (99.9 %)"),
        (of, (0, 0), "-"),
        (seconds, (0.0038,), "3.8 ms"),
        (seconds, (59.94,), "59.9 s"),
        (seconds, (125,), "2 min 5 s"),
        (size, (999,), "999 B"),
        (size, (1536,), "1.54 kB"),
        (size, (2.5e9,), "2.5 GB"),
        (margin, (0.0,), "0.00"),
        (margin, (0.00042,), "4e-04"),
        (margin, (-0.25,), "-0.25"),
        (margin, (10.27,), "10.3"),
        (caption, (row(margin=2.5),), "2.50"),
        (caption, (row(0, "falsified"),), "3→8"),
        (caption, (row(0, "falsified", predicted=5),), "3→5"),
        (caption, (row(0, "unknown"),), ""),
        (check_command, (run(verdicts=(row(0, certificate_name="a b.cert"),)),), "tlverify check 'a b.cert'"),
        (check_command, (run(verdicts=()),), None),
    ],
)
def test_words(function, arguments, words):
    assert function(*arguments) == words


def test_the_checker_is_counted():
    assert 100 < checker_lines() < 3210
