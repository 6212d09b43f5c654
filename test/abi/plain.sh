#!/bin/bash
# The plain product holds nothing of the secure layer: no symbol of it, defined or wanted, and none of libsodium.
# usage: plain.sh OBJECT...
set -euo pipefail
status=0
for object in "$@"; do
  symbols=$(nm --format=posix "$object" | awk '{ print $1 }')
  [[ -n $symbols ]] || { echo "$object: no symbols at all" >&2; exit 1; }
  found=$(grep -E '^(sec_|sodium_|_sodium_|crypto_|randombytes)' <<<"$symbols" || true)
  if [[ -n $found ]]; then
    printf '%s: belongs to the secure layer:\n%s\n' "$object" "$found" >&2
    status=1
  fi
done
exit "$status"
