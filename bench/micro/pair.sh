#!/usr/bin/env bash
# pair.sh - ns and cycles of one malloc/free pair, by the clock, in interleaved rounds.
#
#   pair.sh [NAME=PATH.so[,VARIABLE=VALUE...] | NAME]... [--orders lifo,fifo,random] [--sizes 16-128,64,...]
#           [--by-size] [--live N] [--touch] [--rounds N] [--pairs N]
#           [--csv FILE] [--svg FILE]
#
# Without allocators: the bump floor, glibc, our products if they are built, and the peers that are
# installed. "ns" is the fastest repetition of all rounds, "ns median" the median over rounds.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source-path=SCRIPTDIR source=../install.sh
. "$here/../install.sh"
quiet_need gcc libc6-dev python3
if [[ " $* " == *" --svg"* ]]; then quiet_need gnuplot-nox; fi
BENCH_PROGRAM=pair.sh /usr/bin/python3 -B "$here/micro.py" clock "$@"
