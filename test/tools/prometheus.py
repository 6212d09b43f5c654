#!/usr/bin/env python3
"""scripts/mimalloc-stats-prometheus: statistics of a real process, read back by the rules of the text form.

usage: prometheus.py SCRIPT LIBRARY
"""

import ctypes
import json
import re
import sys

from checks import check, end, run

SCRIPT, LIBRARY = sys.argv[1:]
SAMPLE = re.compile(r'([a-z_][a-z0-9_]*)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? (-?[0-9.]+)\Z')


library = ctypes.CDLL(LIBRARY)
library.mi_stats_get_json.argtypes = [ctypes.c_size_t, ctypes.c_char_p]
library.mi_stats_get_json.restype = ctypes.c_void_p
library.mi_malloc.restype = ctypes.c_void_p
for _ in range(300):
    library.mi_malloc(ctypes.c_size_t(1000))
buffer = ctypes.create_string_buffer(1 << 20)
check("there are statistics", library.mi_stats_get_json(len(buffer), buffer) is not None)
stats = json.loads(buffer.value)
result = run(SCRIPT, "--label", "job=te\"st", text=buffer.value.decode())
check("converts", result.returncode == 0 and result.stderr == "", result.stderr)

types, values, last = {}, {}, None
for line in result.stdout.splitlines():
    if line.startswith("# TYPE "):
        _, _, name, kind = line.split()
        check("one type for each", name not in types, name)
        types[name], last = kind, name
    elif not line.startswith("# HELP "):
        sample = SAMPLE.match(line)
        check("is a sample", sample is not None, line)
        if sample:
            check("samples of a metric stand together", sample.group(1) == last, line)
            check("once each", (sample.group(1), sample.group(2)) not in values, line)
            check("the label is there", 'job="te\\"st"' in (sample.group(2) or ""), line)
            values[sample.group(1), sample.group(2)] = float(sample.group(3))
check("counters end in _total", all((kind == "counter") == name.endswith("_total") for name, kind in types.items()))
job = 'job="te\\"st"'
for name in ("pages", "threads", "committed"):
    check(name, values.get((f"mimalloc_{name}", job)) == stats[name]["current"])
    check(name, values.get((f"mimalloc_{name}_total", job)) == stats[name]["total"])
check("generic_calls", values.get(("mimalloc_generic_calls_total", job)) == stats["generic_calls"]["total"])
by_size = [value for (name, _), value in values.items() if name == "mimalloc_page_bins"]
check("bins", sum(by_size) == sum(entry["current"] for entry in stats["page_bins"]) > 0, by_size)
check("seconds", values[("mimalloc_elapsed_seconds", job)] == stats["process"]["elapsed_msecs"] / 1000)

for name, arguments, text, status, message in (
        ("no JSON", [], "hello", 1, "standard input: "),
        ("other JSON", [], "{}", 1, "not statistics of mimalloc"),
        ("no file", ["/nowhere"], "", 1, "/nowhere: No such file"),
        ("bad label", ["--label", "a-b=c"], "{}", 2, "expected NAME=VALUE")):
    refused = run(SCRIPT, *arguments, text=text)
    check(name, refused.returncode == status and message in refused.stderr and refused.stdout == "", refused.stderr)

print(f"{len(values)} samples of {len(types)} metrics")
end()
