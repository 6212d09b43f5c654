#!/usr/bin/env bash
# Builds the fuzzers and their seeds as OSS-Fuzz wants them: with its compiler and flags, linked with its engine, into $OUT.
# Run in the root of the tree; CC, CXX, CFLAGS, CXXFLAGS, LIB_FUZZING_ENGINE, OUT and WORK are set by OSS-Fuzz.
set -euo pipefail

for name in CC CXX CFLAGS LIB_FUZZING_ENGINE OUT WORK; do
  [[ -n ${!name:-} ]] || { echo "build.sh: $name is not set; OSS-Fuzz sets it" >&2; exit 2; }
done
[[ -r fuzz/ops.h ]] || { echo "build.sh: run it in the root of the tree, not in $PWD" >&2; exit 2; }

build=$WORK/build
mkdir -p "$OUT" "$build"
cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=None -DCMAKE_C_COMPILER="$CC" -DCMAKE_CXX_COMPILER="$CXX" \
  -DMI_FUZZ=oss-fuzz "-DMI_FUZZ_ENGINE=$LIB_FUZZING_ENGINE" -DMI_OVERRIDE=OFF
# The names of CMake's targets begin with fuzz_ and end with -fuzz. Not among them: fuzz_process. Each of its inputs runs
# in a child, and engines in the process do not see what that covers (libFuzzer knew 7 edges after 3,000 runs); the map
# of AFL++ is shared memory.
targets=(api-secure api-plain threads-secure threads-plain options-secure options-plain misuse-secure corrupt-secure)
names=("${targets[@]/#/fuzz_}")
cmake --build "$build" -j "$(nproc)" --target "${names[@]/%/-fuzz}"

for target in "${targets[@]}"; do
  name=${target%-*}
  program=fuzz_${target//-/_}
  cp -- "$build/fuzz/fuzz_$target-fuzz" "$OUT/$program"
  seeds=$WORK/seeds/$name
  mkdir -p "$seeds"
  cp -- "fuzz/corpus/$name"/* "$seeds"/
  if [[ -d test/regress/$name ]]; then cp -- "test/regress/$name"/*.bin "$seeds"/; fi
  if [[ $name == options ]]; then
    cp -- fuzz/options.dict "$OUT/$program.dict"
  else
    python3 fuzz/grow.py "$name" "$seeds" 40
  fi
  rm -f -- "$OUT/${program}_seed_corpus.zip"
  python3 -m zipfile -c "$OUT/${program}_seed_corpus.zip" "$seeds"/*
  # The region stays reserved from one input to the next.
  printf '[libfuzzer]\nmax_len = 3080\ndetect_leaks = 0\n' >"$OUT/$program.options"
done
