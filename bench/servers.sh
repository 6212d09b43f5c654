#!/usr/bin/env bash
# servers.sh - what servers cost with a library preloaded, in processor time a request, beside that without.
#
#   servers.sh NAME=PATH.so[,VARIABLE=VALUE...]... [--rounds N] [--only SERVER]... [--load PERCENT]
#
# Installs Debian's nginx, redis, memcached, postgres and sshd with their clients, without starting any, and measures
# them in turn. Tells all in a Markdown table. See --help and servers.py.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source-path=SCRIPTDIR source=install.sh
. "$here/install.sh"
quiet_need python3
if [[ " $* " != *" --help "* && -z ${NO_INSTALL:-} ]]; then
  quiet_want nginx-light wrk redis-server redis-tools memcached libmemcached-tools postgresql-15 openssh-server \
    openssh-client
fi
PATH=$PATH:/usr/sbin:/sbin /usr/bin/python3 -B "$here/servers.py" "$@"
