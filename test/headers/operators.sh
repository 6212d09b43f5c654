#!/bin/bash
# Usage: operators.sh COMPILER INCLUDE_DIR STANDARD
# mimalloc-new-delete.h defines exactly the replaceable operators of the C++ standard: those with an
# alignment from C++17 on, the others always. Compares the symbols of an object file with the Itanium ABI's
# names for them.
set -euo pipefail

if [[ $# -ne 3 || ! -d $2 || ! $3 =~ ^c\+\+(11|14|17|20)$ ]]; then
  echo "operators.sh: want a C++ compiler, a directory of headers and c++11, c++14, c++17 or c++20;" \
       "not: $*" >&2
  exit 2
fi
object=$(mktemp)
trap 'rm -f "$object"' EXIT
echo '#include "mimalloc-new-delete.h"' | "$1" "-std=$3" "-I$2" -x c++ -c - -o "$object"

nothrow=RKSt9nothrow_t
aligned=St11align_val_t
want=(_Znwm _Znam "_Znwm$nothrow" "_Znam$nothrow"
      _ZdlPv _ZdaPv _ZdlPvm _ZdaPvm "_ZdlPv$nothrow" "_ZdaPv$nothrow")
if [[ $3 == c++17 || $3 == c++20 ]]; then
  want+=("_Znwm$aligned" "_Znam$aligned" "_Znwm$aligned$nothrow" "_Znam$aligned$nothrow"
         "_ZdlPv$aligned" "_ZdaPv$aligned" "_ZdlPvm$aligned" "_ZdaPvm$aligned"
         "_ZdlPv$aligned$nothrow" "_ZdaPv$aligned$nothrow")
fi

if ! diff <(printf '%s\n' "${want[@]}" | LC_ALL=C sort) \
          <(nm --defined-only -P "$object" | awk '$2 == "T" { print $1 }' | LC_ALL=C sort); then
  echo "operators.sh: < is missing from the header, > is not to be defined" >&2
  exit 1
fi
echo "${#want[@]} operators defined in $3"
