#!/usr/bin/env python3
"""Writes the first seeds of the corpora: sequences of operations by pattern, for the fuzzers to grow from.

usage: grow.py TARGET DIRECTORY [COUNT]

TARGET is api, misuse, threads, corrupt or process. The names and codes of operations come from ops.h. What comes out depends on
nothing but the arguments.
"""
import os
import random
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TARGETS = {"api": "API", "misuse": "MISUSE", "threads": "THREADS", "corrupt": "CORRUPT",
           "process": "PROCESS"}

OPTIONS = re.findall(r"^OPTION\((\w+)", open(os.path.join(HERE, "../src/options.def")).read(), re.M)
PROFILE, REPORT, VIOLATION = (OPTIONS.index(name) for name in ("profile", "report", "on_violation"))
KINDS = re.findall(r"^  CALL_(\w+),", open(os.path.join(HERE, "faults.h")).read(), re.M)
WORDS = re.findall(r'"([^"]*)"', re.search(r"words\[\] = \{(.*?)\};", open(os.path.join(HERE, "ops_process.c")).read(), re.S)[1])


def operations():
    found = []
    for code, name, targets in re.findall(r"OP\((\d+), (\w+), ([A-Z_ |]+)\)", open(os.path.join(HERE, "ops.h")).read()):
        words = set(targets.replace("FOR_", "").split(" | "))
        if "SINGLE" in words:
            words |= {"API", "MISUSE", "CORRUPT", "PROCESS"}
        if "WRONG" in words:
            words |= {"MISUSE", "CORRUPT", "PROCESS"}
        if "ALL" in words:
            words |= set(TARGETS.values())
        found.append((int(code), name, words))
    return found


def op(code, slot, rng, a=None, b=None, c=None, d=None):
    return bytes([code, slot & 255] + [rng.randrange(256) if x is None else x for x in (a, b, c, d)])


