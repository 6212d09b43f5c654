#!/bin/bash
# What the loader is told about a shared object: relocations are made at once and then read-only, no executable stack,
# no writable code, nothing needed but the C library, no search path, never unloaded, the right SONAME.
# usage: hardening.sh LIBRARY SONAME
set -euo pipefail
library=$1 soname=$2
failures=0

complain() {
  echo "$library: $*" >&2
  failures=$((failures + 1))
}

dynamic=$(readelf --dynamic --wide "$library")
segments=$(readelf --segments --wide "$library")
symbols=$(nm -D --format=posix "$library")

grep -q '(FLAGS).*BIND_NOW\|(FLAGS_1).*NOW' <<<"$dynamic" || complain "relocations are made lazily (no BIND_NOW)"
grep -q '(FLAGS_1).*NODELETE' <<<"$dynamic" || complain "may be unloaded by dlclose (no NODELETE)"
! grep -q '(FLAGS_1).*NOOPEN' <<<"$dynamic" || complain "cannot be loaded by dlopen (NOOPEN)"
! grep -q 'TEXTREL' <<<"$dynamic" || complain "has relocations in code (TEXTREL)"
! grep -qE '\((RPATH|RUNPATH)\)' <<<"$dynamic" || complain "has a library search path"
grep -q "(SONAME).*\[$soname\]" <<<"$dynamic" || complain "its SONAME is not $soname"

needed=$(sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' <<<"$dynamic")
others=$(grep -vE '^(libc\.so\.6|libc\.so|libc\.musl-.*)$' <<<"$needed" || true)
[[ -n $needed ]] || complain "needs no C library: was it linked?"
[[ -z $others ]] || complain "needs more than the C library:" $others

grep -q 'GNU_RELRO' <<<"$segments" || complain "has no RELRO segment"
grep -qE 'GNU_STACK .* RW +0x' <<<"$segments" || complain "wants an executable stack, or does not say"
! grep -E '^ +LOAD ' <<<"$segments" | grep -q 'W *E' || complain "has a segment that is writable and executable"

undefined=$(awk '$2 == "U" || $2 == "w" { print $1 }' <<<"$symbols" |
  grep -E '^(sodium_|_sodium_|crypto_|randombytes|mi_|mim_|sec_)' || true)
[[ -z $undefined ]] || complain "leaves names of its own open:" $undefined
# an address of a thread's own data must not cost a call, which could allocate
! grep -q '__tls_get_addr' <<<"$symbols" || complain "uses the general TLS model (__tls_get_addr)"

((failures == 0)) || exit 1
