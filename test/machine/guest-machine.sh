# shellcheck shell=bash
# The stages that change the whole machine: /etc/ld.so.preload over a reboot and its rescue, the initramfs, and the
# project's own tests on this kernel.

# shellcheck disable=SC2016  # the name of the section
preload_file() {
  run_block 'A whole machine: `/etc/ld.so.preload`' 2 # the canary
  block 'A whole machine: `/etc/ld.so.preload`' 3 >/trial/block
  bash -euo pipefail /trial/block >/trial/said
  grep works /trial/said
  [[ ! -e /etc/ld.so.preload ]] # its last line is the way back
  sed -i '/the way back/d' /trial/block
  bash -euo pipefail /trial/block
}

stage_canary() {
  try canary 'the canary and the file, as the guide has them; the file stays for the next boot' preload_file
}

# ---- the boot after ----

everywhere() { # PID 1 and every other process of user space, but for those that are static
  local pid without=''
  mapped 1
  for pid in /proc/[0-9]*; do
    pid=${pid#/proc/}
    [[ -n $(readlink "/proc/$pid/exe" 2>/dev/null) ]] || continue
    if [[ -r /proc/$pid/maps ]] && not_mapped "$pid" 2>/dev/null; then without+=" $(cat "/proc/$pid/comm")"; fi
  done
  [[ -z $without ]] || { echo "without the library:$without"; return 1; }
}

booted() {
  until_true 120 settled
  systemctl --failed --no-legend
  [[ -z $(systemctl --failed --no-legend) ]]
}
settled() { case $(systemctl is-system-running) in running | degraded) true ;; *) false ;; esac; }

used() {
  answers_login
  [[ $(login guest 'grep -c libmimalloc-secure /proc/self/maps') != 0 ]]
  [[ $(login guest 'sudo -n id -u') == 0 ]] # set-user-ID
  answers_http
  apt-get check
  perl -e 'print "works\n"' && python3 -c 'print("works")'
  su guest -c 'ls / >/dev/null'
  systemctl restart nginx ssh
  answers_login
}

no_reports() {
  journalctl -b -o cat >/trial/journal
  none grep 'mimalloc: violation' /trial/journal
}

# A library that fails as it starts, and the way back through the shell that was opened before.
rescued() {
  local status=0 shell
  cp /bin/busybox /root/busybox
  mkfifo /trial/orders
  /root/busybox sh </trial/orders &
  shell=$!
  exec 7>/trial/orders
  cp /etc/ld.so.preload /trial/ld.so.preload
  echo /trial/broken.so >/etc/ld.so.preload
  ls / || status=$?
  echo '/root/busybox rm /etc/ld.so.preload' >&7
  exec 7>&-
  wait "$shell"
  [[ $status == 134 ]]
  ls / >/dev/null
  cp /trial/ld.so.preload /etc/ld.so.preload
}

stage_preload() {
  try boot 'the machine boots with the file in place: every unit is up' booted
  try everywhere 'PID 1 and all other processes have the library' everywhere
  try used 'a login by key, sudo, su, apt-get, nginx, python3 and perl work' used
  try reports 'nothing was reported since the boot' no_reports
  try rescue 'a library that fails at start: ls ends with status 134, static busybox brings all back' rescued
  sync
  echo /trial/broken.so >/etc/ld.so.preload # the next boot must be rescued
}

rescued_boot() {
  [[ ! -e /etc/ld.so.preload ]]
  not_mapped 1
  booted
  answers_login
}

stage_rescue() {
  try boot 'a machine that no longer boots: the shell of the initramfs removes the file, and it boots' rescued_boot
}

# ---- initramfs ----

early() {
  grep ' yes$' /run/trial-initramfs
  grep -x 'init yes' /run/trial-initramfs # a script: the shell that runs it
  grep 'udev.* yes$' /run/trial-initramfs
  no_reports
  not_mapped 1 # the file of the initramfs is not the one of the root
  booted
}

stage_initramfs() {
  try boot 'an initramfs with the library preloaded: its shell and udevd have it, and the machine boots' early
}

# ---- tests ----

run_tests() {
  local directory tests
  # shellcheck source=/dev/null
  . /trial/machine.conf # directory, tests
  : "${directory:?}" "${tests:?}"
  ctest --test-dir "$directory" -j 2 -R "$tests" --output-on-failure --no-tests=error --timeout 3000 >/trial/ctest.log 2>&1 ||
    true
  tail -n 60 /trial/ctest.log
  grep -E 'tests passed' /trial/ctest.log >/trial/ctest.result
  grep -q ', 0 tests failed' /trial/ctest.result
}

stage_tests() {
  try ctest "the project's tests on this kernel" run_tests
  say "    $(cat /trial/ctest.result)"
  sed -n '/The following tests/,$p' /trial/ctest.log | sed 's/^/    /' >/dev/ttyS1
  cp /trial/ctest.log /trial/last-ctest.log
}
