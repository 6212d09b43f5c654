#!/usr/bin/env bash
# scaling.sh - atomic operations of an allocation with 1 to 64 threads, by callgrind: what can be said of many processors
# on a machine that has few.
#
#   scaling.sh NAME=PATH.so...
#
# Runs threaded workloads of the suite, and prints for each library and number of threads how many locked instructions
# it executed for each block allocated, start and end of all threads included. Valgrind runs one thread at a time and
# switches between them every 100,000 basic blocks, so nothing fails and is tried again, and there are fewer
# meetings than on as many processors; what is counted is how often threads could meet.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source-path=SCRIPTDIR source=../install.sh
. "$here/../install.sh"
quiet_need binutils g++ libc6-dev python3 valgrind
(($# > 0)) || { echo "scaling.sh: name libraries to count: NAME=PATH.so" >&2; exit 2; }
for each in "$@"; do
  [[ -r ${each#*=} ]] || { echo "scaling.sh: '${each#*=}' cannot be read; give NAME=PATH.so" >&2; exit 2; }
done
temp=$(mktemp -d)
trap 'rm -rf -- "$temp"' EXIT

printf '%-10s %7s' workload threads
printf ' %10s' "${@%%=*}"
printf '\n'
# name, and work for each thread
for workload in thread:0.002 larson:0.004 mstress:0.02 sh8:0.02 xmalloc:0.01; do
  name=${workload%%:*} scale=${workload#*:}
  source=("$here/../workloads/$name".c*)
  g++ -x "$([[ ${source[0]} == *.cpp ]] && echo c++ || echo c)" -O2 -fno-builtin -pthread -o "$temp/$name" "${source[0]}" -lm
  for threads in 1 2 8 64; do
    printf '%-10s %7d' "$name" "$threads"
    for each in "$@"; do
      library=${each#*=}
      if ! LD_PRELOAD=$library valgrind --tool=callgrind --dump-instr=yes --callgrind-out-file="$temp/out" \
        "$temp/$name" "$scale" "$threads" >/dev/null 2>"$temp/log"; then
        tail -n 5 "$temp/log" >&2
        exit 1
      fi
      printf ' %10s' "$(/usr/bin/python3 "$here/locked.py" --each-block "$temp/out" "$library")"
    done
    printf '\n'
  done
done
