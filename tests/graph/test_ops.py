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


def windows(kernel, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), **more):
    return {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation, **more}


def conv(stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    return {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


def mean(kernel, stride=(1, 1), padding=(0, 0, 0, 0), count_include_pad=1):
    return {"kernel": kernel, "stride": stride, "padding": padding, "count_include_pad": count_include_pad}


def part(starts, stops, steps):
    return {"starts": starts, "stops": stops, "steps": steps}


def around(before, after, value="0"):
    return {"before": before, "after": after, "value": value}


IMAGE, KERNEL, CHANNELS = f32(2, 4, 5, 6), f32(6, 2, 3, 3), [f32(4)] * 4
GOOD = [
    ("avg_pool2d", [f32(5, 6)], mean((2, 3), (2, 1)), f32(2, 4)),
    ("avg_pool2d", [f32(7, 5, 6)], mean((2, 2), (2, 2), (1, 1, 1, 1), 0), f32(7, 3, 4)),
    ("batch_norm", [IMAGE, *CHANNELS], {"axis": 1, "epsilon": "1/1024"}, IMAGE),
    ("batch_norm", [f64(4), *[f64(4)] * 4], {"axis": 0, "epsilon": "2"}, f64(4)),
    ("clamp", [f32(2)], {"minimum": "-3/8", "maximum": "-3/8"}, f32(2)),
    ("concat", [flags(2, 3)], {"axis": 1}, flags(2, 3)),
    ("concat", [i64(2, 3), i64(2, 0), i64(2, 4)], {"axis": 1}, i64(2, 7)),
    ("conv2d", [IMAGE, KERNEL, f32(6)], conv(groups=2), f32(2, 6, 3, 4)),
    ("conv2d", [f32(2, 5, 6), KERNEL, f32(6)], conv((2, 1), (0, 1, 2, 3), (3, 2)), f32(6, 1, 6)),
    ("conv2d", [f64(1, 0, 0), f64(1, 1, 2, 2), f64(1)], conv(padding=(1, 1, 1, 1)), f64(1, 1, 1)),
    ("fold", [f32(7, 2, 3, 4, 4)], windows((2, 3), size=(5, 6)), f32(7, 5, 6)),
    ("leaky_relu", [f32(2)], {"slope": "-1/4"}, f32(2)),
    ("max_pool2d", [f32(4, 5, 6)], windows((3, 3), (2, 2), (1, 1, 1, 1)), f32(4, 3, 3)),
    ("max_pool2d", [f32(1, 2)], windows((3, 3), (1, 1), (2, 2, 2, 2), (2, 2)), f32(1, 2)),
    ("pad", [f32(2, 3)], around((0, 1), (2, 0), "-1/2"), f32(4, 4)),
    ("pad", [f32()], around((), ()), f32()),
    ("scale", [f64(2)], {"factor": "0"}, f64(2)),
    *(
        (op, [f32(2, 3)], {}, f32(2, 3))
        for op in ("cos", "erf", "expm1", "log1p", "sigmoid", "sin", "softplus", "tanh")
    ),
    ("pow", [f64(2), f64(2)], {}, f64(2)),
    ("argmax", [i64(2, 3, 4)], {"axis": 1}, i64(2, 4)),
    ("argsort", [f32(2, 3)], {"axis": 0, "descending": 1}, i64(2, 3)),
    ("cumsum", [i64(2, 3)], {"axis": 1, "reverse": 0}, i64(2, 3)),
    ("gather", [flags(5, 2), i64(3, 4)], {"batch": 0}, flags(3, 4, 2)),
    ("gather", [f32(3, 5, 2), i64(3, 4)], {"batch": 1}, f32(3, 4, 2)),
    ("gather", [f32(3, 4, 5), i64(3, 4)], {"batch": 2}, f32(3, 4)),
    ("scatter_add", [f32(3, 4, 2), i64(3, 4)], {"batch": 1, "size": 5}, f32(3, 5, 2)),
    ("scatter_add", [f32(0, 2), i64(0)], {"batch": 0, "size": 0}, f32(0, 2)),
    ("cholesky", [f32(2, 3, 3)], {}, f32(2, 3, 3)),
    ("qr", [f64(2, 4, 3)], {}, f64(2, 4, 3)),
    ("solve", [f32(2, 3, 3), f32(2, 3, 4)], {}, f32(2, 3, 4)),
    ("fft", [f32(3, 5, 2)], {"inverse": 1}, f32(3, 5, 2)),
    ("rfft", [f32(3, 5)], {}, f32(3, 3, 2)),
    ("irfft", [f32(3, 3, 2)], {"size": 4}, f32(3, 4)),
    ("random_uniform", [i64(3, 2)], {"shape": (4, 5), "dtype": "float64"}, f64(3, 4, 5)),
    ("slice", [i64(2, 5)], part((0, 1), (2, 5), (1, 3)), i64(2, 2)),
    ("slice", [i64(2, 5)], part((2, 3), (2, 3), (1, 9)), i64(0, 0)),
    ("windows", [f32(7, 5, 6)], windows((2, 3), (2, 2), (1, 0, 0, 0)), f32(7, 2, 3, 3, 2)),
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
    ("gelu", [f32(2)], {}, "unknown op 'gelu'; [a-z_, ]+ of the [0-9]+ known"),
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
    ("transpose", [f32(2)], {"axes": (False,)}, "transpose: attribute 'axes': expected a list of integers"),
    ("concat", [], {"axis": 0}, "concat: expected one or more inputs, found 0"),
    ("concat", [f32(2)], {"axis": 1}, r"concat: axis: expected an axis of float32\[2\], found 1"),
    ("concat", [f32(2)], {"axis": -1}, "concat: axis: expected an axis"),
    ("concat", [f32(2, 3), f32(3, 3)], {"axis": 1}, "concat: expected equal dtypes and sizes except on axis 1"),
    ("concat", [f32(2), f64(2)], {"axis": 0}, "concat: expected equal dtypes and sizes"),
    ("concat", [f32(2), f32(2, 1)], {"axis": 0}, "concat: expected equal dtypes and sizes"),
    ("slice", [f32(2, 3)], part((0,), (2,), (1,)), r"slice: starts: expected 2 integers, found \[0\]"),
    ("slice", [f32(3)], part((0,), (4,), (1,)), "slice: expected 0 <= start <= stop <= size on each axis of"),
    ("slice", [f32(3)], part((2,), (1,), (1,)), r"slice: expected 0 <= .*, found \[2\] to \[1\]"),
    ("slice", [f32(3)], part((-1,), (3,), (1,)), r"slice: starts: expected integers >= 0, found \[-1\]"),
    ("slice", [f32(3)], part((0,), (3,), (0,)), r"slice: steps: expected integers >= 1, found \[0\]"),
    ("pad", [f32(3)], around((1,), (1, 2)), r"pad: after: expected 1 integers, found \[1, 2\]"),
    ("pad", [f32(3)], around((-1,), (1,)), "pad: before: expected integers >= 0"),
    ("pad", [f32(3)], around((1,), (1,), "0.5"), "pad: value: expected an integer or p/q in lowest terms"),
    ("pad", [i64(3)], around((1,), (1,)), "pad: expected a float dtype, found int64"),
    ("scale", [f32(3)], {"factor": "1/3"}, "scale: factor: expected .* power of two, found '1/3'"),
    ("scale", [i64(3)], {"factor": "1"}, "scale: expected a float dtype"),
    ("leaky_relu", [f32(3)], {"slope": "2/4"}, "leaky_relu: slope: expected .* lowest terms"),
    ("clamp", [f32(3)], {"minimum": "1", "maximum": "1/2"}, "clamp: expected minimum <= maximum, found 1 and 1/2"),
    ("clamp", [f32(3)], {"minimum": "-1", "maximum": "inf"}, "clamp: maximum: expected an integer"),
    ("conv2d", [f32(5, 6), KERNEL, f32(6)], conv(), r"conv2d: input: expected \(..., channels, height, width\)"),
    ("conv2d", [IMAGE, f32(6, 2, 3), f32(6)], conv(), r"conv2d: weight: expected \(out, channels / groups"),
    ("conv2d", [IMAGE, KERNEL, f32(5)], conv(groups=2), r"conv2d: bias: expected \(6,\) to match weight"),
    ("conv2d", [IMAGE, KERNEL, f64(6)], conv(groups=2), "conv2d: expected equal dtypes"),
    ("conv2d", [i64(2, 5, 6), i64(6, 2, 3, 3), i64(6)], conv(), "conv2d: expected a float dtype, found int64"),
    ("conv2d", [IMAGE, KERNEL, f32(6)], conv(), "conv2d: groups: .* found 1 for 4 input channels in groups of 2"),
    ("conv2d", [IMAGE, f32(5, 2, 3, 3), f32(5)], conv(groups=2), "conv2d: groups: .*, 5 output channels"),
    ("conv2d", [IMAGE, KERNEL, f32(6)], conv(groups=0), "conv2d: groups: expected equal groups .* found 0"),
    ("conv2d", [IMAGE, KERNEL, f32(6)], conv((0, 1), groups=2), r"conv2d: stride: expected integers >= 1"),
    ("conv2d", [IMAGE, KERNEL, f32(6)], conv((1,), groups=2), "conv2d: stride: expected 2 integers"),
    ("conv2d", [IMAGE, KERNEL, f32(6)], conv(padding=(1, 1), groups=2), "conv2d: padding: expected 4 integers"),
    ("conv2d", [IMAGE, KERNEL, f32(6)], conv(padding=(0, -1, 0, 0), groups=2), "conv2d: padding: expected .* >= 0"),
    ("conv2d", [IMAGE, KERNEL, f32(6)], conv(dilation=(1, 0), groups=2), "conv2d: dilation: expected .* >= 1"),
    (
        "conv2d",
        [IMAGE, KERNEL, f32(6)],
        conv(dilation=(3, 1), groups=2),
        r"conv2d: kernel \[3, 3\] spans \[7, 3\], more than the padded input \[5, 6\]",
    ),
    ("conv2d", [IMAGE, f32(6, 2, 0, 3), f32(6)], conv(groups=2), "conv2d: kernel: expected sizes >= 1"),
    ("avg_pool2d", [f32(5)], mean((1, 1)), r"avg_pool2d: input: expected \(..., height, width\)"),
    ("avg_pool2d", [f32(5, 6)], mean((2, 2), count_include_pad=2), "count_include_pad: expected 0 or 1, found 2"),
    (
        "avg_pool2d",
        [f32(5, 6)],
        mean((2, 2), padding=(0, 0, 2, 0)),
        "avg_pool2d: padding: expected less than the window 2",
    ),
    ("avg_pool2d", [f32(5, 6)], mean((2, 2), (0, 1)), "avg_pool2d: stride: expected integers >= 1"),
    ("max_pool2d", [f32(5, 6)], windows((2, 0)), "max_pool2d: kernel: expected integers >= 1"),
    ("max_pool2d", [f32(5, 6)], windows((6, 1)), r"max_pool2d: kernel \[6, 1\] spans \[6, 1\], more than"),
    ("max_pool2d", [f32(5, 6)], windows((2, 2), padding=(0, 3, 0, 0), dilation=(1, 2)), "padding: expected less than"),
    (
        "max_pool2d",
        [f32(1, 6)],
        windows((2, 1), padding=(1, 0, 1, 0), dilation=(2, 1)),
        r"max_pool2d: dilation: \[2, 1\] leaves a window on padding only",
    ),
    ("max_pool2d", [f32(0, 6)], windows((2, 1), padding=(1, 0, 1, 0)), "leaves a window on padding only"),
    ("windows", [i64(5, 6)], windows((2, 2)), "windows: expected a float dtype"),
    ("fold", [f32(2, 3, 4, 5)], windows((2, 3), size=(5, 6)), r"fold: expected the windows \(..., 2, 3, 4, 4\)"),
    ("fold", [f32(2, 3, 4, 4)], windows((2, 3), size=(5, -1)), "fold: size: expected integers >= 0"),
    ("fold", [i64(2, 3, 4, 4)], windows((2, 3), size=(5, 6)), "fold: expected a float dtype"),
    ("batch_norm", [IMAGE, *CHANNELS], {"axis": 4, "epsilon": "1"}, "batch_norm: axis: expected an axis of"),
    (
        "batch_norm",
        [IMAGE, *CHANNELS],
        {"axis": 2, "epsilon": "1"},
        r"batch_norm: mean: expected float32\[5\], to match",
    ),
    (
        "batch_norm",
        [IMAGE, *CHANNELS[:3], f64(4)],
        {"axis": 1, "epsilon": "1"},
        r"batch_norm: bias: expected float32\[4\]",
    ),
    ("batch_norm", [IMAGE, *CHANNELS], {"axis": 1, "epsilon": "0"}, "batch_norm: epsilon: expected a number > 0"),
    ("batch_norm", [i64(4)] * 5, {"axis": 0, "epsilon": "1"}, "batch_norm: expected a float dtype"),
    ("tanh", [i64(2)], {}, "tanh: expected a float dtype, found int64"),
    ("argmax", [f32(2, 0)], {"axis": 1}, "argmax: the maximum over an axis of size 0 does not exist"),
    ("argmax", [f32(2)], {"axis": 1}, r"argmax: axis: expected an axis of float32\[2\], found 1"),
    ("argsort", [flags(2)], {"axis": 0, "descending": 0}, "argsort: expected numbers, found bool"),
    ("argsort", [f32(2)], {"axis": 0, "descending": 2}, "argsort: descending: expected 0 or 1, found 2"),
    ("cumsum", [flags(2)], {"axis": 0, "reverse": 0}, "cumsum: expected numbers, found bool"),
    ("gather", [f32(2), f32(2)], {"batch": 0}, "gather: indices: expected int64, found float32"),
    ("gather", [f32(2), i64(2)], {"batch": 2}, "gather: batch: expected a number of axes of the indices"),
    ("gather", [f32(2), i64(2)], {"batch": 1}, r"gather: x: expected an axis to index after \[2\]"),
    ("gather", [f32(3, 4), i64(2, 4)], {"batch": 1}, "gather: expected equal first axes"),
    ("gather", [f32(0, 4), i64(2)], {"batch": 0}, "gather: cannot take elements of the empty axis"),
    ("scatter_add", [i64(2), i64(2)], {"batch": 0, "size": 3}, "scatter_add: expected a float dtype"),
    ("scatter_add", [f32(3), i64(2)], {"batch": 0, "size": 3}, "updates: expected axes that begin as the indices"),
    ("scatter_add", [f32(2), i64(2)], {"batch": 0, "size": -1}, "size: expected an integer >= 0, found -1"),
    ("scatter_add", [f32(2), i64(2)], {"batch": 0, "size": 0}, "size 0 leaves no place"),
    ("cholesky", [f32(2, 3)], {}, r"cholesky: matrix: expected \(..., n, n\), found float32\[2, 3\]"),
    ("qr", [f32(2, 3)], {}, "qr: expected .* with m >= n, .*; transpose a wide matrix"),
    ("solve", [f32(3, 3), f32(3)], {}, r"solve: expected \(..., n, n\) and \(..., n, k\)"),
    ("fft", [f32(5)], {"inverse": 0}, "fft: expected complex numbers"),
    ("fft", [f32(0, 2)], {"inverse": 0}, "fft: cannot transform an axis of size 0"),
    ("fft", [f32(5, 2)], {"inverse": 3}, "fft: inverse: expected 0 or 1"),
    ("rfft", [f32()], {}, "rfft: expected .* with n >= 1"),
    ("irfft", [f32(3, 2)], {"size": 6}, r"irfft: size: expected n >= 1 with n // 2 \+ 1 = 3"),
    ("random_uniform", [f32(2)], {"shape": (), "dtype": "float32"}, "random_uniform: key: expected int64"),
    ("random_uniform", [i64(2)], {"shape": (), "dtype": "int64"}, "random_uniform: dtype: expected one of float32"),
    ("random_uniform", [i64(2)], {"shape": (-1,), "dtype": "float32"}, "shape: expected integers >= 0"),
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
