"""From rows to results: ratios, tables, CSV and plots.

A ratio is that of an allocator's run to the base's run of the same job in the same round; what is shown is
the median over rounds. Runs that did not end well have no ratio: their cell says what happened, and means
say how many jobs they are made of when it is not all.
"""
import csv
import math
import os
import statistics
import subprocess
import sys
import types

METRICS = ("cpu", "wall", "rss_kib", "faults", "mappings")
TITLES = {
    "cpu": "CPU time (user and system)",
    "wall": "Wall time",
    "rss_kib": "Peak resident memory",
    "faults": "Page faults",
    "mappings": "Mappings (the most of one process; numbers, not ratios)",
}
ABOUT = {
    "cpu": "Ratio to %s; its own column is in seconds.",
    "wall": "Ratio to %s; its own column is in seconds.",
    "rss_kib": "Ratio to %s; its own column is in MiB.",
    "faults": "Ratio to %s; its own column is in thousands.",
}
COLOURS = {
    "glibc": "#7f7f7f",
    "plain": "#1f5fbf",
    "secure": "#c0392b",
    "fast": "#e67e22",
    "strict": "#8e44ad",
    "fuzz": "#34495e",
    "mimalloc": "#8fb8ed",
    "jemalloc": "#2e8b57",
    "tcmalloc": "#c9b037",
    "tbb": "#a0785a",
    "scudo": "#d98cb3",
}
SPARE_COLOURS = ("#17becf", "#bcbd22", "#ff9896", "#98df8a", "#c5b0d5")


class Results:
    """Rows of runs, with the questions that tables ask of them."""

    def __init__(self, rows, jobs, names, base):
        self.rows = rows
        self.jobs = jobs
        self.names = names
        self.base = base
        self.cells = {}
        for row in rows:
            self.cells.setdefault((row["job"], row["allocator"]), []).append(row)

    def timed(self, job, name):
        """The runs whose times count: all rounds but the one that only warms and counts mappings."""
        return [row for row in self.cells.get((job, name), ()) if row["round"] > 0]

    def trouble(self, job, name):
        """The first outcome that is not ok, None when all runs ended well."""
        rows = self.cells.get((job, name), [])
        if not rows:
            return "not run"
        return next((row["outcome"] for row in rows if row["outcome"] != "ok"), None)

    def values(self, job, name, metric):
        if metric == "mappings":
            return [row[metric] for row in self.cells.get((job, name), ()) if row[metric]]
        return [row[metric] for row in self.timed(job, name) if row["outcome"] == "ok"]

    def median(self, job, name, metric):
        values = self.values(job, name, metric)
        return statistics.median(values) if values else None

    def ratios(self, job, name, metric):
        """One for each round in which both ended well."""
        base = {row["round"]: row[metric] for row in self.timed(job, self.base) if row["outcome"] == "ok"}
        return [
            row[metric] / base[row["round"]]
            for row in self.timed(job, name)
            if row["outcome"] == "ok" and base.get(row["round"], 0) > 0
        ]

    def ratio(self, job, name, metric):
        ratios = self.ratios(job, name, metric)
        return statistics.median(ratios) if ratios else None

    def mean(self, jobs, name, metric):
        """Geometric mean of medians over the jobs that always ended well, and how many these are."""
        logs = []
        for job in jobs:
            ratio = self.ratio(job.name, name, metric)
            if ratio and self.trouble(job.name, name) is None and self.trouble(job.name, self.base) is None:
                logs.append(math.log(ratio))
        return (math.exp(sum(logs) / len(logs)) if logs else None), len(logs)


def absolute(value, metric):
    if value is None:
        return "-"
    if metric in ("cpu", "wall"):
        return "%.2f s" % value
    if metric == "rss_kib":
        return "%.1f" % (value / 1024)
    return "%.1f" % (value / 1000)


