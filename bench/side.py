"""The two small measurements beside the suite: start-up (startup.sh) and mappings (maps.sh)."""
import argparse
import os
import re
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import allocators  # noqa: E402
import runner as running  # noqa: E402
import suite  # noqa: E402

PROGRAM = os.environ.get("BENCH_PROGRAM", "side.py")


def die(message):
    sys.stderr.write("%s: %s\n" % (PROGRAM, message))
    sys.exit(2)


def table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join([row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]))


# ---- start-up ----


def parse_limits(texts, names):
    limits = {}
    for text in texts:
        found = re.fullmatch(r"([^=]+)=(\d+(?:\.\d+)?)/(\d+)", text)
        if not found:
            die("--limit %s: not NAME=MILLISECONDS/KIB" % text)
        if found.group(1) not in names:
            die("--limit %s: no allocator of that name is measured" % text)
        limits[found.group(1)] = (float(found.group(2)), int(found.group(3)))
    return limits


def startup_runs(runner, chosen, command, runs):
    """Rows by allocator name, one run of each in turn; ends when a run does not end well."""
    rows = {allocator.name: [] for allocator in chosen}
    job = suite.Job("startup", "")
    for number in range(runs):
        for allocator in chosen[number % len(chosen) :] + chosen[: number % len(chosen)]:
            job.run = lambda scratch: suite.Run(command, output=None)
            row = runner.run(job, allocator, number, sample=False)
            if row["outcome"] != "ok":
                die("%s under %s: %s" % (command[0], allocator.name, row["outcome"]))
            rows[allocator.name].append(row)
    return rows


def startup(args, chosen):
    if chosen[0].path:
        chosen = [allocators.Allocator("none", "", {})] + chosen
    limits = parse_limits(args.limit, [allocator.name for allocator in chosen])
    runner = running.Runner(1.0, 1, 60)
    try:
        rows = startup_runs(runner, chosen, args.command.split(), args.runs)
    finally:
        runner.close()

    def median(name, field):
        return statistics.median(row[field] for row in rows[name])

    base = chosen[0].name
    lines = [["allocator", "ms", "more ms", "fastest", "CPU ms", "KiB", "more KiB", "page faults"]]
    status = 0
    for allocator in chosen:
        name = allocator.name
        more_ms = 1000 * (median(name, "wall") - median(base, "wall"))
        more_kib = median(name, "rss_kib") - median(base, "rss_kib")
        over = name in limits and (more_ms > limits[name][0] or more_kib > limits[name][1])
        status |= over
        lines.append(
            [
                name + (" (over its limit)" if over else ""),
                "%.3f" % (1000 * median(name, "wall")),
                "%+.3f" % more_ms,
                "%.3f" % (1000 * min(row["wall"] for row in rows[name])),
                "%.3f" % (1000 * statistics.median(row["cpu"] for row in rows[name])),
                "%d" % median(name, "rss_kib"),
                "%+d" % more_kib,
                "%d" % median(name, "faults"),
            ]
        )
    print("'%s', medians of %d interleaved runs; more: than %s" % (args.command, args.runs, base))
    table(lines)
    return int(status)


# ---- mappings ----


def maps(args, chosen):
    target = os.path.join(running.BUILD, "maps")
    sources = [os.path.join(HERE, "maps.c"), os.path.join(HERE, "workloads", "common.h")]
    running.compile_one(
        [os.environ.get("CC", "gcc"), "-O2", "-std=gnu11", "-Wall", "-Wextra"]
        + suite.NO_BUILTINS
        + ["-o", target, sources[0], "-lpthread"],
        target,
        sources,
    )
    steps = ("empty", "filled", "half", "eighth", "freed")
    lines = [
        ["allocator"]
        + ["%s: %s" % (step, what) for step in steps for what in ("mappings", "MiB")]
        + ["seconds"]
    ]
    status = 0
    for allocator in chosen:
        sys.stderr.write("%s ...\n" % allocator.name)
        done = subprocess.run(
            [target, str(args.mib)],
            env=allocator.environment(),
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        found = dict((line.split(" ", 1) for line in done.stdout.splitlines() if " " in line))
        line, seconds = [allocator.name], "-"
        for step in steps:
            match = re.match(r"mappings=(\d+) resident=(\d+) seconds=(\S+)", found.get(step, ""))
            line += list(match.groups()[:2]) if match else ["-", "-"]
            seconds = match.group(3) if match else seconds
        if done.returncode != 0:
            status = 1
            seconds = found.get("out-of-memory", "ended with %d" % done.returncode)
        lines.append(line + [seconds])
    print("%d MiB of blocks of 16 to 1,000 bytes" % args.mib)
    table(lines)
    return status


def main():
    parser = argparse.ArgumentParser(prog=PROGRAM)
    parser.add_argument("mode", choices=("startup", "maps"), help=argparse.SUPPRESS)
    parser.add_argument("allocators", nargs="*", metavar="ALLOCATOR")
    if "startup" in sys.argv[1:2]:
        parser.add_argument("--runs", type=int, default=200, help="of each allocator (default 200)")
        parser.add_argument("--command", default="true", help="what to start (default: true)")
        parser.add_argument(
            "--limit",
            action="append",
            default=[],
            metavar="NAME=MS/KIB",
            help="fail when NAME costs more than that over the first allocator",
        )
    else:
        parser.add_argument("--mib", type=int, default=4096, help="amount to fill (default 4096)")
    args = parser.parse_intermixed_args()
    if getattr(args, "runs", 1) < 1 or getattr(args, "mib", 1) < 1:
        die("--runs and --mib are at least 1")
    try:
        chosen, left_out = allocators.parse_all(args.allocators)
    except ValueError as error:
        die(str(error))
    for text in left_out:
        sys.stderr.write("%s: left out: %s\n" % (PROGRAM, text))
    try:
        running.build([])
        return startup(args, chosen) if args.mode == "startup" else maps(args, chosen)
    except running.BuildError as error:
        die("cannot compile:\n%s" % error)


if __name__ == "__main__":
    sys.exit(main())
