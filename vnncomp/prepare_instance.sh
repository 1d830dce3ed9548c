#!/usr/bin/env bash
# VNN-COMP: prepare_instance.sh v1 CATEGORY ONNX VNNLIB. Nothing is prepared; another exit code than 0 skips the instance.
set -euo pipefail
[ "${1:-}" = v1 ] || { echo "expected v1 as first argument, found '${1:-}'" >&2; exit 1; }
for file in "${3:?the ONNX file}" "${4:?the VNNLIB file}"; do
    [ -r "$file" ] || { echo "cannot read $file" >&2; exit 1; }
done