def cell(results, job, name, metric):
    trouble = results.trouble(job, name)
    if trouble is not None:
        return "**%s**" % trouble.split(":")[0]
    if metric == "mappings":
        values = results.values(job, name, metric)
        return str(max(values)) if values else "-"
    if name == results.base:
        return absolute(results.median(job, name, metric), metric)
    ratio = results.ratio(job, name, metric)
    return "%.2f" % ratio if ratio is not None else "-"


def groups_of(results):
    """The rows of means: all jobs, and each group when there are several."""
    found = [("all %d" % len(results.jobs), results.jobs)]
    for group, title in (("program", "programs"), ("workload", "workloads")):
        jobs = [job for job in results.jobs if job.group == group]
        if jobs and len(jobs) < len(results.jobs):
            found.append(("%d %s" % (len(jobs), title), jobs))
    return found


def mean_cell(results, jobs, name, metric):
    mean, count = results.mean(jobs, name, metric)
    if mean is None:
        return "-"
    return "**%.2f**" % mean + ("" if count == len(jobs) else " (of %d)" % count)


def metric_table(results, metric):
    lines = ["| job | " + " | ".join(results.names) + " |", "|---|" + "---:|" * len(results.names)]
    for job in results.jobs:
        lines.append(
            "| %s | %s |"
            % (job.name, " | ".join(cell(results, job.name, name, metric) for name in results.names))
        )
    if metric != "mappings":
        for title, jobs in groups_of(results):
            lines.append(
                "| **geometric mean, %s** | %s |"
                % (title, " | ".join(mean_cell(results, jobs, name, metric) for name in results.names))
            )
    return lines


def spread_note(results):
    """How far rounds differ: what a reader needs to judge differences by."""
    spreads = []
    for job in results.jobs:
        for name in results.names:
            ratios = results.ratios(job.name, name, "cpu")
            if name != results.base and len(ratios) > 1:
                spreads.append(max(ratios) / min(ratios) - 1)
    if not spreads:
        return "One round only: the figures say nothing about their own spread."
    spreads.sort()
    return (
        "Ratios of CPU time differ between rounds by %.0f %% in the median and "
        "%.0f %% for the noisiest tenth."
        % (100 * statistics.median(spreads), 100 * spreads[int(len(spreads) * 0.9)])
    )


def troubles(results):
    lines = []
    for row in results.rows:
        if row["outcome"] != "ok":
            lines.append(
                "* %s under %s, round %d: %s" % (row["job"], row["allocator"], row["round"], row["outcome"])
            )
    return ["## Runs that did not end well", ""] + lines + [""] if lines else []


def markdown(results, about):
    lines = ["# Benchmark results", "", about, "", spread_note(results), ""]
    for metric in METRICS:
        lines += ["## " + TITLES[metric], ""]
        if metric in ABOUT:
            lines += [ABOUT[metric] % results.base + " Medians over rounds; less is better.", ""]
        lines += metric_table(results, metric) + [""]
    lines += troubles(results)
    lines += ["## The jobs", ""] + ["* **%s**: %s" % (job.name, job.about) for job in results.jobs]
    return "\n".join(lines) + "\n"


# ---- files ----


def write_rows(path, rows, fields):
    with open(path, "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, fieldnames=fields)
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {key: "%.6f" % value if isinstance(value, float) else value for key, value in row.items()}
            )


def write_summary(path, results):
    with open(path, "w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(
            [
                "job",
                "group",
                "allocator",
                "metric",
                "outcome",
                "median",
                "ratio",
                "ratio_low",
                "ratio_high",
                "rounds",
            ]
        )
        for job in results.jobs:
            for name in results.names:
                for metric in METRICS:
                    ratios = results.ratios(job.name, name, metric) if metric != "mappings" else []
                    median = results.median(job.name, name, metric)
                    row = [
                        job.name,
                        job.group,
                        name,
                        metric,
                        results.trouble(job.name, name) or "ok",
                        "" if median is None else "%g" % median,
                    ]
                    row += (
                        ["%.4f" % x for x in (statistics.median(ratios), min(ratios), max(ratios))]
                        if ratios
                        else ["", "", ""]
                    )
                    writer.writerow(row + [len(ratios)])


