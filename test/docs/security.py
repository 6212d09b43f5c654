#!/usr/bin/env python3
"""Each property in SECURITY.md names tests that show it, and each of these is there and passes.

usage: security.py BUILD_DIR TOP_OF_TREE

Runs them itself, as ctest would, so that it holds whatever else of the suite is run or left out. A test that is
skipped shows nothing, and fails here.
"""

import json
import os
import re
import subprocess
import sys

BUILD, TOP = sys.argv[1:]
UNDERSTOOD = {"ENVIRONMENT", "LABELS", "PROCESSORS", "RUN_SERIAL", "SKIP_RETURN_CODE", "TIMEOUT", "WORKING_DIRECTORY"}
failures = 0


def complain(*what):
    global failures
    failures += 1
    print("FAILED:", *what)


def properties():
    """The rows of the table, as (what, names of tests)."""
    with open(os.path.join(TOP, "SECURITY.md"), encoding="utf-8") as file:
        rows = [line.split("|")[1:-1] for line in file if line.startswith("|")]
    header = next((row for row in rows if row[-1].strip() == "test"), None)
    for row in rows:
        if header is None or row is header or "---" in row[0] or len(row) != len(header):
            continue
        names, stem = [], ""
        for word in re.findall(r"`([^`]+)`", row[-1]):
            if word.startswith("."):  # another ending of the one before
                word = stem.rsplit(".", 1)[0] + word
            stem = word
            names.append(word)
        yield row[0].strip(), names, row


def run(test):
    """Runs one test as ctest does; what is wrong, or None."""
    settings = {entry["name"]: entry["value"] for entry in test.get("properties", [])}
    unknown = set(settings) - UNDERSTOOD
    if unknown or "command" not in test:
        return f"it cannot be run from here: {', '.join(sorted(unknown)) or 'it is not built'}"
    environment = dict(os.environ)
    environment.update(entry.split("=", 1) for entry in settings.get("ENVIRONMENT", []))
    try:
        ran = subprocess.run(test["command"], cwd=settings.get("WORKING_DIRECTORY", BUILD), env=environment,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             errors="replace", timeout=settings.get("TIMEOUT", 600), check=False)
    except subprocess.TimeoutExpired:
        return "it does not end"
    if ran.returncode == 0:
        return None
    if ran.returncode == settings.get("SKIP_RETURN_CODE"):
        return "it was skipped: " + ran.stdout[-500:]
    return f"status {ran.returncode}: " + ran.stdout[-2000:]


listed = subprocess.run(["ctest", "--test-dir", BUILD, "--show-only=json-v1"], capture_output=True, text=True, check=True)
tests = {test["name"]: test for test in json.loads(listed.stdout[listed.stdout.index("{"):])["tests"]}
table = list(properties())
if len(table) < 20:
    complain(f"SECURITY.md: {len(table)} properties were found in its table")
wanted = {}
for what, names, row in table:
    empty = [i for i, cell in enumerate(row) if not cell.strip() and i != 3]  # nothing that is not caught: may be
    if empty:
        complain(f"SECURITY.md: an empty cell in the row of: {what}")
    if not names:
        complain(f"SECURITY.md: no test for: {what}")
    for name in names:
        wanted.setdefault(name, what)
for name, what in wanted.items():
    wrong = run(tests[name]) if name in tests else "there is no such test"
    if wrong:
        complain(f"{name} (for: {what}): {wrong}")
print(f"{len(table)} properties, {len(wanted)} tests" if failures == 0 else f"{failures} failures")
sys.exit(failures > 0)
