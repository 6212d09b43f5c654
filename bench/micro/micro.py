"""The pair measurements: by the clock (interleaved rounds) and by instructions (callgrind).

Called by pair.sh and instructions.sh; see there for the command line.
"""
import argparse
import csv
import os
import re
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BENCH = os.path.dirname(HERE)
sys.path.insert(0, BENCH)
import allocators  # noqa: E402
import report  # noqa: E402

BUILD = os.path.join(BENCH, "build")
PAIR = os.path.join(BUILD, "pair")
NO_BUILTINS = ["-fno-builtin-malloc", "-fno-builtin-calloc", "-fno-builtin-realloc", "-fno-builtin-free"]
EVENTS = ("Ir", "Dr", "Dw", "D1mr", "D1mw", "Bc", "Bcm")


def die(message):
    sys.stderr.write("%s: %s\n" % (os.environ.get("BENCH_PROGRAM", "micro.py"), message))
    sys.exit(2)


def build():
    """Compiles pair and the bump allocator when they are older than their sources."""
    os.makedirs(BUILD, exist_ok=True)
    compiler = os.environ.get("CC", "gcc")
    common = [compiler, "-O2", "-std=gnu11", "-Wall", "-Wextra"] + NO_BUILTINS
    for source, target, flags in (
        ("pair.c", PAIR, []),
        ("bump.c", os.path.join(BUILD, "bump.so"), ["-fPIC", "-shared", "-fvisibility=hidden"]),
    ):
        source = os.path.join(HERE, source)
        if os.path.exists(target) and os.path.getmtime(target) >= os.path.getmtime(source):
            continue
        subprocess.run(common + flags + ["-o", target, source], check=True)


def loop_arguments(args, order):
    result = ["--order", order, "--live", str(args.live)]
    return result + (["--touch"] if args.touch and order != "none" else [])


def save(rows, args):
    """The table as CSV, and its first figure by size as a plot, where that was asked for."""
    if args.csv:
        with open(args.csv, "w", newline="", encoding="utf-8") as f:
            csv.writer(f).writerows(rows)
    if args.svg:
        done = subprocess.run(
            ["gnuplot"], input=plot(rows, args), stderr=subprocess.PIPE, text=True, check=False
        )
        if done.returncode != 0:
            die("no plot: %s" % done.stderr.strip())


def plot(rows, args):
    """A gnuplot script: a line for each allocator, sizes along the axis, the first order measured."""
    names = list(dict.fromkeys(row[2] for row in rows[1:]))
    lines = []
    for i, name in enumerate(names):
        lines.append("$d%d << EOD" % i)
        lines += [
            '"%s" %s' % (row[1], row[3].split()[0])
            for row in rows[1:]
            if row[0] == args.orders[0] and row[2] == name and row[3] != "crash"
        ]
        lines.append("EOD")
    lines += [
        'set terminal svg size 720,420 font "sans-serif,12" background "white"',
        'set output "%s"' % args.svg,
        'set title "One malloc/free pair by size, freed in %s order"' % args.orders[0],
        'set xlabel "bytes"',
        'set ylabel "%s"' % rows[0][3],
        "set logscale y 2",
        "set grid ytics lc rgb '#dddddd'",
        "set border 3",
        "set tics nomirror",
        "set key outside right top",
        "set offsets 0.2, 0.2, 0, 0",
    ]
    plots = [
        "$d%d using 0:2:xtic(1) with linespoints pt 7 ps 0.6 lw 2 lc rgb '%s' title '%s'"
        % (i, report.colour(name, i), name)
        for i, name in enumerate(names)
    ]
    return "\n".join(lines + ["plot " + ", ".join(plots)]) + "\n"


