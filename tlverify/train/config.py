"""A model and its training, described in TOML.

    [model]
    layers = ["flatten", { linear = 64 }, "relu", { linear = 10 }]   # conv2d, max_pool2d, dropout, tanh, gelu, ...
    [data]
    source = "digits"                      # or: train = "train.npz", test = "test.npz"
    [loss]
    name = "interval_cross_entropy"        # cross_entropy, mse, mae, huber, hinge, ...
    epsilon = 0.02
    [optimizer]
    name = "adam"                          # sgd, adamw, rmsprop, adagrad, adadelta, muon
    lr = 0.001
    [train]
    epochs = 20                            # or: steps
    batch_size = 128
    schedule = "cosine"                    # constant, step, linear, exponential, warmup_cosine, cyclic, one_cycle
    [output]
    graph = "model.graph.json"

Tables other than [model], [data] and [train] may be left out. Files are found beside the configuration.
"""

from __future__ import annotations

import inspect
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from tlverify.core import nn
from tlverify.graph import Shape, TlverifyError
from tlverify.train import losses, optim
from tlverify.train.augment import Jitter
from tlverify.train.data import Dataset, digits, load_npz
from tlverify.train.objective import Objective, OutputLoss
from tlverify.train.trained import Trained
from tlverify.train.trainer import Task, Trainer

LOSSES: Mapping[str, Callable[..., Any]] = {
    "adversarial_cross_entropy": losses.AdversarialCrossEntropy,
    "bce_with_logits": losses.bce_with_logits,
    "cross_entropy": losses.cross_entropy,
    "crown_cross_entropy": losses.CrownCrossEntropy,
    "hinge": losses.hinge,
    "huber": losses.huber,
    "interval_cross_entropy": losses.IntervalCrossEntropy,
    "log_cosh": losses.log_cosh,
    "mae": losses.mae,
    "mixed_cross_entropy": losses.MixedCrossEntropy,
    "mse": losses.mse,
    "poisson": losses.poisson,
}
OPTIMIZERS: Mapping[str, Callable[..., optim.Optimizer]] = {
    "adadelta": optim.Adadelta,
    "adagrad": optim.Adagrad,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "muon": optim.Muon,
    "rmsprop": optim.RMSprop,
    "sgd": optim.SGD,
}
SCHEDULES: Mapping[str, optim.Schedule] = {
    "constant": optim.constant,
    "cosine": optim.cosine,
    "cyclic": optim.cyclic(),
    "exponential": optim.exponential(),
    "linear": optim.linear(),
    "one_cycle": optim.one_cycle(),
    "step": optim.step(),
    "warmup_cosine": optim.warmup_cosine(),
}
ACTIVATIONS: Mapping[str, Callable[[], nn.Layer]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}
ScheduleName = Literal["constant", "cosine", "cyclic", "exponential", "linear", "one_cycle", "step", "warmup_cosine"]
_OUTPUTS_AND_LABELS = 2


class ConfigError(TlverifyError):
    """A configuration that cannot be used: the message names the file, the table, the key, and what was expected."""


@dataclass(frozen=True)
class ModelTable:
    """`layers`: see `_layer`."""

    layers: list[Any]


@dataclass(frozen=True)
class DataTable:
    """`source` is a bundled set; `train` and `test` are `.npz` files with arrays x and y."""

    source: Literal["digits"] | None = None
    train: str | None = None
    test: str | None = None


@dataclass(frozen=True)
class TrainTable:
    """The arguments of Trainer and of Trainer.train."""

    epochs: int | None = None
    steps: int | None = None
    batch_size: int = 128
    schedule: ScheduleName = "constant"
    seed: int = 0
    task: Task = "classification"


@dataclass(frozen=True)
class OutputTable:
    """Where the trained graph is written."""

    graph: str


@dataclass(frozen=True)
class Config:
    """A configuration that has been read and checked."""

    path: Path
    model: ModelTable
    data: DataTable
    train: TrainTable
    optimizer: optim.Optimizer
    loss: OutputLoss | Objective | None
    augment: Jitter | None
    output: OutputTable | None


