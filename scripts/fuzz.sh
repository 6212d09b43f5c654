#!/usr/bin/env bash
# Fuzzes the allocator with AFL++. See --help, and docs/fuzzing.md.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

all_targets=(api misuse misuse-strict threads corrupt process options api-plain threads-plain process-plain options-plain)

usage() {
  cat <<END
usage: scripts/fuzz.sh [options] [TARGET] [SECONDS] [JOBS]

Installs what is missing from Debian, builds the fuzz targets with AFL++ in out/fuzz, fuzzes, shows how it goes, replays
what was found on the real system, and ends with a summary. Goes on from the corpus in fuzz/corpus and from earlier runs.

  TARGET    one of: ${all_targets[*]}; all (default): one after the other
  SECONDS   for each target (default: 60)
  JOBS      fuzzers at a time (default: 1); of several, the last one runs on the real system

  --fresh      forget earlier runs
  --state DIR  where runs are kept (default: out/fuzz/state)
  --real       all fuzzers on the real system: guards that fault, but slow (FUZZ_FAST=0)
  --cmplog     also try what comparisons compare with
  --minimise   afterwards write to fuzz/corpus the fewest inputs that cover all edges, and shorten them, for two
               minutes a target
  --coverage   afterwards run scripts/fuzz-coverage.sh with what is in DIR
  --help       this text

Crashes are kept in DIR/TARGET. Status 0: no crash and no hang was found.
END
}

fresh=no minimise=no coverage=no cmplog=no real=no state=out/fuzz/state words=()
while (($# > 0)); do
  case $1 in
    --fresh) fresh=yes ;;
    --state)
      (($# > 1)) || usage_error "--state wants a directory"
      state=$2
      shift
      ;;
    --real) real=yes ;;
    --cmplog) cmplog=yes ;;
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

mutator=out/fuzz/mutator.so build=out/fuzz/build
if [[ $fresh == yes ]]; then rm -rf -- "$state"; fi
mkdir -p "$state" out/fuzz
temp='' # set by make_temp
make_temp temp

# afl-fuzz as it must be for this: no terminal, no demands on the machine, room for the address space that the library
# reserves (-m none). A CPU of its own if there is one: fuzzer and target take turns, and each time it wakes the other on
# another CPU costs as much as the run.
export AFL_QUIET=1 AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_TRY_AFFINITY=1 AFL_AUTORESUME=1
export AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1

# Longest inputs, in bytes: forty operations. Twice as many took twice the time, and reached as many edges.
longest=248

# ---- targets --------------------------------------------------------------------------------------------------------

program_of() { # of a target, as CMake names it
  case $1 in
    *-plain) echo "fuzz_${1%-plain}-plain" ;;
    *) echo "fuzz_${1%-strict}-secure" ;;
  esac
}

base_of() { # the target whose operations and corpus it has
  local base=${1%-plain}
  echo "${base%-strict}"
}

corpus_of() { echo "fuzz/corpus/$(base_of "$1")"; }

run_as() { # TARGET 1|0: its profile, and whether the system is simulated. In a subshell.
  if [[ $1 == *-strict ]]; then export MIMALLOC_PROFILE=strict; fi
  export FUZZ_FAST=$2
}

relatives_of() { # TARGET...: all that share a corpus with one of them
  local name other
  for name in "$@"; do
    for other in "${all_targets[@]}"; do
      if [[ $(base_of "$other") == "$(base_of "$name")" ]]; then echo "$other"; fi
    done
  done | sort -u
}

programs_of() { # TARGET...: each once
  local name
  for name in "$@"; do program_of "$name"; done | sort -u
}

configure() { # DIRECTORY
  cmake -S . -B "$1" -DCMAKE_C_COMPILER=afl-clang-fast -DCMAKE_CXX_COMPILER=afl-clang-fast++ -DMI_FUZZ=afl
}

