#!/usr/bin/env bash
# mimalloc-run: every option, every error, what --check says of every kind of program, and its completion.
#   run.sh MIMALLOC-RUN LIBRARY VERSION PROGRAM-THAT-MISUSES FILTER       (FILTER: runs a command without mseal, getrandom)
set -euo pipefail

tool=$1 library=$2 version=$3 victim=$4 filter=$5
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
chmod 755 "$work"
cd "$work"
unset LD_PRELOAD MIMALLOC_REPORT MIMALLOC_PROFILE MIMALLOC_ON_VIOLATION
cc=${CC:-cc}
failures=0
ulimit -c 0

# gives STATUS PATTERN COMMAND...: it ends with that status, and a line of what it says matches
gives() {
  local status=$1 pattern=$2 got=0
  shift 2
  "$@" >"$work/said" 2>&1 || got=$?
  if ((got != status)) || ! grep -Eq -- "$pattern" "$work/said"; then
    printf 'FAILED: status %s instead of %s, or no line like "%s", from: %s\n' "$got" "$status" "$pattern" "$*"
    cat "$work/said"
    failures=$((failures + 1))
  fi
}
run() { "$tool" --library "$library" "$@"; }

mkdir -p alone/bin
cp "$tool" alone/bin/

# ---- options ----
gives 0 '^usage: mimalloc-run' "$tool" --help
gives 0 "^mimalloc-run ${version//./\\.}\$" "$tool" --version
gives 0 "$library" run -- cat /proc/self/maps
gives 0 'secure: profile strict' run --profile=strict --stats true
gives 0 'heap stats:' run --stats true
gives 134 'mimalloc: violation: ' run --on-violation abort -- "$victim"
gives 0 'on violation: report' run --on-violation report --stats true
gives 134 'violation' run --report "$work/report.json" -- "$victim"
gives 0 '"mimalloc":"violation"' cat "$work/report.json"
(cd "$work" && mkdir maps && run --heap-map maps/map true)
gives 0 'map\.[0-9]+$' ls "$work/maps"
# shellcheck disable=SC2016  # expanded by the shell it starts
gives 7 '^--stats$' run -- sh -c 'echo "$1"; exit 7' sh --stats
# shellcheck disable=SC2016
gives 0 '^one:[^:]+:[^:]+$' env LD_PRELOAD="$library" "$tool" --library "$library" sh -c 'echo one:$LD_PRELOAD'

# systemd starts its services with SIGPIPE ignored: nothing may write to a pipe that is not read to its end
# shellcheck disable=SC2016
gives 0 '^quiet$' sh -c 'trap "" PIPE; "$1" --library "$2" perl -e 1 2>&1 | grep . || echo quiet' sh "$tool" "$library"

# ---- a picture: the program is a child then, and all else stays as it was ----
mkdir pictures
gives 0 '^from the input$' run --heap-map pictures/in.svg cat <<<'from the input'
gives 0 '<title>blocks of [0-9]+ bytes: ' cat pictures/in.svg
gives 134 'mimalloc: violation: ' run --heap-map pictures/bad.svg -- "$victim"
gives 7 'no picture .*/none\.svg: .* wrote no map' run --heap-map=pictures/none.svg -- \
  perl -e 'use POSIX; POSIX::_exit(7)'
# shellcheck disable=SC2016  # perl's variable
gives 7 '^--stats$' run --heap-map pictures/two.svg -- perl -e 'system "true"; print "$ARGV[0]\n"; exit 7' -- --stats
gives 0 '^2$' bash -c 'ls pictures/two.svg pictures/two.[0-9]*.svg | wc -l'
# a signal to the launcher is the program's: it ends by itself, with its own status and its picture
cat >signalled.pl <<'END'
$| = 1; $SIG{TERM} = sub { print "asked to end\n"; exit 5 }; kill 'TERM', getppid(); sleep 60 while 1;
END
gives 5 '^asked to end$' run --heap-map pictures/term.svg -- perl signalled.pl
gives 0 '</svg>' cat pictures/term.svg
gives 2 'there is no directory' run --heap-map /no/such/map.svg true
gives 125 'mimalloc-heap-map, which draws it, is not beside' "$work/alone/bin/mimalloc-run" --library "$library" \
  --heap-map pictures/x.svg true

