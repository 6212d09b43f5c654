#!/usr/bin/env bash
# Tries the deployment guide on a machine: a virtual one with Debian 12, its kernel, systemd, AppArmor and podman.
# See --help. What happens in the machine is test/machine/guest*.sh, which takes the commands from docs/deployment.md.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

all_stages=(packages services apparmor canary preload panic rescue initramfs container tests)

usage() {
  cat <<END
usage: scripts/trial-machine.sh [--only STAGE]... [--packages DIR] [--accel kvm|tcg] [--tests REGEX] [--keep DIR]
       scripts/trial-machine.sh --list

As root: installs qemu and what else is missing from Debian, makes a Debian 12 root with debootstrap and the packages of
scripts/package.sh, boots it in qemu, and runs the steps of docs/deployment.md there. Prints a table of what passed.

  --only STAGE    this stage only; may be given more than once. canary, preload, panic and rescue belong together:
                  each goes on where the one before left the machine
  --packages DIR  what scripts/package.sh made; without it, it is made
  --accel kvm|tcg the processor as it is, or emulated; without it, kvm if a kernel starts with it
  --tests REGEX   the tests that the stage \`tests\` runs, by their names; without it:
                  $tests
  --keep DIR      leave the machine's disk and what it printed in DIR
  --list          the stages
  --help          this text

Status 0: every step passed. Nothing of this machine is changed but the Debian packages that were missing. The root is
kept as an archive in \$XDG_CACHE_HOME; MIM_DEBIAN_MIRROR is debootstrap's mirror.
END
}

list() {
  cat <<END
packages   the .deb packages installed, used and purged
services   drop-ins for nginx and sshd: run, report, abort, the way back; sysctl
apparmor   nginx under an enforced profile
canary     /etc/ld.so.preload: canary and file
preload    the boot after that; rescue by the shell that was left open; leaves a library that fails at start
panic      such a machine does not boot
rescue     it is brought back from the initramfs
initramfs  an initramfs with the library preloaded
container  the guide's image, built here and run by podman there
tests      this tree's tests, built here, on that kernel
END
}

chosen=() packages='' accel='' keep='' tests='^(unit|misuse|stress|conformance.shared-secure)[.]'
while (($# > 0)); do
  case $1 in
    --only)
      if (($# < 2)) || [[ " ${all_stages[*]} " != *" $2 "* ]]; then
        usage_error "--only wants a stage, not '${2:-}'; there are: ${all_stages[*]}"
      fi
      chosen+=("$2")
      shift
      ;;
    --packages) (($# > 1)) || usage_error "--packages wants a directory"; packages=$2; shift ;;
    --accel)
      case ${2:-} in kvm | tcg) accel=$2 ;; *) usage_error "--accel wants kvm or tcg, not '${2:-}'" ;; esac
      shift
      ;;
    --tests)
      if (($# < 2)) || [[ -z $2 ]]; then usage_error "--tests wants a regular expression for names of tests"; fi
      tests=$2
      shift
      ;;
    --keep)
      if (($# < 2)) || [[ -z $2 ]]; then usage_error "--keep wants a directory"; fi
      keep=$2
      shift
      ;;
    --list) list; exit 0 ;;
    --help | -h) usage; exit 0 ;;
    *) usage_error "unknown option '$1'" ;;
  esac
  shift
done
((${#chosen[@]} > 0)) || chosen=("${all_stages[@]}")
if [[ -n $packages ]]; then
  ls "$packages"/*.deb >/dev/null 2>&1 || usage_error "--packages: no packages in '$packages'"
  packages=$(realpath -- "$packages")
fi
[[ $(id -u) == 0 ]] || die "it makes a Debian root, for which it must run as root"

top=$(repo_root)
build=$top/out/machine
memory=2048
# words for the kernel: a machine that is emulated on a busy one is slow, and that is no failure
patience='mitigations=off systemd.show_status=0 systemd.default_timeout_start_sec=1200 udev.event_timeout=1200'
machine='' answering='' # the processes of qemu, and of what reads its console, while there are any
results=()
work='' # set by make_temp
make_temp work
stop_machine() {
  local pid
  for pid in $machine $answering; do kill "$pid" 2>/dev/null || true; done
  wait
}
at_exit stop_machine
if [[ -n $keep ]]; then
  mkdir -p -- "$keep"
  keep=$(realpath -- "$keep")
fi
export LC_ALL=C

wanted() { [[ " ${chosen[*]} " == *" $1 "* ]]; }

quietly() {
  "$@" >"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; die "failed: $*"; }
}

# ---- the root ----

# in_root TEXT: runs the text in the root
# shellcheck disable=SC2016  # the shells it starts expand these
in_root() {
  quietly unshare --mount --pid --fork -- bash -c '
    mount -t proc proc "$1/proc"; mount --bind /dev "$1/dev"
    exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
      DEBIAN_FRONTEND=noninteractive bash -euo pipefail -c "$2"' bash "$work/root" "$1"
}

root_packages='linux-image-cloud-amd64 initramfs-tools busybox systemd systemd-sysv dbus udev kmod procps sudo apparmor
  nginx-light openssh-server openssh-client curl gdb-minimal python3 perl binutils man-db cmake make gcc g++ libc6-dev
  podman crun iproute2 strace file libcmocka0'

# The base alone, for the container's image, is kept in the root as /base.tar.
make_root() {
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/mimalloc-hardened/bookworm-machine.tar
  mkdir -p "$work/root" "$(dirname "$cache")"
  if [[ ! -s $cache ]]; then
    say "Making a Debian root (once)"
    quietly debootstrap --variant=minbase bookworm "$work/root" ${MIM_DEBIAN_MIRROR:+"$MIM_DEBIAN_MIRROR"}
    tar -C "$work/root" --numeric-owner -cf "$work/base.tar" .
    in_root "apt-get install -y -q --no-install-recommends $(tr '\n' ' ' <<<"$root_packages")
      apt-get clean
      mkdir /trial
      cd /trial
      apt-get download busybox-static
      mv busybox-static_*.deb busybox-static.deb"
    mv -- "$work/base.tar" "$work/root/base.tar"
    tar -C "$work/root" --numeric-owner -cf "$cache.new" .
    mv -- "$cache.new" "$cache"
  else
    tar -C "$work/root" --numeric-owner -xf "$cache"
  fi
  mv -- "$work/root/base.tar" "$work/base.tar"
}

# What the stages find in the machine.
furnish() {
  local root=$work/root
  if wanted packages; then
    mkdir -p "$root/trial/packages"
    cp -- "$packages"/*.deb "$root/trial/packages/"
  fi
  cp -- "$top"/test/machine/guest*.sh "$top/docs/deployment.md" "$root/trial/"
  quietly cmake --install "$build" --prefix "$root/usr/local"
  cc -g -o "$root/trial/buggy" "$top/docs/examples/first/buggy.c"
  printf '#include <stdlib.h>\n__attribute__((constructor)) static void fail(void) { abort(); }\n' >"$work/broken.c"
  cc -shared -fPIC -o "$root/trial/broken.so" "$work/broken.c"
  ssh-keygen -q -t ed25519 -N '' -f "$root/trial/user"
  cat >"$root/etc/systemd/system/trial.service" <<'UNIT'
[Unit]
After=nginx.service ssh.service systemd-user-sessions.service
[Service]
Type=exec
ExecStart=/bin/bash /trial/guest.sh
KillMode=process
UNIT
  cat >"$root/etc/initramfs-tools/scripts/init-bottom/trial" <<'EARLY'
#!/bin/sh
[ "$1" != prereqs ] || exit 0
for maps in /proc/[0-9]*/maps; do
  have=no
  if grep -q libmimalloc-secure "$maps"; then have=yes; fi
  read -r name <"${maps%maps}comm"
  echo "$name $have" >>/run/trial-initramfs
done
EARLY
  chmod +x "$root/etc/initramfs-tools/scripts/init-bottom/trial"
  mkdir -p "$root/var/www/html"
  seq 1 20000 >"$root/var/www/html/numbers"
  echo '/dev/vda / ext4 defaults 0 1' >"$root/etc/fstab"
  echo machine >"$root/etc/hostname"
  echo '127.0.0.1 localhost machine' >"$root/etc/hosts"
  in_root "ldconfig
    systemctl enable nginx ssh
    ln -s /etc/systemd/system/trial.service /etc/systemd/system/multi-user.target.wants/trial.service
    useradd -m -s /bin/bash guest
    echo 'guest ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/guest
    install -d -o guest -m 700 /home/guest/.ssh
    install -o guest -m 600 /trial/user.pub /home/guest/.ssh/authorized_keys"
}

# Two images: as Debian makes it, and with the hook of the guide. Both with Debian's dynamic busybox; the static one,
# of the guide's rescue, takes its place afterwards.
make_initramfs() {
  local root=$work/root
  awk '/^## / { s = ($0 == "## Initramfs and early boot") } s && /^```/ { p = !p; next } s && p' \
    "$top/docs/deployment.md" >"$root/trial/hook"
  in_root 'update-initramfs -u
    cp -L /initrd.img /trial/initrd.plain
    bash -euo pipefail /trial/hook
    cp -L /initrd.img /trial/initrd.mimalloc
    dpkg -r --force-depends busybox
    dpkg -i /trial/busybox-static.deb'
  mv -- "$root/trial/initrd.plain" "$root/trial/initrd.mimalloc" "$work/"
  cp -- "$root"/boot/vmlinuz-* "$work/vmlinuz"
}

