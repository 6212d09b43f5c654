#!/usr/bin/env bash
# mechanisms.sh - what each mechanism of the secure library costs, switched on alone.
#
#   mechanisms.sh [--no-time] [--rounds N] [--scale X]
#
# Builds the secure library into bench/build/mechanisms so that mechanisms can be chosen one by one, counts
# the instructions of a malloc/free pair by callgrind, and takes the time of three real programs in
# interleaved rounds. Writes bench/results/mechanisms.csv, and the table in docs/performance.md between its
# markers. With --no-time the time columns of that table stay as they are. About four minutes; the machine
# should have nothing else to do.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source-path=SCRIPTDIR source=install.sh
. "$here/install.sh"
case " $* " in
  *" --help "* | *" -h "*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
esac
quiet_need gcc libc6-dev cmake make libsodium-dev pkg-config python3 valgrind sqlite3
root="$(repo_root)"
build="$here/build/mechanisms"
log="$here/build/mechanisms.log"
mkdir -p "$build"
{
  cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release -DMI_SECURE=1 -DMI_ALLOW_LOWER=ON -DBUILD_TESTING=OFF &&
    cmake --build "$build" --target mimalloc-secure -j "$(job_count)"
} >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "the library does not build; the whole log: $log"; }
BENCH_PROGRAM=mechanisms.sh /usr/bin/python3 -B "$here/mechanisms.py" "$build/libmimalloc-secure.so" "$@"
