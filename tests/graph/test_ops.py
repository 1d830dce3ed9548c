import pytest

from tlverify.graph import OPS, ShapeError, Type, infer


def f32(*shape):
    return Type(shape, "float32")


def f64(*shape):
    return Type(shape, "float64")


def i64(*shape):
    return Type(shape, "int64")


def flags(*shape):
    return Type(shape, "bool")


GOOD = [
    ("abs", [f32(2)], {}, f32(2)),
    ("add", [i64(2), i64(2)], {}, i64(2)),
    ("cast", [flags(2)], {"dtype": "float64"}, f64(2)),
    ("detach", [flags(2)], {}, flags(2)),
    ("div", [f64(), f64()], {}, f64()),
    ("equal", [i64(2), i64(2)], {}, flags(2)),
    ("exp", [f32(0)], {}, f32(0)),
    ("greater", [f32(2), f32(2)], {}, flags(2)),
    ("log", [f32(2)], {}, f32(2)),
    ("maximum", [i64(2), i64(2)], {}, i64(2)),
    ("minimum", [f32(2), f32(2)], {}, f32(2)),
    ("mul", [f32(2), f32(2)], {}, f32(2)),
    ("neg", [i64(2)], {}, i64(2)),
    ("relu", [f32(2, 3)], {}, f32(2, 3)),
    ("sign", [f32(2)], {}, f32(2)),
    ("sqrt", [f32(2)], {}, f32(2)),
    ("sub", [f32(2), f32(2)], {}, f32(2)),
    ("where", [flags(2), i64(2), i64(2)], {}, i64(2)),
    ("linear", [f32(7, 5, 3), f32(2, 3), f32(2)], {}, f32(7, 5, 2)),
    ("linear", [f32(3), f32(2, 3), f32(2)], {}, f32(2)),
    ("matmul", [f32(4, 2, 3), f32(4, 3, 5)], {}, f32(4, 2, 5)),
    ("max", [f32(2, 3)], {"axes": (1,), "keepdims": 0}, f32(2)),
    ("max", [f32(0, 3)], {"axes": (1,), "keepdims": 0}, f32(0)),
    ("sum", [i64(2, 3)], {"axes": (0, 1), "keepdims": 1}, i64(1, 1)),
    ("sum", [f32(2, 3)], {"axes": (), "keepdims": 0}, f32(2, 3)),
    ("broadcast_to", [f32(3, 1)], {"shape": (2, 3, 4)}, f32(2, 3, 4)),
    ("reshape", [f32(2, 3)], {"shape": (6,)}, f32(6)),
    ("reshape", [f32()], {"shape": (1, 1)}, f32(1, 1)),
    ("transpose", [f32(2, 3, 4)], {"axes": (2, 0, 1)}, f32(4, 2, 3)),
]
BAD = [
    ("gelu", [f32(2)], {}, "unknown op 'gelu'; known ops: abs, add"),
    ("add", [f32(2)], {}, "add: expected 2 inputs, found 1"),
    ("add", [f32(2), f32(2)], {"axis": 0}, r"add: expected attributes \[\], found \['axis'\]"),
    ("sum", [f32(2)], {"axes": (0,)}, r"sum: expected attributes \['axes', 'keepdims'\], found \['axes'\]"),
    ("sum", [f32(2)], {"axes": 0, "keepdims": 0}, "sum: attribute 'axes': expected tuple, found 0"),
    ("sum", [f32(2)], {"axes": (0,), "keepdims": True}, "sum: attribute 'keepdims': expected int, found True"),
    ("sum", [f32(2)], {"axes": (0,), "keepdims": 2}, "sum: keepdims: expected 0 or 1, found 2"),
    ("sum", [f32(2)], {"axes": (1,), "keepdims": 0}, r"sum: axes \[1\]: expected increasing axes of float32\[2\]"),
    ("sum", [f32(2, 2)], {"axes": (1, 0), "keepdims": 0}, r"sum: axes \[1, 0\]: expected increasing axes"),
    ("sum", [f32(2, 2)], {"axes": (-1,), "keepdims": 0}, r"sum: axes \[-1\]: expected increasing axes"),
    ("sum", [flags(2)], {"axes": (0,), "keepdims": 0}, "sum: expected numbers, found bool"),
    ("max", [f32(2, 0)], {"axes": (1,), "keepdims": 0}, "max: the maximum over an axis of size 0 does not exist"),
    ("add", [f32(2), f32(3)], {}, r"add: expected equal shapes and dtypes, found float32\[2\] and float32\[3\]"),
    ("add", [f32(2), f64(2)], {}, r"add: expected equal shapes and dtypes, found float32\[2\] and float64\[2\]"),
    ("add", [flags(2), flags(2)], {}, "add: expected numbers, found bool"),
    ("div", [i64(2), i64(2)], {}, "div: expected a float dtype, found int64"),
    ("exp", [i64(2)], {}, "exp: expected a float dtype, found int64"),
    ("equal", [i64(2), f32(2)], {}, "equal: expected equal shapes and dtypes"),
    ("where", [f32(2), f32(2), f32(2)], {}, "where: condition: expected bool, found float32"),
    ("where", [flags(3), f32(2), f32(2)], {}, r"where: condition bool\[3\] does not match float32\[2\]"),
    ("cast", [f32(2)], {"dtype": "float16"}, "cast: dtype: expected one of float32, .*, found 'float16'"),
    ("matmul", [f32(2, 3), f32(2, 3)], {}, r"matmul: cannot multiply .*: expected \(..., m, k\) and \(..., k, n\)"),
    ("matmul", [f32(3), f32(3)], {}, "matmul: cannot multiply"),
    ("matmul", [f32(1, 2, 3), f32(3, 2)], {}, "matmul: cannot multiply"),
    ("matmul", [f32(2, 3), f64(3, 2)], {}, r"matmul: expected equal dtypes, found float32\[2, 3\] and float64"),
    ("matmul", [i64(2, 3), i64(3, 2)], {}, "matmul: expected a float dtype, found int64"),
    ("linear", [f32(4), f32(2, 3), f32(2)], {}, r"linear: input float32\[4\]: expected 3 features on the last"),
    ("linear", [f32(), f32(2, 3), f32(2)], {}, r"linear: input float32\[\]: expected 3 features"),
    ("linear", [f32(3), f32(3), f32(2)], {}, r"linear: weight: expected \(out, in\), found float32\[3\]"),
    ("linear", [f32(3), f32(2, 3), f32(3)], {}, r"linear: bias: expected \(2,\) to match weight"),
    ("linear", [f32(3), f32(2, 3), f64(2)], {}, "linear: expected equal dtypes"),
    ("linear", [i64(3), i64(2, 3), i64(2)], {}, "linear: expected a float dtype, found int64"),
    ("reshape", [f32(2, 3)], {"shape": (4,)}, r"reshape: cannot reshape float32\[2, 3\] \(6 elements\) to \[4\]"),
    ("reshape", [f32(2, 3)], {"shape": (-2, -3)}, "reshape: shape: expected sizes >= 0"),
    ("broadcast_to", [f32(2)], {"shape": (3,)}, r"broadcast_to: cannot broadcast float32\[2\] to \[3\]"),
    ("broadcast_to", [f32(1, 2)], {"shape": (2,)}, "broadcast_to: cannot broadcast"),
    ("broadcast_to", [f32(1)], {"shape": (-1,)}, "broadcast_to: shape: expected sizes >= 0"),
    ("transpose", [f32(2, 3)], {"axes": (0, 0)}, r"transpose: axes \[0, 0\] do not permute float32\[2, 3\]"),
    ("transpose", [f32(2, 3)], {"axes": (0,)}, r"transpose: axes \[0\] do not permute"),
]


def test_every_op_has_a_case():
    assert {op for op, *_ in GOOD} == set(OPS)


@pytest.mark.parametrize(("op", "types", "attributes", "expected"), GOOD)
def test_shape_rule(op, types, attributes, expected):
    assert infer(op, tuple(types), attributes) == expected


@pytest.mark.parametrize(("op", "types", "attributes", "reason"), BAD)
def test_shape_error(op, types, attributes, reason):
    with pytest.raises(ShapeError, match=reason):
        infer(op, tuple(types), attributes)
