#!/usr/bin/env bash
# maps.sh - mappings and resident memory of a large heap of small blocks, as it fills and empties.
#
#   maps.sh [NAME=PATH.so[,VARIABLE=VALUE...] | NAME]... [--mib 4096]
#
# See maps.c. The machine needs about a third more memory than --mib.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source-path=SCRIPTDIR source=install.sh
. "$here/install.sh"
quiet_need gcc libc6-dev python3
BENCH_PROGRAM=maps.sh /usr/bin/python3 -B "$here/side.py" maps "$@"
