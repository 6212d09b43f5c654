#!/usr/bin/env bash
# Fuzzes the allocator with AFL++. See --help, and docs/fuzzing.md.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

all_targets=(api misuse threads corrupt process options api-plain threads-plain process-plain)

usage() {
  cat <<END
usage: scripts/fuzz.sh [options] [TARGET] [SECONDS] [JOBS]

Installs what is missing from Debian, builds the fuzz targets with AFL++ in out/fuzz, fuzzes, shows how it goes, and
ends with a summary. Goes on from the corpus in fuzz/corpus and from earlier runs in out/fuzz/state.

  TARGET    one of: ${all_targets[*]}; all (default): one after the other
  SECONDS   for each target (default: 60)
  JOBS      fuzzers at a time (default: 1)

  --fresh      forget earlier runs
  --minimise   afterwards write the smallest corpus with the same coverage to fuzz/corpus
  --coverage   afterwards show the coverage of src/ and secure/ by all corpora, by file
  --help       this text

Crashes are kept in out/fuzz/state/TARGET. Status 0: no crash and no hang was found.
END
}

fresh=no minimise=no coverage=no words=()
while (($# > 0)); do
  case $1 in
    --fresh) fresh=yes ;;
    --minimise) minimise=yes ;;
    --coverage) coverage=yes ;;
    --help | -h) usage; exit 0 ;;
    -*) usage_error "unknown option '$1'" ;;
    *) words+=("$1") ;;
  esac
  shift
