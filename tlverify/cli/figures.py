"""Pictures as text that an HTML page can hold: arrays as PNG data URIs, a loss curve as SVG."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib
import matplotlib.image
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

Pixels = npt.NDArray[np.floating[Any]]

# Colours drawn in place of the page's own, which differ between light and dark.
_INK, _LINE, _RULE = "#000001", "#000002", "#000003"
_THEME = {_INK: "currentColor", _LINE: "var(--accent)", _RULE: "var(--rule)"}

_LOWERED, _RAISED = (0.10, 0.45, 0.80), (0.90, 0.40, 0.05)


def picture(pixels: Pixels, *, drawn: bool = False) -> str:
    """PNG data URI of `pixels`: gray (h, w) or RGBA (h, w, 4), in [0, 1].

    Zero is black, or white paper for what is `drawn` in ink.
    """
    buffer = io.BytesIO()
    colours = "gray_r" if drawn else "gray"
    metadata: dict[str, Any] = {"Software": None}
    matplotlib.image.imsave(buffer, pixels, vmin=0, vmax=1, cmap=colours, format="png", metadata=metadata)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def is_drawn(images: Sequence[Pixels]) -> bool:
    """Whether the images are strokes on nothing, like handwriting: over a quarter of all pixels is zero."""
    zeros = sum(int(np.count_nonzero(image == 0)) for image in images)
    return 4 * zeros > sum(image.size for image in images)


def change(image: Pixels, witness: Pixels, epsilon: float) -> Pixels:
    """RGBA picture of `witness - image`: orange where raised, blue where lowered, opaque at `epsilon`."""
    delta = np.asarray(witness, dtype=float) - image
    rgba = np.empty((*delta.shape, 4))
    rgba[..., :3] = np.where(delta[..., None] > 0, _RAISED, _LOWERED)
    rgba[..., 3] = np.clip(np.abs(delta) / epsilon, 0, 1) if epsilon > 0 else 0
    return rgba


def thin(curve: Sequence[float], buckets: int = 300) -> tuple[Pixels, Pixels, Pixels, Pixels]:
    """Last step, minimum, mean and maximum of at most `buckets` equal stretches of `curve`."""
    values = np.asarray(curve, dtype=float)
    stretches = np.array_split(values, min(buckets, values.size))
    steps = np.cumsum([stretch.size for stretch in stretches], dtype=float)
    low, mean, high = (np.array([f(s) for s in stretches]) for f in (np.min, np.mean, np.max))
    return steps, low, mean, high


def loss_curve(curve: Sequence[float], name: str) -> str:
    """Inline SVG of a loss per step. `name` tells its ids from those of other curves on the page."""
    steps, low, mean, high = thin(curve)
    figure = Figure(figsize=(5.2, 2.5), layout="constrained")
    figure.patch.set_visible(False)
    axes = figure.subplots()
    axes.patch.set_visible(False)
    axes.fill_between(steps, low, high, color=_LINE, alpha=0.18, linewidth=0)
    axes.plot(steps, mean, color=_LINE, linewidth=1.6)
    if np.all(np.isfinite(low)) and low.min() > 0 and high.max() > 20 * low.min():
        axes.set_yscale("log")
    axes.set_xlabel("step", color=_INK)
    axes.set_ylabel("loss", color=_INK)
    axes.margins(x=0.01)
    axes.grid(axis="y", color=_RULE, linewidth=0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_RULE)
    axes.tick_params(which="both", length=0, labelcolor=_INK)

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=metadata)
    svg = buffer.getvalue()
    svg = re.sub(r'<g id="[^"]*"', "<g", svg[svg.index("<svg") :])
    return re.sub("|".join(_THEME), lambda match: _THEME[match[0]], svg)