# ---- plots ----


def colour(name, index):
    return COLOURS.get(name, SPARE_COLOURS[index % len(SPARE_COLOURS)])


def plot_bars(results, jobs, metric, title, target):
    """Clustered bars of ratios, as a gnuplot script with its data inside; None when there is no ratio."""
    limit = 2.6
    names = [
        name
        for name in results.names
        if name != results.base and results.mean(jobs, name, metric)[0] is not None
    ]
    if not names:
        return None
    lines = ["$data << EOD"]
    for job in jobs:
        ratios = [
            results.ratio(job.name, name, metric) if results.trouble(job.name, name) is None else None
            for name in names
        ]
        lines.append(
            '"%s" %s' % (job.name, " ".join("NaN" if r is None else "%.4f" % min(r, limit) for r in ratios))
        )
    means = [results.mean(jobs, name, metric)[0] for name in names]
    lines.append('"MEAN" %s' % " ".join("NaN" if m is None else "%.4f" % min(m, limit) for m in means))
    lines += [
        "EOD",
        'set terminal svg size %d,420 font "sans-serif,12" background "white"' % (200 + 74 * (len(jobs) + 1)),
        'set output "%s"' % target,
        'set title "%s, ratio to %s (less is better; cut off at %.1f)"' % (title, results.base, limit),
        "set style data histograms",
        "set style histogram clustered gap 1.5",
        "set style fill solid noborder",
        "set boxwidth 1.0",
        "set yrange [0:%.1f]" % limit,
        "set grid ytics lc rgb '#dddddd'",
        "set ytics 0.25 nomirror",
        "set xtics rotate by -35 nomirror scale 0",
        "set key outside right top vertical",
        "set border 3",
        "set arrow from graph 0, first 1 to graph 1, first 1 nohead lc rgb '#444444' dt 2 front",
    ]
    plots = [
        "$data using %d%s title '%s' lc rgb '%s'"
        % (i + 2, ":xtic(1)" if i == 0 else "", name, colour(name, i))
        for i, name in enumerate(names)
    ]
    return "\n".join(lines + ["plot " + ", \\\n  ".join(plots)]) + "\n"


# Where a label may stand at its point, best first: side, and up or down, in characters.
LABEL_PLACES = (("left", 0.8, 0.4), ("left", 0.8, -0.5), ("right", -0.8, 0.4), ("right", -0.8, -0.5),
                ("center", 0, -1.1), ("center", 0, 1.1))
LABEL_LETTER, LABEL_LINE = 7.5, 15  # pixels
OVERVIEW_WIDTH, OVERVIEW_HEIGHT = 530, 340  # of what lies between the axes, near enough


def place_labels(points, ranges):
    """For each (name, x, y, colour) a place of LABEL_PLACES where its text touches no point and no text before it."""
    (x_low, x_high), (y_low, y_high) = ranges
    dots = [((x - x_low) / (x_high - x_low) * OVERVIEW_WIDTH, (y - y_low) / (y_high - y_low) * OVERVIEW_HEIGHT)
            for _, x, y, _ in points]
    boxes = [(x - 10, y - 10, x + 10, y + 10) for x, y in dots]  # with some air
    places = []
    for (name, *_), (x, y) in zip(points, dots):
        found = []
        for place in LABEL_PLACES:
            align, right, up = place
            left = x + right * LABEL_LETTER - len(name) * LABEL_LETTER * {"left": 0, "center": 0.5, "right": 1}[align]
            low = y + (up - 0.5) * LABEL_LINE
            box = (left, low, left + len(name) * LABEL_LETTER, low + LABEL_LINE)
            touched = sum(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3]
                          for b, dot in zip(boxes, dots + [None] * len(boxes)) if dot != (x, y))
            found.append((touched + (left < 0), len(found), place, box))
        _, _, place, box = min(found)
        places.append(place)
        boxes.append(box)
    return places


