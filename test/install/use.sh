#!/bin/bash
# Installs the build into a prefix of its own and uses it from there: by find_package, by pkg-config, by hand with the
# static library and the single object in a static program, and after the prefix was moved.
# usage: use.sh BUILD_DIR VERSION LIBDIR PRODUCT=NAME...      (NAME: the product's in this build type)
set -euo pipefail
build=$1 version=$2 libdir=$3
shift 3
products=() names=()
for pair in "$@"; do
  products+=("${pair%%=*}")
  names+=("${pair#*=}")
done
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
temp=$(mktemp -d)
trap 'rm -rf -- "$temp"' EXIT
unset LD_LIBRARY_PATH LD_PRELOAD PKG_CONFIG_PATH

quietly() {
  "$@" >"$temp/log" 2>&1 || {
    cat "$temp/log" >&2
    echo "use.sh: failed: $*" >&2
    exit 1
  }
}

prefix=$temp/first
quietly cmake --install "$build" --prefix "$prefix"

# ---- everything is there, nothing else ----
expected=$(
  (cd "$here/../../include" && find . -type f | sed 's|^\./|include/|')
  for i in "${!products[@]}"; do
    product=${products[i]} name=${names[i]}
    echo "$libdir/lib$name.so" "$libdir/lib$name.so.${version%%.*}" "$libdir/lib$name.so.$version"
    echo "$libdir/lib$name.a" "$libdir/$name.o" "$libdir/pkgconfig/$name.pc"
    echo "$libdir/cmake/mimalloc/$product-targets.cmake" "$libdir/cmake/mimalloc/$product-targets-CONFIG.cmake"
  done | tr ' ' '\n'
  for tool in mimalloc-run mimalloc-report mimalloc-heap-map mimalloc-stats-prometheus mimalloc-top; do
    printf '%s\n' "bin/$tool" "share/man/man1/$tool.1"
  done
  echo share/mimalloc/mimalloc_watch.py
  echo share/man/man7/mimalloc.7
  printf 'share/bash-completion/completions/%s\n' mimalloc-run mimalloc-top
  echo "$libdir/cmake/mimalloc/mimalloc-config.cmake"
  echo "$libdir/cmake/mimalloc/mimalloc-config-version.cmake"
  if grep -qix 'MI_PACKAGE:BOOL=ON' "$build/CMakeCache.txt" && [[ -d $build/package ]]; then
    for package in libmimalloc1 libmimalloc-secure1 libmimalloc-hardened-dev mimalloc-tools; do
      printf "share/doc/$package/%s\n" changelog.gz copyright
    done
  fi
)
found=$(cd "$prefix" && find . ! -type d | sed -E 's|^\./||; s|-targets-[a-z]+\.cmake$|-targets-CONFIG.cmake|')
if ! diff <(LC_ALL=C sort <<<"$expected") <(LC_ALL=C sort <<<"$found"); then
  echo "use.sh: installed files differ (<: missing, >: not expected)" >&2
  exit 1
fi
if grep -rlF "$build" "$prefix" --include='*.cmake' --include='*.pc' --include='*.h' --include='*.hpp'; then
  echo "use.sh: the files above name the build directory" >&2
  exit 1
fi

# an installed tree may be moved
mv "$prefix" "$temp/second"
prefix=$temp/second

# ---- find_package ----
cmake_list=$(IFS=';' && echo "${products[*]}")
quietly cmake -S "$here/consumer" -B "$temp/consumer" -DCMAKE_PREFIX_PATH="$prefix" -DPRODUCTS="$cmake_list"
quietly cmake --build "$temp/consumer"
quietly ctest --test-dir "$temp/consumer" --output-on-failure --no-tests=error
if cmake -S "$here/consumer" -B "$temp/too-new" -DCMAKE_PREFIX_PATH="$prefix" \
  -DPRODUCTS="$cmake_list" -DCMAKE_PROJECT_INCLUDE="$here/too_new.cmake" >"$temp/log" 2>&1; then
  echo "use.sh: find_package(mimalloc 2.0) found version $version" >&2
  exit 1
fi
grep -qF 'requested version "2.0"' "$temp/log" || { cat "$temp/log" >&2; exit 1; }

# ---- pkg-config, and by hand ----
cc=${CC:-cc}
for i in "${!products[@]}"; do
  name=${names[i]}
  kind=plain
  [[ ${products[i]} != *-secure ]] || kind=secure
  if command -v pkg-config >/dev/null; then
    export PKG_CONFIG_PATH=$prefix/$libdir/pkgconfig
    [[ $(pkg-config --modversion "$name") == "$version" ]] || { echo "use.sh: $name.pc has another version" >&2; exit 1; }
    # shellcheck disable=SC2046  # flags are words
    quietly "$cc" -o "$temp/by-pkg-config" "$here/main.c" $(pkg-config --cflags --libs "$name") \
      "-Wl,-rpath,$prefix/$libdir"
    quietly "$temp/by-pkg-config" "$version" "$kind"
    # shellcheck disable=SC2046
    quietly "$cc" -static -o "$temp/static" "$here/main.c" $(pkg-config --static --cflags --libs "$name")
    quietly "$temp/static" "$version" "$kind"
  fi
  quietly "$cc" -o "$temp/by-hand" "$prefix/$libdir/$name.o" "-I$prefix/include" "$here/main.c"
  quietly "$temp/by-hand" "$version" "$kind"
  quietly env LD_PRELOAD="$prefix/$libdir/lib$name.so" /bin/ls /
done

# ---- the launcher finds the library it was installed with ----
for i in "${!products[@]}"; do
  option=--plain
  [[ ${products[i]} != *-secure ]] || option=
  if [[ ${names[i]} == "${products[i]}" ]]; then  # builds of other names are named by --library
    # shellcheck disable=SC2016,SC2086  # expanded by the shell it starts; no option is no word
    quietly "$prefix/bin/mimalloc-run" $option -- sh -c '[ -n "$(grep -F "$1" /proc/self/maps)" ]' sh \
      "$prefix/$libdir/lib${names[i]}.so"
  fi
done
echo "installed and used: ${names[*]}"
