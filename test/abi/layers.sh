#!/bin/bash
# The tree is the architecture: includes go downward only,
#
#   override -> core -> hooks -> secure -> prim -> base
#
# the core knows the secure layer through src/hooks.h alone, and nobody includes a .c file.
# usage: layers.sh TOP_OF_TREE
set -euo pipefail
cd "$1"
failures=0

complain() {
  echo "$*" >&2
  failures=$((failures + 1))
}

# The layer of a file. Public headers are below everything; so is the vocabulary that every layer shares.
layer_of() {
  case $1 in
    include/*) echo 0 ;;
    src/base.h) echo 1 ;;
    src/prim.h | src/lock.h | src/probes.h | src/prim/*) echo 2 ;;
    # What the secure layer's inline parts are made of; src/types.h has them as members, and they work on its types.
    secure/secure_types.h | src/types.h | src/options.h) echo 3 ;;
    secure/entry.h | secure/fence.h | secure/wipe.h | secure/hooks_secure.h) echo 4 ;;
    secure/*.h) echo 6 ;;  # for the sources of the layer alone; secure.h gives them the core's index
    src/track.h) echo 4 ;;
    src/hooks.h | src/track_hooks.h) echo 5 ;;  # the second is the end of the first, in builds with MI_TRACK
    src/override/*) echo 8 ;;
    src/*.h | src/*.def) echo 6 ;;
    src/*.c) echo 7 ;;
    secure/*.c) echo 7 ;;
    *) echo unknown ;;
  esac
}

# An #include of `file`, as a path from the top of the tree; nothing for system headers.
resolve() {
  local file=$1 name=$2 place
  for place in "$(dirname "$file")/$name" "include/$name" "src/$name"; do
    if [[ -e $place ]]; then
      realpath --relative-to=. "$place"
      return
    fi
  done
  echo "nowhere/$name"
}

files=$(find src secure include -name '*.[ch]' -o -name '*.hpp' -o -name '*.def' | LC_ALL=C sort)
count=0
while read -r file; do
  own=$(layer_of "$file")
  [[ $own != unknown ]] || complain "$file: in no layer; test/abi/layers.sh has to know it"
  while read -r name; do
    count=$((count + 1))
    target=$(resolve "$file" "$name")
    other=$(layer_of "$target")
    case $target in
      nowhere/*) complain "$file: includes $name, which is not there" ;;
      *.c) complain "$file: includes the source file $target" ;;
    esac
    [[ $other == unknown ]] || ((own >= other)) || complain "$file (layer $own): includes $target, which is above (layer $other)"
    # The one door, and the one way back: sources of the layer use the index of the core, by way of secure.h.
    if [[ $target == secure/* && $file == src/* && $file != src/hooks.h ]]; then
      complain "$file: includes $target; only src/hooks.h may"
    fi
    if [[ $target == src/* && $file == secure/*.h && $other -gt 3 && "$file $target" != "secure/secure.h src/internal.h" ]]; then
      complain "$file: includes $target; of the core's headers, only secure.h includes src/internal.h"
    fi
    if [[ $file == src/prim/* && $target != src/base.h && $target != src/prim.h ]]; then
      complain "$file: includes $target; the OS part knows base.h and prim.h only"
    fi
    if [[ $file == include/* && $target != include/* ]]; then
      complain "$file: includes $target, which is not installed"
    fi
  done < <(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$file")
done <<<"$files"
((count > 20)) || complain "only $count includes were found: is this the tree?"

# Nothing but hooks.h asks which product is being built.
while read -r hit; do
  complain "$hit: only src/hooks.h may ask for the product"
done < <(grep -rnE '\bMIM?_SECURE\b' src --include='*.[ch]' --include='*.def' | grep -vE '^src/(track_)?hooks\.h:' || true)

((failures == 0)) || { echo "$failures complaints" >&2; exit 1; }
echo "$count includes"
