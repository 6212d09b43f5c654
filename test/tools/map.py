#!/usr/bin/env python3
"""MIMALLOC_HEAP_MAP and scripts/mimalloc-heap-map: a program with a known heap, its map, and the picture.

usage: map.py SCRIPT LIBRARY plain|secure PROGRAM
"""

import glob
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

from checks import check, end, run

SCRIPT, LIBRARY, FORM, PROGRAM = sys.argv[1:]

with tempfile.TemporaryDirectory() as work:
    environment = {**os.environ, "LD_PRELOAD": LIBRARY, "MIMALLOC_HEAP_MAP": work + "/map", "MIMALLOC_SAMPLE_RATE": "5000"}
    ran = subprocess.run([PROGRAM], env=environment, capture_output=True, text=True, check=True)
    check("the program is quiet", ran.stderr == "", ran.stderr)
    numbers = ran.stdout.split()
    files = sorted(glob.glob(work + "/map.*"))
    check("a map for each process", files == sorted(f"{work}/map.{n}" for n in numbers), files, numbers)
    check("for the owner alone", all(os.stat(name).st_mode & 0o777 == 0o600 for name in files))
    with open(f"{work}/map.{numbers[0]}", encoding="ascii") as file:
        text = file.read()
    pages = [dict(zip(["size", "stride", "used"], map(int, found))) for found in
             re.findall(r"^page .* blocks size (\d+) stride (\d+) used (\d+) ", text, re.M)]
    count = sum(page["used"] for page in pages if 700 <= page["size"] <= 800)
    check("blocks of 700 bytes", 990 <= count <= 1010, count)  # but for a sample, which has a page of its own
    large = len(re.findall(r"^page .* large size 10[0-9]{5} ", text, re.M))
    check("large blocks", large == 2, large)
    sealed = len(re.findall(r"^page .* sealed size 10[0-9]{5} ", text, re.M))
    check("the freed large block is kept out of use", sealed <= (FORM == "secure"), sealed)
    tails = re.findall(r" tails ([0-9a-f]{128}) guards ([0-9a-f]{128})", text)
    guards = sum(bin(int(word, 16)).count("1") for pair in tails for word in pair)
    check("guards", guards >= len(pages) if FORM == "secure" else guards == 0, guards)
    opened = int(re.search(r" open (\d+) ", text).group(1))
    free = int(re.search(r" free ([0-9a-f]{128})", text).group(1), 16)
    covered = sum(map(int, re.findall(r"^page \S+ slices (\d+)", text, re.M)))
    if len(tails) == 1:
        not_free = 512 - bin(free).count("1") - (FORM == "secure")  # the last slice is a guard, and never free
        check("pages and free slices add up", covered == not_free and covered <= opened, covered, not_free, opened)

    drawn = run(SCRIPT, f"{work}/map.{numbers[0]}", "-o", work + "/map.svg")
    check("is drawn", drawn.returncode == 0 and drawn.stderr == "", drawn.stderr)
    titles = [node.text for node in xml.etree.ElementTree.parse(work + "/map.svg").iter() if node.tag.endswith("title")]
    check("every page is drawn", sum("blocks of" in title for title in titles) == len(pages), len(titles), len(pages))
    check("large blocks are drawn", sum(title.startswith("large block of 10") for title in titles) == 2)
    red = open(work + "/map.svg", encoding="ascii").read().count('width="2.4"') - 1  # one in the legend
    wanted = sum(bin(int(pair[0], 16)).count("1") for pair in tails)
    check("guards are drawn", red == wanted, red, wanted)

    for name, given, message in (
            ("no map", "hello\n", "not a heap map"),
            ("cut off", text[:text.rindex("end")], "it is not whole"),
            ("another version", text.replace("heap-map 1", "heap-map 7", 1), "version 7; this program reads version 1"),
            ("broken number", re.sub(r"slices \d+", "slices x", text, count=1), "'x' is not a number"),
            ("missing word", text.replace(" arena ", " "), "expected 'arena'")):
        refused = run(SCRIPT, "-", text=given)
        check(name, refused.returncode == 1 and message in refused.stderr and refused.stdout == "", refused.stderr)
    refused = run(SCRIPT, "/nowhere")
    check("no file", refused.returncode == 1 and "/nowhere: No such file" in refused.stderr, refused.stderr)
    refused = run(SCRIPT, "--segments", "none", "-")
    check("bad count", refused.returncode == 2 and "not 'none'" in refused.stderr, refused.stderr)

    environment["MIMALLOC_HEAP_MAP"] = work + "/nowhere/map"
    ran = subprocess.run([PROGRAM], env=environment, capture_output=True, text=True, check=True)
    check("says that it cannot", "cannot be written" in ran.stderr, ran.stderr)

print(f"heap map of {FORM}: {len(pages)} pages, {guards} guards")
end()
