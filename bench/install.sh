#!/usr/bin/env bash
# install.sh - sourced by the scripts of bench/: how they install what is missing.
#
#   quiet_need PACKAGE...   all of them, or an end with a message
#   quiet_want PACKAGE...   those that can be had; the others are named, and the suite leaves out their jobs
#
# On top of the project's helpers (scripts/lib.sh). Two things are different here: messages go to standard
# error, because tables go to standard output, and services of installed packages are not started: nothing
# but what is measured may run. For that a policy stands in the way while apt-get works, unless the machine
# has one of its own.

# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

without_services() {
  local policy=/usr/sbin/policy-rc.d status=0 ours=no
  if [[ ! -e $policy ]]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' | lib_as_root tee "$policy" >/dev/null
    lib_as_root chmod 755 "$policy"
  fi
  "$@" >&2 || status=$?
  if [[ $ours == yes ]]; then lib_as_root rm -f "$policy"; fi
  return $status
}

missing_packages() {
  local package
  for package in "$@"; do
    lib_has_package "$package" || printf '%s\n' "$package"
  done
}

quiet_need() {
  local -a missing
  mapfile -t missing < <(missing_packages "$@")
  if ((${#missing[@]} > 0)); then without_services need_packages "${missing[@]}"; fi
}

# In subshells, because a package that cannot be had ends the helper's shell.
quiet_want() {
  local package
  local -a missing
  mapfile -t missing < <(missing_packages "$@")
  if ((${#missing[@]} == 0)); then return 0; fi
  if (without_services need_packages "${missing[@]}"); then return 0; fi
  for package in "${missing[@]}"; do
    (without_services need_packages "$package") || warn "left out, cannot be installed: $package"
  done
}
