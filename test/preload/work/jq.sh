#!/bin/bash
# Real program: jq groups, sorts and rewrites a table.
set -euo pipefail
n=8000
if [[ $1 == long ]]; then n=80000; fi
jq -n --argjson n "$n" '[range($n) | {id: ., key: (. * 7919 % 1009), name: ("x" * (1 + . % 9))}]' >table.json
jq -c 'group_by(.key) | map({key: .[0].key, ids: map(.id) | add, names: map(.name) | unique}) | sort_by(-.ids)[:20][]' table.json
jq -r 'map(select(.id % 7 == 0) | .name | length) | add' table.json
jq -S 'map(.name |= ascii_upcase)' table.json | sha256sum