def plot_overview(results, target):
    """Where each allocator stands: geometric means of time and memory."""
    points = []
    for i, name in enumerate(results.names):
        time_mean, memory_mean = (
            results.mean(results.jobs, name, "cpu")[0],
            results.mean(results.jobs, name, "rss_kib")[0],
        )
        if time_mean and memory_mean:
            points.append((name, time_mean, memory_mean, colour(name, i)))
    if not points:
        return None
    ranges = ((min(p[1] for p in points) - 0.1, max(p[1] for p in points) * 1.12 + 0.1),
              (min(p[2] for p in points) - 0.1, max(p[2] for p in points) + 0.1))
    lines = [
        'set terminal svg size 640,460 font "sans-serif,13" background "white"',
        'set output "%s"' % target,
        'set title "All jobs, geometric means, ratio to %s"' % results.base,
        'set xlabel "CPU time (less is better)"',
        'set ylabel "peak memory (less is better)"',
        "set border 3",
        "set tics nomirror",
        "set grid lc rgb '#dddddd'",
        "unset key",
        "set xrange [%.2f:%.2f]" % ranges[0],
        "set yrange [%.2f:%.2f]" % ranges[1],
    ]
    for (name, x, y, rgb), place in zip(points, place_labels(points, ranges)):
        lines.append(
            "set label '%s' at %.4f,%.4f %s point pt 7 ps 1.2 lc rgb '%s' offset %.1f,%.1f front"
            % (name, x, y, place[0], rgb, place[1], place[2])
        )
    return "\n".join(lines + ["plot NaN notitle"]) + "\n"


def write_plots(results, directory):
    """SVGs by gnuplot, in place of those of an earlier run; returns what went wrong, if anything did."""
    for name in os.listdir(directory):
        if name.endswith(".svg") and name.startswith(("time-", "memory-", "overview")):
            os.unlink(os.path.join(directory, name))
    scripts = []
    for group, title in (("program", "programs"), ("workload", "workloads")):
        jobs = [job for job in results.jobs if job.group == group]
        if jobs:
            scripts.append(
                plot_bars(
                    results, jobs, "cpu", "CPU time, " + title, os.path.join(directory, "time-%s.svg" % title)
                )
            )
            scripts.append(
                plot_bars(
                    results,
                    jobs,
                    "rss_kib",
                    "Peak memory, " + title,
                    os.path.join(directory, "memory-%s.svg" % title),
                )
            )
    scripts.append(plot_overview(results, os.path.join(directory, "overview.svg")))
    for script in (script for script in scripts if script is not None):
        done = subprocess.run(["gnuplot"], input=script, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            return done.stderr.strip()
    return None


# ---- plots of an earlier run, from its summary alone ----


class Summary:
    """What plots ask of Results, from summary.csv."""

    def __init__(self, path):
        with open(path, newline="", encoding="utf-8") as f:
            self.rows = list(csv.DictReader(f))
        self.names = list(dict.fromkeys(row["allocator"] for row in self.rows))
        self.jobs = [types.SimpleNamespace(name=job, group=group)
                     for job, group in dict.fromkeys((row["job"], row["group"]) for row in self.rows)]
        self.cells = {(row["job"], row["allocator"], row["metric"]): row for row in self.rows}
        self.base = next(name for name in self.names
                         if all(float(row["ratio"] or 1) == 1 for row in self.rows if row["allocator"] == name))

    def trouble(self, job, name):
        outcome = self.cells[job, name, "cpu"]["outcome"]
        return None if outcome == "ok" else outcome

    def ratio(self, job, name, metric):
        ratio = self.cells[job, name, metric]["ratio"]
        return float(ratio) if ratio else None

    mean = Results.mean


if __name__ == "__main__":
    if len(sys.argv) != 2 or not os.path.isfile(sys.argv[1]):
        sys.exit("usage: report.py DIRECTORY/summary.csv: draws the plots beside it anew, measures nothing")
    went_wrong = write_plots(Summary(sys.argv[1]), os.path.dirname(os.path.abspath(sys.argv[1])))
    if went_wrong:
        sys.exit("report.py: " + went_wrong)
