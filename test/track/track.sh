#!/usr/bin/env bash
# Builds the library with MI_TRACK and sees that the tool reports each error of victim.c, in memory of either product,
# as what it is, and nothing in the program without errors.
# usage: track.sh valgrind|asan SOURCE_DIR BUILD_DIR [CMAKE_OPTION...]
# Status 77: the tool is not installed.
set -euo pipefail
tool=$1 source=$2 build=$3
shift 3
cc=${CC:-cc}
temp=$(mktemp -d)
trap 'rm -rf -- "$temp"' EXIT

if [[ $tool == valgrind ]] && ! command -v valgrind >/dev/null; then
  echo "valgrind is not installed: skipped"
  exit 77
fi
{ cmake -S "$source" -B "$build" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF -DMI_WERROR=ON \
    "-DMI_TRACK=$tool" "$@" && cmake --build "$build" -j 2; } >"$temp/log" 2>&1 || {
  tail -n 30 "$temp/log" >&2
  exit 1
}

flags=(-g -O1 -fno-builtin -pthread "-I$source/include")
run=()
if [[ $tool == asan ]]; then
  flags+=(-fsanitize=address)
else
  run=(valgrind --quiet --leak-check=full --error-exitcode=99)
fi

# expected CASE: what the tool's report says
expected() {
  case $tool:$1 in
    asan:*) echo 'AddressSanitizer: use-after-poison' ;;
    valgrind:*read) echo 'Invalid read of size 1' ;;
    valgrind:uninitialised) echo 'depends on uninitialised value' ;;
    valgrind:leak) echo 'blocks are definitely lost' ;;
    *) echo 'Invalid write of size 1' ;;
  esac
}

cases=(overflow overread overflow-{large,aligned,zeroed,shrunk,grown,heap,nothing}
  freed-{write,read,large,by-realloc,with-heap,with-heap-large,by-thread})
if [[ $tool == valgrind ]]; then cases+=(uninitialised leak); fi

failures=0
for product in mimalloc mimalloc-secure; do
  library=$build/lib$product-$tool.so
  "$cc" "${flags[@]}" -o "$temp/victim" "$source/test/track/victim.c" "$library" "-Wl,-rpath,$build"
  if ! timeout 300 "${run[@]}" "$temp/victim" none >"$temp/out" 2>&1 || [[ -s $temp/out ]]; then
    echo "$product: a program without errors:" >&2
    head -n 20 "$temp/out" >&2
    failures=$((failures + 1))
  fi
  for case in "${cases[@]}"; do
    status=0
    timeout 60 "${run[@]}" "$temp/victim" "$case" >"$temp/out" 2>&1 || status=$?
    if ((status == 0)) || ! grep -qF "$(expected "$case")" "$temp/out"; then
      echo "$product: $case is not reported as '$(expected "$case")' (status $status):" >&2
      head -n 12 "$temp/out" >&2
      failures=$((failures + 1))
    fi
  done
done
((failures == 0)) || exit 1
echo "$tool reports ${#cases[@]} errors in each product, and none where there is none"
