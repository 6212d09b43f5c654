#!/usr/bin/env bash
# Makes what is handed out: Debian packages, an archive, a bill of materials, checksums; and tries them.
# See --help. What is in each package is cmake/Package.cmake. The packages of CPack are packed once more here, with
# fixed dates and owners and in order, since CPack leaves the time of the build in them.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<END
usage: scripts/package.sh [--check] [--reproducible] [--lintian] [--trial] [--out DIR]

Installs what is missing from Debian, builds the release, and leaves in out/package: four .deb packages, a .tar.gz,
its bill of materials (SPDX 2.3), and SHA256SUMS.

  --lintian       then lintian: no error, no warning
  --reproducible  then a second build, from a copy of the source in another directory: every file is the same
  --trial         then, as root, in a Debian root of its own: install, run, read the manual, build programs, purge
  --check         all three
  --out DIR       leave the files in DIR, and build in DIR-build, instead of out/package
  --help          this text

SOURCE_DATE_EPOCH is the date in everything (without it: the commit's, or else the changelog's). The maintainer
is MI_PACKAGE_CONTACT, "Name <address>". The root of the trial comes from debootstrap's mirror, or from
MIM_DEBIAN_MIRROR, and is kept as an archive in \$XDG_CACHE_HOME.
END
}

lintian=no reproducible=no trial=no out=''
while (($# > 0)); do
  case $1 in
    --lintian) lintian=yes ;;
    --reproducible) reproducible=yes ;;
    --trial) trial=yes ;;
    --check) lintian=yes reproducible=yes trial=yes ;;
    --out)
      if (($# < 2)) || [[ -z $2 ]]; then usage_error "--out wants a directory"; fi
      out=$(realpath -m -- "$2")
      shift
      ;;
    --help | -h) usage; exit 0 ;;
    *) usage_error "unknown option '$1'" ;;
  esac
  shift
done
if [[ $trial == yes && $(id -u) != 0 ]]; then die "--trial makes a Debian root, for which it must run as root"; fi

root=$(repo_root)
out=${out:-$root/out/package}
if [[ -d $out && -n $(ls -A -- "$out") && ! -f $out/SHA256SUMS ]]; then
  die "$out has files that are not packages; it would be emptied"
fi
temp=''
make_temp temp
umask 022
if [[ -z ${SOURCE_DATE_EPOCH:-} ]]; then
  SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct 2>/dev/null) ||
    SOURCE_DATE_EPOCH=$(date -d "$(sed -n 's/^ -- .*>  //p' "$root/cmake/package/changelog.in")" +%s)
fi
[[ $SOURCE_DATE_EPOCH =~ ^[0-9]+$ ]] || usage_error "SOURCE_DATE_EPOCH wants seconds, not '$SOURCE_DATE_EPOCH'"
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC

quietly() {
  "$@" >"$temp/log" 2>&1 || { tail -n 40 "$temp/log" >&2; die "failed: $*"; }
}

