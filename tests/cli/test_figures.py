import base64
import io
import xml.etree.ElementTree as ElementTree

import matplotlib
import matplotlib.image
import numpy as np
import pytest

from tlverify.cli.figures import change, is_drawn, loss_curve, picture, thin


def decode(uri):
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    return matplotlib.image.imread(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize("drawn", [False, True])
def test_picture_keeps_shape_and_absolute_values(drawn):
    pixels = np.array([[0.25, 0.5, 0.75], [0.5, 0.5, 0.5]])
    found = decode(picture(pixels, drawn=drawn))[..., 0]
    np.testing.assert_allclose(found, 1 - pixels if drawn else pixels, atol=1 / 255)


def test_change_is_orange_up_blue_down_and_opaque_at_the_radius():
    rgba = change(np.full((1, 4), 0.5), np.array([[0.52, 0.48, 0.51, 0.5]]), 0.02)
    np.testing.assert_allclose(rgba[0, :, 3], [1, 1, 0.5, 0], atol=1e-9)
    red, blue = rgba[0, :2, 0], rgba[0, :2, 2]
    assert red[0] > blue[0]
    assert red[1] < blue[1]
    assert not change(np.zeros((2, 2)), np.ones((2, 2)), 0.0)[..., 3].any()


def test_strokes_are_told_from_photographs():
    assert is_drawn([np.zeros((4, 4)), np.ones((4, 4))])
    assert not is_drawn([np.full((4, 4), 0.5)])
    assert not is_drawn([])


def test_thin_keeps_the_extremes_of_a_long_curve():
    curve = np.random.default_rng(0).random(5000)
    curve[1234] = 99
    steps, low, mean, high = thin(curve, 300)
    assert len(steps) == len(low) == len(mean) == len(high) == 300
    assert steps[-1] == 5000
    assert high.max() == 99
    assert low.min() == curve.min()
    assert np.all((low <= mean) & (mean <= high))


def test_thin_leaves_a_short_curve_alone():
    steps, low, mean, high = thin([3.0, 2.0, 1.0], 300)
    assert steps.tolist() == [1, 2, 3]
    assert low.tolist() == mean.tolist() == high.tolist() == [3, 2, 1]


@pytest.mark.parametrize(
    "curve",
    [[1.0], [2.0, 2.0], [0.0, -1.0], [float("nan")] * 3, [1.0, float("inf"), 0.5], [100.0, 1.0, 0.01]],
    ids=["one step", "constant", "not positive", "nan", "infinite", "logarithmic"],
)
def test_any_loss_draws_well_formed_svg(curve):
    assert ElementTree.fromstring(loss_curve(curve, "a")).tag.endswith("svg")


def test_curves_share_a_page_and_its_colours():
    before = dict(matplotlib.rcParams)
    first, second = loss_curve([2.0, 1.0], "a"), loss_curve([2.0, 1.0], "b")
    assert dict(matplotlib.rcParams) == before

    def ids(svg):
        return {element.get("id") for element in ElementTree.fromstring(svg).iter() if element.get("id")}

    assert ids(first)
    assert not ids(first) & ids(second)
    assert "var(--accent)" in first
    assert "currentColor" in first
    assert "#00000" not in first
    assert first == loss_curve([2.0, 1.0], "a")
    assert len(loss_curve(np.random.default_rng(0).random(5000).tolist(), "c")) < 60_000
