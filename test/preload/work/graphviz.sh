#!/bin/bash
# Real program: dot and neato lay out graphs.
set -euo pipefail
n=60
if [[ $1 == long ]]; then n=500; fi
awk -v n="$n" 'BEGIN {
  print "digraph g {"
  for (i = 1; i < n; i++) { print i " -> " (i * 7 % n) "; " int(i / 2) " -> " i " [label=\"" i "\"];" }
  print "}"
}' >g.dot
dot -Tsvg g.dot | sha256sum
dot -Tplain g.dot | sed -n 1,5p
neato -Tplain -Gstart=1 g.dot | wc -l
