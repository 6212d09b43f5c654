#!/usr/bin/env bash
# Counts the instructions of a block by callgrind, and compares them with what budgets.txt allows.
# usage: budget.sh LIBRARY.so plain|secure TABLE PAIR_PROGRAM REMOTE_PROGRAM
# A figure is the difference of two lengths of a loop divided by the difference of blocks, so that start-up cancels out;
# it does not depend on the machine's load. Status 77: valgrind is not installed.
set -euo pipefail
library=$1 form=$2 table=$3 pair=$4 remote=$5

if ! command -v valgrind >/dev/null; then
  echo "valgrind is not installed: skipped"
  exit 77
fi
temp=$(mktemp -d)
trap 'rm -rf -- "$temp"' EXIT
unset "${!MIMALLOC_@}"
export MIMALLOC_SAMPLE_RATE=5000  # the default, but bounded by number alone and not by time: load would make a difference

# count COMMAND...: instructions of one run
count() {
  if ! LD_PRELOAD=$library valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" >"$temp/out" 2>"$temp/log"; then
    echo "budget.sh: '$*' failed under valgrind:" >&2
    tail -n 5 "$temp/log" >&2
    return 1
  fi
  awk '/Collected/ { print $NF; found = 1 } END { exit !found }' "$temp/log"
}

# per_block PROGRAM ARGUMENT...: both lengths are past the warm-up, in which pages are made
per_block() {
  local program=$1 short long blocks
  shift
  if [[ $program == pair ]]; then
    short=$(count "$pair" --repeat 1 --live 1024 --pairs 102400 "$@")
    long=$(count "$pair" --repeat 1 --live 1024 --pairs 307200 "$@")
    blocks=204800
  else
    short=$(count "$remote" "$@" 300)
    blocks=-$(<"$temp/out")
    long=$(count "$remote" "$@" 900)
    blocks=$((blocks + $(<"$temp/out")))
  fi
  awk -v i=$((long - short)) -v b="$blocks" 'BEGIN { printf "%.1f\n", i / b }'
}

status=0 seen=0
while read -r -a words; do
  ((${#words[@]} > 0)) || continue
  [[ ${words[0]} != '#' && ${words[0]} == "$form" ]] || continue
  seen=$((seen + 1))
  profile=${words[1]} most=${words[-1]}
  arguments=("${words[@]:2:${#words[@]}-3}")
  if [[ $profile == - ]]; then unset MIMALLOC_PROFILE; else export MIMALLOC_PROFILE=$profile; fi
  found=$(per_block "${arguments[@]}")
  verdict=$(awk -v f="$found" -v m="$most" 'BEGIN { print (f > m ? "TOO MANY" : f < m * 0.97 - 1 ? "ok, the table may be lowered" : "ok") }')
  printf '%-8s %-8s %-36s %7s of %5s  %s\n' "$form" "$profile" "${arguments[*]}" "$found" "$most" "$verdict"
  [[ $verdict == ok* ]] || status=1
done <"$table"
((seen > 0)) || { echo "budget.sh: $table has no line for '$form'" >&2; exit 1; }
exit $status
