#!/usr/bin/env bash
# A start as early as in an initramfs: a root with nothing but programs, libc and the library. No /proc, no /dev, no
# /sys, no /etc but ld.so.preload: /sbin/init of that root, PID 1 of its own namespace, has the library and allocates;
# a misuse there is reported and ends the program. Needs no root, but user namespaces; 77 where there are none.
#   early.sh LIBRARY plain | early.sh LIBRARY secure PROGRAM-THAT-MISUSES
set -euo pipefail

library=$1 form=$2 victim=${3:-}
if ! unshare --user --map-root-user --mount --pid --fork true 2>/dev/null; then
  echo "user namespaces are not to be had here"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
root=$work/root
mkdir -p "$root"/{bin,lib,lib64,etc,sbin}
unset LD_PRELOAD
failures=0
ulimit -c 0

# Programs with what they need, at the places where the loader looks without a cache.
for program in sh cat ls; do cp -L -- "$(type -P "$program")" "$root/bin/"; done
[[ $form == plain ]] || cp -- "$victim" "$root/bin/victim"
for file in "$root"/bin/* "$library"; do
  ldd "$file" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*ld-linux[^ ]*\) .*/\1/p'
done | sort -u >"$work/needed"
while read -r file; do cp -L -- "$file" "$root/lib/"; done <"$work/needed"
loader=$(grep ld-linux "$work/needed" | head -n 1)
mkdir -p "$root$(dirname "$loader")"
[[ -e $root$loader ]] || cp -L -- "$loader" "$root$loader"
cp -L -- "$library" "$root/lib/library.so"

# boot COMMANDS: runs them as the init of the root; `status` and $work/said are what came of it
boot() {
  printf '#!/bin/sh\n%s\n' "$1" >"$root/sbin/init"
  chmod +x "$root/sbin/init"
  status=0
  unshare --user --map-root-user --mount --pid --fork chroot "$root" /sbin/init >"$work/said" 2>&1 || status=$?
}

# expect WHAT STATUS PATTERN
expect() {
  if ((status != $2)) || ! grep -Eq -- "$3" "$work/said"; then
    printf 'FAILED: %s: status %s instead of %s, or no line like "%s"\n' "$1" "$status" "$2" "$3"
    cat "$work/said"
    failures=$((failures + 1))
  fi
}

boot 'ls /; echo done'
expect 'the root works without the library' 0 '^done$'
if grep -Eq '^(proc|dev|sys)$' "$work/said"; then
  echo "FAILED: the root is not as empty as it should be"
  failures=$((failures + 1))
fi

echo /lib/library.so >"$root/etc/ld.so.preload"
# shellcheck disable=SC2016  # expanded by that init
boot 'echo "PID $$"; x=$(cat /sbin/init); ls -lR / >/etc/list; cat /etc/list | cat; echo "${#x} done"'
expect 'init with the library' 0 '^[0-9]+ done$'
expect 'init is PID 1' 0 '^PID 1$'
if grep -q 'cannot be preloaded\|mimalloc:' "$work/said"; then
  echo "FAILED: the library has something to say:"
  cat "$work/said"
  failures=$((failures + 1))
fi
boot 'MIMALLOC_VERBOSE=1 exec ls /'
expect 'the library is there' 0 '^mimalloc: version [0-9]'
if [[ $form == secure ]]; then
  boot '/bin/victim; echo "status $?"'
  expect 'a misuse is reported' 0 'mimalloc: violation: '
  expect 'a misuse ends the program' 0 '^status 134$'
  boot 'MIMALLOC_PROFILE=strict ls / && echo fine'
  expect 'profile strict' 0 '^fine$'
fi

((failures == 0)) || exit 1
echo "ok"
