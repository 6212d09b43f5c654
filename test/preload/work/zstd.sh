#!/bin/bash
# Real program: zstd with threads, high levels, long windows and a dictionary.
set -euo pipefail
n=60000
if [[ $1 == long ]]; then n=900000; fi
seq "$n" | awk '{ print $1, ($1 * 7919) % 10007, substr("abcdefghijklmnopqrstuvwxyz", 1 + $1 % 20) }' >text
for options in -1 '-19 -T1' '-6 -T2' '--long=27 -9'; do
  # shellcheck disable=SC2086 # options are words
  zstd -q -f $options text -o text.zst
  zstd -q -d -c text.zst | sha256sum
done
mkdir parts
split -l 500 text parts/p.
zstd -q --train parts/* -o dictionary --maxdict=16384
zstd -q -f -D dictionary parts/p.aa -o part.zst
zstd -q -d -D dictionary -c part.zst | sha256sum
