#!/usr/bin/env bash
# Static probes: those of src/probes.h are in the library, none is where malloc and free are fast, and a tracer (gdb)
# that attaches to one sees its arguments.
#   probes.sh TOP_OF_TREE LIBRARY plain|secure VICTIM
set -euo pipefail

top=$1 library=$2 form=$3 victim=$4
command -v readelf >/dev/null || { echo "readelf is not there"; exit 77; }
failures=0
complain() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

wanted=$(sed -n 's/^#define probe_\([a-z_]*\)(.*/\1/p' "$top/src/probes.h" | LC_ALL=C sort)
[[ $form == secure ]] || wanted=$(grep -v '^violation$' <<<"$wanted")
notes=$(readelf -nW "$library")
found=$(awk '/Provider: mimalloc/ {ours = 1} /Name:/ && ours {print $2; ours = 0}' <<<"$notes" | LC_ALL=C sort -u)
[[ $found == "$wanted" ]] || complain "probes: wanted ${wanted//$'\n'/ }, found ${found//$'\n'/ }"
[[ $(wc -l <<<"$wanted") -ge 5 ]] || complain "src/probes.h has too few probes: ${wanted//$'\n'/ }"

# What every malloc and free runs through.
for file in src/fastpath.h src/alloc.c src/free.c src/hooks.h secure/hooks_secure.h secure/entry.h secure/fence.h \
  secure/wipe.h; do
  if grep -qE 'probe_|PROBE[0-9]' "$top/$file"; then complain "$file has a probe, and is a fast path"; fi
done

if command -v gdb >/dev/null; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  at() {  # probe, arguments to show
    local show=()
    for ((i = 0; i < $2; i++)); do show+=(-ex "printf \"argument $i: %ld\\n\", (long)\$_probe_arg$i"); done
    gdb -nx -batch -ex 'set breakpoint pending on' -ex 'set startup-with-shell off' -ex "set environment LD_PRELOAD=$library" \
      -ex "break -probe-stap mimalloc:$1" -ex run "${show[@]}" -ex kill "$victim" >"$work/log" 2>&1 || true
  }
  at page_fresh 3  # the block of 300,000 bytes: whole slices of 64 KiB, and no size of blocks
  if grep -q 'Couldn.t get registers\|ptrace: Operation not permitted' "$work/log"; then
    echo "gdb may not trace here"
  else
    grep -qx 'argument 1: 327680' "$work/log" || { complain "page_fresh:"; cat "$work/log"; }
    at thread_start 1
    grep -Eq '^argument 0: [1-9]' "$work/log" || { complain "thread_start:"; cat "$work/log"; }
    if [[ $form == secure ]]; then
      at violation 3  # a double free (1) of some address, then the process aborts (2)
      if ! { grep -qx 'argument 0: 1' "$work/log" && grep -qx 'argument 2: 2' "$work/log"; }; then
        complain "violation:"
        cat "$work/log"
      fi
    fi
  fi
fi

[[ $failures == 0 ]] && echo "probes of $form: ${found//$'\n'/ }"
exit $((failures > 0))
