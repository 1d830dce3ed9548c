"""tlverify beside Marabou and NeuralSAT from PyPI on a small subset, one after the other in one run on one core.

    python -m venv /tmp/peers
    /tmp/peers/bin/pip install maraboupy onnx onnxruntime torch==2.13.0+cpu
    /tmp/peers/bin/pip install --no-deps neuralsat==0.2.17
    /tmp/peers/bin/pip install beartype coloredlogs sortedcontainers gurobipy termcolor joblib scipy tqdm psutil pillow
    /tmp/peers/bin/pip install requests onnxsim 'protobuf<6'
    TLVERIFY_DATA=../shared/data python benchmarks/peers.py --peers /tmp/peers/bin/python

NeuralSAT's requirements name torchvision and torchaudio, of which PyPI has no CPU build for this torch. It uses neither
for these networks (torchvision for non-maximum suppression only), so an empty module stands in for torchvision.
Times are CPU seconds of a whole process for each instance: interpreter, imports, network, search, and for tlverify the
check of the certificate. So is the limit, past which a process is ended: the load of the machine then does not decide
who is in time. Nobody checks the other answers, but for those of Marabou where it produces proofs.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from math import ceil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUBSET = (
    ("acasxu", "ACASXU_run2a_1_1_batch_2000", "prop_1"),
    ("acasxu", "ACASXU_run2a_1_1_batch_2000", "prop_2"),
    ("acasxu", "ACASXU_run2a_2_2_batch_2000", "prop_2"),
    ("acasxu", "ACASXU_run2a_1_5_batch_2000", "prop_3"),
    ("acasxu", "ACASXU_run2a_2_4_batch_2000", "prop_4"),
    ("acasxu", "ACASXU_run2a_1_1_batch_2000", "prop_5"),
    ("mnist_fc", "mnist-net_256x2", "prop_0_0.03"),
    ("mnist_fc", "mnist-net_256x2", "prop_1_0.03"),
    ("mnist_fc", "mnist-net_256x2", "prop_3_0.03"),
    ("mnist_fc", "mnist-net_256x4", "prop_0_0.03"),
    ("rl_benchmarks", "cartpole", "cartpole_case_unsafe_0"),
    ("rl_benchmarks", "cartpole", "cartpole_case_unsafe_29"),
)
MARABOU = """
import sys
from maraboupy import Marabou
network, prop, results, timeout, proofs = sys.argv[1:]
options = Marabou.createOptions(verbosity=0, timeoutInSeconds=int(float(timeout)), produceProofs=proofs == "1")
answer = Marabou.read_onnx(network).solve(verbose=False, options=options, propertyFilename=prop)[0]
open(results, "w").write(answer + "\\n")
"""
PATIENCE = 100  # the limit in wall seconds that the tools are told, to that in CPU seconds
Command = Callable[[Path, Path, Path, float], list[str]]


def tools(python: str) -> dict[str, Command]:
    """The command of each tool that this interpreter has, given network, property, results file and time limit."""
    found: dict[str, Command] = {
        "tlverify": lambda net, prop, out, limit: [
            sys.executable,
            "-m",
            "tlverify.bench.vnncomp",
            str(net),
            str(prop),
            str(out),
            str(limit),
        ]
    }
    if _has(python, "maraboupy"):
        for name, proofs in (("marabou", "0"), ("marabou, proofs", "1")):
            found[name] = lambda net, prop, out, limit, proofs=proofs: [  # type: ignore[misc]
                python,
                "-c",
                MARABOU,
                str(net),
                str(prop),
                str(out),
                str(limit),
                proofs,
            ]
    folder = _has(python, "src.verifier")
    if folder:
        main = str(Path(folder).parents[1] / "main.py")
        found["neuralsat"] = lambda net, prop, out, limit: [
            python,
            main,
            "--net",
            str(net),
            "--spec",
            str(prop),
            "--device",
            "cpu",
            "--verbosity",
            "0",
            "--timeout",
            str(limit),
            "--result_file",
            str(out),
        ]
    return found


def _has(python: str, module: str) -> str:
    """Where a module is, for that interpreter; empty if it is nowhere."""
    program = (
        f"import importlib.util as u; s = u.find_spec({module!r})\n"
        "print(s.origin or list(s.submodule_search_locations)[0] + '/x')"
    )
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def run(command: list[str], results: Path, limit: float, stub: Path) -> tuple[str, float]:
    """The answer and the CPU seconds of a process, which has `limit` of them."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(stub)]),
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }
    results.unlink(missing_ok=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)

    def restrict() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (ceil(limit), ceil(limit)))

    with tempfile.TemporaryFile("w+") as log:
        with subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, cwd=results.parent, preexec_fn=restrict
        ) as process:
            code = process.wait()
        answer = "timeout" if code in (-signal.SIGKILL, -signal.SIGXCPU) else "error"
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if results.exists():
            answer = results.read_text().split("\n")[0].split(",")[0].lower() or "error"
        elif answer == "error":
            log.seek(0)
            print("   ", " ".join(log.read().split())[-200:])
    return answer, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", required=True, help="Python interpreter with maraboupy and neuralsat")
    parser.add_argument("--timeout", type=float, default=60.0, help="CPU seconds for each instance")
    parser.add_argument("--only", default="", help="only instances whose name holds this text")
    options = parser.parse_args()
    data = Path(os.environ.get("TLVERIFY_DATA", ROOT.parent / "shared" / "data"))
    found = tools(options.peers)
    print(f"{', '.join(found)}; {time.strftime('%Y-%m-%d')}; CPU seconds of processes, {options.timeout:g} at most\n")
    print("| instance | " + " | ".join(found) + " |\n|---|" + "---|" * len(found))
    totals = dict.fromkeys(found, 0.0)
    solved = dict.fromkeys(found, 0)
    subset = [item for item in SUBSET if options.only in "/".join(item)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "stub" / "torchvision").mkdir(parents=True)
        (folder / "stub" / "torchvision" / "__init__.py").touch()
        for group, network, prop in subset:
            row = []
            for tool, command in found.items():
                files = data / group / "onnx" / f"{network}.onnx", data / group / "vnnlib" / f"{prop}.vnnlib"
                results = folder / "results.txt"
                answer, seconds = run(
                    command(*files, results, PATIENCE * options.timeout), results, options.timeout, folder / "stub"
                )
                totals[tool] += seconds
                solved[tool] += answer in ("sat", "unsat")
                row.append(f"{answer} {seconds:.2f}")
            print(f"| {network} {prop} | " + " | ".join(row) + " |", flush=True)
    print("| all | " + " | ".join(f"{solved[tool]} of {len(subset)}, {totals[tool]:.1f}" for tool in found) + " |")
    ours = totals.pop("tlverify")
    print("\nCPU seconds to tlverify's: " + ", ".join(f"{tool} {total / ours:.1f}" for tool, total in totals.items()))


if __name__ == "__main__":
    main()
