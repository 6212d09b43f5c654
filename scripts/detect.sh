#!/usr/bin/env bash
# Which tools notice heap bugs in a parser of ours and in programs of Debian, and at what cost? See --help, and
# docs/fuzzing.md.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<END
usage: scripts/detect.sh [options] [RUNS] [LIBRARY]

Builds a parser with five planted bugs, two of giflib's tools from Debian's sources without Debian's patches (known bugs:
reads behind a short colour map, CVE-2022-28506, and writes behind a short extension block, CVE-2026-26740), and Mini-XML
from Debian's sources with three planted bugs (fuzz/detect/mxml.patch), all in out/detect. Each gets an input for each bug: as
it is, with the secure library in the profile fuzz, with AddressSanitizer, under Valgrind, and with AFL++'s libdislocator.
Prints tables: which bug ended the program as a fuzzer wants it (by a signal, or the status of the tool's error), and
how many executions of an input without a bug take a second of processor time, which a busy machine does not change.

  --own         the parser alone, which needs no sources of Debian
  --afl SECONDS afterwards fuzzes each program with AFL++ for so long, as it is, with the library, with AddressSanitizer
                and with libdislocator, from the input without a bug: time to the first crash, executions a second
  --help        this text
  RUNS          executions that are timed (default: 100), of Valgrind's a tenth of them
  LIBRARY       libmimalloc-secure.so (default: built in out/detect)

Status 0: the library found every bug that AddressSanitizer found.
END
}

own=no afl=0 words=()
while (($# > 0)); do
  case $1 in
    --own) own=yes ;;
    --afl)
      (($# > 1)) || usage_error "--afl wants a number of seconds"
      need_count --afl "$2"
      afl=$2
      shift
      ;;
    --help | -h) usage; exit 0 ;;
    -*) usage_error "unknown option '$1'" ;;
    *) words+=("$1") ;;
  esac
  shift
done
((${#words[@]} <= 2)) || usage_error "unexpected word '${words[2]}'"
runs=${words[0]:-100} library=${words[1]:-}
need_count RUNS "$runs"
if [[ -n $library ]]; then
  [[ -r $library ]] || usage_error "LIBRARY '$library' cannot be read: expected a libmimalloc-secure.so"
  library=$(realpath -- "$library")
fi

cd "$(repo_root)"
need_packages gcc cmake make pkg-config binutils libsodium-dev valgrind python3 patch
need_commands afl-fuzz=afl++ clang=clang
dir=$PWD/out/detect
mkdir -p "$dir"
if [[ -z $library ]]; then
  say "Building libmimalloc-secure.so"
  { cmake -S . -B "$dir/build" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF &&
    cmake --build "$dir/build" -j "$(job_count)" --target mimalloc-secure; } >"$dir/log" 2>&1 ||
    die "the library does not build; see $dir/log"
  library=$dir/build/libmimalloc-secure.so
fi

# ---- programs -------------------------------------------------------------------------------------------------------

# Debian's source package, unpacked in $dir/source/PACKAGE. What the machine's own lists of packages say stays as it is.
debian_source() { # PACKAGE
  local apt=$dir/apt package=$1 file
  local -a options
  [[ ! -d $dir/source/$package ]] || return 0
  mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache" "$dir/source"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
    [[ -e $file ]] || continue
    sed -E 's/^Types:.*/Types: deb-src/; s/^deb /deb-src /' "$file" >"$apt/parts/${file##*/}"
  done
  options=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$apt/parts"
    -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache")
  (cd "$apt" && apt-get "${options[@]}" update && apt-get "${options[@]}" source --download-only "$package") \
    >>"$dir/log" 2>&1 || die "the source of Debian's $package is not to be had; see $dir/log, or use --own"
  mkdir -p "$dir/source/$package"
  tar -xf "$(find "$apt" -name "${package}_*.orig.tar.*z" -print -quit)" -C "$dir/source/$package" --strip-components 1
}

# Builds PROGRAM in each form: plain, for AddressSanitizer, for AFL++ and for AFL++ with AddressSanitizer.
build() { # PROGRAM FLAGS-AND-FILES...
  local program=$1
  shift
  gcc -w -O1 -g "$@" -o "$dir/$program"
  gcc -w -O1 -g -fsanitize=address "$@" -o "$dir/$program-asan"
  ((afl > 0)) || return 0
  AFL_QUIET=1 afl-clang-fast -w -O1 -g "$@" -o "$dir/$program-afl"
  AFL_QUIET=1 AFL_USE_ASAN=1 afl-clang-fast -w -O1 -g "$@" -o "$dir/$program-afl-asan"
}

say "Building the programs"
build parser fuzz/detect/parser.c
programs=(parser)
if [[ $own == no ]]; then
  debian_source giflib
  debian_source mxml
  gif=$dir/source/giflib
  common=()
  for file in dgif_lib egif_lib gifalloc gif_err gif_hash gif_font openbsd-reallocarray quantize getarg qprintf; do
    common+=("$gif/$file.c")
  done
  build gif2rgb "-I$gif" "${common[@]}" "$gif/gif2rgb.c"
  build giftool "-I$gif" "${common[@]}" "$gif/giftool.c"
  xml=$dir/source/mxml
  if [[ ! -e $xml/config.h ]]; then
    patch -s -d "$xml" -p1 <fuzz/detect/mxml.patch
    sed -E 's/#undef HAVE_(SNPRINTF|VASPRINTF|VSNPRINTF|STRDUP|LONG_LONG_INT)$/#define HAVE_\1 1/' \
      "$xml/config.h.in" >"$xml/config.h"
  fi
  build mxml "-I$xml" "$xml"/mxml-*.c fuzz/detect/mxml_main.c
  programs+=(gif2rgb giftool mxml)
fi
python3 fuzz/detect/inputs.py "$dir"

dislocator=$(find /usr/lib /usr/local/lib -name libdislocator.so -print -quit 2>/dev/null || true)
tools=(none library asan valgrind)
if [[ -n $dislocator ]]; then tools+=(dislocator); fi

# ---- one input for each bug -----------------------------------------------------------------------------------------

arguments_of() { # PROGRAM
  if [[ $1 == giftool ]]; then printf '%s\n' -d 5; fi
}

run_with() { # TOOL PROGRAM INPUT
  local tool=$1 program=$dir/$2 input=$3
  local -a arguments
  mapfile -t arguments < <(arguments_of "$2")
  case $tool in
    none) "$program" "${arguments[@]}" <"$input" ;;
    library) MIMALLOC_PROFILE=fuzz LD_PRELOAD=$library "$program" "${arguments[@]}" <"$input" ;;
    asan) ASAN_OPTIONS=detect_leaks=0 "$program-asan" "${arguments[@]}" <"$input" ;;
    valgrind) valgrind -q --error-exitcode=99 "$program" "${arguments[@]}" <"$input" ;;
    dislocator) LD_PRELOAD=$dislocator "$program" "${arguments[@]}" <"$input" ;;
  esac
}

