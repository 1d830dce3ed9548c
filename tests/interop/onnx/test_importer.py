"""Models as a whole: names, inputs, outputs, constants, and what is refused."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tlverify.certify.kernel import read_program
from tlverify.core import run
from tlverify.graph import Type, digest, to_bytes
from tlverify.interop.onnx import OnnxError, from_onnx
from tlverify.interop.onnx import reader as reader_module
from tlverify.interop.onnx.importer import graph_of

from .models import imported, model, node, ops, value

rng = np.random.default_rng(5)
W, BIAS = rng.normal(size=(3, 4)).astype("float32"), rng.normal(size=4).astype("float32")
DENSE = [node("MatMul", ["x", "w"], ["h"]), node("Add", ["h", "b"], ["s"]), node("Relu", ["s"], ["y"])]


def dense(**options):
    return model(DENSE, {"x": (1, 3)}, constants={"w": W, "b": BIAS}, **options)


def test_matmul_and_add_become_one_linear_with_the_stored_numbers():
    graph = imported(dense())
    assert ops(graph) == ["linear", "relu"]
    assert [node.name for node in graph.nodes] == ["s", "y"]
    stored = {parameter.name: parameter.data for parameter in graph.parameters}
    assert (stored["w"].T.tobytes(), stored["b"].tobytes()) == (W.tobytes(), BIAS.tobytes())


def test_a_product_that_is_read_twice_is_made_once():
    nodes = [
        node("MatMul", ["x", "w"], ["h"]),
        node("Relu", ["h"], ["a"]),
        node("Neg", ["h"], ["b"]),
        node("Add", ["a", "b"], ["y"]),
    ]
    graph = imported(model(nodes, {"x": (1, 3)}, constants={"w": W}))
    assert ops(graph) == ["linear", "relu", "neg", "add"]
    assert graph.nodes[0].name == "linear_0"


@pytest.mark.parametrize("bias", [np.float32(2), BIAS.reshape(1, 4), BIAS[:1]])
def test_a_bias_of_another_shape_is_taken_in(bias):
    message = model([node("MatMul", ["x", "w"], ["h"]), node("Add", ["b", "h"], ["y"])], {"x": (2, 3)})
    message.graph.initializer.extend([numpy_helper.from_array(W, "w"), numpy_helper.from_array(bias, "b")])
    assert ops(imported(message)) == ["linear"]


def test_an_addend_that_differs_by_row_is_not_a_bias():
    constants = {"w": W, "b": np.ones((2, 4), "float32")}
    message = model(
        [node("MatMul", ["x", "w"], ["h"]), node("Add", ["h", "b"], ["y"])], {"x": (2, 3)}, constants=constants
    )
    assert ops(imported(message)) == ["linear", "add"]


def test_a_bias_of_a_convolution_is_taken_in():
    constants = {"w": np.ones((4, 1, 2), "float32"), "b": BIAS.reshape(4, 1)}
    nodes = [node("Conv", ["x", "w"], ["h"]), node("Add", ["h", "b"], ["y"])]
    graph = imported(model(nodes, {"x": (1, 1, 5)}, constants=constants))
    assert ops(graph) == ["reshape", "conv2d", "reshape"]


def test_two_products_are_added():
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("MatMul", ["x", "w"], ["b"]), node("Add", ["a", "b"], ["y"])]
    graph = imported(model(nodes, {"x": (1, 3)}, constants={"w": W}))
    assert ops(graph) == ["linear", "linear", "add"]
    assert [parameter.name for parameter in graph.parameters] == ["w", "zeros"]


def test_initializers_that_are_also_inputs_do_not_count_as_inputs():
    message = dense(ir_version=3, opset=8)
    message.graph.input.extend([value("w", (3, 4)), value("b", (4,))])
    assert [entry.name for entry in imported(message).inputs] == ["x"]


@pytest.mark.parametrize("first", ["N", None, 0, -1])
def test_a_first_axis_of_unknown_size_has_size_1(first):
    message = model(DENSE, {"x": (1, 3)}, constants={"w": W, "b": BIAS})
    dim = message.graph.input[0].type.tensor_type.shape.dim[0]
    dim.Clear()
    if isinstance(first, str):
        dim.dim_param = first
    elif first is not None:
        dim.dim_value = first
    graph = graph_of(message)
    assert graph.types["x"] == Type((1, 3), "float32")
    assert digest(graph) == digest(graph_of(dense()))


def test_a_fixed_batch_is_kept():
    assert graph_of(model(DENSE, {"x": (7, 3)}, constants={"w": W, "b": BIAS})).types["y"].shape == (7, 4)


def test_several_inputs_and_outputs():
    nodes = [node("Add", ["a", "b"], ["s"]), node("Sub", ["a", "b"], ["d"]), node("Relu", ["d"], ["r"])]
    graph = imported(model(nodes, {"a": (2,), "b": (2,)}, ("r", "s", "d")))
    assert [entry.name for entry in graph.inputs] == ["a", "b"]
    assert graph.outputs == ("r", "s", "d")


def test_outputs_that_are_inputs_constants_or_the_same_value():
    nodes = [node("Identity", ["x"], ["a"]), node("Relu", ["x"], ["h"]), node("Identity", ["h"], ["b"])]
    nodes += [node("Identity", ["h"], ["c"]), node("Identity", ["k"], ["d"])]
    graph = imported(model(nodes, {"x": (2,)}, ("a", "b", "c", "d"), {"k": np.ones(2, "float32")}))
    assert graph.outputs == ("a", "b", "c", "d")
    assert sorted(ops(graph)) == ["relu", "reshape", "reshape", "reshape"]


def test_shapes_that_are_computed_stay_out_of_the_graph():
    """What torch exports for x.view(x.size(0), -1)."""
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Constant", [], ["zero"], value=numpy_helper.from_array(np.array(0))),
        node("Gather", ["shape", "zero"], ["batch"], axis=0),
        node("Unsqueeze", ["batch"], ["b1"], axes=[0]),
        node("Constant", [], ["rest"], value=numpy_helper.from_array(np.array([-1]))),
        node("Concat", ["b1", "rest"], ["target"], axis=0),
        node("Reshape", ["x", "target"], ["y"]),
    ]
    graph = imported(model(nodes, {"x": (2, 3, 4)}, opset=11))
    assert ops(graph) == ["reshape"]
    assert graph.parameters == ()


def test_arithmetic_of_shapes():
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Slice", ["s", "one", "three"], ["tail"]),
        node("Mul", ["tail", "two"], ["double"]),
        node("Div", ["double", "two"], ["same"]),
        node("Sub", ["same", "one"], ["less"]),
        node("Add", ["less", "one"], ["more"]),
        node("Cast", ["more"], ["cast"], to=TensorProto.INT64),
        node("ReduceSum", ["cast"], ["total"], keepdims=1),
        node("Max", ["total", "one"], ["least"]),
        node("ConstantOfShape", ["one"], ["zero"], value=numpy_helper.from_array(np.array([0]))),
        node("Where", ["true", "cast", "cast"], ["chosen"]),
        node("Concat", ["zero", "chosen"], ["target"], axis=0),
        node("Reshape", ["x", "target"], ["y"]),
    ]
    constants = {"one": np.array([1]), "two": np.array([2]), "three": np.array([3]), "true": np.array(True)}
    graph = imported(model(nodes, {"x": (2, 3, 4)}, constants=constants))
    assert (ops(graph), graph.parameters) == (["reshape"], ())


def test_floats_are_folded_only_where_nothing_is_rounded():
    nodes = [
        node("Transpose", ["w"], ["t"]),
        node("Neg", ["t"], ["n"]),
        node("Mul", ["n", "mask"], ["m"]),
        node("Sub", ["m", "m"], ["zero"]),
        node("Add", ["zero", "m"], ["same"]),
        node("Gemm", ["x", "same"], ["y"]),
        node("Mul", ["b", "c"], ["rounded"]),
        node("Add", ["y", "rounded"], ["z"]),
    ]
    mask = np.array([1, 0, 1, 0.5], "float32")
    constants = {"w": W.T.copy(), "mask": mask, "c": np.float32(0.1), "b": BIAS}
    graph = imported(model(nodes, {"x": (1, 3)}, ("y", "z"), constants=constants))
    assert ops(graph) == ["scale", "linear", "broadcast_to", "add"]
    assert np.array_equal(graph.parameters[1].data, (-W * mask).T)


def test_numbers_of_a_node_are_kept_exactly():
    statistics = {name: rng.uniform(0.1, 1, 3).astype("float32") for name in ("scale", "bias", "mean", "variance")}
    nodes = [
        node("BatchNormalization", ["x", *statistics], ["a"]),
        node("LeakyRelu", ["a"], ["b"]),
        node("Clip", ["b"], ["y"], min=-0.1, max=0.7),
    ]
    graph = imported(model(nodes, {"x": (1, 3)}, constants=statistics, opset=9))
    assert {p.name: p.data.tobytes() for p in graph.parameters} == {k: v.tobytes() for k, v in statistics.items()}
    assert graph.nodes[0].inputs == ("x", "mean", "variance", "scale", "bias")
    found = [dict(node.attributes) for node in graph.nodes]
    exact = {key: str(Fraction(float(np.float32(key)))) for key in ("1e-5", "0.01", "-0.1", "0.7")}
    assert found[0] == {"axis": 1, "epsilon": exact["1e-5"]}
    assert found[1] == {"slope": exact["0.01"]}
    assert found[2] == {"minimum": exact["-0.1"], "maximum": exact["0.7"]}


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_other_floats_are_kept_or_widened(dtype):
    nodes = [node("Gemm", ["x", "w", "b"], ["y"])]
    constants = {"w": W.astype(dtype), "b": BIAS.astype(dtype)}
    graph = imported(model(nodes, {"x": (1, 3)}, constants=constants, dtype=dtype))
    kept = "float64" if dtype == "float64" else "float32"
    assert {type_.dtype for type_ in graph.types.values()} == {kept}
    assert np.array_equal(graph.parameters[0].data.T, constants["w"])


def test_names_become_names_of_the_kernel():
    names = ["a b#c", "é", "a_b_c", "x" * 300, "__metadata__", "layer/0:weight"]
    nodes = [node("Relu", [one], [other]) for one, other in pairwise(names)]
    graph = imported(model(nodes, {names[0]: (2,)}, (names[-1],)))
    assert [graph.inputs[0].name, *(n.name for n in graph.nodes)] == [
        "a_b_c",
        "_",
        "a_b_c_2",
        "x" * 192,
        "metadata",
        "layer/0:weight",
    ]
    read_program(*to_bytes(graph))


def _change(change):
    message = dense()
    change(message)
    return message


def _external(message):
    tensor = message.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def _shape(message, *dims):
    del message.graph.input[:]
    message.graph.input.extend([value("x", dims)])


def _tensor(message, **fields):
    for name, content in fields.items():
        if isinstance(content, list):
            del getattr(message.graph.initializer[0], name)[:]
            getattr(message.graph.initializer[0], name).extend(content)
        else:
            setattr(message.graph.initializer[0], name, content)


def _twice(message):
    message.graph.initializer.append(message.graph.initializer[0])


def _bad_name(message):
    raw = message.graph.node[2].SerializeToString()
    message.graph.node[2].ParseFromString(raw.replace(b"\x01y", b"\x01\xff"))


def _function(message):
    message.functions.add(name="f", domain="d")


REFUSED = [
    (lambda m: m.ClearField("graph"), "it holds no graph"),
    (lambda m: m.ClearField("opset_import"), r"expected one version of the standard op set, found \[\]"),
    (lambda m: m.opset_import.add(domain="ai.onnx", version=9), r"expected one version .*, found \[17, 9\]"),
    (lambda m: setattr(m.opset_import[0], "version", 7), "op set: expected 8 to 22, found 7; convert the model with"),
    (lambda m: setattr(m.opset_import[0], "version", 23), "op set: expected 8 to 22, found 23"),
    (_bad_name, r"value b.*xff.*: its name is not UTF-8 text"),
    (_function, "functions of the model's own: inline them first"),
    (lambda m: m.graph.ClearField("output"), "the model has no output"),
    (lambda m: setattr(m.graph.output[0], "name", "zz"), "output 'zz' is computed by no node"),
    (lambda m: m.graph.sparse_initializer.add(), "sparse initializers are not supported"),
    (_external, "initializer 'w': its values are in another file; save the model with all tensors inside"),
    (_twice, "value 'w': expected a new, non-empty name"),
    (lambda m: _tensor(m, dims=[1 << 40, 1 << 40]), "initializer 'w': shape .* is out of range"),
    (lambda m: _tensor(m, dims=[-3, 4]), "initializer 'w': shape .* is out of range"),
    (lambda m: _tensor(m, dims=[5, 5]), "initializer 'w': cannot be read"),
    (lambda m: _tensor(m, raw_data=b"123"), "initializer 'w': cannot be read"),
    (lambda m: _tensor(m, data_type=99), "initializer 'w': cannot be read"),
    (lambda m: _tensor(m, data_type=TensorProto.STRING), "initializer 'w': "),
    (
        lambda m: _tensor(m, data_type=TensorProto.COMPLEX64, dims=[3, 2]),
        "expected numbers of 16 bits or more, or bool",
    ),
    (lambda m: m.graph.initializer[0].segment.SetInParent(), "is stored in segments"),
    (lambda m: _shape(m, 1, None), "only the first axis may be of unknown size"),
    (lambda m: _shape(m, 1, 0), "only the first axis may be of unknown size"),
    (lambda m: _shape(m, 1, 1 << 60), "over the limit of 16 axes or 268435456 entries"),
    (lambda m: _shape(m, *[1] * 17), "over the limit of 16 axes"),
    (lambda m: m.graph.input[0].type.ClearField("tensor_type"), "input 'x': expected a tensor with a declared shape"),
    (lambda m: m.graph.input[0].type.tensor_type.ClearField("shape"), "expected a tensor with a declared shape"),
    (lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 8), "found element type 8"),
    (lambda m: m.graph.node[2].attribute.extend([helper.make_attribute("a", 1)] * 2), "attribute 'a' is given twice"),
    (
        lambda m: m.graph.node[2].attribute.append(helper.make_attribute("g", helper.make_graph([], "g", [], []))),
        "attribute 'g' of kind GRAPH is not supported",
    ),
]


@pytest.mark.parametrize(("change", "reason"), REFUSED)
def test_refused_with_the_reason(change, reason):
    with pytest.raises(OnnxError, match=f"ONNX model: .*{reason}"):
        from_onnx(_change(change).SerializeToString())


def test_constants_that_are_made_are_limited(monkeypatch):
    monkeypatch.setattr("tlverify.interop.onnx.lowering.MAX_CONSTANTS", 10)
    message = model([node("Add", ["x", "b"], ["y"])], {"x": (3, 4)}, constants={"b": BIAS})
    with pytest.raises(OnnxError, match="constants are over the limit of 10 entries in all"):
        graph_of(message)


def test_values_are_limited():
    message = model([node("Expand", ["x", "s"], ["y"])], {"x": (1,)}, constants={"s": np.array([1 << 40])})
    with pytest.raises(OnnxError, match=r"a value .* is over the limit of 268435456 entries"):
        graph_of(message)


def test_no_damaged_file_does_anything_but_raise():
    raw = dense().SerializeToString()
    random = np.random.default_rng(0)
    for _ in range(2000):
        data = bytearray(raw)
        for _ in range(random.integers(1, 4)):
            data[random.integers(len(data))] = random.integers(256)
        cut = bytes(data[: random.integers(len(data))] if random.random() < 0.2 else data)
        try:
            graph = from_onnx(cut)
        except OnnxError:
            continue
        with np.errstate(all="ignore"):
            run(graph, [np.zeros(entry.shape, entry.dtype) for entry in graph.inputs])


def test_reader_limits(monkeypatch, tmp_path):
    monkeypatch.setattr(reader_module, "MAX_MODEL_BYTES", 100)
    path = tmp_path / "net.onnx"
    path.write_bytes(dense().SerializeToString())
    with pytest.raises(OnnxError, match=r"net\.onnx: \d+ bytes is over the limit of 100"):
        from_onnx(path)
