#!/usr/bin/env python3
"""What the texts name is there: the tests of the table in SECURITY.md, every source in docs/architecture.md, and the
files that links of any text lead to.

usage: names.py BUILD_DIR TOP_OF_TREE

A test that exists is run with the others, so this passing with the rest of the suite says that each property holds.
"""

import os
import re
import subprocess
import sys

BUILD, TOP = sys.argv[1:]
failures = 0


def complain(*what):
    global failures
    failures += 1
    print("FAILED:", *what)


listed = subprocess.run(["ctest", "--test-dir", BUILD, "-N"], capture_output=True, text=True, check=True).stdout
tests = set(re.findall(r"^\s*Test\s*#\d+: (\S+)", listed, re.M))
if len(tests) < 100:
    complain(f"ctest -N lists {len(tests)} tests only")

with open(os.path.join(TOP, "SECURITY.md"), encoding="utf-8") as file:
    security = file.read()
rows = [line.split("|")[1:-1] for line in security.splitlines() if line.startswith("|")]
header = next((row for row in rows if row[-1].strip() == "test"), None)
properties = [row for row in rows if header and len(row) == len(header) and row is not header and "---" not in row[0]]
if len(properties) < 8:
    complain(f"SECURITY.md: {len(properties)} properties were found in its table")
named = 0
for row in properties:
    words = re.findall(r"`([^`]+)`", row[-1])
    if not words:
        complain(f"SECURITY.md: no test for: {row[0].strip()}")
    stem = ""
    for word in words:
        named += 1
        if word.startswith("."):  # another ending of the one before
            word = stem.rsplit(".", 1)[0] + word
        stem = word
        if word not in tests:
            complain(f"SECURITY.md: there is no test {word} (for: {row[0].strip()})")

with open(os.path.join(TOP, "docs/architecture.md"), encoding="utf-8") as file:
    architecture = file.read()
for directory in ("src", "src/override", "src/prim", "secure"):
    for name in sorted(os.listdir(os.path.join(TOP, directory))):
        if name.endswith(".c") and f"`{directory}/{name}`" not in architecture:
            complain(f"docs/architecture.md: does not say what {directory}/{name} is for")

texts = [name for name in subprocess.run(
    ["find", ".", "-name", "*.md", "-not", "-path", "./out/*", "-not", "-path", "./.git/*"], cwd=TOP,
    capture_output=True, text=True, check=True).stdout.split()]
links = 0
for text in texts:
    with open(os.path.join(TOP, text), encoding="utf-8") as file:
        body = re.sub(r"```.*?```", "", file.read(), flags=re.S)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", body):
        if re.match(r"[a-z]+:", target):
            continue
        links += 1
        if not os.path.exists(os.path.join(TOP, os.path.dirname(text), target)):
            complain(f"{text}: there is no {target}")

print(f"{named} tests of {len(properties)} properties, {links} links" if failures == 0 else f"{failures} failures")
sys.exit(failures > 0)
