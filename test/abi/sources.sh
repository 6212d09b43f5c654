#!/bin/bash
# Every source file of src/ and secure/ is in cmake/Sources.cmake, and every file listed there exists.
# usage: sources.sh TOP_OF_TREE
set -euo pipefail
cd "$1"
listed=$(grep -oE '\b(src|secure)/[a-z0-9_/]+\.c\b' cmake/Sources.cmake | LC_ALL=C sort)
present=$(find src secure -name '*.c' | LC_ALL=C sort)
if [[ $listed != "$present" ]]; then
  echo "cmake/Sources.cmake and the tree differ (<: only listed, >: only in the tree):" >&2
  diff <(echo "$listed") <(echo "$present") >&2 || true
  exit 1
fi
