"""Writing claims: what is to be proved about a graph, as canonical JSON that the kernel reads.

Nothing here is trusted for a proof: the kernel reads the claim's bytes itself and says in words what they claim.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.certify import kernel
from tlverify.graph import Graph, TlverifyError, canonical_json, digest

Number = int | float | str | Decimal | Fraction
Semantics = str | Mapping[str, str | int]

NORMS = ("linf", "l2", "l1")
ANY_ORDER: Mapping[str, str | int] = {"rounding": "nearest", "subnormals": "any", "operands": "float32", "depth": 0}
SEMANTICS: Mapping[str, Semantics] = {
    "real": "real",
    "float32": ANY_ORDER,
    "ieee-any-order": ANY_ORDER,
    "numpy-cpu": {**ANY_ORDER, "subnormals": "gradual"},
    "cuda-no-tf32": ANY_ORDER,
    "cuda-tf32": {**ANY_ORDER, "operands": "tf32-truncated"},
    "any-rounding": {**ANY_ORDER, "rounding": "any"},
}
"""Arithmetics that a claim may be about, by name: real numbers, or a contract that float32 executions keep. What they
rest on is in docs/float32.md."""


class ClaimError(TlverifyError):
    """A claim cannot be made: its parts do not fit the graph or each other."""


@dataclass(frozen=True)
class Inequality:
    """sum of coefficient * value[index] >= bound (> bound if strict). Terms are (value name, index, coefficient).

    Other numbers than fractions, such as 1 or 0.25, are made exact fractions as `exact` does.
    """

    terms: tuple[tuple[str, int, Fraction], ...]
    bound: Fraction = Fraction(0)
    strict: bool = False

    def __post_init__(self) -> None:
        terms = tuple((name, index, exact(coefficient, "coefficient")) for name, index, coefficient in self.terms)
        object.__setattr__(self, "terms", terms)
        object.__setattr__(self, "bound", exact(self.bound, "bound"))


@dataclass(frozen=True)
class Claim:
    """No input of the region reaches the bad set.

    `region` is the JSON data of each input's region; `lower` and `upper` its exact ends, flat, by input name.
    `bad` is a disjunction of conjunctions. `semantics` is "real" or the JSON data of a contract.
    """

    graph_digest: str
    region: tuple[dict[str, Any], ...]
    lower: dict[str, tuple[Fraction, ...]]
    upper: dict[str, tuple[Fraction, ...]]
    bad: tuple[tuple[Inequality, ...], ...]
    semantics: Semantics = "real"

    def under(self, semantics: Semantics) -> Claim:
        """The same about another arithmetic: a name in SEMANTICS, or a contract."""
        return replace(self, semantics=read_semantics(semantics))

    @cached_property
    def data(self) -> bytes:
        """The canonical bytes of the claim file."""
        disjuncts = [
            [
                {
                    "terms": [[name, index, str(coefficient)] for name, index, coefficient in row.terms],
                    "bound": str(row.bound),
                    "strict": int(row.strict),
                }
                for row in conjuncts
            ]
            for conjuncts in self.bad
        ]
        return canonical_json(
            {
                "format": "tlverify.claim",
                "version": 1,
                "graph": self.graph_digest,
                "semantics": self.semantics if isinstance(self.semantics, str) else dict(self.semantics),
                "region": list(self.region),
                "bad": disjuncts,
            }
        )

    @property
    def sequential(self) -> dict[str, Any] | None:
        """The orders of a witness whose execution is sequential; None if the claim is about real numbers."""
        return None if self.semantics == "real" else {}

    @cached_property
    def digest(self) -> str:
        """Hexadecimal sha256 of `data`."""
        return hashlib.sha256(self.data).hexdigest()


def read_semantics(given: Semantics) -> Semantics:
    """What a claim's file says for a name in SEMANTICS, or for a contract. ClaimError if there is no such."""
    if isinstance(given, str):
        if given not in SEMANTICS:
            raise ClaimError(f"semantics: expected one of {', '.join(SEMANTICS)}, found {given!r}")
        return SEMANTICS[given]
    try:
        kernel.read_contract(dict(given))
    except kernel.Malformed as error:
        raise ClaimError(f"semantics: {error}") from None
    return given


