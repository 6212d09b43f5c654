#!/usr/bin/env bash
# Compares the libraries' binary interface, types included, with the dumps of the last release: test/abi/*.abi.xz, which
# are made anew with --update when a release is tagged. New names are welcome; any other difference would break programs
# linked to that release.
# usage: abidiff.sh [--update] SOURCE_DIR BUILD_DIR [CMAKE_OPTION...]
# Status 77: abidiff is not installed.
set -euo pipefail
update=no
if [[ ${1:-} == --update ]]; then
  update=yes
  shift
fi
source=$1 build=$2
shift 2
temp=$(mktemp -d)
trap 'rm -rf -- "$temp"' EXIT

if ! command -v abidiff >/dev/null || ! command -v abidw >/dev/null; then
  echo "abidiff and abidw (package abigail-tools) are not installed: skipped"
  exit 77
fi

# types are known from debug information only
{ cmake -S "$source" -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DBUILD_TESTING=OFF "$@" &&
    cmake --build "$build" -j 2 --target mimalloc mimalloc-secure; } >"$temp/log" 2>&1 || {
  tail -n 30 "$temp/log" >&2
  exit 1
}

make_dump() { # LIBRARY DUMP
  abidw --headers-dir "$source/include" --drop-private-types --drop-undefined-syms --exported-interfaces-only \
    --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed --no-parameter-names --type-id-style hash \
    --out-file "$2" "$1"
}

differ() { # OLD_DUMP NEW_DUMP
  ! abidiff --no-added-syms "$1" "$2"
}

for product in mimalloc mimalloc-secure; do
  dump=$source/test/abi/$product.abi.xz base=$temp/$product.abi now=$temp/now.abi
  make_dump "$build/lib$product.so" "$now"
  if [[ $update == yes ]]; then
    xz -9e -c "$now" >"$dump"
    echo "wrote $dump"
    continue
  fi
  xz -dc "$dump" >"$base"
  if differ "$base" "$now" >"$temp/report" 2>&1; then
    echo "$product is not compatible with the last release:" >&2
    cat "$temp/report" >&2
    exit 1
  fi
  # The comparison itself: a name that is gone, and a structure that was larger, must be noticed.
  sed 's/mi_good_size/mi_best_size/g' "$base" >"$temp/name.abi"
  differ "$temp/name.abi" "$now" >/dev/null || { echo "abidiff misses a name that is gone" >&2; exit 1; }
  sed "s/name='mi_heap_area_s' size-in-bits='[0-9]*'/name='mi_heap_area_s' size-in-bits='1024'/" "$base" \
    >"$temp/size.abi"
  if cmp -s "$base" "$temp/size.abi" || ! differ "$temp/size.abi" "$now" >/dev/null; then
    echo "abidiff misses a structure of another size" >&2
    exit 1
  fi
done
[[ $update == yes ]] || echo "the interface of both libraries is compatible with the last release"
