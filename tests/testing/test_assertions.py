import pytest

from tlverify.graph import digest, load_graph
from tlverify.interop.onnx import to_onnx
from tlverify.testing import assert_certified, assert_reproducible


@pytest.fixture
def paths(record):
    return record / "model.graph.json", record / "a.claim.json", record / "a.cert"


def test_certified_from_paths_bytes_and_graphs(paths):
    graph, claim, certificate = paths
    assert assert_certified(*paths).margin > 0
    assert assert_certified(*map(str, paths)).verdict == "verified"
    assert assert_certified(load_graph(graph), claim.read_bytes(), certificate.read_bytes()).verdict == "verified"


def test_certified_of_an_onnx_model(paths, tmp_path):
    graph, claim, certificate = paths
    to_onnx(load_graph(graph), tmp_path / "net.onnx")
    assert assert_certified(tmp_path / "net.onnx", claim, certificate).verdict == "verified"


def test_what_is_not_certified_is_an_assertion_error(paths):
    graph, claim, certificate = paths
    with pytest.raises(AssertionError, match="expected verdict 'falsified', the certificate proves 'verified'"):
        assert_certified(graph, claim, certificate, verdict="falsified")
    with pytest.raises(AssertionError, match="certificate not accepted: certificate: it is for claim"):
        assert_certified(graph, claim.read_bytes().replace(b'"1/8"', b'"1/9"'), certificate)
    with pytest.raises(AssertionError, match="certificate not accepted: claim: not valid JSON"):
        assert_certified(graph, b"", certificate)
    with pytest.raises(FileNotFoundError):
        assert_certified(graph, claim, "nowhere.cert")


def test_reproducible(paths):
    graph = load_graph(paths[0])

    class Trained:
        def __init__(self):
            self.graph = graph

    assert_reproducible(lambda: graph, digest(graph))
    assert_reproducible(Trained, digest(graph))
    with pytest.raises(AssertionError, match=f"expected digest {'0' * 64}, found {digest(graph)}"):
        assert_reproducible(lambda: graph, "0" * 64)
    with pytest.raises(AssertionError, match=r"train\(\) gave NoneType, expected a Graph"):
        assert_reproducible(lambda: None, digest(graph))
