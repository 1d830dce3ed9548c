#!/usr/bin/env bash
# VNN-COMP: install_tool.sh v1. Installs tlverify with its ONNX and VNN-LIB readers into .venv.
set -euo pipefail
[ "${1:-}" = v1 ] || { echo "expected v1 as first argument, found '${1:-}'" >&2; exit 1; }
cd "$(dirname "$0")/.."
"${PYTHON:-python3}" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.lock '.[onnx,vnnlib]'
