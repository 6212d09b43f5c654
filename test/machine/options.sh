#!/usr/bin/env bash
# scripts/trial-machine.sh and bench/servers.sh without a machine: help, wrong options, and that guide, stages and list
# agree.
#   options.sh TOP_OF_TREE
set -euo pipefail
top=$1
script=$top/scripts/trial-machine.sh
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
failures=0
wrong() { echo "FAILED: $*"; failures=$((failures + 1)); }

# says STATUS TEXT COMMAND...: it ends with that status, and what it says contains the text
says() {
  local status=$1 text=$2 got=0
  shift 2
  "$@" >"$work/said" 2>&1 || got=$?
  if ((got != status)) || ! grep -qF -e "$text" "$work/said"; then
    wrong "status $got instead of $status, or no '$text', from: $*"
    cat "$work/said"
  fi
}

says 0 'usage: scripts/trial-machine.sh' "$script" --help
says 2 "unknown option '--onyl'" "$script" --onyl services
says 2 "--only wants a stage, not 'service'; there are: packages services" "$script" --only service
says 2 "--only wants a stage, not ''" "$script" --only
says 2 "--accel wants kvm or tcg, not 'xen'" "$script" --accel xen
says 2 "--accel wants kvm or tcg, not ''" "$script" --accel
says 2 "--packages wants a directory" "$script" --packages
says 2 "--packages: no packages in '$work'" "$script" --packages "$work"
says 2 "--keep wants a directory" "$script" --keep ''
says 2 "--tests wants a regular expression" "$script" --tests
if [[ $(id -u) != 0 ]]; then says 1 'it must run as root' "$script"; fi

# Every stage of the list is one of the machine's, but for that in which the machine does not come up.
"$script" --list >"$work/list"
while read -r stage _; do
  grep -q "^stage_${stage//-/_}() {" "$top"/test/machine/guest-*.sh || [[ $stage == panic ]] || wrong "no stage $stage"
done <"$work/list"
says 2 "; there are: $(sed 's/ .*//' "$work/list" | tr '\n' ' ' | sed 's/ $//')" "$script" --only ''

# The blocks of the guide that the stages run
# shellcheck source-path=SCRIPTDIR source=guest-lib.sh
. "$top/test/machine/guest-lib.sh"
guide=$top/docs/deployment.md
asked=0
while IFS='|' read -r section number; do
  asked=$((asked + 1))
  block "$section" "$number" >"$work/block" || wrong "the guide has no block $number under '$section'"
  bash -n "$work/block" || wrong "block $number under '$section' is no script"
done < <(sed -nE "s/.*block ('([^']*)'|([A-Za-z]+)) ([0-9]+).*/\2\3|\4/p" "$top"/test/machine/guest-[ms]*.sh)
((asked >= 8)) || wrong "only $asked blocks of the guide are run"
grep -q '^(initramfs) ' "$guide" || wrong 'the guide has no lines for the prompt of the initramfs'
grep -q '^```dockerfile' "$guide" || wrong 'the guide has no Dockerfile'

if command -v shellcheck >/dev/null; then
  (cd "$top" && shellcheck -x scripts/trial-machine.sh test/machine/*.sh bench/servers.sh) || wrong 'shellcheck'
fi

# ---- the costs of servers ----

servers=(python3 -B "$top/bench/servers.py")
says 0 'NAME=PATH.so' "${servers[@]}" --help
says 2 "'x=/no/such.so' is not NAME=PATH[,VARIABLE=VALUE...] of a library that is there" "${servers[@]}" x=/no/such.so
says 2 "wants a whole number of 1 or more, not '0'" "${servers[@]}" "x=$script" --rounds 0
says 2 "there is no server 'apache'; there are: nginx; " "${servers[@]}" "x=$script" --only apache

if ((failures > 0)); then echo "$failures wrong"; exit 1; fi
echo "options, stages and $asked blocks of the guide: all as they should be"
