#!/usr/bin/env bash
# remote.sh - instructions of a block that one thread allocates and another frees, exactly, by callgrind; and how many of
# them are atomic operations (locked instructions) of the library, which is what costs when there are many processors.
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
quiet_need binutils gcc libc6-dev python3 valgrind
(($# > 0)) || { echo "remote.sh: name libraries to count: NAME=PATH.so" >&2; exit 2; }
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
gcc -O2 -pthread -fno-builtin -o "$temp/remote" "$here/remote.c"

count() {  # LIBRARY PATTERN ROUNDS: instructions, locked ones
  if ! LD_PRELOAD=$1 valgrind --tool=callgrind --dump-instr=yes --callgrind-out-file="$temp/out" "$temp/remote" "$2" "$3" \
    >"$temp/blocks" 2>"$temp/log"; then
    tail -n 5 "$temp/log" >&2
    return 1
  fi
  awk '/^summary:|^totals:/ { n = $2 } END { printf "%d ", n }' "$temp/out"
  /usr/bin/python3 "$here/locked.py" "$temp/out" "$1"
}

printf '%-8s %-10s %s\n' pattern library 'instructions a block, atomic ones'
for pattern in pair one asym many larson; do
  for each in "$@"; do
    name=${each%%=*} path=${each#*=}
    [[ -r $path ]] || { echo "remote.sh: '$path' cannot be read; give NAME=PATH.so" >&2; exit 2; }
    read -r short short_locked < <(count "$path" "$pattern" 300)
    blocks=-$(<"$temp/blocks")
    read -r long long_locked < <(count "$path" "$pattern" 900)
    blocks=$((blocks + $(<"$temp/blocks")))
    awk -v p="$pattern" -v n="$name" -v i=$((long - short)) -v l=$((long_locked - short_locked)) -v b="$blocks" \
      'BEGIN { printf "%-8s %-10s %.1f %.3f\n", p, n, i / b, l / b }'
  done
done
