#!/usr/bin/env bash
# VNN-COMP: run_instance.sh v1 CATEGORY ONNX VNNLIB RESULTS TIMEOUT. Writes the result, and the witness of sat, to RESULTS.
set -euo pipefail
[ "${1:-}" = v1 ] || { echo "expected v1 as first argument, found '${1:-}'" >&2; exit 1; }
python="$(dirname "$0")/../.venv/bin/python"
[ -x "$python" ] || python="${PYTHON:-python3}"
OPENBLAS_NUM_THREADS=1 exec "$python" -m tlverify.bench.vnncomp \
    "${3:?the ONNX file}" "${4:?the VNNLIB file}" "${5:?the results file}" "${6:?the timeout in seconds}"
