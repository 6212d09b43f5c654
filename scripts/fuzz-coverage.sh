#!/usr/bin/env bash
# What of src/ and secure/ the fuzzers' inputs reach. See --help, and docs/fuzzing.md.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<END
usage: scripts/fuzz-coverage.sh [--missed] [DIRECTORY]

Replays fuzz/corpus and test/regress with a build for gcov, in out/fuzz/coverage: each target of the secure product in
the profiles default, fast, strict and fuzz, threads also freely, and those of the plain product. Shows how many lines
and branches they reach, by file.

  DIRECTORY  more inputs: in DIRECTORY/TARGET, or in queues below that, as scripts/fuzz.sh leaves them
  --missed   show the lines that are not reached, too
  --help     this text
END
}

missed=no more=''
while (($# > 0)); do
  case $1 in
    --missed) missed=yes ;;
    --help | -h) usage; exit 0 ;;
    -*) usage_error "unknown option '$1'" ;;
    *)
      [[ -z $more ]] || usage_error "unexpected word '$1'"
      [[ -d $1 ]] || usage_error "'$1' is no directory"
      more=$(realpath "$1")
      ;;
  esac
  shift
done

cd "$(repo_root)"
need_packages gcc cmake make pkg-config binutils libsodium-dev libcmocka-dev
need_commands lcov=lcov
dir=out/fuzz/coverage
mkdir -p "$dir"
if ! { cmake -S . -B "$dir" -DCMAKE_BUILD_TYPE=None "-DCMAKE_C_FLAGS=-O1 -g --coverage -fprofile-update=atomic" &&
  cmake --build "$dir" -j "$(job_count)" --target fuzz-replay; } >"$dir.log" 2>&1; then
  tail -n 20 "$dir.log" >&2
  die "the fuzz targets do not build; see $dir.log"
fi
find "$dir" -name '*.gcda' -delete

replay() { # TARGET PRODUCT [VARIABLE=VALUE]...
  local target=$1 product=$2
  shift 2
  local -a inputs=() homes=("fuzz/corpus/$target" "test/regress/$target")
  if [[ -n $more ]]; then homes+=("$more/$target" "$more/$target-strict" "$more/$target-plain"); fi
  mapfile -t inputs < <(find "${homes[@]}" -type d \( -name "$target" -o -name queue \) 2>/dev/null)
  env "$@" "$dir/fuzz/fuzz_$target-$product" -q "${inputs[@]}" >"$dir/replay.log" 2>&1 ||
    warn "inputs of $target do not replay ($product $*); see $dir/replay.log"
}

for profile in default fast strict fuzz; do
  for target in api threads misuse corrupt; do
    # What is planted in misuse is noticed by mechanisms that fast has not.
    if [[ $profile.$target != fast.misuse ]]; then replay "$target" secure MIMALLOC_PROFILE=$profile; fi
  done
done
for product in secure plain; do
  for target in process options; do replay "$target" "$product"; done
  replay threads "$product" FUZZ_PARALLEL=1
  replay api "$product" FUZZ_SLOW=1
done
for target in api threads; do replay "$target" plain; done

lcov -q --capture --directory "$dir/fuzz" --rc lcov_branch_coverage=1 -o "$dir/all.info" 2>>"$dir.log"
lcov -q --extract "$dir/all.info" '*/src/*' '*/secure/*' --rc lcov_branch_coverage=1 -o "$dir/library.info" 2>>"$dir.log"
lcov --list "$dir/library.info" --rc lcov_branch_coverage=1
if [[ $missed == yes ]]; then
  awk -F '[:,]' '/^SF:/ {file = $2} /^DA:/ && $3 == 0 {print file, $2}' "$dir/library.info" | while read -r file line; do
    printf '%s:%s:%s\n' "${file#"$PWD/"}" "$line" "$(sed -n "${line}p" "$file")"
  done
fi