done
((${#words[@]} <= 3)) || usage_error "unexpected word '${words[3]}'"
target=${words[0]:-all} seconds=${words[1]:-60} jobs=${words[2]:-1}
need_count SECONDS "$seconds"
need_count JOBS "$jobs"
if [[ $target == all ]]; then
  targets=("${all_targets[@]}")
else
  [[ " ${all_targets[*]} " == *" $target "* ]] || usage_error "TARGET is one of ${all_targets[*]}, or all, not '$target'"
  targets=("$target")
fi

cd "$(repo_root)"
need_packages gcc clang cmake make pkg-config binutils libsodium-dev libcmocka-dev python3
need_commands afl-fuzz=afl++
if [[ $coverage == yes ]]; then need_commands lcov=lcov; fi

state=out/fuzz/state
mutator=out/fuzz/mutator.so
if [[ $fresh == yes ]]; then rm -rf -- "$state"; fi
mkdir -p "$state" out/fuzz

program_of() { # of a target, as CMake names it
  case $1 in
    *-plain) echo "fuzz_${1%-plain}-plain" ;;
    *) echo "fuzz_$1-secure" ;;
  esac
}

corpus_of() { echo "fuzz/corpus/${1%-plain}"; }

programs=()
for name in "${targets[@]}"; do programs+=("$(program_of "$name")-fuzz"); done
say "Building ${programs[*]}"
export AFL_QUIET=1 AFL_LLVM_DENYLIST=$PWD/fuzz/deny.txt
if ! { cmake -S . -B out/fuzz/build -DCMAKE_C_COMPILER=afl-clang-fast -DCMAKE_CXX_COMPILER=afl-clang-fast++ \
  -DMI_FUZZ=afl && cmake --build out/fuzz/build -j "$(job_count)" --target "${programs[@]}" &&
  gcc -O2 -shared -fPIC -Wall -Wextra fuzz/mutator.c -o "$mutator"; } >out/fuzz/build.log 2>&1; then
  tail -n 20 out/fuzz/build.log >&2
  die "the fuzz targets do not build; see out/fuzz/build.log"
fi

# afl-fuzz as it must be for this: no terminal, no demands on the machine, threads of its own binding, room for the
# address space that the library reserves (-m none).
export AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_NO_AFFINITY=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_AUTORESUME=1

stat_of() { # FILE KEY
  sed -n "s/^$2 *: *//p" "$1" 2>/dev/null || true
}

crash_count() { find "$state/$1" -path '*/crashes/id*' 2>/dev/null | wc -l; }
hang_count() { find "$state/$1" -path '*/hangs/id*' 2>/dev/null | wc -l; }

# shellcheck disable=SC2317 # called at the end
stop_quietly() { kill "$1" 2>/dev/null || true; }

fuzz_one() {
  local name=$1 program seeds=out/fuzz/seeds/$1 job role pid
  local -a pids=()
  program=out/fuzz/build/fuzz/$(program_of "$name")-fuzz
  mkdir -p "$seeds" "$state/$name"
  if [[ -d $(corpus_of "$name") ]]; then cp -- "$(corpus_of "$name")"/* "$seeds"/; fi
  if [[ $name != options ]]; then
    python3 fuzz/grow.py "${name%-plain}" "$seeds" 40
    export AFL_CUSTOM_MUTATOR_LIBRARY=$PWD/$mutator
  else
    unset AFL_CUSTOM_MUTATOR_LIBRARY
  fi
  local -a dictionary=()
  if [[ $name == options ]]; then dictionary=(-x fuzz/options.dict); fi
  for ((job = 0; job < jobs; job++)); do
    role=-S
    if ((job == 0)); then role=-M; fi
    afl-fuzz -m none -t 2000 -V "$seconds" -i "$seeds" -o "$state/$name" "$role" "job$job" "${dictionary[@]}" \
      -- "$program" >"$state/$name/job$job.log" 2>&1 &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do at_exit stop_quietly "$pid"; done
  local started=$SECONDS stats=$state/$name/job0/fuzzer_stats
  while kill -0 "${pids[@]}" 2>/dev/null; do
    sleep 2
    if [[ -t 1 ]]; then
      printf '\r%-14s %4d s  %8s runs/s  %6s inputs  stability %7s  crashes %s  hangs %s ' "$name" \
        $((SECONDS - started)) "$(stat_of "$stats" execs_per_sec)" "$(stat_of "$stats" corpus_count)" \
        "$(stat_of "$stats" stability)" "$(crash_count "$name")" "$(hang_count "$name")"
    fi
  done
  if [[ -t 1 ]]; then printf '\n'; fi
  for pid in "${pids[@]}"; do
    wait "$pid" || { tail -n 5 "$state/$name"/job*.log >&2; die "afl-fuzz failed for $name"; }
  done
}

minimise_one() {
  local name=$1 temp
  make_temp temp
  say "Minimising the corpus of $name"
  mkdir -p "$temp/in" "$(corpus_of "$name")"
  find "$state/$name" -path '*/queue/id*' -exec cp -- {} "$temp/in/" \;
  if [[ -d $(corpus_of "$name") ]]; then find "$(corpus_of "$name")" -type f -exec cp -- {} "$temp/in/" \;; fi
  AFL_CUSTOM_MUTATOR_LIBRARY='' afl-cmin -m none -t 5000 -i "$temp/in" -o "$temp/out" -- \
    "out/fuzz/build/fuzz/$(program_of "$name")-fuzz" >"$temp/log" 2>&1 || { tail -n 5 "$temp/log" >&2; die "afl-cmin failed"; }
  rm -f -- "$(corpus_of "$name")"/*
  local file
  for file in "$temp/out"/*; do
    cp -- "$file" "$(corpus_of "$name")/$(sha1sum "$file" | cut -c 1-12)"
  done
}

show_coverage() {
  local dir=out/fuzz/coverage name
  cmake -S . -B "$dir" -DCMAKE_BUILD_TYPE=None "-DCMAKE_C_FLAGS=-O1 -g --coverage" >"$dir.log" 2>&1
  cmake --build "$dir" -j "$(job_count)" --target fuzz-replay >>"$dir.log" 2>&1 || die "see $dir.log"
  find "$dir" -name '*.gcda' -delete
  for name in "${all_targets[@]}"; do
    local -a inputs=("$(corpus_of "$name")")
    [[ -d ${inputs[0]} ]] || continue
    if [[ -d out/fuzz/state/$name/job0/queue ]]; then inputs+=("out/fuzz/state/$name/job0/queue"); fi
    "$dir/fuzz/$(program_of "$name")" -q "${inputs[@]}" >/dev/null || warn "the corpus of $name does not replay"
  done
  lcov -q --capture --directory "$dir/fuzz" --rc lcov_branch_coverage=1 -o "$dir/all.info" 2>>"$dir.log"
  lcov -q --extract "$dir/all.info" '*/src/*' '*/secure/*' --rc lcov_branch_coverage=1 -o "$dir/library.info" 2>>"$dir.log"
  lcov --list "$dir/library.info" --rc lcov_branch_coverage=1
}

for name in "${targets[@]}"; do fuzz_one "$name"; done
if [[ $minimise == yes ]]; then
  for name in "${targets[@]}"; do minimise_one "$name"; done
fi

found=0
printf '\n%s%-14s %10s %12s %10s %9s %9s %8s %6s%s\n' "$c_bold" target runs/s runs stability inputs 'bits' crashes hangs "$c_off"
for name in "${targets[@]}"; do
  stats=$state/$name/job0/fuzzer_stats
  printf '%-14s %10s %12s %10s %9s %9s %8s %6s\n' "$name" "$(stat_of "$stats" execs_per_sec)" \
    "$(stat_of "$stats" execs_done)" "$(stat_of "$stats" stability)" "$(stat_of "$stats" corpus_count)" \
    "$(stat_of "$stats" bitmap_cvg)" "$(crash_count "$name")" "$(hang_count "$name")"
  found=$((found + $(crash_count "$name") + $(hang_count "$name")))
done
if [[ $coverage == yes ]]; then show_coverage; fi
((found == 0)) || die "$found crashes and hangs are in $state; replay one with out/fuzz/build/fuzz/fuzz_TARGET-PRODUCT FILE"
