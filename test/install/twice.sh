#!/bin/bash
# A plain build installed after a secure one into the same prefix: both are found; neither hides the other.
# usage: twice.sh TOP_OF_TREE VERSION LIBDIR [CMAKE OPTION...]
set -euo pipefail
top=$1 version=$2 libdir=$3
shift 3
temp=$(mktemp -d)
trap 'rm -rf -- "$temp"' EXIT

quietly() {
  "$@" >"$temp/log" 2>&1 || {
    cat "$temp/log" >&2
    echo "twice.sh: failed: $*" >&2
    exit 1
  }
}

# the classic steps, as README.md has them
for secure in ON OFF; do
  mkdir -p "$temp/build-$secure"
  cd "$temp/build-$secure"
  quietly cmake -DMI_SECURE=$secure -DBUILD_TESTING=OFF -DCMAKE_INSTALL_PREFIX="$temp/prefix" "$@" "$top"
  quietly make
  quietly make install
  left_out=$(find . -name 'libmimalloc*' | grep -c -- -secure || true)
  case $secure in
    ON) [[ -n $(find . -name 'libmimalloc-secure.so') && -z $(find . -name 'libmimalloc.so') ]] ;;
    OFF) [[ -n $(find . -name 'libmimalloc.so') && $left_out == 0 ]] ;;
  esac || { echo "twice.sh: MI_SECURE=$secure built the wrong libraries" >&2; exit 1; }
done
quietly cmake -S "$top/test/install/consumer" -B "$temp/consumer" -DCMAKE_PREFIX_PATH="$temp/prefix" \
  "-DPRODUCTS=mimalloc;mimalloc-secure"
quietly cmake --build "$temp/consumer"
quietly ctest --test-dir "$temp/consumer" --output-on-failure --no-tests=error
[[ -e $temp/prefix/$libdir/libmimalloc.so.$version && -e $temp/prefix/$libdir/libmimalloc-secure.so.$version ]]
