"""The commands and their options. What they do is in the modules beside this one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="tlverify",
    help="Train a network, export one canonical graph, and prove properties of it.\n\n"
    "Exit codes: 0 verified, 10 falsified, 20 unknown, 30 certificate rejected, "
    "2 usage or malformed input, 70 internal error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show on standard error how bound and open leaves develop.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else.")]


def _version(show: bool) -> None:
    if show:
        from tlverify.version import __version__

        typer.echo(f"tlverify {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


@app.command()
def quickstart(
    out: Annotated[Path, typer.Option(help="Folder for models, claims, certificates and report.html.")] = Path(
        "quickstart"
    ),
    seed: Annotated[int, typer.Option(help="Seed of both trainings.")] = 0,
    json: Json = False,
) -> None:
    """Train on handwritten digits with and without a certified loss, and certify all 360 test images."""
    from tlverify.cli.quickstart import quickstart

    quickstart(out, seed, json)


@app.command()
def certify(
    graph: Annotated[Path, typer.Argument(help="model.graph.json with model.safetensors beside it, or a .onnx file.")],
    data: Annotated[
        Path | None, typer.Option(help="robustness: .npz file with examples `x` (n, ...) and labels `y` (n,).")
    ] = None,
    epsilon: Annotated[str | None, typer.Option(help="robustness: radius, taken exactly: 0.02 or 1/50.")] = None,
    prop: Annotated[
        str, typer.Option("--property", help="What to prove: robustness, or a .vnnlib or .vnnlib.gz file.")
    ] = "robustness",
    index: Annotated[str, typer.Option(help="Which examples: 7, 0:100, :100, 5: (all by default).")] = ":",
    timeout: Annotated[
        float | None, typer.Option(min=0.0, help="Seconds of search for each example or property.")
    ] = None,
    semantics: Annotated[
        str,
        typer.Option(
            help="What claims are about: float32 (every float32 execution, sums in any order), real (real numbers), "
            "numpy-cpu, cuda-no-tf32, cuda-tf32, any-rounding."
        ),
    ] = "float32",
    norm: Annotated[
        str, typer.Option(help="robustness: how distance is measured: linf (per coordinate), l2 or l1.")
    ] = "linf",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for claims, certificates and report.html. Repeat the command to resume."),
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Processes that search a claim on few inputs once it takes more than a second.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the attack's random starts.")] = 0,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Prove or refute that each example keeps its label under every small change, or a VNN-LIB property.

    `tlverify certify net.onnx --property spec.vnnlib` decides one property; the file states the bad states.

    Each verdict is `verified` (the kernel accepted a proof), `falsified` (a counterexample was replayed exactly) or
    `unknown`. It holds for every float32 execution of the network, unless --semantics says otherwise. Inputs of
    examples are within [0, 1]. Ctrl-C makes what is being searched `unknown`, with its best bound; the rest is kept.
    """
    from tlverify.cli.certify import certify

    certify(graph, data, epsilon, prop, index, timeout, semantics, norm, out, jobs, seed, json, verbose)


@app.command()
def bench(
    instances: Annotated[Path, typer.Argument(help="CSV of network,property,timeout, with paths beside it.")],
    out: Annotated[Path, typer.Option(help="Folder of results. Repeat the command to go on where it stopped.")],
    timeout: Annotated[
        float | None, typer.Option(min=0.0, help="Seconds of search for each instance (default: the CSV's).")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Worker processes on this machine, one thread each.")] = 1,
    shard: Annotated[str, typer.Option(help="i/n: every n-th instance from the i-th on.")] = "1/1",
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Dask scheduler, tcp://host:8786, whose workers replace --jobs; those without an instance help others."
        ),
    ] = None,
    only: Annotated[str, typer.Option(help="Only rows of the CSV that hold this text.")] = "",
    semantics: Annotated[
        str, typer.Option(help="What the claims are about: real, or float32 and the others of `certify`.")
    ] = "real",
    grace: Annotated[
        float, typer.Option(min=0.0, help="Seconds past its time after which a worker that hangs is ended.")
    ] = 60.0,
    seed: Annotated[int, typer.Option(help="Seed of the attack's random starts.")] = 0,
    json: Json = False,
) -> None:
    """Decide many instances, each with a certificate, and compare with expected.csv beside the CSV.

    Every result is kept in --out as it comes. Exit code 0, or 70 if a verdict is not the expected one.
    """
    from tlverify.cli.bench import bench

    bench(instances, timeout, jobs, out, shard, scheduler, only, grace, semantics, seed, json)


