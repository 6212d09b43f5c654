#!/usr/bin/env bash
# run.sh - the benchmark suite: allocators against each other, on our workloads and on real programs.
#
#   bench/run.sh                          all jobs, all allocators there are, five rounds
#   bench/run.sh --quick                  the same, small: under three minutes
#   bench/run.sh glibc mine=./libmine.so  these allocators; ,VARIABLE=VALUE behind one sets its environment
#   bench/run.sh plain secure strict      our products; secure has the default profile
#   bench/run.sh --only larson,redis      these jobs; --only programs, --only workloads
#   bench/run.sh --list                   what can be measured
#   bench/run.sh --help                   the other options
#
# Debian packages that are missing are installed (as root, or by sudo); NO_INSTALL=1 leaves out what needs
# them instead. Our libraries are looked for in out/release, build/release and build, or in $BENCH_BUILD.
# Every allocator runs every job once a round, in an order that turns; each ratio is made of runs of the same
# round. Exit status: 0 when all runs ended well, 1 when one did not, 2 for a wrong command line.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source-path=SCRIPTDIR source=install.sh
. "$here/install.sh"
if [[ -z ${NO_INSTALL:-} ]]; then
  quiet_need python3 gcc g++ libc6-dev
  case " $* " in
    *" --list "* | *" --help "* | *" -h "*) ;;
    *)
      packages=$(/usr/bin/python3 -B "$here/run.py" --packages "$@")
      mapfile -t wanted <<<"$packages"
      quiet_want "${wanted[@]}"
      ;;
  esac
fi
/usr/bin/python3 -B "$here/run.py" "$@"
