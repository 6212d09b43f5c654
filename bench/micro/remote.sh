#!/usr/bin/env bash
# remote.sh - instructions of a block that one thread allocates and another frees, exactly, by callgrind.
#
#   remote.sh NAME=PATH.so...
#
# For each library and pattern of remote.c: the difference of two lengths divided by the difference of blocks. The
# handing over itself (semaphores, a batch of 100 blocks) is the same for each library and in the figures; `pair`, where
# the thread that allocates also frees, has it too.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source-path=SCRIPTDIR source=../install.sh
. "$here/../install.sh"
quiet_need gcc libc6-dev valgrind
(($# > 0)) || { echo "remote.sh: name libraries to count: NAME=PATH.so" >&2; exit 2; }
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
gcc -O2 -pthread -fno-builtin -o "$temp/remote" "$here/remote.c"

count() {  # LIBRARY PATTERN ROUNDS: instructions
  LD_PRELOAD=$1 valgrind --tool=callgrind --callgrind-out-file="$temp/out" "$temp/remote" "$2" "$3" >"$temp/blocks" 2>"$temp/log"
  awk '/^summary:|^totals:/ { n = $2 } END { print n }' "$temp/out"
}

printf '%-8s %-10s %s\n' pattern library 'instructions a block'
for pattern in pair one asym many larson; do
  for each in "$@"; do
    name=${each%%=*} path=${each#*=}
    [[ -r $path ]] || { echo "remote.sh: '$path' cannot be read; give NAME=PATH.so" >&2; exit 2; }
    short=$(count "$path" "$pattern" 300) short_blocks=$(<"$temp/blocks")
    long=$(count "$path" "$pattern" 900) long_blocks=$(<"$temp/blocks")
    awk -v p="$pattern" -v n="$name" -v i=$((long - short)) -v b=$((long_blocks - short_blocks)) \
      'BEGIN { printf "%-8s %-10s %.1f\n", p, n, i / b }'
  done
done
