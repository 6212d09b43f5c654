#!/usr/bin/env bash
# Ten small attacks on the heap (test/attacks/), each run with the C library's allocator and with a library of ours.
#
#   scripts/attacks.sh [LIBRARY]     default: libmimalloc-secure.so of the build directory
#
# Prints a table: what each attack gained without the library, and what stopped it with the library. Options:
#   --details    also prints what the programs wrote
#   --runs N     runs each attack N times with the library; all of them must be stopped (default 3)
#
# Exit status: 0 when every attack was stopped; 1 when one was not; 2 for a wrong command line.
# Safe to run again and again: it builds in a directory of its own, which it removes.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  sed -n '2,/^set -euo/{/^set -euo/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
}

library=''
details=no
runs=3
while (($# > 0)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --details) details=yes ;;
    --runs)
      (($# > 1)) || usage_error "--runs wants a number"
      need_count --runs "$2"
      runs=$2
      shift
      ;;
    -*) usage_error "unknown option '$1'; there are --details, --runs N and --help" ;;
    *)
      [[ -z $library ]] || usage_error "one library only, not '$library' and '$1'"
      library=$1
      ;;
  esac
  shift
done

root=$(repo_root)
if [[ -z $library ]]; then
  for place in build out/release out/secure out; do
    [[ -e $root/$place/libmimalloc-secure.so ]] || continue
    library=$root/$place/libmimalloc-secure.so
    break
  done
  [[ -n $library ]] || usage_error "no libmimalloc-secure.so in build/ or out/; build it, or name the library"
fi
[[ -f $library ]] || usage_error "'$library' is no file; expected a shared library to preload"
library=$(realpath -- "$library")

compiler=${CC:-cc}
if ! command -v "${compiler%% *}" >/dev/null; then
  [[ -z ${CC:-} ]] || die "the compiler '$CC' (from CC) is not there"
  need_packages gcc libc6-dev
  compiler=gcc
fi

# The order in which they are shown, from the simplest to the most artful.
attacks=(double_free interleaved_double_free interior_free stack_free stale_secret type_confusion
  overflow_into_guard forged_link off_by_one_zero unsafe_unlink)

build=''
make_temp build
for attack in "${attacks[@]}"; do
  # The programs are wrong on purpose: neither warnings nor optimisations of malloc are wanted.
  # shellcheck disable=SC2086  # CC may hold options
  $compiler -std=c11 -O1 -fno-builtin -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=0 -w \
    -o "$build/$attack" "$root/test/attacks/$attack.c"
done
# A library that cannot be loaded would look like one that stops nothing, or everything.
env LD_PRELOAD="$library" true >"$build/load" 2>&1 || true
if [[ -s $build/load ]]; then die "'$library' cannot be preloaded: $(head -n 1 "$build/load")"; fi

# run NAME PRELOAD: writes $build/out and $build/err, sets `status`.
run() {
  status=0
  # In a shell of its own, whose notice ("Aborted") goes where nobody reads it. No core dumps.
  (
    ulimit -c 0
    timeout --foreground --signal=KILL 60 env LD_PRELOAD="$2" "$build/$1" >"$build/out" 2>"$build/err"
  ) 2>/dev/null || status=$?
}

# What happened, in a few words; 0 when the attack gained nothing.
outcome=''
judge() {
  local line=''
  if grep -q '^ATTACK SUCCEEDED' "$build/out"; then
    outcome='succeeded'
    return 1
  fi
  line=$(grep -m1 -E '^mimalloc: violation: ' "$build/err" || head -n1 "$build/err")
  case $status in
    134) outcome="aborted: ${line#mimalloc: violation: }" ;;
    139) outcome="stopped by inaccessible memory (SIGSEGV)${line:+: $line}" ;;
    137) outcome='did not end within 60 s'; return 1 ;;
    1) outcome=$(grep -m1 '^attack failed' "$build/out" || echo 'ended with status 1') ;;
    0) outcome='passed silently'; return 1 ;;
    *) outcome="ended with status $status" ;;
  esac
}

show_output() {
  [[ $details == no ]] || sed "s/^/      ${c_dim}|${c_off} /" "$build/out" "$build/err"
}

say "${c_bold}Ten attacks on the heap${c_off}"
say "without: the C library's allocator; with: $library"
say
stopped=0
harmless=0
for attack in "${attacks[@]}"; do
  run "$attack" ''
  if judge; then
    colour=$c_yellow
    harmless=$((harmless + 1))
  else
    colour=$c_red
  fi
  without=$outcome
  gained=$(sed -n 's/^ATTACK SUCCEEDED: //p' "$build/out" | head -n1)
  printf '%s%s%s\n' "$c_bold" "${attack//_/ }" "$c_off"
  printf '  without  %s%s%s\n' "$colour" "$without${gained:+: $gained}" "$c_off"
  show_output

  good=yes
  for ((i = 0; i < runs; i++)); do
    run "$attack" "$library"
    judge || { good=no; break; }
  done
  if [[ $good == yes ]]; then
    colour=$c_green
    stopped=$((stopped + 1))
  else
    colour=$c_red
  fi
  printf '  with     %s%s%s\n' "$colour" "$outcome" "$c_off"
  show_output
done

say
say "${c_bold}$stopped of ${#attacks[@]} attacks stopped with the library; $((${#attacks[@]} - harmless)) succeed without it.${c_off}"
((stopped == ${#attacks[@]}))