# ---- errors ----
gives 2 '--profile quick is not known; .*fast default strict fuzz' run --profile quick true
gives 2 '--on-violation ignore is not known; .*report abort' run --on-violation ignore true
gives 2 '--profile wants a value' run --profile
gives 2 '--frobnicate is not an option' run --frobnicate true
gives 2 'what program' run
gives 2 'there is no directory /no/such' run --report /no/such/file true
gives 2 'that is a directory' run --report "$work" true
ln -s nowhere "$work/link"
gives 2 'symbolic link' run --report "$work/link" true
gives 2 '--profile has no effect .* --plain' run --plain --profile strict true
gives 2 '--library /no/such: there is no such file' "$tool" --library /no/such true
gives 127 'no such program in PATH' run no-such-program
gives 127 'no such file' run ./no-such-program
gives 126 'may not be executed' run /etc/passwd
gives 126 'may not be executed' run /etc
mkdir "$work/a b"
cp -L "$library" "$work/a b/library.so"
gives 125 'space or a colon' "$tool" --library "$work/a b/library.so" true
gives 125 'is not a library' "$tool" --library /etc/passwd true
gives 125 'is not where it is installed' "$work/alone/bin/mimalloc-run" true

# ---- --check, and what would have no effect ----
gives 0 '^preload: +takes effect' run --check sh
gives 0 "^library: .*version ${version//./\\.}\$" run --check
gives 0 '^guards: +(lightweight|by mprotect)' run --check
gives 0 '^constants: +(sealed|read-only)' run --check
gives 0 '^random numbers: ' run --check
gives 0 '^max_map_count: +[0-9u]' run --check
gives 0 '^overcommit: +[012u]' run --check
gives 0 '^seccomp: +a filter is in force' "$filter" "$tool" --library "$library" --check
gives 0 '^constants: +read-only; mseal' "$filter" "$tool" --library "$library" --check
gives 0 '^constants: +read-only; mseal' "$filter" --kill "$tool" --library "$library" --check
gives 0 '^still here$' "$filter" --kill "$tool" --library "$library" echo still here
gives 0 'getrandom is refused|perl is not there' "$filter" "$tool" --library "$library" --check
printf '#!/bin/sh\necho from the script\n' >script
chmod +x script
gives 0 '^run by: +/bin/sh' run --check ./script
gives 0 '^from the script' run ./script
printf '#!/no/such/shell\n' >orphan
chmod +x orphan
gives 125 'names /no/such/shell, which is not there' run ./orphan

# without_effect WHY PROGRAM: refused by both, with that reason
without_effect() {
  gives 125 "^preload: +has no effect: .*$1" run --check "$2"
  gives 125 "no effect on $2: .*$1" run "$2"
}
echo 'int main(void) { return 0; }' >main.c
"$cc" -static -o static main.c
without_effect 'linked statically' ./static
gives 125 '^ {16}Link it with' run --check ./static # under the verdict, with no name of its own
"$cc" -o musl main.c -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1
without_effect 'another C library .*ld-musl' ./musl
"$cc" -o other main.c
printf '\363\0' | dd of=other bs=1 seek=18 conv=notrunc status=none
without_effect 'another machine \(64-bit riscv\)' ./other
"$cc" -o narrow main.c
printf '\1' | dd of=narrow bs=1 seek=4 conv=notrunc status=none
without_effect 'another machine \(32-bit' ./narrow
echo 'no program' >text
chmod +x text
without_effect 'neither an ELF file nor a script' ./text
if "$cc" -fsanitize=address -o sanitized main.c 2>/dev/null; then
  without_effect 'sanitizer' ./sanitized
fi
if [[ $(id -u) == 0 ]]; then
  cp "$(type -P true)" raised
  chown nobody raised
  chmod 4755 raised
  without_effect 'set-user-ID' ./raised
  chown root:nogroup raised
  chmod 2755 raised
  without_effect 'set-group-ID' ./raised
fi

# ---- completion ----
# completes WORDS EXPECTED: the last word of WORDS is the one to complete
completes() {
  local got
  read -r -a COMP_WORDS <<<"$1"
  [[ $1 != *' ' ]] || COMP_WORDS+=('')
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _mimalloc_run
  got=${COMPREPLY[*]}
  if [[ $got != "$2" ]]; then
    echo "FAILED: '$1' is completed to '$got' instead of '$2'"
    failures=$((failures + 1))
  fi
}
# shellcheck source=/dev/null
. "$(dirname -- "$tool")/completion/mimalloc-run"
completes 'mimalloc-run --pro' '--profile'
completes 'mimalloc-run --profile st' 'strict'
completes 'mimalloc-run --stats --on-violation ' 'report abort'
completes 'mimalloc-run --library ./mu' './musl'
completes 'mimalloc-run -- ./static ./scr' './script'
for word in $("$tool" --help | grep -oE '^ +--[a-z-]+' | tr -d ' '); do
  [[ $word == --help ]] || completes "mimalloc-run $word" "$word"
done

((failures == 0)) && echo "mimalloc-run: all as expected"