# Others may build here, too, and fuzz with what is there.
build_all() {
  local lock
  exec {lock}>out/fuzz/lock
  flock "$lock"
  build_programs
  exec {lock}>&-
}

build_programs() {
  local -a programs replays wanted=("${targets[@]}")
  if [[ $minimise == yes ]]; then mapfile -t wanted < <(relatives_of "${targets[@]}"); fi
  mapfile -t replays < <(programs_of "${wanted[@]}")
  programs=("${replays[@]/%/-fuzz}")
  say "Building ${programs[*]}"
  if ! {
    configure "$build" && cmake --build "$build" -j "$(job_count)" --target "${programs[@]}" "${replays[@]}" &&
      gcc -O2 -shared -fPIC -Wall -Wextra fuzz/mutator.c -o "$mutator.new" && mv -- "$mutator.new" "$mutator"
  } >out/fuzz/build.log 2>&1; then
    tail -n 20 out/fuzz/build.log >&2
    die "the fuzz targets do not build; see out/fuzz/build.log"
  fi
  [[ $cmplog == yes ]] || return 0
  if ! (
    export AFL_LLVM_CMPLOG=1
    configure out/fuzz/cmplog && cmake --build out/fuzz/cmplog -j "$(job_count)" --target "${programs[@]}"
  ) >out/fuzz/build.log 2>&1; then
    die "the fuzz targets do not build for --cmplog; see out/fuzz/build.log"
  fi
}

# ---- what fuzzers say of themselves ---------------------------------------------------------------------------------

stats_of() { # TARGET
  cat "$state/$1"/*/fuzzer_stats 2>/dev/null || true
}

sum_of() { # TARGET KEY: over all fuzzers
  stats_of "$1" | awk -F' *: *' -v key="$2" '$1 == key {sum += $2} END {printf "%.0f", sum}'
}

first_of() { # TARGET KEY: of the first fuzzer
  sed -n "s/^$2 *: *//p" "$state/$1/job0/fuzzer_stats" 2>/dev/null || true
}

most_of() { # TARGET KEY
  stats_of "$1" |
    awk -F' *: *' -v key="$2" '$1 == key && (most == "" || $2 + 0 > most + 0) {most = $2} END {print most}'
}

list_found() { # TARGET crashes|hangs
  find "$state/$1" -path "*/$2/id*" 2>/dev/null || true
}

found_of() { list_found "$@" | wc -l; }

ticks=$(getconf CLK_TCK) # a second

# Processor seconds of processes and all that came of them, those that are over included.
cpu_of() { # PID...
  { cat /proc/[0-9]*/stat 2>/dev/null || true; } | sed 's/(.*)/name/' | awk -v roots="$*" -v tick="$ticks" '
    {parent[$1] = $4; used[$1] = $14 + $15 + $16 + $17}
    END {
      count = split(roots, root, " ")
      for (i = 1; i <= count; i++) ours[root[i]] = 1
      for (more = 1; more;) {
        more = 0
        for (pid in parent) if (!(pid in ours) && parent[pid] in ours) more = ours[pid] = 1
      }
      for (pid in ours) sum += used[pid]
      printf "%.2f", sum / tick
    }'
}

show_status() { # TARGET SECONDS
  printf '\r%-14s %4d s  %8s runs/s  %6s inputs  stability %7s  crashes %s  hangs %s ' "$1" "$2" \
    "$(sum_of "$1" execs_per_sec)" "$(most_of "$1" corpus_count)" "$(first_of "$1" stability)" \
    "$(found_of "$1" crashes)" "$(found_of "$1" hangs)"
}

# ---- fuzzing --------------------------------------------------------------------------------------------------------

# shellcheck disable=SC2317 # called at the end
stop_quietly() { kill "$1" 2>/dev/null || true; }

seeds_for() { # TARGET DIRECTORY
  local corpus
  corpus=$(corpus_of "$1")
  mkdir -p "$2"
  if [[ -d $corpus ]]; then find "$corpus" -type f -exec cp -- {} "$2"/ \;; fi
  if [[ $(base_of "$1") != options ]]; then python3 fuzz/grow.py "$(base_of "$1")" "$2" 40; fi
}

