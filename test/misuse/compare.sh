#!/usr/bin/env bash
# Compares allocators: a Markdown table with a row for each kind of misuse and a column for each allocator, from the
# --csv files of misuse-suite.
#
#   test/misuse/compare.sh NAME=FILE.csv ... >table.md
#
# A cell says in how many of the sizes that ran the misuse was stopped or had no effect: "12" is all twelve, "3/12" is
# three of twelve, "0" none; "n/a": the allocator has no such function. The last rows are sums.
set -euo pipefail

if (($# == 0)) || [[ $1 == -h || $1 == --help ]]; then
  sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  (($# > 0))
  exit
fi
names=() files=()
for pair in "$@"; do
  if [[ $pair != ?*=?* ]]; then
    echo "compare.sh: '$pair': expected NAME=FILE.csv" >&2
    exit 2
  fi
  file=${pair#*=}
  if [[ ! -r $file || $(head -n 1 "$file") != kind,size,outcome,* ]]; then
    echo "compare.sh: '$file' is no result of misuse-suite --csv" >&2
    exit 2
  fi
  names+=("${pair%%=*}")
  files+=("$file")
done

awk -F, -v names="${names[*]}" '
  BEGIN { columns = split(names, name, " ") }
  FNR == 1 { column++; next }
  {
    if (!($1 in seen)) { seen[$1] = ++kinds; kind[kinds] = $1 }
    outcome = $3
    if (outcome == "not-available") next
    ran[$1, column]++; all[column]++
    count[column, outcome]++
    if (outcome ~ /^at-/ || outcome == "prevented") good[$1, column]++
  }
  END {
    printf "| kind |"; for (c = 1; c <= columns; c++) printf " %s |", name[c]
    printf "\n|---|"; for (c = 1; c <= columns; c++) printf "---|"
    printf "\n"
    for (k = 1; k <= kinds; k++) {
      printf "| %s |", kind[k]
      for (c = 1; c <= columns; c++) {
        g = good[kind[k], c] + 0; r = ran[kind[k], c] + 0
        printf " %s |", r == 0 ? "n/a" : g == r ? g : g == 0 ? "0" : g "/" r
      }
      printf "\n"
    }
    split("at-misuse at-free at-reuse at-exit prevented ignored missed hung broken", row, " ")
    for (i = 1; i <= 9; i++) {
      printf "| **%s** |", row[i]; for (c = 1; c <= columns; c++) printf " **%d** |", count[c, row[i]] + 0
      printf "\n"
    }
    printf "| **cases** |"; for (c = 1; c <= columns; c++) printf " **%d** |", all[c] + 0
    printf "\n"
  }' "${files[@]}"