# Blocks of the library lie at one side of their pages or the other, at random: what shows in a part of ten runs alone is
# said so.
found_by() { # TOOL PROGRAM INPUT
  local tries=1 hits=0 i
  if [[ $1 == library ]]; then tries=10; fi
  for ((i = 0; i < tries; i++)); do (run_with "$@") >/dev/null 2>&1 || hits=$((hits + 1)); done
  if ((hits == tries)); then
    echo found
  elif ((hits > 0)); then
    echo "$hits of $tries"
  else
    echo -
  fi
}

# Executions a second of processor time: of the program, all that it starts and the shell's fork for it.
rate_of() { # TOOL PROGRAM
  local times=$runs TIMEFORMAT='%U %S' i
  if [[ $1 == valgrind ]]; then times=$(((runs + 9) / 10)); fi
  { time for ((i = 0; i < times; i++)); do run_with "$1" "$2" "$dir/inputs/$2/clean" >/dev/null 2>&1; done; } 2>&1 |
    awk -v times="$times" '{printf "%.1f", times / ($1 + $2 + 0.001)}'
}

missed=0
table() { # PROGRAM
  local program=$1 tool bug found rule='|---|'
  local -a bugs
  local -A by_asan=()
  mapfile -t bugs < <(cd "$dir/inputs/$program" && find . -type f ! -name clean -printf '%f\n' | sort)
  printf '\n| %s |' "$program"
  for bug in "${bugs[@]}"; do printf ' %s |' "$bug" && rule+='---|'; done
  printf ' executions a CPU-second |\n%s---|\n' "$rule"
  for tool in asan "${tools[@]/asan/}"; do
    [[ -n $tool ]] || continue
    (run_with "$tool" "$program" "$dir/inputs/$program/clean") >/dev/null 2>&1 ||
      die "$program with $tool: the input without a bug fails"
    printf '| %s |' "$tool"
    for bug in "${bugs[@]}"; do
      found=-
      found=$(found_by "$tool" "$program" "$dir/inputs/$program/$bug")
      if [[ $tool == asan ]]; then by_asan[$bug]=$found; fi
      if [[ $tool == library && $found == - && ${by_asan[$bug]} == found ]]; then missed=$((missed + 1)); fi
      printf ' %s |' "$found"
    done
    printf ' %s |\n' "$(rate_of "$tool" "$program")"
  done
}

for program in "${programs[@]}"; do table "$program"; done
if [[ -z $dislocator ]]; then say "libdislocator is not installed, and is left out."; fi

# ---- by fuzzing -----------------------------------------------------------------------------------------------------

stat_of() { sed -n "s/^$2 *: *//p" "$1" 2>/dev/null || true; }

fuzz_with() { # TOOL PROGRAM
  local tool=$1 program=$2 out=$dir/afl/$2-$1 first binary=$dir/$2-afl
  local -a environment=(AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_NO_AFFINITY=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1)
  local -a arguments
  mapfile -t arguments < <(arguments_of "$program")
  case $tool in
    library) environment+=("AFL_PRELOAD=$library" MIMALLOC_PROFILE=fuzz) ;;
    asan) binary=$dir/$program-afl-asan ;;
    dislocator) environment+=("AFL_PRELOAD=$dislocator") ;;
  esac
  rm -rf -- "$out"
  mkdir -p "$out.in"
  cp -- "$dir/inputs/$program/clean" "$out.in/"
  env "${environment[@]}" afl-fuzz -m none -t 2000 -s 1 -V "$afl" -i "$out.in" -o "$out" -- "$binary" "${arguments[@]}" \
    >"$out.log" 2>&1 || { tail -n 5 "$out.log" >&2; die "afl-fuzz failed for $program with $tool"; }
  first=$(find "$out/default/crashes" -name 'id:000000*' | sed -n 's/.*,time:\([0-9]*\),.*/\1/p')
  printf ' %s | %s |' "${first:-none}" "$(stat_of "$out/default/fuzzer_stats" execs_per_sec)"
}

if ((afl > 0)); then
  mkdir -p "$dir/afl"
  say
  printf '| AFL++, %d s each | first crash after, ms | executions a second |\n|---|---|---|\n' "$afl"
  for program in "${programs[@]}"; do
    for tool in "${tools[@]}"; do
      [[ $tool != valgrind ]] || continue
      printf '| %s, %s |' "$program" "$tool"
      fuzz_with "$tool" "$program"
      printf '\n'
    done
  done
fi
((missed == 0)) || die "$missed bugs that AddressSanitizer finds are missed with the library"
