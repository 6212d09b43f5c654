#!/bin/bash
# The packages, built twice in two directories, are the same bit for bit; what is in them is what they say: checksums,
# and in the bill of materials every file of the archive. Bad options are told.
# usage: packages.sh TOP_OF_TREE
set -euo pipefail
top=$1
temp=$(mktemp -d)
trap 'rm -rf -- "$temp"' EXIT

dpkg-query -W libsodium-dev dpkg-dev file xz-utils >/dev/null 2>&1 ||
  { echo "libsodium-dev, dpkg-dev, file or xz-utils is not installed"; exit 77; }

fail() { echo "packages.sh: $*" >&2; exit 1; }

"$top/scripts/package.sh" --out "$temp/one" --reproducible >"$temp/log" 2>&1 || { cat "$temp/log" >&2; exit 1; }
grep -q '^reproducible: .* the same 7 files$' "$temp/log" || { cat "$temp/log" >&2; fail "not seven files twice"; }
(cd "$temp/one" && sha256sum --quiet --strict -c SHA256SUMS) || fail "checksums"
[[ $(wc -l <"$temp/one/SHA256SUMS") == 6 ]] || fail "SHA256SUMS does not name six files"

mkdir "$temp/tree"
tar -C "$temp/tree" --strip-components=1 -xzf "$temp/one"/*.tar.gz
python3 - "$temp/tree" "$temp/one"/*.spdx.json <<'END' || fail "bill of materials"
import hashlib, json, os, sys
tree, bill = sys.argv[1], json.load(open(sys.argv[2], encoding="utf-8"))
listed = {f["fileName"]: {c["algorithm"]: c["checksumValue"] for c in f["checksums"]}["SHA256"] for f in bill["files"]}
found = {}
for directory, _, names in os.walk(tree):
    for path in (os.path.join(directory, name) for name in names):
        if not os.path.islink(path):
            found["./" + os.path.relpath(path, tree)] = hashlib.sha256(open(path, "rb").read()).hexdigest()
assert listed == found and len(found) > 20, set(listed.items()) ^ set(found.items())
linked = [r for r in bill["relationships"] if r["relationshipType"] == "STATIC_LINK"]
assert len(linked) == 3, linked
END
if grep -rqF -e "$temp" -e "$top" "$temp/tree"; then fail "a file names the directory it was built in"; fi

# ---- what is refused ----
refuse() {  # MESSAGE WORDS...
  local message=$1
  shift
  if "$@" >"$temp/log" 2>&1; then fail "accepted: $*"; fi
  grep -qF -e "$message" "$temp/log" || { cat "$temp/log" >&2; fail "not told '$message': $*"; }
}
refuse "unknown option '--chek'" "$top/scripts/package.sh" --chek
refuse "--out wants a directory" "$top/scripts/package.sh" --out
refuse "it would be emptied" "$top/scripts/package.sh" --out "$temp/tree"
refuse "SOURCE_DATE_EPOCH wants seconds, not 'today'" env SOURCE_DATE_EPOCH=today "$top/scripts/package.sh" --out "$temp/x"
refuse "MI_PACKAGE_CONTACT=nobody is not of the form" env MI_PACKAGE_CONTACT=nobody "$top/scripts/package.sh" --out "$temp/x"
echo "packages: two builds are the same"