# Builds the tree $1 in $2 and puts what is handed out into $3.
make_packages() {
  local source=$1 build=$2 to=$3 deb name version tree sodium
  local -a contact=()
  if [[ -n ${MI_PACKAGE_CONTACT:-} ]]; then contact=("-DMI_PACKAGE_CONTACT=$MI_PACKAGE_CONTACT"); fi
  rm -rf -- "$build" "$to"
  mkdir -p "$build" "$to"
  quietly cmake -S "$source" -B "$build" -DMI_PACKAGE=ON -DBUILD_TESTING=OFF -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_INSTALL_PREFIX=/usr "${contact[@]}"
  quietly cmake --build "$build" -j "$(job_count)"
  (cd "$build" && quietly cpack -G DEB)
  for deb in "$build"/*.deb; do
    rm -rf -- "$temp/deb"
    quietly dpkg-deb -R "$deb" "$temp/deb"
    # CPack adds scripts that call ldconfig; cmake/package/triggers asks dpkg for that already
    rm -f -- "$temp/deb/DEBIAN/postinst" "$temp/deb/DEBIAN/postrm"
    find "$temp/deb" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    quietly dpkg-deb --root-owner-group -Zxz -b "$temp/deb" "$to/$(basename "$deb")"
  done
  version=$(sed -n 's/^CMAKE_PROJECT_VERSION:[A-Z]*=//p' "$build/CMakeCache.txt")
  name=mimalloc-hardened-$version-linux-$(dpkg --print-architecture)
  tree=$build/tree/$name
  quietly cmake --install "$build" --prefix "$tree" --strip
  chmod -R u=rwX,go=rX "$tree"
  tar -C "$build/tree" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu \
    -cf - "$name" | gzip -9n >"$to/$name.tar.gz"
  sodium=none
  if grep -q '^ENTROPY:[A-Z]*=getrandom' "$build/CMakeCache.txt"; then :; else
    # shellcheck disable=SC2016  # dpkg-query's own words
    sodium=$(dpkg-query -W -f '${Version}' libsodium-dev)
  fi
  "$source/scripts/sbom.py" "$tree" mimalloc-hardened "$version" "$SOURCE_DATE_EPOCH" "$sodium" >"$to/$name.spdx.json"
  (cd "$to" && sha256sum -- *.deb *.tar.gz *.json >SHA256SUMS)
}

check_lintian() {
  lintian --fail-on error,warning --tag-display-limit 0 "$out"/*.deb >"$temp/lintian" 2>&1 ||
    { cat "$temp/lintian" >&2; die "lintian is not content with the packages"; }
  say "lintian: no error, no warning"
}

check_reproducible() {
  local other=$temp/some/other/place
  mkdir -p "$other"
  tar -C "$root" --exclude=./out --exclude=./.git -cf - . | tar -C "$other" -xf -
  # a compiler cache would hand out what the first build made
  CCACHE_DISABLE=1 make_packages "$other" "$other/b" "$temp/second"
  if ! diff -r "$out" "$temp/second"; then die "two builds in two directories differ, see above"; fi
  say "reproducible: a second build in another directory gave the same $(find "$out" -type f | wc -l) files"
}

# ---- the trial ----

# Runs the text $1 in the root; $2 says what failed.
# shellcheck disable=SC2016  # the shells it starts expand these
in_root() {
  unshare --mount --pid --fork -- bash -c '
    mount -t proc proc "$1/proc"
    exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 MANPAGER=cat \
      DEBIAN_FRONTEND=noninteractive bash -euo pipefail -c "$2"' bash "$temp/root" "$1" >"$temp/log" 2>&1 ||
    { tail -n 40 "$temp/log" >&2; die "the trial failed: $2"; }
}

# Everything in the root but caches, logs and the records of apt and dpkg.
list_root() {
  (cd "$temp/root" && find . -xdev \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./tmp -o -path ./trial \
    -o -path ./var/cache -o -path ./var/log -o -path ./var/lib/dpkg -o -path ./var/lib/apt -o -name __pycache__ \) \
    -prune -o -print) | sort
}

make_root() {
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/mimalloc-hardened/bookworm-trial.tar
  mkdir -p "$temp/root" "$(dirname "$cache")"
  if [[ ! -s $cache ]]; then
    say "Making a Debian root (once)"
    quietly debootstrap --variant=minbase bookworm "$temp/root" ${MIM_DEBIAN_MIRROR:+"$MIM_DEBIAN_MIRROR"}
    in_root 'apt-get install -y -q --no-install-recommends python3 binutils man-db gcc g++ libc6-dev make cmake pkg-config
      apt-get clean' "the tools could not be installed into the Debian root"
    tar -C "$temp/root" --numeric-owner -cf "$cache.new" .
    mv -- "$cache.new" "$cache"
  else
    tar -C "$temp/root" --numeric-owner -xf "$cache"
  fi
}

# shellcheck disable=SC2016
check_trial() {
  make_root
  mkdir "$temp/root/trial"
  cp -- "$out"/*.deb "$temp/root/trial/"
  cp -r -- "$root/test/install" "$temp/root/trial/install"
  list_root >"$temp/before"
  in_root 'apt-get install -y --no-install-recommends /trial/*.deb' 'the packages do not install'
  say "trial: installed"
  in_root '[[ $(mimalloc-run -- python3 -c "print(1)") == 1 ]]
    mimalloc-run -- python3 -c "print(open(\"/proc/self/maps\").read())" | grep -qF libmimalloc-secure.so.1' \
    'mimalloc-run does not run python3 with the library'
  say "trial: mimalloc-run runs python3 with the library"
  in_root 'man --warnings mimalloc-run 2>/trial/warnings | col -b >/trial/page
    [[ ! -s /trial/warnings ]] || { cat /trial/warnings; exit 1; }
    for word in NAME SYNOPSIS DESCRIPTION EXAMPLES --check; do
      grep -qF -e "$word" /trial/page || { echo "not in the page: $word"; head -n 20 /trial/page; exit 1; }
    done' 'man mimalloc-run'
  say "trial: man mimalloc-run reads, $(wc -l <"$temp/root/trial/page") lines without a warning"
  in_root 'cmake -S /trial/install/consumer -B /trial/b "-DPRODUCTS=mimalloc;mimalloc-secure"
    cmake --build /trial/b && ctest --test-dir /trial/b --output-on-failure --no-tests=error' \
    'programs with find_package(mimalloc 1.0)'
  say "trial: programs built with find_package run"
  in_root 'for name in mimalloc mimalloc-secure; do
      kind=plain; [[ $name != *-secure ]] || kind=secure
      version=$(pkg-config --modversion $name)
      cc -o /trial/p /trial/install/main.c $(pkg-config --cflags --libs $name) && /trial/p "$version" $kind
      cc -static -o /trial/p /trial/install/main.c $(pkg-config --static --cflags --libs $name) && /trial/p "$version" $kind
    done' 'programs with pkg-config'
  say "trial: programs built with pkg-config run, shared and static"
  in_root 'apt-get purge -y libmimalloc1 libmimalloc-secure1 libmimalloc-hardened-dev mimalloc-tools
    if dpkg-query -W -f "\${db:Status-Abbrev} \${Package}\n" "*mimalloc*" | grep -v "^un "; then exit 1; fi
    if ldconfig -p | grep mimalloc; then exit 1; fi' 'the packages do not purge'
  list_root >"$temp/after"
  diff "$temp/before" "$temp/after" >&2 || die "the trial failed: purging left or took the files above"
  say "trial: purged, nothing left behind"
}

need_commands cmake=cmake gcc=gcc make=make python3=python3 xz=xz-utils
need_packages dpkg-dev file libsodium-dev libc6-dev
if [[ $lintian == yes ]]; then need_commands lintian=lintian; fi
if [[ $trial == yes ]]; then need_commands debootstrap=debootstrap; fi
make_packages "$root" "$out-build" "$out"
say "made in $out:"
sed 's/^/  /' "$out/SHA256SUMS"
if [[ $lintian == yes ]]; then check_lintian; fi
if [[ $reproducible == yes ]]; then check_reproducible; fi
if [[ $trial == yes ]]; then check_trial; fi
