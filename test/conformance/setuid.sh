#!/bin/bash
# A program with raised privileges (AT_SECURE) reads no environment: neither good nor bad values have any effect.
# usage: setuid.sh PROGRAM      a statically linked one; exit code 77: needs root, and a place that allows setuid
set -euo pipefail

program=$1
[[ $(id -u) == 0 ]] || { echo "only root can make programs of another user"; exit 77; }
temp=$(mktemp -d)
trap 'rm -rf -- "$temp"' EXIT
chmod 755 "$temp"
cp "$program" "$temp/program"
run() { MIMALLOC_VERBOSE=1 MIMALLOC_SHOW_STATS=1 MIMALLOC_PURGE_DELAY=nonsense "$temp/program" mi_version 2>&1; }

[[ $(run) == *"'nonsense' is not accepted"*"heap stats:"* ]] || { echo "the environment is not read at all"; exit 1; }
chown nobody "$temp/program"
chmod 4755 "$temp/program"
said=$(run)
if [[ -n $said ]]; then
  echo "a setuid program said:"
  echo "$said" | head -5
  # without setuid there is nothing to test
  findmnt -no OPTIONS -T "$temp" | grep -q nosuid && exit 77
  exit 1
fi
