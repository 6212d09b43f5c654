#!/usr/bin/env bash
# mimalloc-report: names functions and lines in reports, as text and as JSON, and says what it cannot find.
#   report.sh MIMALLOC-REPORT LIBRARY VICTIM VICTIM-SOURCE
set -euo pipefail

tool=$1 library=$2 victim=$3 source=$4
command -v python3 addr2line > /dev/null || { echo "python3 or addr2line is not there"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

expect() {  # what, pattern, file
  if ! grep -Eq -- "$2" "$3"; then
    printf 'FAILED: %s: no line like "%s" in:\n' "$1" "$2"
    cat "$3"
    failures=$((failures + 1))
  fi
}

line_of() { grep -n "$1" "$source" | cut -d: -f1; }
run() { (ulimit -c 0; LD_PRELOAD=$library "$@" 2>&1 || true); }

free_line=$(line_of 'LINE OF THE SECOND FREE') fault_line=$(line_of 'LINE OF THE FAULT')
file=$(basename "$source")

{
  echo "before"
  MIMALLOC_REPORT=json run "$victim"
  echo "after"
} > "$work/log"
"$tool" "$work/log" > "$work/out"
expect "text around is kept" '^before$' "$work/out"
expect "text behind is kept" '^after$' "$work/out"
expect "first line is kept" '^mimalloc: violation: double-free: 0x' "$work/out"
expect "function and line" "#[0-9]+ 0x[0-9a-f]+ culprit at .*$file:$free_line \\(" "$work/out"
expect "its caller" "#[0-9]+ 0x[0-9a-f]+ accomplice at .*$file:[0-9]+ \\(" "$work/out"
expect "main" "#[0-9]+ 0x[0-9a-f]+ main at .*$file:[0-9]+ \\(" "$work/out"
if [[ $(grep -c " culprit at " "$work/out") != 2 ]]; then
  echo "FAILED: not in text and in JSON"
  failures=$((failures + 1))
fi

"$tool" --json < "$work/log" > "$work/json"
python3 - "$work/json" "$free_line" << 'PYTHON' || failures=$((failures + 1))
import json, sys
lines = open(sys.argv[1]).read().splitlines()
assert len(lines) == 1, lines
report = json.loads(lines[0])
places = [p for frame in report["trace"] for p in frame["places"]]
assert any(p["function"] == "culprit" and p["line"] == int(sys.argv[2]) for p in places), places
PYTHON

MIMALLOC_FAULT_REPORT=1 run "$victim" fault > "$work/log"
"$tool" "$work/log" > "$work/out"
expect "a fault is exact" "#0 0x[0-9a-f]+ culprit at .*$file:$fault_line \\(" "$work/out"

# Elsewhere: the binaries are not where the report says.
sed "s#$victim#/elsewhere/app#" "$work/log" > "$work/moved"
"$tool" "$work/moved" > "$work/out" 2> "$work/err"
expect "says what is missing" '^mimalloc-report: /elsewhere/app is not here' "$work/err"
expect "keeps the address" '#0 0x[0-9a-f]+ /elsewhere/app\+0x' "$work/out"
"$tool" --module "app=$victim" "$work/moved" > "$work/out"
expect "takes another file" " culprit at .*$file:$fault_line " "$work/out"
mkdir -p "$work/root/elsewhere"
cp "$victim" "$work/root/elsewhere/app"
"$tool" --root "$work/root" "$work/moved" > "$work/out" 2> "$work/err"
expect "takes another root" " culprit at .*$file:$fault_line " "$work/out"

refused() {  # expected message, arguments...
  local message=$1 status=0
  shift
  "$tool" "$@" > "$work/out" 2> "$work/err" < /dev/null || status=$?
  [[ $status == 2 ]] || { echo "FAILED: $*: status $status"; failures=$((failures + 1)); }
  expect "refuses $*" "$message" "$work/err"
}
refused '/nowhere: No such file' /nowhere
refused '--module x: expected NAME=FILE' --module x
refused 'there is no file /nowhere' --module x=/nowhere
refused '--root /nowhere: there is no such directory' --root /nowhere
refused 'no-such-program is not there; it is part of the package binutils' --addr2line no-such-program

[[ $failures == 0 ]] && echo "mimalloc-report: all as expected"
exit $((failures > 0))
