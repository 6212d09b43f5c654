#!/usr/bin/env bash
# install.sh - sourced by the scripts of bench/: installs Debian packages that are missing.
#
#   need_packages PACKAGE...       all of them or a clear end
#   want_packages PACKAGE...       those that can be had; the others are named and left out
#
# Works as root, or with sudo for everybody else. Nothing is asked and nothing is started: services of
# installed packages stay off (a policy is put in the way of their start while apt-get runs).

missing_packages() {
  local package
  for package in "$@"; do
    if [[ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)" != ii* ]]; then
      printf '%s\n' "$package"
    fi
  done
}

as_root() {
  if [[ $EUID -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    printf 'bench: packages are missing, and neither root nor sudo is at hand: %s\n' "$*" >&2
    return 1
  fi
}

install_packages() {
  if [[ -z "${BENCH_APT_UPDATED:-}" ]]; then
    as_root apt-get update -qq || return 1
    export BENCH_APT_UPDATED=1
  fi
  printf 'bench: installing %s\n' "$*" >&2
  local policy=/usr/sbin/policy-rc.d status=0
  if [[ -e $policy ]]; then
    policy=
  else
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null || status=1
  if [[ -n $policy ]]; then as_root rm -f "$policy"; fi
  return $status
}

need_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  if [[ ${#missing[@]} -eq 0 ]]; then return 0; fi
  if ! install_packages "${missing[@]}"; then
    printf 'bench: cannot install %s\n' "${missing[*]}" >&2
    return 1
  fi
}

want_packages() {
  local missing package
  mapfile -t missing < <(missing_packages "$@")
  if [[ ${#missing[@]} -eq 0 ]]; then return 0; fi
  if install_packages "${missing[@]}" 2>/dev/null; then return 0; fi
  for package in "${missing[@]}"; do
    install_packages "$package" 2>/dev/null || printf 'bench: left out, cannot be installed: %s\n' "$package" >&2
  done
}
