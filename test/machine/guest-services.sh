# shellcheck shell=bash
# The stages that leave the machine as it is: packages, units, AppArmor, sysctl, a container.

# ---- packages ----

packages_install() {
  apt-get install -y -q --no-install-recommends /trial/packages/*.deb
  [[ $(/usr/bin/mimalloc-run -- python3 -c 'print(1)') == 1 ]]
  /usr/bin/mimalloc-run -- python3 -c 'print(open("/proc/self/maps").read())' >/trial/maps 2>/trial/complaints
  grep -F ' /usr/lib/x86_64-linux-gnu/libmimalloc-secure.so.1' /trial/maps
  [[ ! -s /trial/complaints ]]
  apt-get purge -y -q libmimalloc1 libmimalloc-secure1 libmimalloc-hardened-dev mimalloc-tools
  ldconfig -p | grep -v ' /usr/local/' >/trial/known
  none grep mimalloc /trial/known
}

kernel_guards() {
  mimalloc-run --check sort >/trial/said
  cat /trial/said
  grep -E '^preload: +takes effect' /trial/said
  grep -E '^guards: +by mprotect' /trial/said # a kernel before 6.13
}

# ---- units ----

nginx_unit() {
  run_block 'A systemd service' 1
  run_block 'A systemd service' 2 || true # no violation is to be found
  mapped "$(main_pid nginx)"
  pgrep -x nginx >/trial/nginx.pids
  (($(wc -l </trial/nginx.pids) >= 2))
  while read -r pid; do mapped "$pid"; done </trial/nginx.pids
  answers_http
  systemctl reload nginx
  sleep 2
  answers_http
  none reported nginx
}

# Where the guide says that reports of nginx are
reported() {
  case $1 in
    nginx) grep 'mimalloc: violation' /var/log/nginx/error.log ;;
    *) journalctl -u "$1" -o cat | grep 'mimalloc: violation' ;;
  esac
}

nginx_report() {
  local worker
  worker=$(pgrep -u www-data -x nginx | head -n 1)
  plant "$worker"
  reported nginx | grep -i 'double'
  kill -0 "$worker"
  answers_http
}

nginx_abort() {
  local worker
  sed -i /ON_VIOLATION/d /etc/systemd/system/nginx.service.d/mimalloc.conf
  systemctl daemon-reload
  systemctl restart nginx
  : >/var/log/nginx/error.log
  worker=$(pgrep -u www-data -x nginx | head -n 1)
  mapped "$worker"
  plant "$worker"
  until_true 30 not_alive "$worker"
  reported nginx | grep -i 'double'
  grep "$worker exited on signal 6" /var/log/nginx/error.log
  answers_http
}
not_alive() { none kill -0 "$1" 2>/dev/null; }

service_back() {
  rm "/etc/systemd/system/$1.service.d/mimalloc.conf"
  systemctl daemon-reload
  systemctl restart "$1"
  not_mapped "$(main_pid "$1")"
}

ssh_unit() {
  block 'A systemd service' 1 | sed 's/nginx/ssh/g' >/trial/block
  bash /trial/block
  systemctl daemon-reload
  systemctl restart ssh
  mapped "$(main_pid ssh)"
  answers_login
  [[ $(login guest 'grep -c libmimalloc /proc/self/maps || true') == 0 ]] # sessions do not have it
  none reported ssh
}

ssh_report() {
  local pid
  pid=$(main_pid ssh)
  plant "$pid"
  reported ssh | grep -i 'double'
  [[ $(main_pid ssh) == "$pid" ]]
  answers_login
}

ssh_abort() {
  local pid
  sed -i /ON_VIOLATION/d /etc/systemd/system/ssh.service.d/mimalloc.conf
  systemctl daemon-reload
  systemctl restart ssh
  pid=$(main_pid ssh)
  plant "$pid"
  until_true 30 not_alive "$pid"
  until_true 60 systemctl is-active ssh # the unit says Restart=on-failure
  answers_login
  journalctl -u ssh -o cat | grep -E 'status=6/ABRT'
}

unit_hardened() {
  local status=0
  cat >/etc/systemd/system/nginx.service.d/hardened.conf <<'UNIT'
[Service]
MemoryDenyWriteExecute=yes
SystemCallFilter=@system-service
NoNewPrivileges=yes
ProtectSystem=full
UNIT
  systemctl daemon-reload
  systemctl restart nginx || status=$?
  rm /etc/systemd/system/nginx.service.d/hardened.conf
  ((status == 0))
  mapped "$(main_pid nginx)"
  answers_http
}

stage_services() {
  try check 'mimalloc-run --check: the preload takes effect, guards are made by mprotect' kernel_guards
  try nginx 'the drop-in for nginx: master and workers have the library, 40 answers, a reload, no report' nginx_unit
  try nginx-report 'report mode: a double free in a worker is in the error log, and it goes on' nginx_report
  try nginx-abort 'without report mode: the worker ends with signal 6, and the next one answers' nginx_abort
  try hardened 'MemoryDenyWriteExecute, SystemCallFilter, NoNewPrivileges and ProtectSystem beside it' unit_hardened
  try nginx-back 'the way back: without the drop-in nginx has its old allocator' service_back nginx
  try sshd 'the drop-in for sshd: the daemon has the library, a login by key, sessions do not have it' ssh_unit
  try sshd-report 'report mode: a double free in sshd is in the journal, and it goes on' ssh_report
  try sshd-abort 'without report mode: sshd ends with signal 6, systemd starts it again, a login works' ssh_abort
  try sshd-back 'the way back' service_back ssh
  try sysctl 'the sysctl drop-in: the limit is the one of the file, and --check says so' sysctl_raised
}

sysctl_raised() {
  run_block 'sysctl: for older kernels only' 1
  [[ $(cat /proc/sys/vm/max_map_count) == 1048576 ]]
  mimalloc-run --check | grep 1048576
}

stage_packages() {
  try deb 'the .deb packages: installed, mimalloc-run runs python3 with the library, purged' packages_install
}

# ---- AppArmor ----

denials() { journalctl -b -k -o cat | grep 'apparmor="DENIED"'; }

confined() { # the master and the workers are under the profile, in enforce mode, with the library
  local pid
  for pid in $(pgrep -x nginx); do
    [[ $(cat "/proc/$pid/attr/current") == 'nginx (enforce)' ]]
    mapped "$pid"
  done
}

apparmor_nginx() {
  [[ $(cat /sys/module/apparmor/parameters/enabled) == Y ]]
  run_block 'A systemd service' 1
  run_block AppArmor 1
  run_block AppArmor 2 || true # it ends with a search that finds nothing
  systemctl daemon-reload
  systemctl restart nginx
  confined
  answers_http
  systemctl reload nginx
  sleep 2
  confined
  answers_http
  none denials
}

apparmor_report() {
  plant "$(pgrep -u www-data -x nginx | head -n 1)"
  reported nginx | grep -i 'double'
  answers_http
  none denials
}

# What the rules are good for: without them the library is refused, and that is in the log.
apparmor_without() {
  sed -i '/abstractions.mimalloc/d' /etc/apparmor.d/nginx
  apparmor_parser -r /etc/apparmor.d/nginx
  systemctl restart nginx
  not_mapped "$(main_pid nginx)"
  denials | grep libmimalloc-secure
}

stage_apparmor() {
  try nginx "nginx under an enforced profile with the guide's abstraction: the library is there, no denial" apparmor_nginx
  try report 'a double free under the profile is reported, no denial' apparmor_report
  try without 'without the abstraction the library is refused, and the kernel log says so' apparmor_without
  apparmor_parser -R /etc/apparmor.d/nginx # the stages that follow go without
  rm /etc/apparmor.d/nginx /etc/systemd/system/nginx.service.d/mimalloc.conf
}

# ---- a container ----

pod() { podman --log-level=error "$@"; }

container_runs() {
  pod load -i /trial/web.tar
  pod run -d --name web --network none localhost/web:1
  sleep 5
  pod exec web grep -c libmimalloc-secure /proc/1/maps
  # shellcheck disable=SC2016  # the shell in the container expands it
  pod exec web bash -c 'exec 3<>/dev/tcp/127.0.0.1/80; printf "GET / HTTP/1.0\r\n\r\n" >&3; cat <&3' | grep '200 OK'
  pod stop -t 20 web
  pod rm web
}

container_violation() {
  local status=0
  pod run --name bad --network none -v /trial/buggy:/buggy:ro localhost/web:1 /buggy a-name-that-is-too-long || status=$?
  [[ $status == 134 ]]
  pod logs bad 2>&1 | grep 'mimalloc: violation: overflow'
}

container_report() {
  pod run --rm --network none -e MIMALLOC_ON_VIOLATION=report -v /trial/buggy:/buggy:ro localhost/web:1 \
    /buggy a-name-that-is-too-long >/trial/said 2>&1
  grep 'mimalloc: violation: overflow' /trial/said
}

container_memory() { # reserved address space does not count
  pod run --rm --network none --memory 64m localhost/web:1 sh -c 'seq 1 100000 | sort -n | tail -n 1' | grep 100000
}

stage_container() {
  try run "podman runs the image of the guide's Dockerfile: nginx answers, with the library" container_runs
  try violation 'a buggy program in it ends with status 134, and the report is in the log' container_violation
  try report 'MIMALLOC_ON_VIOLATION=report: it is reported and goes on' container_report
  try memory '--memory 64m: sort runs with the library' container_memory
}
