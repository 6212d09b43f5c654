"""The benchmark suite. run.sh is the way to call it; see there."""
import argparse
import os
import platform
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import allocators  # noqa: E402
import report  # noqa: E402
import runner as running  # noqa: E402
import suite  # noqa: E402

QUICK_SCALE, QUICK_ROUNDS, QUICK_TIMEOUT, QUICK_SECONDS = 0.08, 3, 20, 160


def die(message):
    sys.stderr.write("run.sh: %s\n" % message)
    sys.exit(2)


def positive(kind):
    def convert(text):
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError("'%s' is not a number" % text) from None
        if not 0 < value <= 100000:
            raise argparse.ArgumentTypeError("'%s' is not a number above 0" % text)
        return value

    return convert


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="run.sh",
        description="Measures allocators against each other, in interleaved rounds.",
        epilog="An allocator is NAME=PATH.so or one of %s, either with ,VARIABLE=VALUE for its environment "
        "(for example mine=./my.so,MIMALLOC_PROFILE=strict). Default: %s, as far as they are there."
        % (", ".join(allocators.KNOWN), ", ".join(allocators.DEFAULTS)),
    )
    parser.add_argument("allocators", nargs="*", metavar="ALLOCATOR")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="JOB",
        help="jobs by name, start of name or group (workloads, programs); may be repeated or "
        "separated by commas",
    )
    parser.add_argument(
        "--rounds",
        type=positive(int),
        help="rounds that count (default 5, with --quick 3 as far as time allows)",
    )
    parser.add_argument("--base", help="what ratios are to (default mimalloc if it is measured, else glibc)")
    parser.add_argument("--scale", type=positive(float), help="amount of work (default 1)")
    parser.add_argument(
        "--threads", type=positive(int), help="threads of threaded workloads (default: processors)"
    )
    parser.add_argument("--timeout", type=positive(int), help="seconds for one run (default 120)")
    parser.add_argument("--quick", action="store_true", help="everything, small, in under three minutes")
    parser.add_argument(
        "--out",
        help="directory for results (default bench/results; bench/results/quick or .../partial where the "
        "measurement is not the whole one)",
    )
    parser.add_argument("--list", action="store_true", help="show jobs and allocators, measure nothing")
    parser.add_argument("--packages", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_intermixed_args()
    args.only = [word for text in args.only for word in text.split(",") if word]
    args.rounds = args.rounds or (QUICK_ROUNDS if args.quick else 5)
    args.scale = args.scale or (QUICK_SCALE if args.quick else 1.0)
    args.threads = args.threads or os.cpu_count() or 1
    args.timeout = args.timeout or (QUICK_TIMEOUT if args.quick else 120)
    place = "quick" if args.quick else "partial" if args.only or args.scale != 1.0 else ""
    args.out = os.path.abspath(args.out or os.path.join(HERE, "results", place))
    return args


def show_list(jobs):
    print("Jobs:")
    for job in jobs:
        missing = job.missing()
        print(
            "  %-14s %-9s %s%s"
            % (job.name, job.group, job.about, " (missing: %s)" % ", ".join(missing) if missing else "")
        )
    print("Allocators:")
    for name in allocators.KNOWN:
        path = allocators.known_path(name)
        print(
            "  %-14s %s"
            % (
                name,
                path
                if path
                else "no preload"
                if path == ""
                else "not there: " + allocators.missing_hint(name),
            )
        )


def show_packages(jobs, texts):
    """For run.sh: what to install for this command line."""
    names = texts or list(allocators.PEERS)
    packages = ["gcc", "libc6-dev", "gnuplot-nox"]
    for job in jobs:
        packages += job.packages
    for name in names:
        packages += (
            [allocators.PACKAGES[name.split(",")[0]]] if name.split(",")[0] in allocators.PACKAGES else []
        )
    print("\n".join(sorted(set(packages))))


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "")
    except OSError:
        return ""


def about(args, chosen, rounds):
    return (
        "Measured on %s, %d processors, Linux %s; %d rounds, interleaved, scale %g, %d threads. "
        "Allocators: %s."
        % (
            processor() or platform.machine(),
            os.cpu_count() or 1,
            platform.release(),
            rounds,
            args.scale,
            args.threads,
            ", ".join(
                "%s%s"
                % (a.name, " (%s)" % ", ".join("%s=%s" % x for x in a.extra.items()) if a.extra else "")
                for a in chosen
            ),
        )
    )


def measure(args, jobs, chosen):
    base = args.base or (
        "mimalloc"
        if any(a.name == "mimalloc" for a in chosen)
        else "glibc"
        if any(a.name == "glibc" for a in chosen)
        else chosen[0].name
    )
    if base not in [a.name for a in chosen]:
        die("--base %s: not one of the allocators measured: %s" % (base, ", ".join(a.name for a in chosen)))
    os.makedirs(args.out, exist_ok=True)
    runner = running.Runner(args.scale, args.threads, args.timeout)

    def save(rows):
        report.write_rows(os.path.join(args.out, "runs.csv"), rows, running.FIELDS)

    try:
        for job in jobs:
            runner.prepare(job)
        rows = running.run_all(
            runner,
            jobs,
            chosen,
            args.rounds,
            base,
            not args.quick,
            QUICK_SECONDS if args.quick else None,
            save,
        )
    finally:
        runner.close()
    save(rows)
    results = report.Results(rows, jobs, [a.name for a in chosen], base)
    text = report.markdown(results, about(args, chosen, max(row["round"] for row in rows)))
    with open(os.path.join(args.out, "table.md"), "w", encoding="utf-8") as f:
        f.write(text)
    report.write_summary(os.path.join(args.out, "summary.csv"), results)
    trouble = report.write_plots(results, args.out)
    if trouble:
        sys.stderr.write("run.sh: no plots: %s\n" % trouble)
    print(
        "\n".join(
            ["CPU time, ratio to %s (its column in seconds)" % base] + report.metric_table(results, "cpu")
        )
    )
    print(
        "\n".join(
            ["", "Peak memory, ratio to %s (its column in MiB)" % base]
            + report.metric_table(results, "rss_kib")
        )
    )
    print("\nResults in %s: table.md, runs.csv, summary.csv, *.svg" % args.out)
    return 1 if any(row["outcome"] != "ok" for row in rows) else 0


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args = parse_arguments()
    try:
        jobs = suite.select(args.only)
        if args.packages:
            show_packages(jobs, args.allocators)
            return 0
        if args.list:
            show_list(jobs)
            return 0
        chosen, left_out = allocators.parse_all(args.allocators)
    except ValueError as error:
        die(str(error))
    for text in left_out:
        sys.stderr.write("run.sh: left out: %s\n" % text)
    for job in [job for job in jobs if job.missing()]:
        sys.stderr.write(
            "run.sh: left out: %s: no %s on this machine\n" % (job.name, ", ".join(job.missing()))
        )
        jobs.remove(job)
    if not jobs:
        die("no job is left to measure")
    try:
        running.build(jobs)
        return measure(args, jobs, chosen)
    except running.BuildError as error:
        die("cannot compile:\n%s" % error)
    except KeyboardInterrupt:
        sys.stderr.write("\nrun.sh: stopped; the rounds that were finished are in %s\n" % args.out)
        return 130


if __name__ == "__main__":
    sys.exit(main())
