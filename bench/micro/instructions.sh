#!/usr/bin/env bash
# instructions.sh - instructions of one malloc/free pair, exactly, by callgrind.
#
#   instructions.sh [NAME=PATH.so[,VARIABLE=VALUE...] | NAME]... [--orders lifo,fifo,random]
#                   [--sizes 16-128,64,...] [--by-size] [--live N] [--touch] [--detail] [--limit NAME=N]...
#                   [--csv FILE] [--svg FILE]
#
# The figure is the difference of two lengths of the loop divided by the difference of pairs, so that
# start-up cancels out. --detail adds data reads and writes, first-level misses and branches, as
# callgrind simulates them. --limit makes the exit status 1 when NAME needs more than N instructions.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source-path=SCRIPTDIR source=../install.sh
. "$here/../install.sh"
quiet_need gcc libc6-dev python3 valgrind
if [[ " $* " == *" --svg"* ]]; then quiet_need gnuplot-nox; fi
BENCH_PROGRAM=instructions.sh /usr/bin/python3 -B "$here/micro.py" instructions "$@"