# A main fuzzer (-M) takes inputs in their order and does not shorten them: it made half as many runs, and reached fewer
# edges in the same time.
start_fuzzer() { # TARGET NUMBER: sets `pid`
  local name=$1 job=$2 program fast=1
  program=$(program_of "$name")-fuzz
  local -a words=(-m none -t 2000 -V "$seconds" -G "$longest" -i "$temp/seeds/$name" -o "$state/$name")
  if [[ $real == yes ]] || ((jobs > 1 && job == jobs - 1)); then fast=0; fi
  if [[ $(base_of "$name") == options ]]; then
    words+=(-x fuzz/options.dict)
  else
    export AFL_CUSTOM_MUTATOR_LIBRARY=$PWD/$mutator
  fi
  if [[ $cmplog == yes ]]; then words+=(-c "out/fuzz/cmplog/fuzz/$program"); fi
  (
    run_as "$name" $fast
    exec afl-fuzz "${words[@]}" -S "job$job" -- "$build/fuzz/$program"
  ) >"$state/$name/job$job.log" 2>&1 &
  pid=$!
  unset AFL_CUSTOM_MUTATOR_LIBRARY
}

declare -A cpu_seconds runs_before

fuzz_one() {
  local name=$1 job pid used most=0.00 started=$SECONDS
  local -a pids=()
  mkdir -p "$state/$name"
  seeds_for "$name" "$temp/seeds/$name"
  runs_before[$name]=$(sum_of "$name" execs_done)
  for ((job = 0; job < jobs; job++)); do
    start_fuzzer "$name" "$job"
    pids+=("$pid")
    at_exit stop_quietly "$pid"
  done
  while kill -0 "${pids[@]}" 2>/dev/null; do
    used=$(cpu_of "${pids[@]}")
    if ((10#${used/./} > 10#${most/./})); then most=$used; fi # it is less when they have just ended
    if [[ -t 1 ]]; then show_status "$name" $((SECONDS - started)); fi
    sleep 1
  done
  if [[ -t 1 ]]; then show_status "$name" $((SECONDS - started)) && printf '\n'; fi
  for pid in "${pids[@]}"; do
    wait "$pid" || { tail -n 5 "$state/$name"/job*.log >&2; die "afl-fuzz failed for $name"; }
  done
  cpu_seconds[$name]=$most
  check_hangs "$name"
  replay_kept "$name"
}

# What took long on a machine that had other things to do is no hang: ten seconds of processor time are.
check_hangs() { # TARGET
  local input
  while read -r input; do
    if ! (run_as "$1" 1 && ulimit -t 10 && "$build/fuzz/$(program_of "$1")" -q "$input") >/dev/null 2>&1; then
      continue
    fi
    mkdir -p "$state/$1/slow"
    mv -- "$input" "$state/$1/slow/"
  done < <(find "$state/$1" -path '*/hangs/id*')
}

# Simulated guards do not fault: everything the fuzzers keep runs once where they do. And once more as they ran it, since
# AFL++ passes by a seed that crashes.
replay_kept() { # TARGET
  local -a queues
  mapfile -t queues < <(find "$state/$1" -type d -name queue)
  ((${#queues[@]} > 0)) || return 0
  say "Replaying what $1 kept, on the real system too"
  replay_as "$1" 1 simulated
  replay_as "$1" 0 real
}

replays() { # TARGET 1|0 INPUT...: the shell does not say how it ended
  local name=$1 fast=$2
  shift 2
  { (run_as "$name" "$fast" && "$build/fuzz/$(program_of "$name")" -q "$@") >"$temp/replay" 2>&1; } 2>/dev/null
}

# One input a process, after the first that fails.
replay_as() { # TARGET 1|0 NAME
  local input home=$state/$1/$3/crashes
  if replays "$1" "$2" "${queues[@]}"; then return 0; fi
  mkdir -p "$home"
  while read -r input; do
    replays "$1" "$2" "$input" || cp -- "$input" "$home/"
  done < <(find "${queues[@]}" -type f -name 'id*')
  [[ -n $(find "$home" -type f) ]] ||
    warn "the inputs of $1 fail on the $3 system one after the other, not one by one: see FUZZ_TRACE in docs/fuzzing.md"
}

# ---- afterwards -----------------------------------------------------------------------------------------------------

# Files under names that say what is in them: fuzzers that know nothing of each other use the same ones.
copy_inputs() { # TO FILE...
  local to=$1 file
  shift
  for file in "$@"; do cp -- "$file" "$to/$(sha1sum "$file" | cut -c 1-12)"; done
}

# Inputs as short as they can be with the edges they cover, the largest first, until time is over: what is left then,
# and what afl-tmin cannot do, stays as it is.
# shellcheck disable=SC2016 # the inner shell expands
shorten() { # TARGET FROM TO
  local program deadline=$((EPOCHSECONDS + shorten_seconds))
  program=$build/fuzz/$(program_of "$1")-fuzz
  find "$2" -type f -size +63c -printf '%s %p\0' | sort -z -rn | sed -z 's/^[0-9]* //' |
    xargs -0 -r -P "$(job_count)" -n 1 chrt --batch 0 sh -c '
      left=$(($1 - $(date +%s))) temp=$2.$$
      [ "$left" -gt 0 ] || exit 0
      [ "$left" -lt 20 ] || left=20
      timeout "$left" afl-tmin -e -m none -t 5000 -i "$4" -f "$temp.now" -o "$temp" -- "$3" >"$temp.log" 2>&1 &&
        mv -- "$temp" "$2/$(sha1sum "$temp" | cut -c 1-12)"
      rm -f -- "$temp" "$temp.now" "$temp.log"' sh "$deadline" "$3" "$program"
}
shorten_seconds=120 # for each target

cover() { # TARGET IN OUT: the fewest and smallest inputs that cover the edges that all do
  rm -rf -- "$3"
  AFL_ALLOW_TMP=1 afl-cmin -e -m none -t 5000 -i "$2" -o "$3" -- "$build/fuzz/$(program_of "$1")-fuzz" \
    >"$temp/log" 2>&1 || { tail -n 5 "$temp/log" >&2; die "afl-cmin failed for $1"; }
}

edges_of() { # TARGET DIRECTORY: sorted
  rm -f -- "$temp/edges"
  afl-showmap -q -e -m none -t 5000 -C -i "$2" -o "$temp/edges" -- "$build/fuzz/$(program_of "$1")-fuzz" \
    >"$temp/log" 2>&1 || true # its status is that of the worst input
  [[ -s $temp/edges ]] || { tail -n 5 "$temp/log" >&2; die "afl-showmap failed for $1"; }
  sort "$temp/edges"
}

# What NEW does not cover of what OLD does is put back. Edges differ from run to run where a target is not stable: they
# count as covered before if they were in two of two passes, and now if in one of two.
keep_edges() { # TARGET OLD NEW
  local edges=$temp/compare file
  edges_of "$1" "$2" >"$edges.1"
  edges_of "$1" "$2" | comm -12 "$edges.1" - >"$edges.old"
  find_lost "$1" "$3"
  for file in "$2"/*; do
    [[ -s $edges.lost ]] || break
    mkdir -p "$temp/one" && cp -- "$file" "$temp/one/input"
    if [[ -n $(edges_of "$1" "$temp/one" | comm -12 - "$edges.lost") ]]; then cp -- "$file" "$3/"; fi
  done
  [[ ! -s $edges.lost ]] || find_lost "$1" "$3"
  say "  $1: $(wc -l <"$edges.new") edges, $(wc -l <"$edges.old") before"
  [[ ! -s $edges.lost ]] || die "$(wc -l <"$edges.lost") edges of $1 would be lost; fuzz/corpus stays as it is"
}

find_lost() { # TARGET NEW: from $edges.old to $edges.lost
  edges_of "$1" "$2" >"$edges.1"
  edges_of "$1" "$2" | sort -u "$edges.1" - >"$edges.new"
  comm -23 "$edges.old" "$edges.new" >"$edges.lost"
}

# The corpus of targets with the same operations: what covers the edges of each of them, as it is or shortened.
minimise_corpus() { # BASE
  local base=$1 corpus=fuzz/corpus/$1 work=$temp/$1 name
  local -a names files
  mapfile -t names < <(relatives_of "$base")
  mkdir -p "$work/old" "$work/all" "$work/short" "$work/last" "$corpus"
  mapfile -t files < <(find "$corpus" -type f)
  copy_inputs "$work/old" "${files[@]}"
  for name in "${names[@]}"; do
    [[ -d $state/$name ]] || continue
    mapfile -t -O ${#files[@]} files < <(find "$state/$name" -path '*/queue/id*')
  done
  copy_inputs "$work/all" "${files[@]}"
  say "Minimising $corpus: of ${#files[@]} inputs"
  for name in "${names[@]}"; do
    (
      run_as "$name" 1
      cover "$name" "$work/all" "$work/out"
      cp -t "$work/short/" -- "$work/out"/*
      shorten "$name" "$work/out" "$work/short"
    )
  done
  for name in "${names[@]}"; do
    (run_as "$name" 1 && cover "$name" "$work/short" "$work/out")
    cp -t "$work/last/" -- "$work/out"/*
  done
  for name in "${names[@]}"; do
    [[ -n $(find "$work/old" -type f) ]] || continue
    (run_as "$name" 1 && keep_edges "$name" "$work/old" "$work/last")
  done
  find "$corpus" -type f -delete
  cp -t "$corpus/" -- "$work/last"/*
  say "  $(find "$corpus" -type f | wc -l) inputs, $(cat "$corpus"/* | wc -c) bytes"
}

summary() {
  local name runs
  printf '\n%s%-14s %9s %12s %10s %10s %9s %7s %8s %6s%s\n' "$c_bold" target runs runs/s 'per CPU-s' stability inputs \
    edges crashes hangs "$c_off"
  for name in "${targets[@]}"; do
    runs=$(($(sum_of "$name" execs_done) - ${runs_before[$name]}))
    printf '%-14s %9s %12s %10s %10s %9s %7s %8s %6s\n' "$name" "$runs" "$(sum_of "$name" execs_per_sec)" \
      "$(awk -v runs="$runs" -v cpu="${cpu_seconds[$name]:-0}" 'BEGIN {printf "%.0f", (cpu > 0 ? runs / cpu : 0)}')" \
      "$(first_of "$name" stability)" "$(most_of "$name" corpus_count)" "$(most_of "$name" edges_found)" \
      "$(found_of "$name" crashes)" "$(found_of "$name" hangs)"
  done
}

build_all
for name in "${targets[@]}"; do fuzz_one "$name"; done
if [[ $minimise == yes ]]; then
  mapfile -t bases < <(for name in "${targets[@]}"; do base_of "$name"; done | sort -u)
  for name in "${bases[@]}"; do minimise_corpus "$name"; done
fi
summary
if [[ $coverage == yes ]]; then scripts/fuzz-coverage.sh "$state"; fi
mapfile -t found < <(for name in "${targets[@]}"; do list_found "$name" crashes && list_found "$name" hangs; done)
if ((${#found[@]} > 0)); then
  warn "replay these with $build/fuzz/fuzz_TARGET-PRODUCT FILE, and FUZZ_FAST=1 unless they are in real/:"
  printf '  %s\n' "${found[@]:0:20}" >&2
  die "${#found[@]} crashes and hangs, the first one ${found[0]}"
fi