def in_words(semantics: Semantics) -> str:
    """Under which arithmetic a claim with these semantics holds."""
    if semantics == "real":
        return "exact real arithmetic on the stored parameters"
    return str(kernel.read_contract(dict(semantics)) if isinstance(semantics, Mapping) else semantics)


def exact(value: Number, what: str = "number") -> Fraction:
    """The rational that a number is written as: 0.02 is 1/50, not the float nearest to it.

    Numbers of NumPy are taken as they are stored, like the entries of an array.
    """
    try:
        if isinstance(value, np.generic):
            return Fraction(value.item())
        return Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        raise ClaimError(f"{what}: expected a finite number such as 0.02 or 1/50, found {value!r}") from None


def robustness(
    graph: Graph,
    centers: npt.ArrayLike,
    labels: Sequence[int] | npt.NDArray[Any],
    epsilon: Number,
    clip: tuple[Number, Number] = (0, 1),
    semantics: Semantics = "real",
    norm: str = "linf",
) -> list[Claim]:
    """For each center: every input within `epsilon` of it, and within `clip`, is given its label.

    `centers` is (n, *input shape), taken as the exact numbers stored; `labels` is (n,). The label's logit must be
    strictly the largest: a tie counts as bad. Distances are by `norm`: "linf" (per coordinate), "l2" or "l1".
    `semantics` is the arithmetic that the claims are about, as in `Claim.under`. Raises ClaimError if the graph is not
    a classifier with one input and one output vector, or if the arrays do not fit it.
    """
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ClaimError(
            f"robustness needs one input and one output, found {len(graph.inputs)} and {len(graph.outputs)}"
        )
    source, output = graph.inputs[0], graph.outputs[0]
    classes = int(np.prod(graph.types[output].shape))
    points = np.asarray(centers)
    if points.dtype.kind not in "fui" or points.shape[1:] != source.shape:
        shape = ["n", *source.shape]
        raise ClaimError(f"centers: expected numbers of shape {shape}, found {points.dtype}{list(points.shape)}")
    if not np.isfinite(points).all():
        row = int(np.argwhere(~np.isfinite(points))[0][0])
        raise ClaimError(f"centers: example {row} holds a NaN or an infinity")
    if len(labels) != len(points):
        raise ClaimError(f"labels: expected {len(points)}, one for each center, found {len(labels)}")
    radius, low, high = exact(epsilon, "epsilon"), exact(clip[0], "clip"), exact(clip[1], "clip")
    if norm not in NORMS:
        raise ClaimError(f"norm: expected one of {', '.join(NORMS)}, found {norm!r}")
    if radius < 0:
        raise ClaimError(f"epsilon: expected a radius >= 0, found {epsilon}")
    graph_digest, told = digest(graph), read_semantics(semantics)
    claims = []
    for row, (point, label) in enumerate(zip(points, labels, strict=True)):
        if not 0 <= int(label) < classes:
            raise ClaimError(f"labels: example {row} has label {label}, the graph has {classes} classes")
        center = [Fraction(value) for value in point.ravel().tolist()]
        lower, upper = [max(c - radius, low) for c in center], [min(c + radius, high) for c in center]
        if any(a > b for a, b in zip(lower, upper, strict=True)):
            found = f"example {row} is farther than epsilon from the clip range [{low}, {high}]"
            raise ClaimError(f"centers: {found}; give the range of the data, as in clip=(-1, 1)")
        region = {
            "kind": f"{norm}_ball",
            "input": source.name,
            "center": [str(c) for c in center],
            "radius": str(radius),
            "clip": [str(low), str(high)],
        }
        bad = tuple(_beats(output, other, int(label)) for other in range(classes) if other != int(label))
        ends = {source.name: tuple(lower)}, {source.name: tuple(upper)}
        claims.append(Claim(graph_digest, (region,), *ends, bad, told))
    return claims


