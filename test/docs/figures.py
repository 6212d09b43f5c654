"""The figures in README.md are those of bench/results, and those in SECURITY.md those of docs/performance.md.

    figures.py TOP_OF_TREE
"""

import csv
import os
import re
import sys

TOP = sys.argv[1]


def read(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as file:
        return file.read()


def wanted():
    rows = {row["allocator"]: row for row in csv.DictReader(read("bench/results/detection.csv").splitlines())}
    cases = int(rows["default"]["cases"])
    yield f"{cases:,} cases of misuse"
    yield f"What allocators stop of {cases:,} cases"
    yield f"misses {int(rows['default']['missed']):,} and stops {round(100 * int(rows['default']['at_once']) / cases)} %"
    yield f"glibc misses {int(rows['glibc']['missed']):,}, scudo {int(rows['scudo']['missed']):,}"
    table = read("bench/results/table.md")
    cpu = table[table.index("## CPU time"):]
    columns = [cell.strip() for cell in re.search(r"^\| job (.*)\|$", cpu, re.M).group(1).split("|")]

    def mean(of):
        line = re.search(rf"^\| \*\*geometric mean, {of}\*\* (.*)\|$", cpu, re.M).group(1)
        return dict(zip(columns, (cell.strip(" *") for cell in line.split("|"))))

    all_jobs, programs = mean(r"all \d+"), mean(r"\d+ programs")
    yield f"takes {all_jobs['plain']} of the time of Debian's mimalloc, the secure one {all_jobs['secure']}"
    yield f"real programs among them {programs['secure']}."


def fence_and_wipe():
    """What they take together of a pair of small blocks: `default` without samples, less `fast`."""
    table = read("docs/performance.md")

    def pair(of):
        return int(re.search(rf"^\| {of} \| \d+[^|]*\| (\d+)", table, re.M).group(1))

    return pair("profile default") - pair("fast and sample")


text = " ".join(read("README.md").split())
wrong = [f"README.md does not say: {phrase}" for phrase in wanted() if phrase not in text]
said = re.search(r'"Fence and wipe" cost about (\d+) instructions', " ".join(read("SECURITY.md").split()))
if said is None or abs(int(said.group(1)) - fence_and_wipe()) > 5:
    wrong.append(f"SECURITY.md does not say: fence and wipe cost about {fence_and_wipe()} instructions")
for line in wrong:
    print(line)
sys.exit(bool(wrong))
