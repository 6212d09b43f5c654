#!/usr/bin/env bash
# detection.sh - how much misuse allocators stop, and when: a picture and its numbers.
#
#   bench/detection.sh                     our profiles and the allocators that Debian packages, as far as installed
#   bench/detection.sh NAME=LIB.so[,VARIABLE=VALUE] NAME=FILE.csv ...   these; a CSV is of an earlier run of misuse-suite
#   bench/detection.sh --out DIRECTORY ... where detection.csv and detection.svg go (default: bench/results)
#   bench/detection.sh --help
#
# Runs the misuse suite (test/misuse) under each: every kind of misuse at twelve sizes, each in a process of its own. What
# is counted are the cases that every one of the allocators has the functions for. "Stopped" is any end of the process by
# a signal, the C library's own checks and plain crashes included. Needs a release build with tests in out/release (or
# $BENCH_BUILD); takes half a minute for each allocator, a few minutes for one that hangs.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source-path=SCRIPTDIR source=install.sh
. "$here/install.sh"
out=$here/results
build=${BENCH_BUILD:-$here/../out/release}
chosen=()
while (($# > 0)); do
  case $1 in
    --help | -h) sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit ;;
    --out) (($# > 1)) || { echo "detection.sh: --out: a directory is missing" >&2; exit 2; }; out=$2; shift 2 ;;
    ?*=?*) chosen+=("$1"); shift ;;
    *) echo "detection.sh: '$1': expected NAME=LIB.so, NAME=FILE.csv or --out DIRECTORY" >&2; exit 2 ;;
  esac
done
quiet_need gnuplot-nox
suite=$build/test/misuse/misuse-suite
secure=$build/libmimalloc-secure.so
if ((${#chosen[@]} == 0)); then
  [[ -e $secure ]] || { echo "detection.sh: $secure is not there; build it, or set BENCH_BUILD" >&2; exit 2; }
  chosen=("default=$secure" "strict=$secure,MIMALLOC_PROFILE=strict" "fuzz=$secure,MIMALLOC_PROFILE=fuzz" glibc=libc)
  for pair in scudo=/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.scudo_standalone-x86_64.so \
    mimalloc=/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0 jemalloc=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2 \
    tcmalloc=/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4; do
    if [[ -e ${pair#*=} ]]; then chosen+=("$pair"); else echo "left out: ${pair%%=*} is not installed"; fi
  done
fi
temp=$(mktemp -d)
trap 'rm -rf -- "$temp"' EXIT
mkdir -p "$out"
names=() files=()
for choice in "${chosen[@]}"; do
  name=${choice%%=*} what=${choice#*=}
  file=$temp/$name.csv
  if [[ $what == *.csv ]]; then
    [[ -r $what && $(head -n 1 "$what") == kind,size,outcome,* ]] ||
      { echo "detection.sh: '$what' is no result of misuse-suite --csv" >&2; exit 2; }
    cp "$what" "$file"
  else
    arguments=(--quiet --jobs 1 --csv "$file")
    [[ ${what%%,*} == libc ]] || arguments+=(--preload "${what%%,*}")
    if [[ $what == *,* ]]; then arguments+=(--env "${what#*,}"); fi
    [[ ${what%%,*} == libc || -r ${what%%,*} ]] || { echo "detection.sh: '${what%%,*}' cannot be read" >&2; exit 2; }
    echo "running: $name"
    "$suite" "${arguments[@]}" >"$temp/said" 2>&1 || true  # status 1: something was missed
    [[ -s $file ]] || { cat "$temp/said" >&2; exit 1; }
  fi
  names+=("$name") files+=("$file")
done

awk -F, -v names="${names[*]}" '
  BEGIN { columns = split(names, name, " ") }
  FNR == 1 { column++; next }
  { cell[$1 "," $2, column] = $3; if ($3 == "not-available") without[$1 "," $2] = 1; cases[$1 "," $2] = 1 }
  END {
    print "allocator,cases,at_once,later,without_effect,missed"
    for (c = 1; c <= columns; c++) {
      all = once = later = none = 0
      for (k in cases) {
        if (k in without) continue
        all++; o = cell[k, c]
        if (o == "at-misuse") once++
        else if (o ~ /^at-/) later++
        else if (o == "prevented") none++
      }
      printf "%s,%d,%d,%d,%d,%d\n", name[c], all, once, later, none, all - once - later - none
    }
  }' "${files[@]}" >"$out/detection.csv"

gnuplot <<EOF
set terminal svg size 860,320 font "sans,12" background "white"
set output "$out/detection.svg"
set datafile separator ","
set style data histogram
set style histogram rowstacked
set style fill solid border -1
set boxwidth 0.7
set yrange [0:100]
set ylabel "% of the cases"
set grid ytics
set key outside right top reverse Left
set xtics nomirror
total = $(awk -F, 'NR == 2 { print $2 }' "$out/detection.csv")
plot "$out/detection.csv" using (100.0 * \$3 / total):xtic(1) every ::1 title "stopped at once" lc rgb "#1b7837", \\
     "" using (100.0 * \$4 / total) every ::1 title "stopped later" lc rgb "#7fbf7b", \\
     "" using (100.0 * \$5 / total) every ::1 title "without effect" lc rgb "#d9f0d3", \\
     "" using (100.0 * \$6 / total) every ::1 title "missed" lc rgb "#c51b7d"
EOF
cat "$out/detection.csv"
