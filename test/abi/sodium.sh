#!/bin/bash
# Of libsodium only the members listed are linked in. One more would mean that something pulls in the rest of it
# (sodium_init brings 29 others), code that would be dead and unreviewed.
# usage: sodium.sh LINK_MAP LIST
set -euo pipefail
members=$(sed -n 's/^[^ ]*libsodium\.a(\([^)]*\)).*/\1/p' "$1" | LC_ALL=C sort -u)
wanted=$(sed '/^#/d; /^$/d' "$2" | LC_ALL=C sort)
if [[ $members != "$wanted" ]]; then
  echo "$1: members of libsodium linked (>: not in the list, <: only in the list):" >&2
  diff <(echo "$wanted") <(echo "$members") >&2 || true
  exit 1
fi
echo "$(wc -l <<<"$members") members"
