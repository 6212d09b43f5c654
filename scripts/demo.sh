#!/bin/bash
# The demonstration: builds the library, runs real programs with it and without, then attacks on the heap.
# See --help. The programs are test/preload/work/, the attacks scripts/attacks.sh.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../test/preload/compare.sh
. "$(dirname "${BASH_SOURCE[0]}")/../test/preload/compare.sh"

usage() {
  cat <<END
usage: scripts/demo.sh [options]

Installs what is missing from Debian, builds the release in out/release, runs real, unmodified programs with
libmimalloc-secure.so preloaded and without, compares their output byte for byte, shows time and peak
memory of both, and then shows what ten attacks on the heap come to without the library and with it.

  --quick       small inputs, one run of each program: about half a minute
  --lib PATH    preload this library instead of building one
  --only NAME   this program only (or \`attacks\`); may be given more than once
  --runs N      how often each program runs with and without the library (3; with --quick 1); times and
                memory shown are medians
  --help        this text

Programs: ${all_programs[*]}
Status 0: every output was the same and every attack was stopped.
END
}

scale=long runs='' given_library='' attacks=no
programs=()
while (($# > 0)); do
  case $1 in
    --quick) scale=short ;;
    --lib) (($# > 1)) || usage_error "--lib wants the path of a shared library"; given_library=$2; shift ;;
    --runs) (($# > 1)) || usage_error "--runs wants a number"; need_count --runs "$2"; runs=$2; shift ;;
    --only)
      (($# > 1)) || usage_error "--only wants a program or 'attacks'"
      if [[ $2 == attacks ]]; then
        attacks=yes
      else
        is_program "$2" || usage_error "there is no program '$2'; there are: ${all_programs[*]} attacks"
        programs+=("$2")
      fi
      shift
      ;;
    --help | -h) usage; exit 0 ;;
    -*) usage_error "unknown option '$1'" ;;
    *) usage_error "unexpected word '$1'; options begin with --" ;;
  esac
  shift
done
if [[ $attacks == no && ${#programs[@]} == 0 ]]; then
  programs=("${all_programs[@]}")
  attacks=yes
fi
if [[ -z $runs ]]; then
  runs=3
  if [[ $scale == short ]]; then runs=1; fi
fi

if [[ $(locale charmap 2>/dev/null) == UTF-8 ]]; then
  tick=✓ cross=✗
else
  tick='ok' cross='!!'
fi

root=$(repo_root)
make_temp temp
temp=${temp:?}

# ---- the library ----

build_library() {
  local start=$SECONDS
  need_packages cmake make gcc g++ libc6-dev libsodium-dev
  printf 'Building the release in out/release ... '
  if ! {
    cmake -S "$root" -B "$root/out/release" -DCMAKE_BUILD_TYPE=Release &&
      cmake --build "$root/out/release" -j "$(job_count)" --target mimalloc mimalloc-secure
  } >"$temp/build" 2>&1; then
    say "failed"
    tail -n 30 "$temp/build" >&2
    die "the build failed"
  fi
  say "done in $((SECONDS - start)) s"
}

if [[ -n $given_library ]]; then
  need_packages gcc libc6-dev
  find_library library "$given_library"
else
  build_library
  find_library library "$root/out/release/libmimalloc-secure.so"
fi
library=${library:?}
if ((${#programs[@]} > 0)); then install_programs "${programs[@]}"; fi

# ---- numbers ----

median() { # of the words
  printf '%s\n' "$@" | sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

seconds() { awk -v t="$1" 'BEGIN { printf t < 10 ? "%.2f s" : "%.1f s", t }'; }
mebibytes() { awk -v k="$1" 'BEGIN { printf k < 10240 ? "%.1f MiB" : "%.0f MiB", k / 1024 }'; }
percent() { awk -v a="$1" -v b="$2" 'BEGIN { if (a > 0) printf "%+.0f %%", (b / a - 1) * 100 }'; }

row() { # NAME TIME TIME % MEMORY MEMORY %; then the verdict goes on the same line
  printf '  %-9s %9s %9s %7s   %9s %9s %7s   ' "$@"
}

# ---- one program ----

failures=0 compared=0
sum_names=(time_without time_with cpu_without cpu_with memory_without memory_with)
declare -A sum
for name in "${sum_names[@]}"; do sum[$name]=0; done
notes=()

add_up() { sum[$1]=$(awk -v a="${sum[$1]}" -v b="$2" 'BEGIN { print a + b }'); }

check_override() { # NAME: says in `verdict` when the library would not be used at all
  local with without
  with=$(malloc_comes_from "$1" "$library")
  without=$(malloc_comes_from "$1" '')
  if [[ -n $with && $(readlink -f "$with") != $(readlink -f "$library") ]]; then
    verdict="takes malloc from $with"
    return 1
  fi
  if [[ -n $without && $(allocator_name "$without") != glibc ]]; then
    notes+=("Without the library $1 uses $(allocator_name "$without"), which its package is linked to.")
  fi
}

run_rounds() { # NAME: fills $temp/NAME; sets `verdict` and fails at the first difference
  local name=$1 dir=$temp/$1 round reference
  mkdir -p "$dir"
  run_program "$measure" "$name" '' short "$dir/warm-up" || true # the first to read files would pay for all
  for ((round = 1; round <= runs; round++)); do
    if ((round % 2 == 1)); then
      run_program "$measure" "$name" '' "$scale" "$dir/without.$round" || true
      run_program "$measure" "$name" "$library" "$scale" "$dir/with.$round" || true
    else
      run_program "$measure" "$name" "$library" "$scale" "$dir/with.$round" || true
      run_program "$measure" "$name" '' "$scale" "$dir/without.$round" || true
    fi
    reference=$dir/without.1
    if ! compare_runs "$reference" "$dir/without.$round" >"$dir/difference"; then
      verdict='its output differs without the library already'
      return 1
    fi
    if ! compare_runs "$reference" "$dir/with.$round" >"$dir/difference"; then
      verdict="run $round of $runs: $(head -n 1 "$dir/difference")"
      return 1
    fi
    rm -rf -- "$dir"/*/files/[!f]* # the large ones; `figure` stays
  done
  verdict="same output, $runs runs"
  if ((runs == 1)); then verdict='same output'; fi
}

collect() { # NAME KEY: the medians of KEY, without and with, in `without` and `with`
  local side round
  local -a values
  for side in without with; do
    values=()
    for ((round = 1; round <= runs; round++)); do
      if [[ -s $temp/$1/$side.$round/report ]]; then
        values+=("$(report_value "$temp/$1/$side.$round/report" "$2")")
      fi
    done
    printf -v "$side" '%s' "$(if ((${#values[@]} > 0)); then median "${values[@]}"; else echo 0; fi)"
  done
}

show_program() {
  local name=$1 good=yes without=0 with=0 verdict='' time memory figure
  local -a cells
  if [[ -t 1 ]]; then printf '  %-9s %s\r' "$name" "${c_dim}running: $(program_title "$name")${c_off}"; fi
  compared=$((compared + 1))
  check_override "$name" || good=no
  if [[ $good == yes ]]; then run_rounds "$name" || good=no; fi
  collect "$name" wall
  time=("$without" "$with")
  collect "$name" maxrss
  memory=("$without" "$with")
  cells=("$(seconds "${time[0]}")" "$(seconds "${time[1]}")" "$(percent "${time[@]}")"
    "$(mebibytes "${memory[0]}")" "$(mebibytes "${memory[1]}")" "$(percent "${memory[@]}")")
  if [[ -t 1 ]]; then printf '\e[K'; fi
  row "$name" "${cells[@]}"
  if [[ $good == yes ]]; then
    printf '%s%s%s %s\n' "$c_green" "$tick" "$c_off" "$verdict"
    add_up time_without "${time[0]}"
    add_up time_with "${time[1]}"
    add_up memory_without "${memory[0]}"
    add_up memory_with "${memory[1]}"
    collect "$name" cpu
    add_up cpu_without "$without"
    add_up cpu_with "$with"
  else
    failures=$((failures + 1))
    printf '%s%s %s%s\n' "$c_red" "$cross" "$verdict" "$c_off"
    if [[ -s $temp/$name/difference ]]; then sed 's/^/      | /' "$temp/$name/difference"; fi
  fi
  figure=$temp/$name/with.1/files/figure
  if [[ $good == yes && -s $figure ]]; then
    printf '            %swithout: %s; with: %s%s\n' "$c_dim" "$(cat "$temp/$name/without.1/files/figure")" \
      "$(cat "$figure")" "$c_off"
  fi
}

# ---- all of it ----

show_programs() {
  local name
  build_measure measure "$temp"
  measure=${measure:?}
  say
  say "${c_bold}Real programs, unmodified${c_off}"
  say "${c_dim}without: as they are; with: LD_PRELOAD=$library${c_off}"
  say "${c_dim}$(program_count), inputs: $scale, medians of $runs; $(uname -sr), $(nproc) processors${c_off}"
  say
  printf '%s' "$c_bold"
  row program 'time' 'time' '' 'memory' 'memory' ''
  printf '%s\n' "$c_off"
  printf '%s' "$c_dim"
  row '' without with '' without with ''
  printf '%s\n' "$c_off"
  for name in "${programs[@]}"; do show_program "$name"; done
  if ((compared > failures)); then
    row total "$(seconds "${sum[time_without]}")" "$(seconds "${sum[time_with]}")" \
      "$(percent "${sum[time_without]}" "${sum[time_with]}")" \
      "$(mebibytes "${sum[memory_without]}")" "$(mebibytes "${sum[memory_with]}")" \
      "$(percent "${sum[memory_without]}" "${sum[memory_with]}")"
    say "processor time $(percent "${sum[cpu_without]}" "${sum[cpu_with]}")"
  fi
  say
  say "${c_dim}Time is from start to end; memory is the peak of the largest process of each program.${c_off}"
  for name in "${notes[@]}"; do say "${c_dim}$name${c_off}"; done
}

program_count() {
  if ((${#programs[@]} == 1)); then echo "1 program"; else echo "${#programs[@]} programs"; fi
}

attack_failure=no attack_summary=''
show_attacks() {
  local attack_runs=$runs
  say
  MIM_COLOUR=$(if [[ -n $c_bold ]]; then echo always; fi) \
    "$root/scripts/attacks.sh" --runs "$attack_runs" "$library" | tee "$temp/attacks" || attack_failure=yes
  attack_summary=$(sed 's/\x1b\[[0-9;]*m//g' "$temp/attacks" | grep -E 'attacks stopped' | tail -n 1 || true)
}

verdict_line() { # GOOD TEXT
  if [[ $1 == yes ]]; then
    printf '  %s%s%s %s\n' "$c_green" "$tick" "$c_off" "$2"
  else
    printf '  %s%s %s%s\n' "$c_red" "$cross" "$2" "$c_off"
  fi
}

summary() {
  local good
  say
  say "${c_bold}Summary${c_off}"
  if ((compared > 0)); then
    good=yes
    if ((failures > 0)); then good=no; fi
    verdict_line "$good" "$((compared - failures)) of $(program_count) gave the same output, byte for byte, in every run"
  fi
  if [[ $attacks == yes ]]; then
    good=yes
    if [[ $attack_failure == yes ]]; then good=no; fi
    verdict_line "$good" "${attack_summary:-the attacks could not be run}"
  fi
  if ((failures > 0)) || [[ $attack_failure == yes ]]; then exit 1; fi
  say
  say "Use it with any program:  LD_PRELOAD=$library PROGRAM"
}

if ((${#programs[@]} > 0)); then show_programs; fi
if [[ $attacks == yes ]]; then show_attacks; fi
summary
