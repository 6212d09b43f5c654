#!/bin/bash
# Runs Debian's common programs with the secure library preloaded, each at a small job, in the profiles default and
# strict, with violations reported and not fatal; prints a Markdown table of what was reported. docs/programs.md is
# its output. Programs that are not installed are named as such.
# usage: programs.sh LIBRARY
set -euo pipefail
(($# == 1)) || { echo "usage: programs.sh LIBRARY" >&2; exit 2; }
[[ -r $1 ]] || { echo "programs.sh: there is no library '$1'" >&2; exit 2; }
library=$(realpath "$1")
work=$(mktemp -d "${TMPDIR:-/tmp}/mim-programs.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
cd "$work"
export HOME=$work LC_ALL=C

# Inputs.
seq 1 20000 >numbers
printf '#include <map>\n#include <string>\nint main() { std::map<std::string, int> m; m["a"] = 1; return m.size() != 1; }\n' >a.cc
printf '#include <stdio.h>\nint main(void) { return printf("x") != 1; }\n' >a.c
printf 'digraph g { a -> b; b -> c; c -> a; subgraph cluster_x { d -> e; } }\n' >g.dot
printf '%%!PS\n/Times-Roman findfont 20 scalefont setfont 50 50 moveto (text) show showpage\n' >a.ps
printf '<p>one<b>two</p>\n' >a.html
printf '/** A function. */\nint f(void);\n' >a.h
mkdir tree && cp numbers a.c a.cc tree

# NAME|PACKAGE|JOB. Each job is a command of bash.
# shellcheck disable=SC2016
jobs='gcc|gcc|gcc -O2 -g -c a.c
g++|g++|g++ -g -O2 a.cc -o a.out
clang|clang|clang -O2 -c a.c -o b.o
cmake|cmake|mkdir -p cm; printf "cmake_minimum_required(VERSION 3.16)\nproject(x C)\n" >cm/CMakeLists.txt; cmake -S cm -B cm/b
git|git|rm -rf r; git init -q r; cp numbers r; git -C r add .; git -C r -c user.name=a -c user.email=a@b commit -qm x; git -C r gc -q
python3|python3|python3 -c "import json, re, sqlite3, decimal; print(len(json.dumps(list(range(9999)))))"
perl|perl|perl -e "my %h = map { \$_ => \$_ x 3 } 1..9999; print join(q(,), sort keys %h)"
node|nodejs|node -e "console.log(JSON.stringify([...Array(9999).keys()]).length)"
java|default-jre-headless|java -version
gs|ghostscript|gs -q -dBATCH -dNOPAUSE -sDEVICE=pdfwrite -sOutputFile=a.pdf a.ps
convert|imagemagick|convert -size 64x64 xc:red -resize 50% -blur 2 a.ppm
qemu-img|qemu-utils|qemu-img create -f qcow2 d.img 8M; qemu-img convert -O raw d.img d.raw
gdb|gdb|gdb -nx -batch -ex "info types string" -ex "disassemble main" ./a.out
nginx|nginx-light|printf "events {}\npid nginx.pid;\n" >ng.conf; nginx -t -p $PWD -e nginx.err -c $PWD/ng.conf
apache2|apache2-bin|apache2 -v; apache2 -l
curl|curl|curl -s file://$PWD/numbers
wget|wget|wget --version
openssl|openssl|openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout k.pem -out c.pem; openssl x509 -in c.pem -text
gpg|gnupg|gpg --batch --yes --passphrase x --pinentry-mode loopback --symmetric numbers
vim|vim-tiny|vim.tiny -u NONE -es -c "%s/1/2/g" -c "wq! v.out" numbers
emacs|emacs-nox|emacs --batch --eval "(princ (length (number-sequence 1 9999)))"
pdftotext|poppler-utils|pdftotext a.pdf -
ruby|ruby|ruby -e "puts (1..9999).map(&:to_s).sort.join.size"
php|php-cli|php -r "echo strlen(json_encode(range(1, 9999)));"
lua5.4|lua5.4|lua5.4 -e "local t = {} for i = 1, 9999 do t[i] = tostring(i) end print(#table.concat(t))"
guile|guile-3.0|guile --no-auto-compile -c "(display (length (iota 9999)))"
z3|z3|printf "(declare-const x Int)(assert (> (* x x) 50))(check-sat)" >z.smt2; z3 z.smt2
sqlite3|sqlite3|sqlite3 :memory: "create table t(a); insert into t values(1),(2); select sum(a) from t"
rsync|rsync|rsync -a tree/ copy/
tar|tar|tar cf t.tar tree; tar tf t.tar
xz|xz-utils|xz -kf numbers; xz -dc numbers.xz
zstd|zstd|zstd -qf numbers; zstd -dc numbers.zst
redis-server|redis-tools|redis-server --version; redis-benchmark --version
doxygen|doxygen|printf "INPUT=a.h\nQUIET=YES\nHAVE_DOT=NO\n" >Doxyfile; doxygen Doxyfile
dot|graphviz|dot -Tsvg g.dot
gnuplot|gnuplot-nox|gnuplot -e "set terminal svg; plot sin(x)"
jq|jq|printf "[3,1,2]" >j; jq "sort|map(.+1)" j
tidy|tidy|tidy -q a.html || true
mariadbd|mariadb-server-core|mariadbd --version'

version_of() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null || echo 'not from a package'; }

# Runs job $2 in profile $1; prints what was reported, or how it ended without a report.
outcome() {
  local reports status=0 faults reports=$work/reports
  rm -f -- "$reports"
  MIMALLOC_PROFILE=$1 MIMALLOC_ON_VIOLATION=report MIMALLOC_REPORT=$reports LD_PRELOAD=$library \
    timeout 60 bash -c "$2" >out 2>err </dev/null || status=$?
  faults=''
  if [[ -s $reports ]]; then
    faults=$(sed -n 's/.*"fault":"\([a-z-]*\)".*/\1/p' "$reports" | sort | uniq -c |
      awk '{ printf "%s%d %s", (NR > 1 ? ", " : ""), $1, $2 }')
    if [[ -n ${MIM_KEEP_REPORTS:-} ]]; then cat -- "$reports" >>"$MIM_KEEP_REPORTS"; fi
  fi
  [[ $status == 0 ]] || faults+="${faults:+, }status $status"
  echo "${faults:-nothing}"
}

# shellcheck disable=SC2016
echo '| program | version | `default` | `strict` | job |'
echo '|---|---|---|---|---|'
while IFS='|' read -r name package job; do
  binary=$name
  if [[ $name == vim ]]; then binary=vim.tiny; fi
  if ! PATH=$PATH:/usr/sbin command -v "$binary" >/dev/null; then
    echo "| $name | not installed | - | - | |"
    continue
  fi
  if ! PATH=$PATH:/usr/sbin timeout 60 bash -c "$job" >out 2>err </dev/null; then
    echo "| $name | $(version_of "$package") | fails without the library | - | |"
    continue
  fi
  shown=${job//|/\\|}
  echo "| $name | $(version_of "$package") | $(outcome default "$job") | $(outcome strict "$job") | \`${shown//\`/\'}\` |"
done <<<"$jobs"