@app.command()
def check(
    certificates: Annotated[list[Path], typer.Argument(help="Certificates, folders of them, or .zip files.")],
    graph: Annotated[
        Path | None, typer.Option(help="The graph, or a .onnx file (default: the only *.graph.json beside them).")
    ] = None,
    arithmetic: Annotated[
        str,
        typer.Option(
            help="auto, exact, fast, interval, z3, or all: each of them, which must not contradict each other."
        ),
    ] = "auto",
    json: Json = False,
) -> None:
    """Check certificates with the kernel alone, each against the .claim.json beside it.

    `auto` takes the arithmetic that is suited to each certificate, and says which: `exact`, the reference, for short
    proofs and witnesses; `fast` for trees of phase splits; `interval` for trees whose nodes bound neurons again.
    docs/TRUST.md says what each of them trusts. With `all`, two arithmetics that
    contradict each other are exit code 70, and their answers are saved in disagreement-CLAIM.json.
    """
    from tlverify.cli.check import check

    check(certificates, graph, arithmetic, json)


@app.command()
def inspect(
    graph: Annotated[Path, typer.Argument(help="model.graph.json, or a .onnx file.")],
    dot: Annotated[bool, typer.Option("--dot", help="Print Graphviz text instead of a table.")] = False,
    json: Json = False,
) -> None:
    """Show the nodes of a graph with shapes and parameter counts."""
    from tlverify.cli.inspect import inspect

    inspect(graph, dot, json)


@app.command("import")
def import_(
    network: Annotated[Path, typer.Argument(help="A .onnx or .onnx.gz file.")],
    out: Annotated[Path, typer.Option(help="model.graph.json to write, and model.safetensors beside it.")],
    samples: Annotated[int, typer.Option(min=0, help="Random inputs to compare with onnxruntime on.")] = 8,
    seed: Annotated[int, typer.Option(help="Seed of these inputs.")] = 0,
    json: Json = False,
) -> None:
    """Read an ONNX model into a graph, exactly, and compare it with onnxruntime if that is installed.

    The other commands take a .onnx file as it is, without the comparison.
    """
    from tlverify.cli.interop import import_onnx

    import_onnx(network, out, samples, seed, json)


@app.command()
def export(
    graph: Annotated[Path, typer.Argument(help="model.graph.json, with model.safetensors beside it.")],
    out: Annotated[Path, typer.Option(help="The .onnx file to write.")],
    json: Json = False,
) -> None:
    """Write a graph as an ONNX model, which gives the same graph when it is read."""
    from tlverify.cli.interop import export_onnx

    export_onnx(graph, out, json)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="TOML file with model, data, optimizer, loss, train and output.")],
    json: Json = False,
) -> None:
    """Train a model described in TOML and export its graph."""
    from tlverify.cli.train import train

    train(config, json)


examples_app = typer.Typer(help="Examples: list them, or run one.", invoke_without_command=True)
app.add_typer(examples_app, name="examples")


@examples_app.callback()
def examples(context: typer.Context, json: Json = False) -> None:
    """List the examples, a line for each."""
    if context.invoked_subcommand is None:
        from tlverify.cli.examples import show

        show(json)


@examples_app.command(
    "run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def run_example(context: typer.Context, name: Annotated[str, typer.Argument(help="Its name in the list.")]) -> None:
    """Run an example here; what stands after its name are its own flags."""
    from tlverify.cli.examples import run

    run(name, context.args)


@app.command()
def doctor(json: Json = False) -> None:
    """Say what this installation runs on (versions, processor, BLAS, GPU, extras), and test it in about two seconds.

    Exit code 0, or 70 if a test fails.
    """
    from tlverify.cli.doctor import doctor

    doctor(json)


contract = typer.Typer(name="contract", help="What a claim about float32 takes for granted.", no_args_is_help=True)
app.add_typer(contract)


@contract.command("list")
def contract_list(json: Json = False) -> None:
    """The arithmetics that a claim may be about: the names that --semantics takes, and what they say."""
    from tlverify.cli.contract import show

    show(json)


@contract.command("measure")
def contract_measure(
    backend: Annotated[str, typer.Option(help="numpy or cupy.")] = "numpy",
    functions: Annotated[str, typer.Option(help="Comma-separated: exp,tanh (all by default).")] = "",
    every: Annotated[int, typer.Option(min=1, help="Take every n-th float32 number; 1 is all of them.")] = 1,
    out: Annotated[Path | None, typer.Option(help="JSON file for the table.")] = None,
    json: Json = False,
) -> None:
    """Measure the accuracy of exp, tanh, erf, ... in float32 on this machine, in ulp, over every float32 number.

    No claim rests on it yet: the kernel has no rule for smooth functions. A sweep of one takes a minute or two.
    """
    from tlverify.cli.contract import measure_functions

    measure_functions(backend, functions, every, out, json)
