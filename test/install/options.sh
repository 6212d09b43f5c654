#!/bin/bash
# Configuring with a value that does not exist ends with a message that names it and says what is accepted.
# usage: options.sh TOP_OF_TREE
set -euo pipefail
top=$1
temp=$(mktemp -d)
trap 'rm -rf -- "$temp"' EXIT
failures=0

# refused OPTION WORD...: cmake fails, and says each word
refused() {
  local option=$1 word
  shift
  rm -rf "$temp/build"
  if cmake -S "$top" -B "$temp/build" -DBUILD_TESTING=OFF "$option" >"$temp/log" 2>&1; then
    echo "options.sh: $option is accepted" >&2
    failures=$((failures + 1))
    return
  fi
  tr -s ' \n' ' ' <"$temp/log" >"$temp/line"
  for word in "$@"; do
    if ! grep -qF -- "$word" "$temp/line"; then
      echo "options.sh: $option: the message does not say '$word':" >&2
      cat "$temp/log" >&2
      failures=$((failures + 1))
    fi
  done
}

refused -DENTROPY=dice "ENTROPY=dice" sodium getrandom
refused -DMI_SANITIZE=everything "MI_SANITIZE=everything" address undefined thread
refused -DMI_TRACK=purify "MI_TRACK=purify" valgrind asan
refused -DMI_DEBUG_LEVEL=4 "MI_DEBUG_LEVEL=4" "0, 1, 2, 3"
refused -DCMAKE_BUILD_TYPE=Fast "CMAKE_BUILD_TYPE=Fast" Release Debug
((failures == 0))