def sequence(rng, ops, code_of, threads):
    out = [rng.randbytes(8)]
    thread = (lambda: rng.randrange(4) << 6) if threads else (lambda: 0)
    kind = rng.randrange(7)
    length = rng.choice((8, 20, 40, 80))
    if kind == 0:  # anything
        while len(out) < length:
            out.append(op(rng.choice(ops), rng.randrange(256), rng))
    elif kind == 1:  # one operation, again and again, among allocations
        chosen = rng.choice(ops)
        for i in range(length // 2):
            out.append(op(code_of[rng.choice(["alloc", "alloc", "alloc_zero", "alloc_new", "alloc_heap"])], i | thread(), rng))
            out.append(op(chosen, i | thread(), rng))
    elif kind == 2:  # fill and empty slots, in some size class
        a = rng.randrange(256)
        for i in range(64):
            out.append(op(code_of["alloc"], i | thread(), rng, a=a))
        for i in rng.sample(range(64), 40):
            out.append(op(rng.choice(ops), i | thread(), rng))
        for i in range(32):
            out.append(op(code_of["free"], i | thread(), rng))
    elif kind == 3:  # piles
        for i in range(length // 4):
            name = rng.choice(["pile_grow", "pile_grow", "pile_shrink", "collect", "heap_visit", "alloc", "free", "stats"])
            out.append(op(code_of[name], i | thread(), rng))
    elif kind == 5:  # blocks of a few sizes, freed and used again, with something done to them in between
        sizes = [(rng.randrange(256), rng.randrange(256)) for _ in range(2)]
        chosen = rng.choice(ops)
        for turn in range(5):
            for i in range(40):
                a, b = sizes[i % 2]
                out.append(op(code_of["alloc" if turn % 2 else "alloc_zero"], i | thread(), rng, a=a, b=b))
            for i in rng.sample(range(40), 4):
                out.append(op(chosen, i | thread(), rng))
            for i in range(40):
                out.append(op(code_of["free"], i | thread(), rng, c=0))
    elif kind == 6:  # large blocks
        for i in range(length // 2):
            name = rng.choice(["grow_large", "reuse_large", "reuse_large", "free", "realloc", "realloc_zero", "alloc_zero"])
            out.append(op(code_of[name], rng.randrange(8) | thread(), rng))
    else:  # heaps
        for i in range(1, 4):
            out.append(op(code_of["heap_new"], i | thread(), rng))
        for i in range(length):
            name = rng.choice(["alloc_heap", "alloc_heap", "alloc_heap_aligned", "realloc_heap", "free", "heap_visit",
                               "heap_delete", "heap_default", "heap_new", "ask", "pile_grow"] +
                              ([] if threads else ["heap_destroy"]))
            out.append(op(code_of[name], rng.randrange(64) | thread(), rng))
    return b"".join(out)


def variable(option, word, rng, code_of):
    return op(code_of["environment"], 0, rng, a=WORDS.index(word), c=option, d=2)


# What fuzz_process begins with: an environment, system calls that fail, or nothing special.
def beginning(rng, code_of):
    out = []
    for _ in range(rng.choice((0, 1, 2, 4))):
        out.append(op(code_of["environment"], 0, rng))
    if rng.random() < 0.3:
        out.append(variable(PROFILE, rng.choice(("strict", "fuzz")), rng, code_of))
    if rng.random() < 0.2:
        out.append(variable(REPORT, rng.choice(("json", "report.json")), rng, code_of))
    if rng.random() < 0.3:
        out.append(variable(VIOLATION, "report", rng, code_of))
    if rng.random() < 0.1:
        out.append(op(code_of["environment"], 0, rng, a=1, c=OPTIONS.index("max_errors"), d=0))
    if rng.random() < 0.15:
        out.append(op(code_of["environment"], 0, rng, a=1, c=OPTIONS.index("show_stats"), d=0))
    if rng.random() < 0.15:
        out.append(op(code_of["environment"], 0, rng, a=1, c=OPTIONS.index("purge_delay"), d=0))
        out.append(op(code_of["environment"], 0, rng, a=1, c=OPTIONS.index("arena_purge_mult"), d=0))
    for _ in range(rng.choice((0, 0, 1, 2))):
        out.append(op(code_of["deny"], rng.randrange(256), rng))
    if rng.random() < 0.05:
        out.append(op(code_of["deny"], KINDS.index("RANDOM"), rng, a=0, b=rng.choice((0, 1, 7)), c=1))
    if rng.random() < 0.2:
        out.append(op(code_of["deny"], KINDS.index("HUGE"), rng, a=rng.choice((0, 1)), b=200))
        out.append(op(code_of["facts"], 0, rng, a=4, c=rng.choice((2, 3, 4)), d=rng.choice((1, 2))))
    return out


# Threads, children and failing system calls among what a sequence does anyway.
def events(rng, code_of, out):
    for _ in range(rng.choice((1, 2, 5))):
        name = rng.choice(["fork", "thread", "thread", "access", "deny", "facts", "alloc_more", "sampling",
                           "overflow", "underflow", "collect"])
        out.insert(rng.randrange(len(out) + 1), op(code_of[name], rng.randrange(256), rng))


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in TARGETS:
        sys.exit(__doc__.strip())
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 60
    table = operations()
    known = TARGETS[sys.argv[1]]
    ops = [code for code, _, targets in table if known in targets]
    code_of = {name: code for code, name, _ in table}
    os.makedirs(sys.argv[2], exist_ok=True)
    rng = random.Random("seeds of " + sys.argv[1])
    for number in range(count):
        with open(os.path.join(sys.argv[2], f"grown-{number:03}"), "wb") as out:
            data = sequence(rng, ops, code_of, known == "THREADS")
            if known == "PROCESS":
                operations_of = [data[i:i + 6] for i in range(8, len(data), 6)]
                events(rng, code_of, operations_of)
                data = data[:8] + b"".join(beginning(rng, code_of) + operations_of)
            out.write(data)


main()