def table(rows):
    """Plain columns: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join(cells))


def run_pair(command, allocator):
    return subprocess.run(command, env=allocator.environment(), capture_output=True, text=True, check=False)


# ---- by the clock ----


def clock_run(allocator, order, sizes, args):
    """One process: its fastest and its median repetition, in ns, and the cycles of the fastest."""
    command = [PAIR, "--sizes", sizes, "--pairs", str(args.pairs), "--repeat", "5"] + loop_arguments(
        args, order
    )
    done = run_pair(command, allocator)
    found = re.search(r"ns_min=(\S+) ns_median=(\S+) cycles_min=(\S+)", done.stdout)
    if done.returncode != 0 or not found:
        return None, done
    return tuple(float(x) for x in found.groups()), done


def clock(args, chosen):
    cases = [(order, sizes) for order in args.orders for sizes in args.sizes]
    results = {}
    loop = []
    for round_number in range(args.rounds):
        if sys.stderr.isatty():
            sys.stderr.write("\rround %d of %d" % (round_number + 1, args.rounds))
        loop.append(clock_run(allocators.Allocator("none", "", {}), "none", args.sizes[0], args)[0])
        for order, sizes in cases:
            for allocator in chosen:
                figures, done = clock_run(allocator, order, sizes, args)
                if figures is None:
                    sys.stderr.write(
                        "\n%s failed (exit %d): %s\n"
                        % (allocator.name, done.returncode, done.stderr.strip()[-200:])
                    )
                results.setdefault((order, sizes, allocator.name), []).append(figures)
    if sys.stderr.isatty():
        sys.stderr.write("\r%30s\r" % "")
    print(
        "one malloc/free pair, %d live; the loop itself takes %.2f ns of each figure"
        % (args.live, min(x[0] for x in loop))
    )
    rows = [["order", "sizes", "allocator", "ns", "ns median", "cycles"]]
    status = 0
    for order, sizes in cases:
        for allocator in chosen:
            figures = results[(order, sizes, allocator.name)]
            if None in figures:
                rows.append([order, sizes, allocator.name, "crash", "", ""])
                status = 1
                continue
            rows.append(
                [
                    order,
                    sizes,
                    allocator.name,
                    "%.2f" % min(x[0] for x in figures),
                    "%.2f" % statistics.median(x[1] for x in figures),
                    "%.1f" % min(x[2] for x in figures),
                ]
            )
    table(rows)
    save(rows, args)
    return status


# ---- by instructions ----


def count_run(allocator, order, sizes, pairs, args):
    """Totals of callgrind's events of one process, or None and what went wrong."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    if args.detail:
        command += ["--cache-sim=yes", "--branch-sim=yes"]
    command += [PAIR, "--repeat", "1", "--sizes", sizes, "--pairs", str(pairs)] + loop_arguments(args, order)
    done = run_pair(command, allocator)
    events = re.search(r"Events\s*:\s*(.*)", done.stderr)
    totals = re.search(r"Collected\s*:\s*(.*)", done.stderr)
    if done.returncode != 0 or not events or not totals:
        return None, done
    return dict(zip(events.group(1).split(), (int(x) for x in totals.group(1).split()))), done


def count_pair(allocator, order, sizes, args):
    """Events a pair: the difference of two lengths, so start-up and warm-up cancel out."""
    # Both lengths must have passed the allocator's own warm-up: batches that still open pages.
    short = args.live * 100
    totals = []
    for pairs in (short, 3 * short):
        total, done = count_run(allocator, order, sizes, pairs, args)
        if total is None:
            said = [line for line in done.stderr.splitlines() if line and not line.startswith("==")]
            sys.stderr.write(
                "%s under valgrind ended with %d: %s\n"
                % (allocator.name, done.returncode, said[-1] if said else "no message")
            )
            return None
        totals.append(total)
    return {event: (totals[1][event] - totals[0][event]) / (2 * short) for event in totals[0]}


