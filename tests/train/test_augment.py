"""Jitter: what stays the same, what moves where, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from tlverify.graph import ShapeError
from tlverify.train.augment import Jitter

IMAGES = np.random.default_rng(0).uniform(size=(5, 6, 4)).astype(np.float32)


class Extreme:
    """A generator whose draws are all at the upper end."""

    def random(self, size: tuple[int, ...], dtype: type) -> np.ndarray:
        return np.ones(size, dtype)


def test_nothing_to_do() -> None:
    np.testing.assert_allclose(Jitter()(IMAGES, np.random.default_rng(0)), IMAGES, atol=1e-6)


@pytest.mark.parametrize("jitter", [Jitter(1.0, 30.0, 0.3, 0.2), Jitter(noise=0.5), Jitter(shift=2.0)])
def test_type_range_and_seed(jitter: Jitter) -> None:
    first, again, other = (jitter(IMAGES, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert (first.shape, first.dtype) == (IMAGES.shape, IMAGES.dtype)
    assert 0 <= first.min() <= first.max() <= 1
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_shift_by_one_pixel() -> None:
    moved = Jitter(shift=1.0)(IMAGES, Extreme())  # type: ignore[arg-type]
    np.testing.assert_allclose(moved[:, :-1, :-1], IMAGES[:, 1:, 1:], atol=1e-6)
    assert (moved[:, -1] == 0).all()
    assert (moved[:, :, -1] == 0).all()


def test_half_a_pixel_is_the_mean_of_four() -> None:
    moved = Jitter(shift=0.5)(IMAGES, Extreme())  # type: ignore[arg-type]
    four = (IMAGES[:, 1:, 1:] + IMAGES[:, 1:, :-1] + IMAGES[:, :-1, 1:] + IMAGES[:, :-1, :-1]) / 4
    np.testing.assert_allclose(moved[:, :-1, :-1], four, atol=1e-6)


def test_a_quarter_turn() -> None:
    square = IMAGES[:, :4]
    turned = Jitter(rotate=90.0)(square, Extreme())  # type: ignore[arg-type]
    np.testing.assert_allclose(turned, np.rot90(square, -1, (1, 2)), atol=1e-6)


def test_twice_the_size() -> None:
    grown = Jitter(scale=float(np.log(2)))(np.ones((1, 4, 4), np.float32), Extreme())  # type: ignore[arg-type]
    np.testing.assert_allclose(grown, 1.0, atol=1e-6)
    shrunk = Jitter(scale=-float(np.log(2)))(np.ones((1, 8, 8), np.float32), Extreme())  # type: ignore[arg-type]
    assert shrunk[0, 2:6, 2:6].min() == pytest.approx(1.0)
    assert shrunk[0, [0, -1]].max() == 0.0


def test_noise_is_clipped() -> None:
    noisy = Jitter(noise=0.25)(IMAGES, Extreme())  # type: ignore[arg-type]
    np.testing.assert_allclose(noisy, np.minimum(IMAGES + 0.25, 1), atol=1e-6)


def test_images_have_three_axes() -> None:
    with pytest.raises(ShapeError, match=r"Jitter: expected images \(n, height, width\), found \[5, 24\]"):
        Jitter()(IMAGES.reshape(5, 24), np.random.default_rng(0))
