#!/usr/bin/env bash
# A program linked statically, C library and all: the allocator in it is the library's, and the C library's is not there.
# usage: static.sh COMPILER SOURCE OBJECT_OR_ARCHIVE
# Status 77: there is no static C or C++ library.
set -euo pipefail
compiler=$1 source=$2 library=$3
temp=$(mktemp -d)
trap 'rm -rf -- "$temp"' EXIT

flags=(-O1 -DALL_STATIC -fno-builtin -pthread -Wall -Wextra)
if [[ $source == *.cpp ]]; then flags+=(-std=c++17); fi
echo 'int main() { return 0; }' >"$temp/empty.${source##*.}"
if ! "$compiler" -static -o "$temp/empty" "$temp/empty.${source##*.}" 2>"$temp/log"; then
  echo "nothing can be linked statically here: skipped"
  exit 77
fi
# What the loader and the databases of names would load at run time is warned about, and not used by the test.
words=("$source" "$library")
if [[ $library == *.o ]]; then words=("$library" "$source"); fi
"$compiler" "${flags[@]}" -static -o "$temp/program" "${words[@]}" -pthread 2>"$temp/log" || { cat "$temp/log" >&2; exit 1; }
if nm "$temp/program" | grep -wE '_int_malloc|_int_free|ptmalloc_init|sysmalloc'; then
  echo "the C library's malloc was linked" >&2
  exit 1
fi
"$temp/program"