def parse_limits(texts, chosen):
    limits = {}
    for text in texts:
        name, sign, number = text.partition("=")
        if not sign or not re.fullmatch(r"\d+(\.\d+)?", number):
            die("--limit %s: not NAME=INSTRUCTIONS" % text)
        if name not in [allocator.name for allocator in chosen]:
            die("--limit %s: no allocator of that name is measured" % text)
        limits[name] = float(number)
    return limits


def instructions(args, chosen):
    limits = parse_limits(args.limit, chosen)
    names = EVENTS if args.detail else EVENTS[:1]
    rows = [["order", "sizes", "allocator", "instructions"]]
    if args.detail:
        rows[0] += ["reads", "writes", "D1 read misses", "D1 write misses", "branches", "mispredicted"]
    status = 0
    for order in args.orders:
        for sizes in args.sizes:
            for allocator in chosen:
                events = count_pair(allocator, order, sizes, args)
                row = [order, sizes, allocator.name]
                if events is None:
                    status = 1
                    row += ["crash"] + [""] * (len(names) - 1)
                else:
                    row += ["%.1f" % events[names[0]]] + ["%.2f" % events[name] for name in names[1:]]
                    if allocator.name in limits and events["Ir"] > limits[allocator.name]:
                        status = 1
                        row[3] += " > %g" % limits[allocator.name]
                rows.append(row)
    print("one malloc/free pair, %d live; the loop itself takes 11 instructions of each figure" % args.live)
    table(rows)
    save(rows, args)
    return status


def main():
    parser = argparse.ArgumentParser(prog=os.environ.get("BENCH_PROGRAM", "micro.py"))
    parser.add_argument("mode", choices=("clock", "instructions"), help=argparse.SUPPRESS)
    parser.add_argument("allocators", nargs="*", help="NAME=PATH.so[,VARIABLE=VALUE...] or a known name")
    parser.add_argument(
        "--orders", default="lifo,random", help="of lifo, fifo, random (default: %(default)s)"
    )
    parser.add_argument(
        "--sizes", default="16-128", help="comma-separated sizes or ranges LOW-HIGH (default: %(default)s)"
    )
    parser.add_argument("--by-size", action="store_true", help="sizes 16 to 4096, one after the other")
    parser.add_argument("--live", type=int, default=1024, help="blocks at a time (default: %(default)s)")
    parser.add_argument("--touch", action="store_true", help="write the first and last byte of each block")
    parser.add_argument(
        "--rounds", type=int, default=5, help="clock: interleaved rounds (default: %(default)s)"
    )
    parser.add_argument("--pairs", type=int, default=1 << 20, help="clock: pairs a repetition")
    parser.add_argument("--detail", action="store_true", help="instructions: also memory, cache and branches")
    parser.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=N",
        help="instructions: fail when NAME needs more than N",
    )
    parser.add_argument("--csv", metavar="FILE", help="also write the table there")
    parser.add_argument("--svg", metavar="FILE", help="also draw it there, by size")
    args = parser.parse_intermixed_args()
    args.orders = args.orders.split(",")
    for order in args.orders:
        if order not in ("lifo", "fifo", "random"):
            die("--orders %s: not lifo, fifo or random" % order)
    args.sizes = args.sizes.split(",")
    if args.by_size:
        args.sizes = "16 32 48 64 96 128 256 512 1024 2048 4096".split()
    for sizes in args.sizes:
        if not re.fullmatch(r"\d+(-\d+)?", sizes):
            die("--sizes %s: not SIZE or LOW-HIGH" % sizes)
    if args.live < 1 or args.rounds < 1 or args.pairs < 1:
        die("--live, --rounds and --pairs are at least 1")
    build()
    texts = args.allocators
    if not texts:
        texts = [name for name in ("bump",) + allocators.DEFAULTS if allocators.known_path(name) is not None]
    try:
        chosen, _ = allocators.parse_all(texts)
    except ValueError as error:
        die(str(error))
    return (clock if args.mode == "clock" else instructions)(args, chosen)


if __name__ == "__main__":
    sys.exit(main())
