#!/usr/bin/env bash
# Installs what is missing from Debian, builds, and runs every test. See --help.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<END
usage: scripts/test.sh [options]

Installs what is missing from Debian, builds the release in out/release-test and the debug build, with its internal
checks, in out/debug-test, and runs all tests of both. Fuzzes each target of scripts/fuzz.sh for a few seconds. Builds
all with clang too, in out/clang-test, and runs the unit tests of that build.
Warnings are errors in all of them.

  --quick           without the stress programs, the real programs, the fuzzers and clang
  --no-fuzz         without the fuzzers
  --release-only    the release build only
  --filter REGEX    only tests whose names match
  --sanitize        afterwards also builds with AddressSanitizer and UBSan (out/asan-test) and with ThreadSanitizer
                    (out/tsan-test), and runs the unit tests and stress programs under them
  --jobs N          compile jobs and tests at a time (default: MIM_JOBS, or the number of processors)
  --help            this text

Status 0: everything was built and every test passed.
END
}

quick=no release_only=no fuzz=yes sanitize=no filter='' jobs=''
while (($# > 0)); do
  case $1 in
    --quick) quick=yes ;;
    --no-fuzz) fuzz=no ;;
    --release-only) release_only=yes ;;
    --sanitize) sanitize=yes ;;
    --filter)
      (($# > 1)) || usage_error "--filter wants a regular expression for names of tests"
      filter=$2
      shift
      ;;
    --jobs)
      (($# > 1)) || usage_error "--jobs wants a number"
      need_count --jobs "$2"
      jobs=$2
      shift
      ;;
    --help | -h) usage; exit 0 ;;
    -*) usage_error "unknown option '$1'" ;;
    *) usage_error "unexpected word '$1'; options begin with --" ;;
  esac
  shift
done
[[ -n $jobs ]] || jobs=$(job_count)

cd "$(repo_root)"
temp='' # set by make_temp
make_temp temp

# To build, to test, and the real programs that run with the library.
need_packages gcc g++ libc6-dev make cmake pkg-config binutils libsodium-dev libcmocka-dev systemtap-sdt-dev
need_packages python3 sqlite3 perl redis-tools mawk xz-utils diffutils dpkg-dev file
need_packages lua5.4 ruby jq zstd ghostscript graphviz openssl z3
need_commands gnuplot=gnuplot-nox mandoc=mandoc strace=strace
need_commands afl-fuzz=afl++ clang=clang git=git node=nodejs doxygen=doxygen valgrind=valgrind abidiff=abigail-tools

stages=() failed=no

# run_stage NAME BUILD_DIR "CMAKE OPTIONS" "CTEST OPTIONS"|build-only
run_stage() {
  local name=$1 directory=$2 log=$temp/$1.log status=0 started=$SECONDS
  local -a configure test
  read -ra configure <<<"$3"
  read -ra test <<<"$4"
  [[ -z $filter ]] || test+=(-R "$filter")

  printf '\n%s== %s: building in %s%s\n' "$c_bold" "$name" "$directory" "$c_off"
  if ! { cmake -S . -B "$directory" "${configure[@]}" && cmake --build "$directory" -j "$jobs"; } >"$log" 2>&1; then
    grep -nE 'error|Error|undefined reference' "$log" | head -n 30 >&2 || true
    echo "The last lines of the build:" >&2
    tail -n 20 "$log" >&2
    stages+=("${c_red}$name: does not build${c_off}")
    failed=yes
    return
  fi
  if [[ $4 == build-only ]]; then
    stages+=("${c_green}$name: built without warnings${c_off} ($((SECONDS - started)) s)")
    return
  fi
  printf '%s== %s: built in %d s; testing%s\n' "$c_bold" "$name" $((SECONDS - started)) "$c_off"
  ctest --test-dir "$directory" -j "$jobs" --output-on-failure --no-tests=error "${test[@]}" 2>&1 |
    tee "$log" || status=$?
  local line
  line=$(grep -E '^[0-9]+% tests passed' "$log" || echo 'no tests were run')
  if ((status == 0)); then
    stages+=("${c_green}$name: $line${c_off} ($((SECONDS - started)) s with the build)")
  else
    failed=yes
    stages+=("${c_red}$name: $line${c_off} ($((SECONDS - started)) s with the build)")
    while read -r line; do
      stages+=("    $line")
    done < <(sed -n '/^The following tests FAILED:/,/^Errors while/p' "$log" | sed '1d;$d' | head -n 40)
  fi
}

# Before the last stage of tests, whose own summary ends the output.
fuzz_stage() {
  local log=$temp/fuzz.log started=$SECONDS
  printf '\n%s== fuzz: each target for %d seconds%s\n' "$c_bold" "$fuzz_seconds" "$c_off"
  if MIM_JOBS=$jobs scripts/fuzz.sh --state out/fuzz/state-test --fresh all "$fuzz_seconds" 2>&1 | tee "$log"; then
    stages+=("${c_green}fuzz: no crash and no hang${c_off} ($((SECONDS - started)) s with the build)")
  else
    failed=yes
    stages+=("${c_red}fuzz: $(tail -n 1 "$log")${c_off}")
  fi
}
fuzz_seconds=8

tests=''
if [[ $quick == yes ]]; then tests='-LE stress|preload'; fi

run_stage release out/release-test "-DCMAKE_BUILD_TYPE=Release -DMI_WERROR=ON" "$tests"
if [[ $release_only == no ]]; then
  run_stage debug out/debug-test "-DCMAKE_BUILD_TYPE=Debug -DMI_WERROR=ON" "$tests"
fi
if [[ $quick == no && $release_only == no ]]; then
  if [[ $fuzz == yes && -z $filter ]]; then fuzz_stage; fi
  run_stage clang out/clang-test \
    "-DCMAKE_BUILD_TYPE=Release -DMI_WERROR=ON -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++" "-L unit|fuzz"
fi
if [[ $sanitize == yes ]]; then
  run_stage address out/asan-test "-DCMAKE_BUILD_TYPE=Debug -DMI_WERROR=ON -DMI_SANITIZE=address,undefined" \
    "-L unit|stress|fuzz"
  run_stage thread out/tsan-test "-DCMAKE_BUILD_TYPE=Debug -DMI_WERROR=ON -DMI_SANITIZE=thread" "-L unit|stress|fuzz"
fi

printf '\n%s== Summary%s\n' "$c_bold" "$c_off"
for line in "${stages[@]}"; do
  say "$line"
done
[[ $failed == no ]]
