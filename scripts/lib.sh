# shellcheck shell=bash
# Helpers of every script of this project. Source it, do not run it:
#
#   . "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
#
# It sets `shell_name` (for messages), colours (empty unless standard output is a terminal, NO_COLOR is not
# set and TERM is not dumb; a script that passes another's output on to a terminal sets MIM_COLOUR=always
# for it), and offers:
#
#   say TEXT...            progress, on standard output
#   warn TEXT... die TEXT  on standard error; die ends the script with status 1
#   usage_error TEXT       a bad option or value: message, pointer to --help, status 2
#   repo_root              prints the directory of the source tree
#   job_count              prints how many compile jobs to run (MIM_JOBS, else the number of processors)
#   need_packages PKG...   installs the Debian packages that are missing, and only those
#   need_commands C=PKG... installs PKG when command C is not there (for programs people get elsewhere, too)
#   make_temp VAR          a private directory, removed with everything in it when the script ends
#   at_exit COMMAND...     runs COMMAND (words, quoted safely) when the script ends, last one first
#   need_count NAME VALUE  ends with a usage error unless VALUE is a whole number of 1 or more
#
# Ctrl-C and SIGTERM end the script through the same clean-up, with status 130 and 143.

if [[ "${BASH_SOURCE[0]}" == "$0" ]]; then
  echo "lib.sh: this file is for other scripts to source; it does nothing by itself" >&2
  exit 2
fi

shell_name=${0##*/}

if [[ ${MIM_COLOUR:-} == always || (-t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb) ]]; then
  c_bold=$'\e[1m' c_dim=$'\e[2m' c_red=$'\e[31m' c_green=$'\e[32m' c_yellow=$'\e[33m' c_off=$'\e[0m'
else
  c_bold='' c_dim='' c_red='' c_green='' c_yellow='' c_off=''
fi
export c_bold c_dim c_red c_green c_yellow c_off

say() { printf '%s\n' "$*"; }
warn() { printf '%s: %s\n' "$shell_name" "$*" >&2; }
die() { warn "$@"; exit 1; }

usage_error() {
  warn "$@"
  printf "Try '%s --help'.\n" "$shell_name" >&2
  exit 2
}

need_count() {
  [[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || usage_error "$1 wants a whole number of 1 or more, not '$2'"
}

repo_root() { (cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P); }

job_count() {
  local jobs=${MIM_JOBS:-}
  if [[ -n $jobs ]]; then
    [[ $jobs =~ ^[1-9][0-9]{0,3}$ ]] || die "MIM_JOBS wants a whole number of 1 or more, not '$jobs'"
    echo "$jobs"
  else
    nproc 2>/dev/null || echo 1
  fi
}

# ---- clean-up ----

declare -a lib_exit_commands=()

lib_run_exit_commands() {
  local status=$? i
  trap - EXIT
  trap '' INT TERM # a second Ctrl-C does not leave half of it behind
  for ((i = ${#lib_exit_commands[@]} - 1; i >= 0; i--)); do
    eval "${lib_exit_commands[i]}" || true
  done
  exit "$status"
}
trap lib_run_exit_commands EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

at_exit() {
  local words
  printf -v words '%q ' "$@"
  lib_exit_commands+=("$words")
}

make_temp() {
  local made
  made=$(mktemp -d "${TMPDIR:-/tmp}/mim-${shell_name%.sh}.XXXXXX") || die "cannot make a directory in ${TMPDIR:-/tmp}"
  at_exit rm -rf -- "$made"
  printf -v "$1" '%s' "$made"
}

# ---- Debian packages ----

lib_apt_updated=no

lib_has_package() {
  [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

lib_as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo -- "$@"
  else
    die "installing packages needs root: run as root, or install sudo (wanted: $*)"
  fi
}

lib_install() {
  command -v apt-get >/dev/null ||
    die "these are missing and this is not a Debian system, so install them by hand: $*"
  local log
  log=$(mktemp "${TMPDIR:-/tmp}/mim-apt.XXXXXX")
  at_exit rm -f -- "$log"
  say "Installing from Debian: $*"
  if [[ $lib_apt_updated == no ]]; then
    # a list that could not be refreshed may still do: the installation below decides
    lib_as_root apt-get update -q >"$log" 2>&1 || warn "apt-get update failed, going on with the lists there are"
    lib_apt_updated=yes
  fi
  lib_as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends -- "$@" >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    die "apt-get could not install: $*"
  }
}

need_packages() {
  local package
  local -a missing=()
  for package in "$@"; do
    lib_has_package "$package" || missing+=("$package")
  done
  if ((${#missing[@]} > 0)); then lib_install "${missing[@]}"; fi
}

need_commands() {
  local pair
  local -a missing=()
  for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  if ((${#missing[@]} > 0)); then lib_install "${missing[@]}"; fi
}
