#!/bin/bash
# What a conformance case prints to standard output is JSON, or XML, to a parser that is not ours.
# usage: parse.sh json|xml PROGRAM CASE     (exit code 77: there is no parser here)
set -euo pipefail

form=$1 program=$2 name=$3
command -v python3 >/dev/null || { echo "python3 is not there"; exit 77; }
case $form in
  json) parser=(python3 -m json.tool) ;;
  xml) parser=(python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.stdin)') ;;
  *) echo "'$form': expected json or xml" >&2; exit 2 ;;
esac
text=$("$program" "$name")
[[ -n $text ]] || { echo "$name printed nothing" >&2; exit 1; }
# the parser must not run on the library under test: LD_PRELOAD was for the program
LD_PRELOAD='' "${parser[@]}" <<<"$text" >/dev/null