def run_config(path: str | os.PathLike[str], progress: bool = True) -> Trained:
    """Train as the TOML file at `path` says, and write the graph if it has an [output] table.

    ConfigError for a file that is missing, is not TOML, or has an unknown key, a wrong type or a wrong value.
    """
    config = read_config(path)
    data, evaluation = load_data(config)
    table = config.train
    model = build_model(config, data.features)
    try:
        trained = Trainer(model, table.task, config.optimizer, config.loss, table.seed).train(
            data,
            epochs=table.epochs,
            steps=table.steps,
            batch_size=table.batch_size,
            schedule=SCHEDULES[table.schedule],
            augment=config.augment,
            evaluation=evaluation,
            progress=progress,
            title=config.path.stem,
        )
    except TlverifyError as error:
        raise type(error)(f"{config.path}: {error}") from None
    if config.output is not None:
        trained.export(config.path.parent / config.output.graph)
    return trained


def read_config(path: str | os.PathLike[str]) -> Config:
    """Read and check a configuration, without loading the data."""
    source = Path(path)
    try:
        tables = tomllib.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{source}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source}: not valid TOML: {error}") from None
    known = ("augment", "data", "loss", "model", "optimizer", "output", "train")
    for name, table in tables.items():
        if name not in known or not isinstance(table, dict):
            raise ConfigError(f"{source}: unknown table or key {name!r}; known tables: {', '.join(known)}")
    for name in ("data", "model", "train"):
        if name not in tables:
            raise ConfigError(f"{source}: table [{name}] is missing")

    def optional(name: str, target: Callable[..., Any]) -> Any:
        return build(target, tables[name], f"{source}: [{name}]") if name in tables else None

    return Config(
        source,
        build(ModelTable, tables["model"], f"{source}: [model]"),
        build(DataTable, tables["data"], f"{source}: [data]"),
        build(TrainTable, tables["train"], f"{source}: [train]"),
        _named(tables.get("optimizer", {"name": "adam"}), OPTIMIZERS, f"{source}: [optimizer]"),
        _named(tables["loss"], LOSSES, f"{source}: [loss]") if "loss" in tables else None,
        optional("augment", Jitter),
        optional("output", OutputTable),
    )


def load_data(config: Config) -> tuple[Dataset, Dataset | None]:
    """Training data, and test data if there are any."""
    table = config.data
    if (table.source is None) == (table.train is None) or (table.source is not None and table.test is not None):
        raise ConfigError(f"{config.path}: [data] expected either source, or train with or without test")
    if table.train is None:
        return digits()
    folder = config.path.parent
    return load_npz(folder / table.train), None if table.test is None else load_npz(folder / table.test)


def build_model(config: Config, features: Shape) -> nn.Sequential:
    """The layers of [model], each Linear as wide as the values it gets."""
    shape: nn.shapes.PartialShape = features
    layers: list[nn.Layer] = []
    for position, item in enumerate(config.model.layers):
        where = f"{config.path}: [model] layers[{position}]"
        layer = _layer(item, shape, where)
        try:
            shape = layer.check(shape)
        except TlverifyError as error:
            raise ConfigError(f"{where}: {error}, found {list(shape)}") from None
        layers.append(layer)
    return nn.Sequential(*layers)


def build(target: Callable[..., Any], table: Mapping[str, Any], where: str, skip: int = 0) -> Any:
    """`target` called with the keys of `table`, which must be its parameters after the first `skip`."""
    parameters = dict(list(inspect.signature(target, eval_str=True).parameters.items())[skip:])
    values = {}
    for key, value in table.items():
        if key not in parameters:
            known = ", ".join(parameters) or "none"
            raise ConfigError(f"{where}: unknown key {key!r}; known keys: {known}")
        values[key] = _typed(value, parameters[key].annotation, f"{where} {key}")
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in values:
            raise ConfigError(f"{where}: key {key!r} is missing")
    if skip:
        return partial(target, **values)
    try:
        return target(**values)
    except TlverifyError as error:
        raise ConfigError(f"{where}: {error}") from None


