#!/usr/bin/env bash
# scripts/fuzz.sh ends with status 1 and names the input when something is found, and with 0 when not: with a target of
# its own that fails when told to (script/target.c), in a tree that has the scripts and the fuzzer's drivers alone.
#   script.sh SOURCES
set -euo pipefail

sources=$1
for command in afl-fuzz afl-clang-fast cmake gcc; do
  command -v "$command" >/dev/null || { echo "$command is not there"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir -p "$tree/scripts" "$tree/fuzz/corpus/options"
cp "$sources"/scripts/{fuzz.sh,lib.sh} "$tree/scripts/"
cp "$sources"/fuzz/{afl.c,replay.c,mutator.c,ops.h,options.dict} "$tree/fuzz/"
cp "$sources"/test/regress/script/* "$tree/"
printf 'MIMALLOC_SEED=2718281828459045235\n' >"$tree/fuzz/corpus/options/seed"
printf 'MIMALLOC_VERBOSE=1\n' >"$tree/fuzz/corpus/options/other"
failures=0

fail() { # WHAT
  printf 'FAILED: %s; its output:\n' "$1"
  cat "$work/log"
  failures=$((failures + 1))
}

fuzz() { # BUG: sets `status`
  status=0
  TARGET_BUG=$1 "$tree/scripts/fuzz.sh" --fresh options 2 >"$work/log" 2>&1 || status=$?
}

replay() { # BUG FAST INPUT
  local status=0
  TARGET_BUG=$1 FUZZ_FAST=$2 "$tree/out/fuzz/build/fuzz/fuzz_options-secure" -q "$3" || status=$?
  return "$status"
}

fuzz ''
((status == 0)) || fail "status $status without a bug"
grep -q '^options  *[1-9]' "$work/log" || fail "no runs"

for bug in simulated real seed; do
  fuzz "$bug"
  ((status == 1)) || fail "status $status with the bug '$bug'"
  input=$(sed -n 's/^fuzz.sh: [0-9]* crashes and hangs, the first one //p' "$work/log")
  fast=$([[ $input == */real/* ]] && echo 0 || echo 1)
  if [[ ! -f $tree/$input ]]; then
    fail "no crash is named with the bug '$bug'"
  elif (replay "$bug" "$fast" "$tree/$input") >"$work/log" 2>&1; then
    fail "the input does not show the bug '$bug'"
  fi
done
((failures == 0))
