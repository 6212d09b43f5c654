# shellcheck shell=bash
# shellcheck disable=SC2154  # stage: guest.sh
# For the guest's files: steps and their results, blocks of the guide, questions to the services.

guide=/trial/deployment.md

say() { printf '%s\n' "$*" >/dev/ttyS1; }

# try NAME TEXT FUNCTION [ARGUMENT...]: runs it in a shell of its own that ends at the first command that fails
try() {
  local name=$1 text=$2 status=0
  shift 2
  (set -euo pipefail; set -x; "$@") >/trial/log 2>&1 </dev/null
  status=$?
  if ((status == 0)); then
    say "passed $stage $name: $text"
  else
    say "failed $stage $name: $text"
    tail -n 40 /trial/log | cut -c1-300 | sed 's/^/    /' >/dev/ttyS1
  fi
  return $status
}

# block SECTION N: the Nth block of commands of that section of the guide
block() {
  local text
  text=$(awk -v section="## $1" -v n="$2" '
    /^## / { in_it = ($0 == section) }
    in_it && /^```/ { if (p) { p = 0 } else if ($0 == "```sh" && ++seen == n) { p = 1 }; next }
    p' "$guide")
  [[ -n $text ]] || { echo "the guide has no block $2 under '$1'" >&2; return 1; }
  printf '%s\n' "$text"
}

# Runs a block as a reader would: to its end, whatever a line gives. What must then be true is asked afterwards.
run_block() { block "$1" "$2" >/trial/block && bash /trial/block; }

main_pid() { systemctl show -p MainPID --value "$1"; }
mapped() { grep -q libmimalloc-secure "/proc/$1/maps"; }
none() { if "$@"; then return 1; fi; } # unlike !, ends a step
not_mapped() { none mapped "$1"; }

# until_true SECONDS COMMAND...: tried every half second
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || { echo "did not come true: $*"; return 1; }
    sleep 0.5
  done
}

# The process $1 frees a block twice: a debugger has it call malloc and free.
plant() {
  cat >/trial/plant.gdb <<'PLANT'
set confirm off
set auto-load safe-path /
handle SIGABRT nostop noprint pass
set $p = ((void *(*)(unsigned long)) malloc)(64)
call ((void (*)(void *)) free)($p)
call ((void (*)(void *)) free)($p)
detach
PLANT
  timeout 300 gdb -nx -batch -p "$1" -x /trial/plant.gdb || true
}

answers_http() {
  local i
  for ((i = 0; i < 10; i++)); do
    curl -sf --noproxy '*' http://127.0.0.1/numbers | cmp - /var/www/html/numbers
    curl -sf --noproxy '*' --compressed http://127.0.0.1/numbers | cmp - /var/www/html/numbers
  done
}

login() { # what a login as $1 prints for the command $2
  ssh -F /dev/null -i /trial/user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes \
    -o ConnectTimeout=60 "$1@127.0.0.1" "$2"
}
answers_login() { [[ $(login guest 'seq 1 2000 | tail -n 1; id -un') == $'2000\nguest' ]]; }
