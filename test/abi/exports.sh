#!/bin/bash
# The library exports exactly the names of symbols.txt: nothing is missing, nothing internal can be seen.
# usage: exports.sh LIBRARY|OBJECT SYMBOLS plain|secure [without-override]
set -euo pipefail

file=$1 list=$2 product=$3 override=${4:-}
temp=$(mktemp -d)
trap 'rm -rf -- "$temp"' EXIT

# names end at the first blank; "name secure" is exported by the secure product only, "name secure shared" by its shared
# object only
shared=no
if [[ $file == *.so* ]]; then shared=yes; fi
awk -v product="$product" -v override="$override" -v shared="$shared" '
  /^#/ || NF == 0 { next }
  override == "without-override" && $1 !~ /^mi_/ { next }
  $3 == "shared" && shared == "no" { next }
  NF == 1 || $2 == product { print $1 }' "$list" | LC_ALL=C sort >"$temp/wanted"
duplicates=$(uniq -d "$temp/wanted")
[[ -z $duplicates ]] || { echo "$list: listed twice: $duplicates" >&2; exit 1; }

dynamic=()
if [[ $file == *.so* ]]; then dynamic=(-D); fi
nm "${dynamic[@]}" --defined-only --extern-only --format=posix "$file" | awk '{ print $1 }' |
  LC_ALL=C sort >"$temp/found"
[[ -s $temp/found ]] || { echo "$file: exports nothing" >&2; exit 1; }

missing=$(comm -23 "$temp/wanted" "$temp/found")
extra=$(comm -13 "$temp/wanted" "$temp/found")
[[ -z $missing ]] || printf '%s: not exported:\n%s\n' "$file" "$missing" >&2
[[ -z $extra ]] || printf '%s: exported, but not in %s:\n%s\n' "$file" "$list" "$extra" >&2
[[ -z $missing && -z $extra ]] || exit 1
echo "$(wc -l <"$temp/wanted") names"