def pixel_robustness(
    graph: Graph,
    images: npt.ArrayLike,
    labels: Sequence[int] | npt.NDArray[Any],
    levels: int,
    divisor: int = 255,
    semantics: Semantics = "float32",
) -> list[Claim]:
    """For each image: every image file of which each pixel differs by `levels` at most is given its label.

    `images` is (n, *input shape) of integers from 0 to `divisor`; the network takes each as the float32 nearest to
    pixel / divisor, as `x.astype(numpy.float32) / 255` and ToTensor give it. So the claim is about the finite set of
    images that a file can hold. ClaimError as for `robustness`.
    """
    pixels = np.asarray(images)
    if pixels.dtype.kind not in "ui" or (pixels.size and not 0 <= pixels.min() <= pixels.max() <= divisor):
        raise ClaimError(f"images: expected integers from 0 to {divisor}, found {pixels.dtype}")
    if levels < 0 or not 1 <= divisor <= 1 << 16:
        raise ClaimError(f"levels: expected 0 or more, and a divisor of 1 to 65536; found {levels} and {divisor}")
    claims = robustness(graph, pixels.astype(np.float32) / np.float32(divisor), labels, 0, semantics=semantics)
    result = []
    for image, made in zip(pixels, claims, strict=True):
        (name,) = made.lower
        low = np.clip(image.ravel().astype(int) - levels, 0, divisor).tolist()
        high = np.clip(image.ravel().astype(int) + levels, 0, divisor).tolist()
        region = {"kind": "levels", "input": name, "lower": low, "upper": high, "divisor": divisor}
        lower, upper = ({name: tuple(kernel.level(number, divisor) for number in side)} for side in (low, high))
        result.append(replace(made, region=(region,), lower=lower, upper=upper))
    return result


def box(
    graph: Graph,
    ranges: dict[str, tuple[Iterable[Number], Iterable[Number]]],
    bad: Sequence[Sequence[Inequality]],
    semantics: Semantics = "real",
) -> Claim:
    """No input with each entry in its range (lower ends, upper ends; flat) satisfies a conjunction of `bad`.

    Raises ClaimError if the ranges or the inequalities do not fit the graph.
    """
    lower = {name: tuple(exact(v, name) for v in ends[0]) for name, ends in ranges.items()}
    upper = {name: tuple(exact(v, name) for v in ends[1]) for name, ends in ranges.items()}
    region = tuple(
        {"kind": "box", "input": name, "lower": [*map(str, lower[name])], "upper": [*map(str, upper[name])]}
        for name in ranges
    )
    _check_ranges(graph, lower, upper)
    _check_bad(graph, bad)
    return Claim(digest(graph), region, lower, upper, tuple(tuple(row) for row in bad), read_semantics(semantics))


def _check_ranges(graph: Graph, lower: dict[str, tuple[Fraction, ...]], upper: dict[str, tuple[Fraction, ...]]) -> None:
    names = [value.name for value in graph.inputs]
    if set(lower) != set(names):
        raise ClaimError(f"ranges: expected one for each input of {names}, found {sorted(lower)}")
    for value in graph.inputs:
        size, low, high = math.prod(value.shape), lower[value.name], upper[value.name]
        if not len(low) == len(high) == size:
            raise ClaimError(f"range of {value.name!r}: expected {size} ends, found {len(low)} and {len(high)}")
        for index, (a, b) in enumerate(zip(low, high, strict=True)):
            if a > b:
                raise ClaimError(f"range of {value.name!r}: empty at entry {index}, where {a} > {b}")


def _check_bad(graph: Graph, bad: Sequence[Sequence[Inequality]]) -> None:
    visible = {*(value.name for value in graph.inputs), *graph.outputs}
    if not bad or not all(bad):
        raise ClaimError("bad: expected one conjunction or more, each of one inequality or more")
    for inequality in (row for conjuncts in bad for row in conjuncts):
        seen = set()
        for name, index, _ in inequality.terms:
            if name not in visible:
                raise ClaimError(f"term {name}[{index}]: {name!r} is not an input or output: {sorted(visible)}")
            if not 0 <= index < math.prod(graph.types[name].shape):
                raise ClaimError(f"term {name}[{index}]: {name!r} is {graph.types[name]}")
            if (name, index) in seen:
                raise ClaimError(f"term {name}[{index}] stands twice in one inequality")
            seen.add((name, index))


def _beats(output: str, other: int, label: int) -> tuple[Inequality, ...]:
    return (Inequality(((output, other, Fraction(1)), (output, label, Fraction(-1)))),)
