#!/usr/bin/env bash
# The manual pages: no complaint from the formatters that are there, and every option of the tools is in its page.
#   man.sh TOP_OF_TREE      status 77: neither mandoc nor man is there
set -euo pipefail
top=$1
tried=no failures=0

for page in "$top"/docs/man/*.[1-9]; do
  if command -v mandoc >/dev/null; then
    tried=yes
    if ! mandoc -T lint -W warning "$page"; then failures=$((failures + 1)); fi
  fi
  if command -v man >/dev/null && command -v groff >/dev/null; then
    tried=yes
    said=$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=100 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
    if [[ -n $said ]]; then
      printf '%s: %s\n' "$page" "$said"
      failures=$((failures + 1))
    fi
  fi
done

for tool in mimalloc-run mimalloc-report mimalloc-heap-map mimalloc-stats-prometheus mimalloc-top; do
  "$top/scripts/$tool" --help | grep -oE -- '--[a-z][a-z0-9-]+' | sort -u | while read -r option; do
    [[ $tool/$option == mimalloc-report/--help ]] || grep -qE -- "Fl -${option#--}( |,|\$)" "$top/docs/man/$tool.1" ||
      { echo "$tool.1 has no $option"; exit 1; }
  done || failures=$((failures + 1))
done
# variables in the pages are options of the table
while read -r name; do
  grep -qE "^OPTION\(${name,,}," "$top/src/options.def" || { echo "no option $name"; failures=$((failures + 1)); }
done < <(grep -ohE 'MIMALLOC_[A-Z_]+' "$top"/docs/man/* | sed 's/^MIMALLOC_//' | sort -u)
((failures == 0)) || exit 1
[[ $tried == yes ]] || exit 77
