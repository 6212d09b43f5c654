#!/usr/bin/env bash
# Which tools notice the bugs planted in fuzz/detect/parser.c, and at what cost? See --help, and docs/fuzzing.md.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<END
usage: scripts/detect.sh [RUNS] [LIBRARY]

Builds a parser with five heap bugs in out/detect and gives it an input for each bug: as it is, with the secure library
in the profile fuzz, with AddressSanitizer, under Valgrind, and with AFL++'s libdislocator where that is installed.
Prints a table: which bug ended the program as a fuzzer wants it (by a signal, or the status of the tool's error), and
how many executions a second an input without a bug takes.

  RUNS      executions that are timed (default: 100)
  LIBRARY   libmimalloc-secure.so (default: built in out/detect)
END
}

if [[ ${1:-} == --help || ${1:-} == -h ]]; then usage; exit 0; fi
(($# <= 2)) || usage_error "unexpected word '$3'"
runs=${1:-100} library=${2:-}
need_count RUNS "$runs"
if [[ -n $library ]]; then
  [[ -r $library ]] || usage_error "LIBRARY '$library' cannot be read: expected a libmimalloc-secure.so"
  library=$(realpath -- "$library")
fi

cd "$(repo_root)"
need_packages gcc cmake make pkg-config binutils libsodium-dev valgrind python3
dir=$PWD/out/detect
mkdir -p "$dir"
if [[ -z $library ]]; then
  say "Building libmimalloc-secure.so"
  { cmake -S . -B "$dir/build" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF &&
    cmake --build "$dir/build" -j "$(job_count)" --target mimalloc-secure; } >"$dir/log" 2>&1 ||
    die "the library does not build; see $dir/log"
  library=$dir/build/libmimalloc-secure.so
fi
gcc -O1 -g -Wall -Wextra fuzz/detect/parser.c -o "$dir/parser"
gcc -O1 -g -fsanitize=address fuzz/detect/parser.c -o "$dir/parser-asan"

python3 - "$dir" <<'END'
import struct, sys
def record(kind, data=b""):
    return kind + struct.pack("<H", len(data)) + data
v, x, d = record(b"v", b"abc"), record(b"x"), record(b"d")
inputs = {
    "clean": record(b"n", b"name") + v + x + record(b"t", b"text") + record(b"p", struct.pack("<H", 16)),
    "overflow": record(b"n", b"n" * 40),
    "write-after-free": d + v + x + v,
    "double-free": d + v + x + x,
    "interior-free": record(b"t", b"   text"),
    "over-read": record(b"p", struct.pack("<H", 9000)),
}
for name, data in inputs.items():
    open(f"{sys.argv[1]}/{name}.in", "wb").write(data)
END

bugs=(overflow write-after-free double-free interior-free over-read)
dislocator=$(find /usr/lib /usr/local/lib -name libdislocator.so -print -quit 2>/dev/null || true)

run_with() { # TOOL INPUT
  case $1 in
    none) "$dir/parser" "$2" ;;
    library) MIMALLOC_PROFILE=fuzz LD_PRELOAD=$library "$dir/parser" "$2" ;;
    asan) ASAN_OPTIONS=detect_leaks=0 "$dir/parser-asan" "$2" ;;
    valgrind) valgrind -q --error-exitcode=99 "$dir/parser" "$2" ;;
    dislocator) LD_PRELOAD=$dislocator "$dir/parser" "$2" ;;
  esac
}

tools=(none library asan valgrind)
if [[ -n $dislocator ]]; then tools+=(dislocator); fi
printf '| tool |'
printf ' %s |' "${bugs[@]}"
printf ' executions a second |\n|---|---|---|---|---|---|---|\n'
for tool in "${tools[@]}"; do
  (run_with "$tool" "$dir/clean.in") >/dev/null 2>&1 || die "$tool: the input without a bug fails"
  printf '| %s |' "$tool"
  for bug in "${bugs[@]}"; do
    if (run_with "$tool" "$dir/$bug.in") >/dev/null 2>&1; then printf ' - |'; else printf ' found |'; fi
  done
  started=$(date +%s%N)
  for ((i = 0; i < runs; i++)); do run_with "$tool" "$dir/clean.in" >/dev/null 2>&1; done
  printf ' %d |\n' $((runs * 1000000000 / ($(date +%s%N) - started)))
done
if [[ -z $dislocator ]]; then say "libdislocator is not installed, and is left out."; fi
