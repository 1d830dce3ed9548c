from pathlib import Path

import numpy as np
import pytest

from tlverify.certify import certify, robustness, save_result
from tlverify.graph import Graph, GraphBuilder, Type, save_graph


def small_classifier() -> Graph:
    builder = GraphBuilder()
    x = builder.input("x", Type((2,), "float32"))
    weight = builder.parameter(np.array([[4, -1], [-1, 4]], "float32"))
    return builder.build(builder.node("linear", x, weight, builder.parameter(np.zeros(2, "float32"))))


@pytest.fixture
def record(tmp_path) -> Path:
    """A folder with a graph and its certificates: `a` and `b` verified, `wrong` falsified (it has the wrong label)."""
    folder = tmp_path / "record"
    graph = small_classifier()
    save_graph(graph, folder / "model.graph.json")
    claims = robustness(graph, np.array([[0.75, 0.25], [0.25, 0.75], [0.25, 0.75]]), [0, 1, 0], "1/8")
    for name, result in zip(("a", "b", "wrong"), certify(graph, claims), strict=True):
        assert result.verdict == ("falsified" if name == "wrong" else "verified")
        save_result(result, folder, name)
    return folder
