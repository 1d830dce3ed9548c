"""Checkpoints: the exact bits of a training between two steps, in a folder of its own.

A checkpoint is two files: `step-00000100.safetensors` with the arrays, and `step-00000100.json`, the manifest, which
names them, holds all else, and the sha256 of the first file. The manifest is written last, and each file by renaming a
finished one; so whenever the program is killed, a manifest that is there belongs to a whole checkpoint.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlverify.core import pytree
from tlverify.core.backend import to_numpy
from tlverify.graph import TlverifyError, write_atomic
from tlverify.train.state import TrainState
from tlverify.version import __version__

FORMAT, VERSION = "tlverify.checkpoint", 1
_NAME = re.compile(r"step-(\d{8})\.json")


class CheckpointError(TlverifyError):
    """A checkpoint that cannot be used: the message names the file, what was expected and what was found."""


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds: the state, the losses and scores so far, and the position in the data."""

    state: TrainState
    losses: tuple[float, ...]
    scores: tuple[tuple[int, float], ...]
    position: Mapping[str, Any]


@dataclass(frozen=True)
class Checkpoints:
    """Save to `folder` every `every` steps and at the end; keep the last `keep`, and the one with the best score."""

    folder: Path | str
    every: int = 100
    keep: int = 2
    best: bool = True

    def __post_init__(self) -> None:
        if self.every < 1 or self.keep < 1:
            raise TlverifyError(f"Checkpoints: expected every and keep of 1 or more, found {self.every}, {self.keep}")

    def save(self, saved: Saved, settings: Mapping[str, str], higher: bool = True) -> Path:
        """Write a checkpoint, and remove those that need not be kept. Gives the path of the manifest."""
        import safetensors.numpy

        path = self._path(saved.state.step)
        arrays, numbers = _parts(saved.state)
        arrays["losses"] = np.asarray(saved.losses, np.float64)
        data = safetensors.numpy.save(arrays)
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "step": saved.state.step,
            "sha256": hashlib.sha256(data).hexdigest(),
            "numbers": numbers,
            "scores": [list(score) for score in saved.scores],
            "position": dict(saved.position),
            "settings": dict(settings),
            "versions": versions(),
        }
        write_atomic(path.with_suffix(".safetensors"), data)
        write_atomic(path, json.dumps(manifest, indent=1).encode())
        self._prune(saved.scores, higher)
        return path

    def load(self, template: TrainState, settings: Mapping[str, str]) -> Saved | None:
        """The last checkpoint, or None if there is none.

        CheckpointError if it is damaged, was made with other settings, or does not fit the model.
        """
        paths = self.paths()
        return load_checkpoint(paths[-1], template, settings) if paths else None

    def paths(self) -> list[Path]:
        """The manifests in the folder, by step."""
        folder = Path(self.folder)
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        return [path for path in found if _NAME.fullmatch(path.name)]

    def _path(self, step: int) -> Path:
        return Path(self.folder) / f"step-{step:08d}.json"

    def _prune(self, scores: tuple[tuple[int, float], ...], higher: bool) -> None:
        """Remove manifests first, so that what is left is whole or has none."""
        paths = self.paths()
        kept = set(paths[-self.keep :])
        if self.best and scores:
            values = {step: score if higher else -score for step, score in scores}
            with_score = [path for path in paths if _step(path) in values]
            kept |= {max(with_score, key=lambda path: values[_step(path)])} if with_score else set()
        for path in paths:
            if path not in kept:
                path.unlink(missing_ok=True)
        names = {path.stem for path in kept}
        for leftover in Path(self.folder).glob("*.safetensors"):
            if leftover.stem not in names and re.fullmatch(r"step-\d{8}", leftover.stem):
                leftover.unlink(missing_ok=True)
        for part in Path(self.folder).glob(".step-*"):
            with contextlib.suppress(FileNotFoundError):
                part.unlink()


def load_checkpoint(path: Path | str, template: TrainState, settings: Mapping[str, str] | None = None) -> Saved:
    """The checkpoint with this manifest, in the form of `template`, a state before the first step.

    With `settings` those of the checkpoint must be the same. CheckpointError says what is wrong.
    """
    import safetensors.numpy

    path = Path(path)
    manifest = _manifest(path)
    if settings is not None:
        for name, value in settings.items():
            found = manifest["settings"].get(name)
            if found != value:
                raise CheckpointError(f"{path}: {name}: the checkpoint has {found}, this training has {value}")
    source = path.with_suffix(".safetensors")
    try:
        data = source.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{source}: cannot be read: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != manifest["sha256"]:
        raise CheckpointError(f"{source}: the sha256 is not the one in {path.name}; the file was changed")
    try:
        arrays = safetensors.numpy.load(data)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{source}: {error}") from None
    losses = arrays.pop("losses", np.zeros(0))
    state = _restore(template, arrays, manifest["numbers"], source)
    scores = tuple((int(step), float(score)) for step, score in manifest["scores"])
    return Saved(state, tuple(losses.tolist()), scores, manifest["position"])


def versions() -> dict[str, str]:
    """Versions of what computes."""
    return {"tlverify": __version__, "numpy": np.__version__, "python": platform.python_version()}


def _parts(state: TrainState) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays of a state, and its plain numbers, by path."""
    leaves, tree = pytree.flatten(state)
    arrays, numbers = {}, {}
    for name, leaf in zip(pytree.paths(tree), leaves, strict=True):
        if isinstance(leaf, bool | int | float):
            numbers[name] = leaf
        else:
            arrays[name] = np.ascontiguousarray(to_numpy(leaf)).reshape(leaf.shape)
    return arrays, numbers


def _restore(template: TrainState, arrays: dict[str, Any], numbers: dict[str, Any], source: Path) -> TrainState:
    leaves, tree = pytree.flatten(template)
    names = pytree.paths(tree)
    extra = sorted((set(arrays) | set(numbers)) - set(names))
    if extra:
        raise CheckpointError(f"{source}: {extra[0]!r} is not part of this model and optimizer")
    restored = []
    for name, leaf in zip(names, leaves, strict=True):
        if isinstance(leaf, bool | int | float):
            if name not in numbers:
                raise CheckpointError(f"{source}: number {name!r} is missing")
            restored.append(type(leaf)(numbers[name]))
            continue
        found = arrays.get(name)
        if found is None:
            raise CheckpointError(f"{source}: array {name!r} is missing")
        if found.shape != leaf.shape or found.dtype != leaf.dtype:
            expected = f"{leaf.dtype}{list(leaf.shape)}"
            raise CheckpointError(f"{source}: {name!r}: expected {expected}, found {found.dtype}{list(found.shape)}")
        restored.append(found)
    state: TrainState = pytree.unflatten(tree, restored)
    return state


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not valid JSON: {error}") from None
    kinds = {"sha256": str, "numbers": dict, "scores": list, "position": dict, "settings": dict}
    if not isinstance(manifest, dict) or (manifest.get("format"), manifest.get("version")) != (FORMAT, VERSION):
        raise CheckpointError(f"{path}: expected a manifest of format {FORMAT!r}, version {VERSION}")
    for name, kind in kinds.items():
        if not isinstance(manifest.get(name), kind):
            raise CheckpointError(f"{path}: field {name!r}: expected {kind.__name__}")
    return manifest


def _step(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else -1
