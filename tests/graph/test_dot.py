import numpy as np

from tlverify.graph import GraphBuilder, Type, to_dot


def test_dot_shows_every_value_and_edge_and_quotes_names():
    builder = GraphBuilder()
    x = builder.input('in"put', Type((3,), "float32"))
    w = builder.parameter(np.ones(3, "float32"), "w")
    text = to_dot(builder.build(builder.node("add", x, w, name="y")))
    assert text.startswith("digraph {")
    assert text.endswith("}\n")
    assert r'"in\"put" [shape=box, label="in\"put\nfloat32[3]"];' in text
    assert r'"w" [shape=box, style=dotted, label="w\nfloat32[3]"];' in text
    assert r'"y" [peripheries=2, label="y = add\nfloat32[3]"];' in text
    assert r'"in\"put" -> "y";' in text
    assert '"w" -> "y";' in text
