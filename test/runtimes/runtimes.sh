#!/usr/bin/env bash
# Runtimes that use SIGSEGV for themselves behave the same with fault reports as without the library.
#   runtimes.sh java|node LIBRARY
set -euo pipefail
unset NODE_EXTRA_CA_CERTS NODE_OPTIONS JAVA_TOOL_OPTIONS # they make the runtimes say more

runtime=$1 library=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
case $runtime in
  java) command=(java -Xmx256m "$here/Faults.java") ;;
  node) command=(node "$here/faults.js") ;;
  *) echo "runtimes.sh: $runtime is not known; it is java or node" >&2; exit 2 ;;
esac
command -v "${command[0]}" > /dev/null || { echo "${command[0]} is not there"; exit 77; }
if [[ $runtime == java ]] && ! command -v javac > /dev/null; then
  echo "java cannot compile here"
  exit 77
fi
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT

expected=$("${command[@]}")
status=0
for profile in default strict fuzz; do
  if ! output=$(LD_PRELOAD=$library MIMALLOC_PROFILE=$profile "${command[@]}" 2>&1) || [[ $output != "$expected" ]]; then
    printf 'FAILED: %s under %s: expected:\n%s\ngot:\n%s\n' "$runtime" "$profile" "$expected" "$output"
    status=1
  fi
done
[[ $status != 0 ]] || echo "$runtime: $expected"
exit $status
