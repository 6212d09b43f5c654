#!/usr/bin/env bash
# What scripts/trial-machine.sh does inside of its machine: the steps of docs/deployment.md, in the guide's own words
# (its blocks of commands are taken from the text and run), and what must be true after each. One stage a boot; the
# stage is named on the kernel's command line. For each step a line goes to the second serial port:
#
#   passed|failed STAGE NAME: what was tried             and, if it failed, the end of what it printed, indented
#
# /trial in the machine: this file, deployment.md, packages/, machine.conf, and what a stage needs.
set -u
export LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
export DEBIAN_FRONTEND=noninteractive MANPAGER=cat
cd /trial
# shellcheck source-path=SCRIPTDIR source=guest-lib.sh
. /trial/guest-lib.sh
# shellcheck source-path=SCRIPTDIR source=guest-services.sh
. /trial/guest-services.sh
# shellcheck source-path=SCRIPTDIR source=guest-machine.sh
. /trial/guest-machine.sh

stage=$(sed -n 's/.*trial\.stage=\([a-z-]*\).*/\1/p' /proc/cmdline)
say "begin $stage $(uname -r)"
if declare -F "stage_$stage" >/dev/null; then "stage_$stage"; else say "failed $stage stage: there is no such stage"; fi
say "end $stage"
sync
if [[ $stage == preload ]]; then /root/busybox poweroff -f; fi
systemctl poweroff
