"""Shape rules of the ops that move a window over the last two axes.

`kernel`, `stride` and `dilation` are (vertical, horizontal), `padding` is (top, left, bottom, right). Along an axis
of size n with padding a and b, a kernel of k elements that are d apart spans e = (k - 1) d + 1, and takes
floor((n + a + b - e) / stride) + 1 places.
"""

from __future__ import annotations

from tlverify.graph.types import FLOATS, Attributes, Shape, Type, integers, require


def windows(types: tuple[Type, ...], attributes: Attributes) -> Type:
    x, size = types[0], _size(types[0])
    kernel = integers(attributes, "kernel", 2, 1)
    return Type((*x.shape[:-2], *kernel, *_places(size, kernel, attributes)), x.dtype)


def fold(types: tuple[Type, ...], attributes: Attributes) -> Type:
    x, size = types[0], integers(attributes, "size", 2, 0)
    kernel = integers(attributes, "kernel", 2, 1)
    expected = (*kernel, *_places(size, kernel, attributes))
    require(x.dtype in FLOATS, f"expected a float dtype, found {x.dtype}")
    require(x.shape[-4:] == expected, f"expected the windows (..., {_list(expected)}) of {list(size)}, found {x}")
    return Type((*x.shape[:-4], *size), x.dtype)


def conv2d(types: tuple[Type, ...], attributes: Attributes) -> Type:
    x, weight, bias = types
    require(x.dtype == weight.dtype == bias.dtype, f"expected equal dtypes, found {x}, {weight}, {bias}")
    require(len(x.shape) >= 3, f"input: expected (..., channels, height, width), found {x}")
    require(len(weight.shape) == 4, f"weight: expected (out, channels / groups, height, width), found {weight}")
    (channels, *_), (out, per_group, *kernel) = x.shape[-3:], weight.shape
    require(bias.shape == (out,), f"bias: expected ({out},) to match weight {weight}, found {bias}")
    groups = attributes["groups"]
    if not isinstance(groups, int) or groups < 1 or out % groups or per_group * groups != channels:
        detail = f"{channels} input channels in groups of {per_group}, {out} output channels"
        require(False, f"groups: expected equal groups of input {x} and weight {weight}, found {groups} for {detail}")
    return Type((*x.shape[:-3], out, *_places(_size(x), tuple(kernel), attributes)), x.dtype)


def avg_pool2d(types: tuple[Type, ...], attributes: Attributes) -> Type:
    include = attributes["count_include_pad"]
    require(include in (0, 1), f"count_include_pad: expected 0 or 1, found {include!r}")
    return _pool(types[0], {**attributes, "dilation": (1, 1)})


def max_pool2d(types: tuple[Type, ...], attributes: Attributes) -> Type:
    return _pool(types[0], attributes)


def _pool(x: Type, attributes: Attributes) -> Type:
    """Every window holds an element of x, so that it has a maximum and a mean."""
    size, kernel = _size(x), integers(attributes, "kernel", 2, 1)
    places = _places(size, kernel, attributes)
    stride, dilation = integers(attributes, "stride"), integers(attributes, "dilation")
    padding = integers(attributes, "padding")
    for axis in (0, 1):
        span = (kernel[axis] - 1) * dilation[axis] + 1
        before, after = padding[axis], padding[axis + 2]
        require(max(before, after) < span, f"padding: expected less than the window {span}, found {list(padding)}")
        # A window that begins in the padding may step over an axis that is shorter than its dilation.
        starts = range(-before, min(0, places[axis] * stride[axis] - before), stride[axis])
        covered = size[axis] >= dilation[axis] or all(start % dilation[axis] < size[axis] for start in starts)
        require(covered, f"dilation: {list(dilation)} leaves a window on padding only, for {x}")
    return Type((*x.shape[:-2], *places), x.dtype)


def _size(x: Type) -> Shape:
    require(x.dtype in FLOATS, f"expected a float dtype, found {x.dtype}")
    require(len(x.shape) >= 2, f"input: expected (..., height, width), found {x}")
    return x.shape[-2:]


def _places(size: Shape, kernel: Shape, attributes: Attributes) -> Shape:
    """How many windows there are along each axis."""
    require(min(kernel) >= 1, f"kernel: expected sizes >= 1, found {list(kernel)}")
    stride, dilation = integers(attributes, "stride", 2, 1), integers(attributes, "dilation", 2, 1)
    padding = integers(attributes, "padding", 4, 0)
    padded = tuple(size[axis] + padding[axis] + padding[axis + 2] for axis in (0, 1))
    span = tuple((kernel[axis] - 1) * dilation[axis] + 1 for axis in (0, 1))
    fits = span[0] <= padded[0] and span[1] <= padded[1]
    require(fits, f"kernel {list(kernel)} spans {list(span)}, more than the padded input {list(padded)}")
    return tuple((padded[axis] - span[axis]) // stride[axis] + 1 for axis in (0, 1))


def _list(sizes: Shape) -> str:
    return ", ".join(map(str, sizes))