# ---- what is built here ----

make_image() {
  local context=$work/context
  local -a podman=(podman --root "$work/pod" --runroot "$work/podrun" --cgroup-manager cgroupfs --events-backend file)
  say "Building the image"
  mkdir -p "$context"
  tar -C "$top" --exclude=./out --exclude=./.git -cf - . | tar -C "$context" -xf -
  awk '/^```dockerfile/ { p = 1; next } /^```/ { p = 0 } p' "$top/docs/deployment.md" >"$context/Dockerfile"
  quietly "${podman[@]}" import "$work/base.tar" docker.io/library/debian:bookworm-slim
  quietly "${podman[@]}" build --isolation chroot --network host --pull=never -t localhost/web:1 "$context"
  quietly "${podman[@]}" save -o "$work/root/trial/web.tar" localhost/web:1
  quietly "${podman[@]}" rmi -a -f
}

make_build() {
  local testing=OFF
  if wanted tests; then testing=ON; fi
  say "Building in ${build#"$top/"}"
  quietly cmake -S "$top" -B "$build" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=$testing
  quietly cmake --build "$build" -j "$(job_count)"
}

# The tests are found by their absolute paths: the tree is at the same place in there.
take_tests() {
  mkdir -p "$work/root$top" "$work/root$build"
  tar -C "$top" --exclude=./out --exclude=./.git -cf - . | tar -C "$work/root$top" -xf -
  tar -C "$build" --exclude='*.o' -cf - . | tar -C "$work/root$build" -xf -
  # ten times the time, as the machine may be emulated
  find "$work/root$build" -name CTestTestfile.cmake -exec sed -i 's/TIMEOUT "\([0-9]*\)"/TIMEOUT "\10"/g' {} +
  printf 'directory=%q\ntests=%q\n' "$build" "$tests" >"$work/root/trial/machine.conf"
}

