#!/bin/bash
# Every name the libraries export has a conformance case, and every case but the general ones is of an exported name.
# usage: complete.sh SYMBOLS PROGRAM...
set -euo pipefail

list=$1
shift
temp=$(mktemp -d)
trap 'rm -rf -- "$temp"' EXIT

awk '!/^#/ && NF > 0 { print $1 }' "$list" | LC_ALL=C sort -u >"$temp/exported"
for program in "$@"; do "$program" --list; done | LC_ALL=C sort >"$temp/tested"
[[ -s $temp/exported && -s $temp/tested ]] || { echo "nothing to compare in $list" >&2; exit 1; }

missing=$(comm -23 "$temp/exported" "$temp/tested")
[[ -z $missing ]] || { printf 'exported, but without a conformance case:\n%s\n' "$missing" >&2; exit 1; }
stray=$(comm -13 "$temp/exported" "$temp/tested" | grep -vxE 'generic|expressions|handler|mi_new_family' || true)
[[ -z $stray ]] || { printf 'a case, but not exported:\n%s\n' "$stray" >&2; exit 1; }
echo "$(wc -l <"$temp/exported") names"
