"""The pytest plugin: each certificate is a test that passes if the kernel accepts it."""

import zipfile

import pytest

pytest_plugins = "pytester"

ARGUMENTS = ("-p", "no:cacheprovider")


@pytest.fixture
def replay(pytester):
    """Run pytest with these certificates; other installed plugins stay as they are."""

    def run(*arguments: object) -> pytest.RunResult:
        return pytester.runpytest_inprocess(*ARGUMENTS, *map(str, arguments))

    return run


@pytest.fixture
def good(record):
    for path in record.glob("wrong.*"):
        path.unlink()
    return record


def test_every_certificate_of_a_folder_is_a_test(replay, good):
    result = replay("--tlverify-certificates", good, "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*a.cert PASSED*", "*b.cert PASSED*"])


def test_an_archive_and_a_single_file(replay, good):
    archive = good.parent / "record.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in good.iterdir():
            file.write(path, path.name)
    replay("--tlverify-certificates", archive).assert_outcomes(passed=2)
    replay("--tlverify-certificates", good / "a.cert").assert_outcomes(passed=1)
    replay("--tlverify-certificates", good / "a.cert", "--tlverify-certificates", archive).assert_outcomes(passed=3)


def test_certificates_run_beside_other_tests(replay, pytester, good):
    pytester.makepyfile("def test_one(): pass")
    replay("--tlverify-certificates", good).assert_outcomes(passed=3)
    replay().assert_outcomes(passed=1)


def test_a_graph_elsewhere(replay, good):
    elsewhere = good.parent / "elsewhere"
    elsewhere.mkdir()
    for name in ("model.graph.json", "model.safetensors"):
        (good / name).rename(elsewhere / name)
    graph = elsewhere / "model.graph.json"
    replay("--tlverify-certificates", good, "--tlverify-graph", graph).assert_outcomes(passed=2)


def test_a_refused_certificate_fails_with_its_reason(replay, good):
    claim = good / "a.claim.json"
    claim.write_bytes(claim.read_bytes().replace(b'"1/8"', b'"1/7"'))
    (good / "b.cert").write_bytes(b"{}\n")
    result = replay("--tlverify-certificates", good)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["*a.cert: rejected: certificate: it is for claim*", "*b.cert: malformed: certificate header: expected format*"]
    )


def test_other_parameters_fail_every_certificate(replay, good):
    path = good / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    result = replay("--tlverify-certificates", good)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*rejected: claim: it is about graph*"])


def test_nothing_to_replay_is_a_usage_error(replay, tmp_path):
    result = replay("--tlverify-certificates", tmp_path / "nowhere")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *nowhere: no such file or folder"])


def test_a_missing_claim_fails_without_a_traceback(replay, good):
    (good / "a.claim.json").unlink()
    result = replay("--tlverify-certificates", good)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*a.claim.json: cannot be read*"])
    assert "def _read" not in result.stdout.str()
