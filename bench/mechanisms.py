"""The cost of each mechanism, switched on alone. Called by mechanisms.sh with the library it has built."""
import argparse
import csv
import os
import re
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "micro"))
sys.dont_write_bytecode = True
import allocators  # noqa: E402
import micro  # noqa: E402
import runner as running  # noqa: E402
import suite  # noqa: E402

CSV_FILE = os.path.join(HERE, "results", "mechanisms.csv")
PAGE = os.path.join(os.path.dirname(HERE), "docs", "performance.md")
BEGIN = "<!-- mechanisms.sh: begin -->"
END = "<!-- mechanisms.sh: end -->"

FAST = ("page-guard", "large-seal")
MORE = (
    "fence",
    "wipe",
    "block-guard",
    "family",
    "sized",
    "sample",
    "quarantine",
    "isolate",
    "checked-memory",
    "fault-report",
)
# Pairs that are counted: a name, sizes, order of freeing.
PAIRS = (
    ("16-128 lifo", "16-128", "lifo"),
    ("16-128 random", "16-128", "random"),
    ("500 random", "500", "random"),
)
PROGRAMS = ("python", "sqlite", "gcc")


def die(message):
    sys.stderr.write("mechanisms.sh: %s\n" % message)
    sys.exit(2)


def settings(library):
    """Rows of the table: what they are, and the allocator that does just that."""

    def only(name, mechanisms):
        return allocators.Allocator(name, library, {"MIM_MECHANISMS": ",".join(mechanisms)})

    def profile(name):
        return allocators.Allocator("profile " + name, library, {"MIMALLOC_PROFILE": name})

    rows = [only("nothing", ())]
    rows += [only("%s alone" % name, (name,)) for name in FAST]
    rows += [profile("fast")]
    rows += [only("fast and %s" % name, FAST + (name,)) for name in MORE]
    return rows + [profile("default"), profile("strict")]


def progress(text):
    if sys.stderr.isatty():
        sys.stderr.write("\r%-100s\r" % text)


def count_instructions(rows):
    """Instructions of a pair by row and kind of pair."""
    micro.build()
    figures = {}
    for row in rows:
        for name, sizes, order in PAIRS:
            progress("instructions: %s, %s" % (row.name, name))
            arguments = argparse.Namespace(live=1024, touch=False, detail=False)
            events = micro.count_pair(row, order, sizes, arguments)
            if events is None:
                die("the pair loop fails with '%s'" % row.name)
            figures[row.name, name] = events["Ir"]
    progress("")
    return figures


def take_times(rows, rounds, scale):
    """CPU seconds of the programs by row: lists of one figure a round, in the same order for all."""
    jobs = suite.select(list(PROGRAMS))
    running.build(jobs)
    runner = running.Runner(scale, 1, 300)
    figures = {}
    try:
        for job in jobs:
            runner.prepare(job)
        for number in range(rounds + 1):  # round 0 warms up
            for job in jobs:
                for row in rows[number % len(rows) :] + rows[: number % len(rows)]:
                    progress("round %d of %d: %s, %s" % (number, rounds, job.name, row.name))
                    got = runner.run(job, row, number, sample=False)
                    if got["outcome"] != "ok":
                        die("%s with '%s': %s" % (job.name, row.name, got["outcome"]))
                    if number > 0:
                        figures.setdefault((row.name, job.name), []).append(got["cpu"])
    finally:
        runner.close()
    progress("")
    return figures


def percent(figures, name, program):
    """Median and spread of the ratios to `fast`, each of two runs of the same round, in percent."""
    base = figures["profile fast", program]
    ratios = sorted(100 * (a / b - 1) for a, b in zip(figures[name, program], base))
    return statistics.median(ratios), (ratios[-1] - ratios[0]) / 2


def time_cells(rows, times):
    cells = {}
    for row in rows:
        for program in PROGRAMS:
            if row.name == "profile fast":
                cells[row.name, program] = "%.2f s" % statistics.median(times[row.name, program])
            else:
                cells[row.name, program] = "%+.1f %% (%.1f)" % percent(times, row.name, program)
    return cells


# ---- the page ----


def between(text):
    found = re.search(re.escape(BEGIN) + r"\n(.*?)" + re.escape(END), text, re.S)
    if not found:
        die("%s has no lines '%s' and '%s'" % (PAGE, BEGIN, END))
    return found.group(1)


def old_time_cells(text):
    """The time columns that the page has already."""
    cells = {}
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in between(text).splitlines()]
    for line in lines[2:]:
        if len(line) == 1 + len(PAIRS) + len(PROGRAMS):
            for program, cell in zip(PROGRAMS, line[1 + len(PAIRS) :]):
                cells[line[0], program] = cell
    return cells


def page_table(rows, counts, cells):
    lines = [["switched on"] + [name for name, _, _ in PAIRS] + list(PROGRAMS)]
    lines.append(["---"] * len(lines[0]))
    for row in rows:
        line = [row.name]
        for name, _, _ in PAIRS:
            here, fast = counts[row.name, name], counts["profile fast", name]
            more = round(here) - round(fast)
            line.append("%.0f" % here if row.name == "profile fast" else "%.0f (%+d)" % (here, more))
        lines.append(line + [cells.get((row.name, program), "not measured") for program in PROGRAMS])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def old_times():
    """The times that the CSV has already: lists by row and program."""
    figures = {}
    if os.path.exists(CSV_FILE):
        with open(CSV_FILE, newline="", encoding="utf-8") as f:
            for line in csv.DictReader(f):
                if line["measure"] == "CPU seconds":
                    figures.setdefault((line["mechanisms"], line["what"]), []).append(float(line["value"]))
    return figures


def write_csv(rows, counts, times):
    os.makedirs(os.path.dirname(CSV_FILE), exist_ok=True)
    with open(CSV_FILE, "w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(["mechanisms", "measure", "what", "value"])
        for row in rows:
            for name, _, _ in PAIRS:
                writer.writerow([row.name, "instructions a pair", name, "%.1f" % counts[row.name, name]])
            for program in PROGRAMS:
                for value in times.get((row.name, program), ()):
                    writer.writerow([row.name, "CPU seconds", program, "%.3f" % value])


def main():
    parser = argparse.ArgumentParser(prog="mechanisms.sh")
    parser.add_argument("library", help=argparse.SUPPRESS)
    parser.add_argument("--no-time", action="store_true", help="count instructions only")
    parser.add_argument("--rounds", type=int, default=7, help="of the programs (default 7)")
    parser.add_argument("--scale", type=float, default=0.5, help="amount of the programs' work (default 0.5)")
    args = parser.parse_args()
    if args.rounds < 1:
        die("--rounds %d: at least 1" % args.rounds)
    if not 0.01 <= args.scale <= 100:
        die("--scale %g: from 0.01 to 100" % args.scale)
    with open(PAGE, encoding="utf-8") as f:
        text = f.read()
    rows = settings(args.library)
    cells = old_time_cells(text)
    counts = count_instructions(rows)
    times = old_times() if args.no_time else take_times(rows, args.rounds, args.scale)
    if not args.no_time:
        cells = time_cells(rows, times)
    table = page_table(rows, counts, cells)
    write_csv(rows, counts, times)
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(text.replace(BEGIN + "\n" + between(text) + END, BEGIN + "\n" + table + END))
    sys.stdout.write(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