make_disk() {
  truncate -s 6G "$work/disk"
  quietly mkfs.ext4 -q -F -d "$work/root" "$work/disk"
  rm -rf -- "$work/root"
}

# ---- boots ----

# boot STAGE INITRD SECONDS WORDS: WORDS are for the kernel. What the stage said goes to $work/said.STAGE, the console
# to $work/console.STAGE. Status 0: the machine went down by itself in time.
boot() {
  local stage=$1 initrd=$2 limit=$3 words=$4 status=0
  # Without panic= the initramfs gives a shell, with it it does not.
  if [[ $words != break=* ]]; then words+=' panic=-1'; fi
  # Emulated, one processor, with few extensions: each brings a module of the kernel, and none is needed.
  local -a how=(-accel tcg -cpu 'qemu64,-svm' -smp 1)
  if [[ $accel == kvm ]]; then how=(-accel kvm -cpu host -smp 2); fi
  : >"$work/said.$stage"
  rm -f -- "$work/con.in" "$work/con.out"
  mkfifo "$work/con.in" "$work/con.out"
  answer "$stage" &
  answering=$!
  timeout "$limit" qemu-system-x86_64 "${how[@]}" -m "$memory" -display none -monitor none -no-reboot -nodefaults \
    -chardev "pipe,id=con,path=$work/con" -serial chardev:con -serial "file:$work/said.$stage" \
    -drive "file=$work/disk,if=virtio,format=raw,cache=unsafe" -kernel "$work/vmlinuz" -initrd "$work/$initrd" \
    -append "root=/dev/vda ro console=ttyS0 $patience trial.stage=$stage $words" \
    >"$work/qemu.log" 2>&1 &
  machine=$! # not in the foreground, where a signal to this script would wait for its end
  wait "$machine" || status=$?
  machine=''
  kill "$answering" 2>/dev/null || true
  wait "$answering" 2>/dev/null || true
  answering=''
  return "$status"
}

