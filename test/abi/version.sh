#!/bin/bash
# The version is the same wherever it stands: CMake's project, mimalloc.h, the top of CHANGELOG.md.
# usage: version.sh TOP_OF_TREE PROJECT_VERSION
set -euo pipefail
cd "$1"
header=$(awk '$1 == "#define" && $2 ~ /^MI_VERSION_(MAJOR|MINOR|PATCH)$/ { v[$2] = $3 }
  END { print v["MI_VERSION_MAJOR"] "." v["MI_VERSION_MINOR"] "." v["MI_VERSION_PATCH"] }' include/mimalloc.h)
changelog=$(sed -n 's/^## \([0-9][0-9.]*\).*/\1/p' CHANGELOG.md | head -n 1)
status=0
[[ $header == "$2" ]] || { echo "include/mimalloc.h says $header, the project $2" >&2; status=1; }
[[ $changelog == "$2" ]] || { echo "CHANGELOG.md begins with $changelog, the project is $2" >&2; status=1; }
exit "$status"
