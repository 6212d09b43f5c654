# shellcheck shell=bash
# Running a real program with and without a preloaded library, and comparing. For scripts to source (after
# scripts/lib.sh): realprog.sh, repeat.sh and scripts/demo.sh.
#
# A program is a script work/NAME.sh that is run in an empty directory of its own with the words `short` or
# `long`; everything it prints (digests of the files it makes included) must be the same in every run. A
# run leaves `out`, `err` and `report` (the line of test/runner/measure.c) in its directory, and its files
# in the directory `files` there; `files/figure`, when there is one, is a figure the program measured.

preload_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)

all_programs=(python gcc gxx sqlite3 perl node git redis tools)
# These are for the tests alone; the demonstration would not gain by them.
more_programs=(lua ruby jq zstd ghostscript graphviz gnuplot openssl z3 clang)

program_title() {
  case $1 in
    python) echo 'python3: json, threads, forks, subprocess' ;;
    gcc) echo 'gcc: compile and link C, with LTO' ;;
    gxx) echo 'g++: heavy templates' ;;
    sqlite3) echo 'sqlite3: table, index, sort, vacuum' ;;
    perl) echo 'perl: hashes, regex, sort, forks' ;;
    node) echo 'node: json, workers, crypto, zlib' ;;
    git) echo 'git: import, merge, repack, fsck' ;;
    redis) echo 'redis-server with redis-benchmark' ;;
    tools) echo 'bash, awk, sort, xz, gzip, tar, diff' ;;
    lua) echo 'lua: tables, strings, coroutines' ;;
    ruby) echo 'ruby: strings, hashes, json, threads' ;;
    jq) echo 'jq: group and sort JSON' ;;
    zstd) echo 'zstd: compress with threads, train a dictionary' ;;
    ghostscript) echo 'gs: PostScript to PDF and to pixels' ;;
    graphviz) echo 'dot: lay out a graph' ;;
    gnuplot) echo 'gnuplot: fit and plot' ;;
    openssl) echo 'openssl: keys, certificates, digests' ;;
    z3) echo 'z3: formulas of three kinds' ;;
    clang) echo 'clang: compile with optimisation' ;;
    *) return 1 ;;
  esac
}

# The file whose calls of malloc are asked about; empty when the program is not installed.
program_binary() {
  local found=''
  case $1 in
    python) found=/usr/bin/python3 ;;
    gcc) found=$(/usr/bin/gcc -print-prog-name=cc1 2>/dev/null || true) ;;
    gxx) found=$(/usr/bin/g++ -print-prog-name=cc1plus 2>/dev/null || true) ;;
    sqlite3) found=$(command -v sqlite3 || true) ;;
    perl) found=/usr/bin/perl ;;
    node) found=$(command -v node || true) ;;
    git) found=$(command -v git || true) ;;
    redis) found=$(command -v redis-server || command -v redis-check-rdb || true) ;;
    tools) found=$(command -v sort || true) ;;
    lua) found=$(command -v lua5.4 || true) ;;
    ghostscript) found=$(command -v gs || true) ;;
    graphviz) found=$(command -v dot || true) ;;
    ruby | jq | zstd | gnuplot | openssl | z3 | clang) found=$(command -v "$1" || true) ;;
  esac
  if [[ -n $found && -x $found ]]; then readlink -f "$found"; fi
}

# Installs what the named programs need and the machine lacks. redis-tools holds the server too, without the
# system service of the package redis-server.
install_programs() {
  local name
  for name in "$@"; do
    case $name in
      python) need_packages python3 ;;
      gcc) need_packages gcc libc6-dev ;;
      gxx) need_packages g++ ;;
      sqlite3) need_packages sqlite3 ;;
      perl) need_packages perl ;;
      node) need_commands node=nodejs ;;
      git) need_commands git=git awk=mawk ;;
      redis) need_packages redis-tools ;;
      tools) need_commands awk=mawk xz=xz-utils diff=diffutils ;;
      lua) need_packages lua5.4 ;;
      gnuplot) need_commands gnuplot=gnuplot-nox ;;
      ruby | jq | zstd | ghostscript | graphviz | openssl | z3 | clang) need_packages "$name" ;;
    esac
  done
}

is_program() { program_title "$1" >/dev/null; }

need_program() {
  is_program "$1" || usage_error "there is no program '$1'; there are: ${all_programs[*]} ${more_programs[*]}"
}

