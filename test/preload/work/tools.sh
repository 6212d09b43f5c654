#!/bin/bash
# Real programs: the everyday tools, each of which allocates in its own way: sort with threads, xz with
# threads and large dictionaries, gzip, tar, awk, sed, find, diff, bc-like arithmetic in the shell itself.
set -euo pipefail
export LC_ALL=C TZ=UTC
lines=60000
if [[ $1 == long ]]; then lines=400000; fi
awk -v n="$lines" 'BEGIN { x = 1; for (i = 0; i < n; i++) { x = (x * 16807) % 2147483647; printf "%d %08x word%d\n", x, i, x % 1000 } }' >data
sort -n --parallel=2 -S 64M data >sorted
sort -k3,3 -k1,1n --parallel=4 -S 4M data | sha256sum
sha256sum sorted
uniq -c <(cut -d' ' -f3 sorted | sort) | sort -rn | sed -n 1,5p # not head: sort would die of SIGPIPE now and then
xz -T2 --block-size=1MiB -6 -k data
xz -dc data.xz | cmp - data
sha256sum data.xz
gzip -n -k data
gzip -dc data.gz | cmp - data
mkdir tree
split -l 2000 -a 4 data tree/part.
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf tree.tar tree
sha256sum tree.tar
find tree -type f -exec sed -n '1p' {} + | sort | sha256sum
diff <(head -n 3000 data) <(head -n 3000 sorted) | sha256sum || true
total=0
declare -A seen
while read -r a _ c; do
  seen[$c]=$((${seen[$c]:-0} + 1))
  total=$((total + a % 1000))
done < <(head -n 4000 data)
echo "$total ${#seen[@]}"
