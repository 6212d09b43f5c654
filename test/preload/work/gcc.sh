#!/bin/bash
# Real program: gcc on real C files (the allocator's own sources and its stress programs). Compiles with
# debug information, links with and without link-time optimisation, and prints a digest of every result.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../../.." && pwd -P)
scale=$1
flags=(-std=gnu11 -D_GNU_SOURCE -frandom-seed=1 -ffile-prefix-map="$PWD=." -ffile-prefix-map="$root=.")

sources=("$root"/test/stress/larson.c "$root"/test/runner/measure.c)
if [[ $scale == long ]]; then sources=("$root"/test/stress/*.c "$root"/test/runner/measure.c); fi
for source in "${sources[@]}"; do
  name=$(basename "$source" .c)
  for level in -O0 -O2; do
    if [[ $scale == short && $level != -O2 ]]; then continue; fi
    /usr/bin/gcc "${flags[@]}" $level -g -c "$source" -o "$name$level.o"
  done
done
/usr/bin/gcc "${flags[@]}" -O2 -g -flto "$root/test/runner/measure.c" -o linked
./linked -r report -- /bin/echo "the compiled program runs"
sha256sum ./*.o linked