# Sets the variable named by $1 to the absolute path of library $2, or ends: a library that the loader would
# only complain about and ignore must not pass as tested.
find_library() {
  local path=$2
  [[ -e $path ]] || die "there is no library '$path'"
  [[ -f $path && -r $path ]] || die "'$path' is not a file that can be read"
  path=$(cd "$(dirname "$path")" && pwd -P)/$(basename "$path")
  case $path in
    *[[:space:]:]*) die "LD_PRELOAD cannot hold a path with spaces or colons: '$path'" ;;
  esac
  # shellcheck disable=SC2016 # the inner shell expands it
  if ! LD_PRELOAD=$path bash -c 'grep -qF -- "$1" /proc/self/maps' - "$(readlink -f "$path")" 2>/dev/null; then
    LD_PRELOAD=$path /bin/true || true
    die "'$path' cannot be preloaded (is it a shared library for this machine?)"
  fi
  printf -v "$1" '%s' "$path"
}

# Prints the file that `malloc` of PROGRAM's binary is bound to, with LIBRARY preloaded ('' for none). Asks
# the dynamic loader itself. A program that holds its own allocator prints its own name.
malloc_comes_from() {
  local binary
  binary=$(program_binary "$1")
  [[ -n $binary ]] || return 0
  LD_DEBUG=bindings LD_BIND_NOW=1 LD_PRELOAD=$2 "$binary" --version 2>&1 </dev/null |
    awk -v binary="$binary" '
      /normal symbol `malloc'\''/ && !found {
        for (i = 1; i <= NF; i++) if ($i == "file") { from = $(i + 1); break }
        for (i = 1; i <= NF; i++) if ($i == "to") { to = $(i + 1); break }
        if (from == binary) { print to; found = 1 }
      }' || true
}

# The same as a short word for people.
allocator_name() {
  local file
  file=$(basename -- "$1")
  case $file in
    libc.so*) echo glibc ;;
    libjemalloc*) echo jemalloc ;;
    '') echo unknown ;;
    *) echo "${file%%.so*}" ;;
  esac
}

build_measure() { # VARIABLE DIRECTORY
  if [[ -n ${MIM_MEASURE:-} ]]; then
    [[ -x $MIM_MEASURE ]] || die "MIM_MEASURE is '$MIM_MEASURE', which cannot be run"
    printf -v "$1" '%s' "$MIM_MEASURE"
    return 0
  fi
  "${CC:-cc}" -std=gnu11 -O2 "$preload_dir/../runner/measure.c" -o "$2/measure" || die "cannot compile measure.c"
  printf -v "$1" '%s' "$2/measure"
}

# run_program MEASURE NAME LIBRARY SCALE DIRECTORY: LIBRARY may be ''. Returns the status of the program.
# It runs in the background of this shell so that a signal to the shell is handled at once. The directory the
# program works in has the same path with and without the library, since programs may print it.
run_program() {
  local measure=$1 name=$2 library=$3 scale=$4 dir=$5 status=0
  local -a words=("$measure")
  local place=${dir%/*}/at-work
  rm -rf -- "$dir" "$place"
  mkdir -p "$dir" "$place"
  if [[ -n $library ]]; then words+=(-p "$library"); fi
  if [[ -n ${MIM_ADDRESS_SPACE:-} ]]; then words+=(-v "$MIM_ADDRESS_SPACE"); fi
  words+=(-t "${MIM_TIMEOUT:-600}" -d "$place" -i /dev/null -o "$dir/out" -e "$dir/err" -r "$dir/report" --
    "$preload_dir/work/$name.sh" "$scale")
  "${words[@]}" &
  running_program=$!
  wait "$running_program" || status=$?
  running_program=
  mv -- "$place" "$dir/files"
  return "$status"
}
running_program=

stop_program() {
  if [[ -n $running_program ]]; then
    kill -TERM "$running_program" 2>/dev/null || true
    wait "$running_program" 2>/dev/null || true
  fi
}
at_exit stop_program

report_value() { # FILE KEY
  sed -n "s/.*\\b$2=\\([^ ]*\\).*/\\1/p" "$1"
}

# compare_runs REFERENCE OTHER: silent and true when the program ended well in both and printed the same
# bytes; says what is different otherwise.
compare_runs() {
  local end stream
  end=$(report_value "$2/report" end)
  if [[ $(report_value "$1/report" end) != exit:0 ]]; then
    echo "without the library it already fails: $(report_value "$1/report" end)"
    tail -n 20 "$1/err"
    return 1
  fi
  if [[ $end != exit:0 ]]; then
    echo "it ended with $end instead of exit:0; the end of its error output:"
    tail -n 40 "$2/err"
    return 1
  fi
  for stream in out err; do
    cmp -s "$1/$stream" "$2/$stream" && continue
    echo "std$stream differs (< without, > with the library):"
    diff -a "$1/$stream" "$2/$stream" | head -n 20
    return 1
  done
}