def _named(table: Mapping[str, Any], targets: Mapping[str, Callable[..., Any]], where: str) -> Any:
    """The target that the key `name` says, built from the other keys."""
    name = table.get("name")
    if not isinstance(name, str) or name not in targets:
        raise ConfigError(f"{where} name: expected one of {', '.join(targets)}, found {name!r}")
    rest = {key: value for key, value in table.items() if key != "name"}
    target = targets[name]
    return build(target, rest, where, 0 if inspect.isclass(target) else _OUTPUTS_AND_LABELS)


def _layer(item: Any, shape: nn.shapes.PartialShape, where: str) -> nn.Layer:
    """ "flatten", an activation, or a table: `{ linear = WIDTH }`, `{ conv2d = CHANNELS, kernel_size = 3, ... }`,
    `{ max_pool2d = SIZE }`, `{ avg_pool2d = SIZE }`, `{ dropout = PROBABILITY }`."""
    if item == "flatten":
        return nn.Flatten(-len(shape)) if shape else nn.Flatten()
    if isinstance(item, str) and item in ACTIVATIONS:
        return ACTIVATIONS[item]()
    kind, value, rest = _first(item)
    width = type(value) is int and value >= 1 and bool(shape)
    if kind == "linear" and width and not rest:
        return nn.Linear(_known(shape, -1), value)
    if kind == "conv2d" and width:
        channels = {"in_channels": _known(shape, -3), "out_channels": value}
        return build(partial(nn.Conv2d, **channels), rest, where)  # type: ignore[no-any-return]
    if kind in ("max_pool2d", "avg_pool2d") and width and not rest:
        return nn.MaxPool2d(value) if kind == "max_pool2d" else nn.AvgPool2d(value)
    if kind == "dropout" and not rest and isinstance(value, int | float) and 0 <= value < 1:
        return nn.Dropout(float(value))
    known = ", ".join(["flatten", *ACTIVATIONS])
    tables = "{ linear = WIDTH }, { conv2d = CHANNELS, kernel_size = 3 }, { max_pool2d = 2 }, { dropout = 0.1 }"
    raise ConfigError(f"{where}: expected one of {known}, or a table such as {tables}; found {item!r}")


def _first(item: Any) -> tuple[str, Any, dict[str, Any]]:
    """The first key of a table, its value, and the rest."""
    if not isinstance(item, dict) or not item:
        return "", None, {}
    (kind, value), *rest = item.items()
    return kind, value, dict(rest)


def _known(shape: nn.shapes.PartialShape, axis: int) -> int:
    """The size of an axis; 1 where there is none, which the check of the layer reports."""
    size = shape[axis] if len(shape) >= -axis else 1
    return size if isinstance(size, int) else 1


_KINDS: Mapping[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    float: ((float, int), "a number"),
    int: ((int,), "an integer"),
    str: ((str,), "a string"),
}


def _typed(value: Any, annotation: Any, where: str) -> Any:
    """`value` if TOML gave it the type that the annotation asks for; an integer will do for a float."""
    choices = [kind for kind in get_args(annotation) if kind is not type(None)]
    if get_origin(annotation) is Literal:
        if value not in choices:
            raise ConfigError(f"{where}: expected {' or '.join(map(str, choices))}, found {value!r}")
        return value
    if get_origin(annotation) is tuple:
        if not isinstance(value, list) or len(value) != len(choices):
            raise ConfigError(f"{where}: expected a list of {len(choices)} numbers, found {value!r}")
        return tuple(_typed(item, kind, where) for item, kind in zip(value, choices, strict=True))
    if get_origin(annotation) is Sequence:
        if not isinstance(value, list):
            raise ConfigError(f"{where}: expected a list, found {value!r}")
        return tuple(_typed(item, choices[0], where) for item in value)
    if get_origin(annotation) is list:
        if not isinstance(value, list) or not value:
            raise ConfigError(f"{where}: expected a list that is not empty, found {value!r}")
        return value
    if len(choices) == 1:
        return _typed(value, choices[0], where)
    if len(choices) > 1:
        return _typed(value, choices[1 if isinstance(value, list) else 0], where)
    if annotation not in _KINDS:
        raise ConfigError(f"{where}: cannot be set in a file; use Trainer")
    kinds, expected = _KINDS[annotation]
    if type(value) not in kinds:
        raise ConfigError(f"{where}: expected {expected}, found {value!r}")
    return float(value) if annotation is float else value
