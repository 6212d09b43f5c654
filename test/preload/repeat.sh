#!/bin/bash
# Every real program many times in a row with every library: the same output each time.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=../../scripts/lib.sh
. "$here/../../scripts/lib.sh"
# shellcheck source=compare.sh
. "$here/compare.sh"

usage() {
  cat <<END
usage: repeat.sh [options] [LIBRARY...]

Runs the real programs (${all_programs[*]})
in their short form, 20 times in a row with each LIBRARY, and reports every run whose output is not the one
without a library. LIBRARY: out/release/libmimalloc.so and libmimalloc-secure.so when none is given.

  --runs N       how many times (20)
  --only NAME    this program only; may be given more than once
  --long         the size that scripts/demo.sh uses
  --install      install missing programs from Debian first
  --help         this text

Status 0: no difference. The outputs of failed runs are kept and their place is printed.
END
}

runs=20 scale=short install=no
programs=()
while (($# > 0)); do
  case $1 in
    --runs) (($# > 1)) || usage_error "--runs wants a number"; need_count --runs "$2"; runs=$2; shift ;;
    --only) (($# > 1)) || usage_error "--only wants a program"; need_program "$2"; programs+=("$2"); shift ;;
    --long) scale=long ;;
    --install) install=yes ;;
    --help | -h) usage; exit 0 ;;
    -*) usage_error "unknown option '$1'" ;;
    *) break ;;
  esac
  shift
done
((${#programs[@]} > 0)) || programs=("${all_programs[@]}")
root=$(repo_root)
(($# > 0)) || set -- "$root/out/release/libmimalloc.so" "$root/out/release/libmimalloc-secure.so"
libraries=()
for word in "$@"; do
  find_library found "$word"
  libraries+=("$found")
done
[[ $install == no ]] || install_programs "${programs[@]}"
for name in "${programs[@]}"; do
  [[ -n $(program_binary "$name") ]] || die "$name is not installed (repeat.sh --install does it)"
done

make_temp temp # sets it
temp=${temp:?}
build_measure measure "$temp"
bad=0 total=0
for name in "${programs[@]}"; do
  run_program "$measure" "$name" '' "$scale" "$temp/without" || true
  for library in "${libraries[@]}"; do
    wrong=0
    for ((run = 1; run <= runs; run++)); do
      total=$((total + 1))
      run_program "$measure" "$name" "$library" "$scale" "$temp/with" || true
      if ! difference=$(compare_runs "$temp/without" "$temp/with"); then
        wrong=$((wrong + 1))
        kept=$(mktemp -d "${TMPDIR:-/tmp}/mim-repeat-$name.XXXXXX")
        cp -r -- "$temp/without" "$temp/with" "$kept"
        say "$name with $(basename "$library"), run $run of $runs: $difference"
        say "  kept in $kept"
      fi
    done
    bad=$((bad + wrong))
    printf '%-10s %-28s %3d of %d runs the same\n' "$name" "$(basename "$library")" $((runs - wrong)) "$runs"
  done
done
if ((bad > 0)); then die "$bad of $total runs differ"; fi
say "All $total runs gave the same output."
