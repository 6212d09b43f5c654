#!/bin/bash
# Real program: g++ on a file full of templates; then the program it made, which throws, sorts, matches
# regular expressions and joins threads.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
depth=2 level=-O0
if [[ $1 == long ]]; then depth=24 level=-O2; fi
cp "$here/templates.cpp" .
/usr/bin/g++ -std=c++20 $level -frandom-seed=1 -DDEPTH=$depth -pthread templates.cpp -o templates
sha256sum templates
./templates
