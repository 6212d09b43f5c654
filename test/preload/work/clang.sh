#!/bin/bash
# Real program: clang compiles a C file with optimisation, to code and to IR.
set -euo pipefail
n=60
if [[ $1 == long ]]; then n=600; fi
awk -v n="$n" 'BEGIN {
  for (i = 0; i < n; i++) {
    printf "int f%d(int* a, int n) { int s = %d; for (int i = 0; i < n; i++) { s = s * 31 + a[i] %% %d; ", i, i, i + 3
    printf "switch (s & 7) { case 0: s ^= i; break; case 1: s += a[0]; break; case 5: return s; } } return s; }\n"
  }
}' >f.c
clang -O2 -c f.c -o f.o
clang -O3 -S -emit-llvm -g f.c -o - | grep -vE '^(source_filename|; ModuleID|!.*DIFile)' | sha256sum
clang -O2 -S f.c -o - | grep -v '\.file' | sha256sum
