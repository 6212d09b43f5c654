#!/usr/bin/env bash
# startup.sh - what it costs to start a program under an allocator: time, memory, page faults.
#
#   startup.sh [NAME=PATH.so[,VARIABLE=VALUE...] | NAME]... [--runs N] [--command 'true']
#              [--limit NAME=MS/KIB]...
#
# Starts /bin/true (or another short command) under each allocator in turn, many times, and prints medians and
# how much more than the first allocator it takes; that is a start without preload unless glibc= is given
# first. --limit makes the exit status 1 when NAME takes more milliseconds or KiB than that.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source-path=SCRIPTDIR source=install.sh
. "$here/install.sh"
quiet_need gcc libc6-dev python3
BENCH_PROGRAM=startup.sh /usr/bin/python3 -B "$here/side.py" startup "$@"