# Keeps what the console says. In the stage `rescue` it types what the guide says at the prompt of the initramfs.
answer() {
  local line='' char
  trap - EXIT INT TERM
  exec 8<>"$work/con.in" 9<>"$work/con.out"
  if [[ $1 != rescue ]]; then exec cat <&9 >"$work/console.$1"; fi
  while IFS= read -r -N 1 char <&9; do
    printf '%s' "$char" >>"$work/console.$1"
    if [[ $char == $'\n' ]]; then line=''; else line+=$char; fi
    if [[ $line == *'(initramfs) ' ]]; then
      sed -n 's/^(initramfs) //p' "$top/docs/deployment.md" >&8
      exec cat <&9 >>"$work/console.$1"
    fi
  done
}

# With KVM, a kernel without a root is at its panic within seconds, where it works.
choose_accel() {
  [[ -z $accel ]] || return 0
  accel=tcg
  if [[ -w /dev/kvm ]] && timeout 20 qemu-system-x86_64 -accel kvm -cpu host -m 512 -display none -nodefaults \
    -no-reboot -serial "file:$work/kvm" -kernel "$work/vmlinuz" -append 'console=ttyS0 panic=-1' &&
    grep -q 'Kernel panic' "$work/kvm"; then
    accel=kvm
  fi
} >"$work/log" 2>&1

# run_stage STAGE INITRD SECONDS WORDS: a boot, and its results
run_stage() {
  local stage=$1 status=0 line
  say "${c_bold}== $stage${c_off}"
  boot "$@" || status=$?
  while IFS= read -r line; do
    case $line in 'passed '* | 'failed '*) results+=("$line") ;; esac
    say "  $line"
  done < <(tr -d '\r' <"$work/said.$stage")
  if ! grep -q "^end $stage" "$work/said.$stage" || ((status != 0)); then
    results+=("failed $stage machine: it did not come to its end (status $status of qemu)")
    cat "$work/qemu.log" >&2
    tail -n 15 "$work/console.$stage" >&2 || true
  fi
}

run_panic() {
  local text='with a library that fails at start in the file the kernel panics, as the guide says'
  say "${c_bold}== panic${c_off}"
  boot panic initrd.plain 300 '' || true
  if grep -q 'Attempted to kill init' "$work/console.panic" && [[ ! -s $work/said.panic ]]; then
    results+=("passed panic boot: $text")
  else
    results+=("failed panic boot: $text")
  fi
}

run_all() {
  local stage
  for stage in "${all_stages[@]}"; do
    wanted "$stage" || continue
    case $stage in
      panic) run_panic ;;
      rescue) run_stage rescue initrd.plain 900 break=bottom ;;
      initramfs) run_stage initramfs initrd.mimalloc 900 '' ;;
      tests) run_stage tests initrd.plain 10800 '' ;;
      *) run_stage "$stage" initrd.plain 1800 '' ;;
    esac
  done
}

keep_all() {
  local file
  for file in "$work"/said.* "$work"/console.*; do
    if [[ -f $file ]]; then cp -- "$file" "$keep/"; fi
  done
  if [[ -f $work/disk ]]; then cp --sparse=always -- "$work/disk" "$work/vmlinuz" "$work"/initrd.* "$keep/"; fi
}

need_packages gcc g++ libc6-dev make cmake pkg-config libsodium-dev libcmocka-dev
need_commands qemu-system-x86_64=qemu-system-x86 debootstrap=debootstrap mkfs.ext4=e2fsprogs \
  ssh-keygen=openssh-client
if wanted container; then need_commands podman=podman crun=crun; fi
if wanted packages && [[ -z $packages ]]; then
  say "Making the packages"
  quietly "$top/scripts/package.sh" --out "$work/package"
  packages=$work/package
fi
make_build
make_root
furnish
make_initramfs
if wanted container; then make_image; fi
if wanted tests; then take_tests; fi
make_disk
if [[ -n $keep ]]; then at_exit keep_all; fi
choose_accel
say "The machine: Debian 12 in qemu, $accel"
run_all

printf '\n%s== What was tried%s\n' "$c_bold" "$c_off"
failed=0
for line in "${results[@]}"; do
  case $line in
    passed*) say "${c_green}${line%% *}${c_off} ${line#* }" ;;
    *) say "${c_red}${line%% *}${c_off} ${line#* }"; failed=$((failed + 1)) ;;
  esac
done
say "$((${#results[@]} - failed)) of ${#results[@]} passed"
((failed == 0))
