#!/bin/bash
# Usage: complete.sh INCLUDE_DIR PROTOTYPES
# Compares the functions that the public headers declare with the list in prototypes.def, both ways, and
# fails when a header declares a function twice or a function has no comment of its own above it.
set -euo pipefail

if [[ $# -ne 2 || ! -d $1 || ! -r $2 ]]; then
  echo "complete.sh: want a directory of headers and a readable list of prototypes, not: $*" >&2
  exit 2
fi
include=$1
list=$2
headers=("$include"/mimalloc*.h "$include"/mimalloc/*.h)

# The name before the first parenthesis of each exported declaration.
declared=$(sed -nE 's/^(MI_NODISCARD )?MI_EXPORT [^(]*[ *](mi_[a-z0-9_]+)\(.*/\2/p' "${headers[@]}" | sort)
listed=$(sed -nE 's/^HAS\([^,]*, (mi_[a-z0-9_]+),.*/\1/p' "$list" | sort)
status=0

twice=$(uniq -d <<<"$declared")
if [[ -n $twice ]]; then
  printf 'declared twice: %s\n' $twice >&2
  status=1
fi
only_declared=$(comm -23 <(uniq <<<"$declared") <(uniq <<<"$listed"))
if [[ -n $only_declared ]]; then
  printf 'declared, but not in the list: %s\n' $only_declared >&2
  status=1
fi
only_listed=$(comm -13 <(uniq <<<"$declared") <(uniq <<<"$listed"))
if [[ -n $only_listed ]]; then
  printf 'in the list, but not declared: %s\n' $only_listed >&2
  status=1
fi
bare=$(awk '/^(MI_NODISCARD )?MI_EXPORT / && previous !~ /\*\/$/ {
              print FILENAME ":" FNR ": no comment above: " $0
            }
            { previous = $0 }' "${headers[@]}")
if [[ -n $bare ]]; then
  echo "$bare" >&2
  status=1
fi
echo "$(wc -l <<<"$declared") functions declared, $(wc -l <<<"$listed") listed"
exit $status
