#!/bin/bash
# Real program: gnuplot fits a curve and draws it.
set -euo pipefail
n=20000
if [[ $1 == long ]]; then n=200000; fi
awk -v n="$n" 'BEGIN { for (i = 0; i < n; i++) print i / n, 3 * i / n + sin(i / 50) }' >points
gnuplot 2>/dev/null <<'PLOT'
set terminal svg size 800,600
set output "plot.svg"
set fit quiet nolog
f(x) = a * x + b
fit f(x) "points" via a, b
set print "fit.txt"
print sprintf("%.4f %.4f", a, b)
plot "points" every 20 with points, f(x)
splot sin(x) * cos(y) with lines
PLOT
cat fit.txt
sha256sum plot.svg
