#!/usr/bin/env python3
"""Writes docs/detection.md: what of the misuse suite the secure library stops, and what not, with the reason.

  detection.py write SUITE LIBRARY >docs/detection.md   runs every kind in four ways (some minutes)
  detection.py check SUITE FILE                         does the file still speak of the kinds there are?

SUITE is the program misuse-suite, LIBRARY libmimalloc-secure.so. Reasons come from the notes of expected-*.txt.
"""
import csv
import fnmatch
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
WAYS = [
    ("default", []),
    ("threads", ["--threads"]),
    ("strict", ["--env", "MIMALLOC_PROFILE=strict"]),
    ("fuzz", ["--env", "MIMALLOC_PROFILE=fuzz"]),
]
STOPPED = ("at-misuse", "at-free", "at-reuse", "at-exit")
GOOD = STOPPED + ("prevented",)
MARK = {"missed": "missed", "ignored": "no effect seen", "hung": "hung", "broken": "broken"}


def fail(text):
    sys.exit("detection.py: " + text)


def rows_of(way):
    rows = []
    with open(os.path.join(HERE, "expected-%s.txt" % way), encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                pattern, sizes, _, *rest = line.split(None, 4)
                rows.append((pattern, sizes, rest[1].strip() if len(rest) > 1 else ""))
    return rows


def within(size, sizes):
    if sizes == "all":
        return True
    low, dash, high = sizes.partition("-")
    if not dash:
        return size == int(low)
    return (not low or size >= int(low)) and (not high or size <= int(high))


def reason(tables, kind, size):
    for pattern, sizes, note in tables:
        if fnmatch.fnmatchcase(kind, pattern) and within(size, sizes):
            return note
    return ""


def run(suite, library):
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for way, options in WAYS:
            path = os.path.join(folder, way)
            subprocess.run([suite, "--preload", library, "--quiet", "--csv", path] + options, check=False,
                           stdout=subprocess.DEVNULL)
            with open(path, encoding="utf-8", errors="replace", newline="") as file:
                results[way] = [(row["kind"], int(row["size"]), row["outcome"]) for row in csv.DictReader(file)]
    return results


def spans(found, ran):
    """Sizes as a short list; runs of neighbours among those that ran become one."""
    ran = sorted(ran)
    if sorted(found) == ran:
        return "all"
    out, start = [], None
    for i, size in enumerate(ran + [None]):
        if size in found:
            start = i if start is None else start
        elif start is not None:
            a, b = ran[start], ran[i - 1]
            out.append("{:,}".format(a) if a == b else "{:,} to {:,}".format(a, b))
            start = None
    return "; ".join(out)


def write(suite, library):
    results = run(suite, library)
    kinds = len({kind for kind, _, _ in results["default"]})
    print("# Detection\n")
    print("What the misuse suite (`test/misuse`) finds: %d kinds of misuse, each at twelve sizes from 1 byte to 4 MiB, each" % kinds)
    print("case in a process of its own; alone in the profile `default`, the same among two threads that allocate and free,")
    print("and in the profiles `strict` and `fuzz`. Written by `test/misuse/detection.py`; what must hold is in")
    print("`test/misuse/expected-*.txt` and is tested by `ctest -R misuse`.\n")
    print("| | " + " | ".join(way for way, _ in WAYS) + " |")
    print("|---|" + "---|" * len(WAYS))
    labels = [("stopped at the misuse", "at-misuse"), ("stopped at a free", "at-free"), ("stopped at reuse", "at-reuse"),
              ("stopped at exit", "at-exit"), ("prevented", "prevented"), ("no effect seen, no word", "ignored"),
              ("missed", "missed"), ("hung or broken", None)]
    for label, outcome in labels:
        counts = []
        for way, _ in WAYS:
            wanted = (outcome,) if outcome else ("hung", "broken")
            counts.append(sum(1 for _, _, got in results[way] if got in wanted))
        print("| %s | %s |" % (label, " | ".join("{:,}".format(count) for count in counts)))
    ran = [sum(1 for _, _, got in results[way] if got != "not-available") for way, _ in WAYS]
    print("| **cases** | %s |\n" % " | ".join("{:,}".format(count) for count in ran))
    print("## Not stopped\n")
    print("Every kind that was neither stopped nor prevented, with its sizes and the reason. Where chance decides (which block")
    print("comes next), another run may differ by a size or two.\n")
    for way, _ in WAYS:
        tables = (rows_of(way) if way != "default" else []) + rows_of("default")
        print("### %s\n" % way)
        print("| kind | sizes | outcome | why |")
        print("|---|---|---|---|")
        by_kind = {}
        sizes_ran = {}
        for kind, size, got in results[way]:
            if got != "not-available":
                sizes_ran.setdefault(kind, set()).add(size)
                if got not in GOOD:
                    by_kind.setdefault((kind, got, reason(tables, kind, size)), set()).add(size)
        for (kind, got, why), sizes in by_kind.items():
            print("| `%s` | %s | %s | %s |" % (kind, spans(sizes, sizes_ran[kind]), MARK.get(got, got), why))
        print()


def check(suite, path):
    listed = subprocess.run([suite, "--list"], check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
    known = set(re.findall(r"^\s*([a-z-]+\.[a-z0-9-]+)", listed, re.M))
    with open(path, encoding="utf-8") as file:
        text = file.read()
    named = set(re.findall(r"^\| `([a-z0-9.-]+)` \|", text, re.M))
    count = re.search(r"finds: (\d+) kinds", text)
    if not named or not count:
        fail("'%s' is no table of detection" % path)
    if named - known:
        fail("'%s' names kinds that are gone: %s" % (path, ", ".join(sorted(named - known))))
    if int(count.group(1)) != len(known):
        fail("'%s' is about %s kinds, and there are %d: write it anew" % (path, count.group(1), len(known)))
    without = re.findall(r"^\| `([a-z0-9.-]+)` \|.*\|\s*\|$", text, re.M)
    if without:
        fail("'%s' gives no reason for: %s" % (path, ", ".join(without)))
    print("%d kinds, %d of them not stopped at every size in every way, each with a reason" % (len(known), len(named)))


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("write", "check"):
        sys.exit(__doc__.strip())
    (write if sys.argv[1] == "write" else check)(sys.argv[2], sys.argv[3])
