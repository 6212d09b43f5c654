#!/usr/bin/env bash
# Runs Debian's servers with the secure library preloaded, in the profiles default and strict: each is started, asked by
# its own client, and stopped, with violations reported and not fatal; prints a Markdown table. A part of
# docs/programs.md is its output. Started by hand, as root, in a root or a machine that may be written to: the servers
# take their usual places under /var and /run, and their clients ask on the loopback device. Servers that are not
# installed are named as such.
# usage: servers.sh LIBRARY
set -euo pipefail
(($# == 1)) || { echo "usage: servers.sh LIBRARY" >&2; exit 2; }
[[ -r $1 ]] || { echo "servers.sh: there is no library '$1'" >&2; exit 2; }
[[ $(id -u) == 0 ]] || { echo "servers.sh: servers are started by root" >&2; exit 2; }
library=$(realpath "$1")
work=$(mktemp -d "${TMPDIR:-/tmp}/mim-servers.XXXXXX")
server='' pid=''
stop() { [[ -z $pid ]] || kill "$pid" 2>/dev/null || true; }
trap 'stop; rm -rf -- "$work"' EXIT
chmod 755 "$work"
cd "$work"
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin

# ---- configurations ----
mkdir -p www /run/sshd
seq 1 20000 >www/numbers
cat >nginx.conf <<END
worker_processes 2;
pid $work/nginx.pid;
error_log $work/nginx.err;
events { }
http { access_log off; server { listen 127.0.0.1:8001; root $work/www; gzip on; gzip_types *; } }
END
cat >apache.conf <<END
ServerRoot $work
ServerName localhost
PidFile $work/apache.pid
ErrorLog $work/apache.err
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule deflate_module /usr/lib/apache2/modules/mod_deflate.so
LoadModule filter_module /usr/lib/apache2/modules/mod_filter.so
User www-data
Group www-data
Listen 127.0.0.1:8002
DocumentRoot $work/www
SetOutputFilter DEFLATE
END
cat >lighttpd.conf <<END
server.document-root = "$work/www"
server.port = 8003
server.bind = "127.0.0.1"
END
cat >haproxy.cfg <<END
global
  tune.bufsize 262144
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
listen here
  bind 127.0.0.1:8004
  compression algo gzip
  http-request return status 200 content-type text/plain file $work/www/numbers if { path /numbers }
END
cat >named.conf <<END
options { directory "$work"; listen-on port 8005 { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; recursion no; };
zone "example.org" { type primary; file "$work/zone"; };
controls { };
END
cat >zone <<'END'
$TTL 60
@ IN SOA ns.example.org. host.example.org. 1 60 60 60 60
@ IN NS ns
ns IN A 127.0.0.1
$GENERATE 1-500 h$ IN A 127.0.1.1
END
cat >unbound.conf <<END
server:
  interface: 127.0.0.1@8006
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  local-zone: "example.org." static
  local-data: "h1.example.org. A 127.0.1.1"
remote-control:
  control-enable: no
END
cat >rsyncd.conf <<END
use chroot = no
[www]
path = $work/www
END
cat >slapd.conf <<END
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
suffix "dc=example"
directory $work/ldap
rootdn "cn=admin,dc=example"
rootpw word
END
printf 'dn: dc=example\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: example\n' >base.ldif
for i in $(seq 1 200); do
  printf '\ndn: cn=p%d,dc=example\nobjectClass: person\ncn: p%d\nsn: p%d\n' "$i" "$i" "$i" >>base.ldif
done

# ---- servers: `begin` starts one in the foreground, `ask` succeeds when it answers rightly ----

declare -A package=() job=()

fetch() { # PORT: the file, plain and compressed, over and over; all of it must be right
  local i
  for ((i = 0; i < 10; i++)); do
    curl -sf --noproxy '*' "http://127.0.0.1:$1/numbers" | cmp - www/numbers || return 1
    curl -sf --noproxy '*' --compressed "http://127.0.0.1:$1/numbers" | cmp - www/numbers || return 1
  done
}

package[nginx]=nginx-light job[nginx]='a file, plain and with gzip, 20 times; reload'
nginx_begin() { exec nginx -g 'daemon off;' -p "$work" -e "$work/nginx.err" -c "$work/nginx.conf"; }
nginx_ask() { fetch 8001 && kill -HUP "$pid" && fetch 8001; }

package[apache2]=apache2-bin job[apache2]='a file, plain and with gzip, 20 times; graceful restart'
apache2_begin() { exec apache2 -D FOREGROUND -f "$work/apache.conf"; }
apache2_ask() { fetch 8002 && kill -USR1 "$pid" && fetch 8002; }

package[lighttpd]=lighttpd job[lighttpd]='a file 20 times'
lighttpd_begin() { exec lighttpd -D -f "$work/lighttpd.conf"; }
lighttpd_ask() { fetch 8003; }

package[haproxy]=haproxy job[haproxy]='an answer of its own, plain and with gzip, 20 times'
haproxy_begin() { exec haproxy -db -f "$work/haproxy.cfg"; }
haproxy_ask() { fetch 8004; }

package[redis]=redis-server job[redis]='redis-benchmark, 2000 of each; a save'
redis_begin() { exec redis-server --port 8007 --bind 127.0.0.1 --dir "$work" --save ''; }
redis_ask() {
  redis-benchmark -q -p 8007 -n 2000 >benchmark && [[ $(redis-cli -p 8007 save) == OK ]] && [[ -s $work/dump.rdb ]]
}

package[memcached]=memcached job[memcached]='200 values set, and read again'
memcached_begin() { exec memcached -u nobody -p 8008 -l 127.0.0.1; }
memcached_ask() {
  local i
  exec 5<>/dev/tcp/127.0.0.1/8008 || return 1
  for ((i = 0; i < 200; i++)); do printf 'set k%d 0 0 %d\r\n%0*d\r\n' "$i" $((i + 10)) $((i + 10)) "$i" >&5; done
  for ((i = 0; i < 200; i++)); do printf 'get k%d\r\n' "$i" >&5; done
  printf 'quit\r\n' >&5
  [[ $(grep -c '^VALUE' <&5) == 200 ]]
}

package[postgres]=postgresql-15 job[postgres]='a cluster made by initdb; pgbench: 300 transactions of 4 clients'
postgres_begin() {
  local programs=/usr/lib/postgresql/15/bin
  rm -rf -- "$work/pg" && install -d -o postgres -m 700 "$work/pg"
  setpriv --reuid postgres --regid postgres --clear-groups "$programs/initdb" -A trust -D "$work/pg" >initdb 2>&1 || exit 1
  exec setpriv --reuid postgres --regid postgres --clear-groups "$programs/postgres" -D "$work/pg" -p 8009 -k "$work/pg"
}
postgres_ask() {
  local programs=/usr/lib/postgresql/15/bin
  "$programs/pgbench" -h 127.0.0.1 -p 8009 -U postgres -i -q postgres >benchmark 2>&1 &&
    "$programs/pgbench" -h 127.0.0.1 -p 8009 -U postgres -c 4 -j 2 -t 75 postgres >benchmark 2>&1 &&
    grep -q 'transactions actually processed: 300/300' benchmark
}

package[mariadb]=mariadb-server job[mariadb]='a new data directory; 65536 rows made, joined and counted'
mariadb_begin() {
  rm -rf -- "$work/my" && install -d -o mysql -m 700 "$work/my"
  mariadb-install-db --no-defaults --user=mysql --datadir="$work/my" --auth-root-authentication-method=normal \
    >install 2>&1 || exit 1
  exec mariadbd --no-defaults --user=mysql --datadir="$work/my" --port=8010 --bind-address=127.0.0.1 \
    --socket="$work/my/socket" --pid-file="$work/my/pid"
}
mariadb_ask() {
  local i sql='create database a; use a; create table t(a int, b text); insert into t values(1, repeat("x", 50));'
  for ((i = 0; i < 16; i++)); do sql+='insert into t select a + 1, b from t;'; done
  [[ $(mariadb --no-defaults -uroot -S "$work/my/socket" -N \
    -e "$sql select count(*), sum(length(b)) from t where a in (select distinct a from t);") == 65536$'\t'3276800 ]]
}

package[named]=bind9 job[named]='500 names of a zone of its own'
named_begin() { exec named -f -c "$work/named.conf"; }
named_ask() {
  seq 1 500 | sed 's/.*/h&.example.org A/' >questions
  [[ $(dig @127.0.0.1 -p 8005 +short -f questions | grep -c '^127.0.1.1$') == 500 ]]
}

package[unbound]=unbound job[unbound]='a name of its own, 100 times'
unbound_begin() { exec unbound -d -c "$work/unbound.conf"; }
unbound_ask() {
  for _ in $(seq 100); do echo 'h1.example.org A'; done >questions
  [[ $(dig @127.0.0.1 -p 8006 +short -f questions | grep -c '^127.0.1.1$') == 100 ]]
}

package[mosquitto]=mosquitto job[mosquitto]='a retained message of 17 KiB and its reader, 20 times'
mosquitto_begin() { exec mosquitto -p 8011; }
mosquitto_ask() {
  local i
  head -c 17000 www/numbers >message
  for ((i = 0; i < 20; i++)); do
    mosquitto_pub -h 127.0.0.1 -p 8011 -t "t$i" -r -f message || return 1
    mosquitto_sub -h 127.0.0.1 -p 8011 -t "t$i" -C 1 -N -W 10 | cmp - message || return 1
  done
}

package[slapd]=slapd job[slapd]='201 entries added, searched, one deleted'
slapd_begin() {
  rm -rf -- "$work/ldap" && mkdir "$work/ldap"
  exec slapd -d 0 -f "$work/slapd.conf" -h ldap://127.0.0.1:8012
}
slapd_ask() {
  local -a who=(-x -H ldap://127.0.0.1:8012 -D 'cn=admin,dc=example' -w word)
  ldapadd "${who[@]}" -f base.ldif >added && ldapdelete "${who[@]}" 'cn=p7,dc=example' &&
    [[ $(ldapsearch "${who[@]}" -LLL -b dc=example '(sn=p*)' | grep -c '^dn:') == 199 ]]
}

package[sshd]=openssh-server job[sshd]='three logins by key, a command with 20000 lines of output'
sshd_begin() {
  exec "$(type -P sshd)" -D -e -f /dev/null -p 8013 -h "$work/host" -o ListenAddress=127.0.0.1 -o StrictModes=no \
    -o "AuthorizedKeysFile=$work/user.pub" -o PidFile=none
}
sshd_ask() {
  local i
  for ((i = 0; i < 3; i++)); do
    ssh -F /dev/null -p 8013 -i user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes \
      root@127.0.0.1 'seq 1 20000; grep -c libmimalloc /proc/self/maps' </dev/null >session || true
    head -n 20000 session | cmp - www/numbers && [[ $(tail -n 1 session) == 0 ]] || return 1
  done
}

package[rsyncd]=rsync job[rsyncd]='a file copied, 10 times'
rsyncd_begin() { exec rsync --daemon --no-detach --port 8014 --address 127.0.0.1 --config="$work/rsyncd.conf"; }
rsyncd_ask() {
  local i
  for ((i = 0; i < 10; i++)); do
    rm -rf copy && rsync -a --port 8014 rsync://127.0.0.1/www copy && cmp copy/numbers www/numbers || return 1
  done
}

# ---- running them ----

version_of() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null || true; }

# A try of `ask` until it succeeds: how the server says that it is ready differs. 60 s at most.
answers() {
  local port=$1 end=$((SECONDS + 60))
  until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    kill -0 "$pid" 2>/dev/null && ((SECONDS < end)) || return 1
    read -r -t 0.2 <> <(:) || true
  done
  "${server}_ask" >asked 2>&1
}

# outcome PROFILE|none: what was reported, or how it failed without a report
outcome() {
  local profile=$1 reports=$work/reports faults='' status=0 port with
  port=$(declare -f "${server}_begin" "${server}_ask" | grep -oE '80[01][0-9]' | head -n 1)
  rm -f -- "$reports"
  : >"$reports"
  chmod 666 "$reports"
  (
    if [[ $profile != none ]]; then
      export MIMALLOC_PROFILE=$profile MIMALLOC_ON_VIOLATION=report MIMALLOC_REPORT=$reports LD_PRELOAD=$library
    fi
    "${server}_begin"
  ) >out 2>err </dev/null &
  pid=$!
  if ! answers "$port"; then faults='no right answer'; fi
  if [[ $profile != none && -z $faults ]]; then
    with=$(grep -c "$library" "/proc/$pid/maps") || true
    [[ $with != 0 ]] || faults='runs without the library'
  fi
  kill "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || status=$?
  pid=''
  case $status in 0 | 143) ;; *) faults+="${faults:+, }status $status" ;; esac
  if [[ -s $reports ]]; then
    faults+=${faults:+, }$(sed -n 's/.*"fault":"\([a-z-]*\)".*/\1/p' "$reports" | sort | uniq -c |
      awk '{ printf "%s%d %s", (NR > 1 ? ", " : ""), $1, $2 }')
  fi
  if [[ -n $faults && -n ${MIM_KEEP_REPORTS:-} ]]; then cat -- out err asked "$reports" >>"$MIM_KEEP_REPORTS" || true; fi
  echo "${faults:-nothing}"
}

if command -v ssh-keygen >/dev/null; then
  ssh-keygen -q -t ed25519 -N '' -f host
  ssh-keygen -q -t ed25519 -N '' -f user
fi
# shellcheck disable=SC2016
echo '| server | version | `default` | `strict` | what it was asked |'
echo '|---|---|---|---|---|'
for server in ${MIM_SERVERS:-nginx apache2 lighttpd haproxy redis memcached postgres mariadb named unbound mosquitto slapd \
  sshd rsyncd}; do
  version=$(version_of "${package[$server]}")
  if [[ -z $version ]]; then
    echo "| $server | not installed | - | - | |"
    continue
  fi
  without=$(outcome none)
  if [[ $without != nothing ]]; then
    echo "| $server | $version | fails without the library: $without | - | |"
    continue
  fi
  echo "| $server | $version | $(outcome default) | $(outcome strict) | ${job[$server]} |"
done
