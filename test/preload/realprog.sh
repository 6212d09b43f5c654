#!/bin/bash
# One real program without and with a library: exit status 0 when its output is the same, byte for byte.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=../../scripts/lib.sh
. "$here/../../scripts/lib.sh"
# shellcheck source=compare.sh
. "$here/compare.sh"

usage() {
  cat <<END
usage: realprog.sh [--long] [--keep] [--address-space MIB] [--must-differ] NAME LIBRARY

Runs the real program NAME without and with LIBRARY preloaded and compares what it prints.
NAME is one of: ${all_programs[*]}
${more_programs[*]}

  --long               the size that scripts/demo.sh uses, instead of a second or so
  --keep               keep the directory with outputs and reports, and print its name
  --address-space MIB  limit the address space of every process (ulimit -v)
  --must-differ        succeed when the output differs: a test of the comparison itself
  --help               this text

Status 0: the same. 1: different, or it failed. 77: the program is not installed (scripts/demo.sh
installs it). MIM_MEASURE may name a ready test/runner/measure, MIM_TIMEOUT a limit in seconds (600).
END
}

scale=short keep=no must_differ=no
while (($# > 0)); do
  case $1 in
    --long) scale=long ;;
    --keep) keep=yes ;;
    --must-differ) must_differ=yes ;;
    --address-space)
      (($# > 1)) || usage_error "--address-space wants a number of MiB"
      need_count --address-space "$2"
      export MIM_ADDRESS_SPACE=$2
      shift
      ;;
    --help | -h) usage; exit 0 ;;
    -*) usage_error "unknown option '$1'" ;;
    *) break ;;
  esac
  shift
done
(($# == 2)) || usage_error "wants a program and a library, got $# words"
need_program "$1"
find_library library "$2"

if [[ -z $(program_binary "$1") ]]; then
  warn "$1 is not installed, nothing is compared"
  exit 77
fi

if [[ $keep == yes ]]; then
  temp=$(mktemp -d "${TMPDIR:-/tmp}/mim-realprog.XXXXXX")
  say "Outputs are in $temp"
else
  make_temp temp
fi
build_measure measure "$temp"

source_of=$(malloc_comes_from "$1" "$library")
if [[ -n $source_of && $(readlink -f "$source_of") != $(readlink -f "$library") ]]; then
  die "$1 takes malloc from '$source_of' although '$library' is preloaded"
fi

run_program "$measure" "$1" '' "$scale" "$temp/without" || true
run_program "$measure" "$1" "$library" "$scale" "$temp/with" || true
if [[ $must_differ == yes ]]; then
  [[ $(report_value "$temp/without/report" end) == exit:0 ]] || die "$1 fails without a library, too"
  if compare_runs "$temp/without" "$temp/with" >"$temp/difference"; then die "no difference was noticed"; fi
  say "The difference was noticed: $(head -n 1 "$temp/difference")"
  exit 0
fi
if ! difference=$(compare_runs "$temp/without" "$temp/with"); then
  say "$1 with $(basename "$library"): $difference"
  exit 1
fi
say "$1: the same output; without $(cat "$temp/without/report")"
say "$1: with $(basename "$library") $(cat "$temp/with/report")"
