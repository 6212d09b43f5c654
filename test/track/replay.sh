#!/usr/bin/env bash
# Replays the fuzzers' corpora where AddressSanitizer knows of each block: no legal sequence of operations may touch what
# the library says is not accessible, in either product.
# usage: replay.sh SOURCE_DIR BUILD_DIR [CMAKE_OPTION...]
set -euo pipefail
source=$1 build=$2
shift 2
temp=$(mktemp -d)
trap 'rm -rf -- "$temp"' EXIT

{ cmake -S "$source" -B "$build" -DMI_TRACK=asan -DMI_SANITIZE=address -DMI_FUZZ_LEVEL=-O1 -DMI_WERROR=ON "$@" &&
  cmake --build "$build" -j 2 --target fuzz-replay; } >"$temp/log" 2>&1 || {
  tail -n 30 "$temp/log" >&2
  exit 1
}

failures=0
for program in "$build"/fuzz/fuzz_*-{plain,secure}; do
  [[ -x $program ]] || continue
  target=${program##*/fuzz_}
  target=${target%-*}
  inputs=()
  for home in "$source/fuzz/corpus/$target" "$source/test/regress/$target"; do
    if [[ -d $home ]]; then inputs+=("$home"); fi
  done
  if ! "$program" -q "${inputs[@]}" >"$temp/out" 2>&1; then
    echo "${program##*/}:" >&2
    head -n 20 "$temp/out" >&2
    failures=$((failures + 1))
  fi
done
((failures == 0))
