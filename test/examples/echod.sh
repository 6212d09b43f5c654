#!/usr/bin/env bash
# The example daemon as its readers build it: against an installed tree, in a directory of its own; then echod.py.
#   echod.sh BUILD_DIR TOP_OF_TREE
set -euo pipefail
build=$1 top=$2
command -v python3 >/dev/null || { echo "python3 is not there"; exit 77; }
temp=$(mktemp -d)
trap 'rm -rf -- "$temp"' EXIT
quietly() { "$@" >"$temp/log" 2>&1 || { cat "$temp/log" >&2; echo "echod.sh: failed: $*" >&2; exit 1; }; }
quietly cmake --install "$build" --prefix "$temp/prefix"
quietly cmake -S "$top/docs/examples/echod" -B "$temp/build" -DCMAKE_PREFIX_PATH="$temp/prefix" \
  "-DCMAKE_C_FLAGS=-Werror"
quietly cmake --build "$temp/build"
python3 "$top/test/examples/echod.py" "$temp/build/echod"
