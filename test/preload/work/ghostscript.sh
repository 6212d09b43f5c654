#!/bin/bash
# Real program: Ghostscript turns PostScript into PDF, and that into pixels.
set -euo pipefail
n=6
if [[ $1 == long ]]; then n=60; fi
{
  echo '%!PS'
  for ((page = 1; page <= n; page++)); do
    echo "/Helvetica findfont 12 scalefont setfont 1 1 60 { dup 10 mul 40 exch moveto (page $page of text) show } for"
    echo "0 1 200 { dup 200 div setgray dup 2 mul 50 add 400 moveto 300 $page 10 mul add lineto stroke } for showpage"
  done
} >in.ps
gs -q -dBATCH -dNOPAUSE -dSAFER -sDEVICE=pdfwrite -o out.pdf in.ps
gs -q -dBATCH -dNOPAUSE -dSAFER -sDEVICE=pnggray -r60 -o 'page%02d.png' out.pdf
sha256sum page*.png
