"""The figures in README.md are those of bench/results.

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


text = " ".join(read("README.md").split())
missing = [phrase for phrase in wanted() if phrase not in text]
for phrase in missing:
    print(f"README.md does not say: {phrase}")
sys.exit(bool(missing))
