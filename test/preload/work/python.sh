#!/bin/bash
# Real program: Debian's python3. PYTHONMALLOC=malloc sends every object to malloc; without it python's own
# arenas would hide nine allocations of ten from the library that is tested.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
export PYTHONMALLOC=malloc PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
unset PYTHONHOME PYTHONPATH
exec /usr/bin/python3 -s "$here/python.py" "$1"
