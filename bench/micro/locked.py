#!/usr/bin/env python3
"""Counts the locked instructions that a library executed, from what callgrind wrote with --dump-instr=yes.

usage: locked.py [--each-block] CALLGRIND_OUT LIBRARY.so

With --each-block, for each call that others made of its functions that allocate.

Locked: with a lock prefix, or an xchg with memory. They are what an atomic read-modify-write is on x86-64, and what a
processor needs a cache line for itself for, whether or not another one has it.
"""
import os
import re
import subprocess
import sys

NAME = re.compile(r"(c?fn|c?ob)=\((\d+)\)(?: (.*))?$")
ALLOCATES = re.compile(r"malloc|calloc|realloc|operator new")
COST = re.compile(r"(0x[0-9a-f]+|[+-]\d+|\*) (?:\d+|[+-]\d+|\*) (\d+)$")


def executed(path, library):
    """Of the library: {function: {address: executions}}, addresses as they were at run time; blocks allocated."""
    names, objects, functions = {}, {}, {}
    inside, callee_inside, function, callee, address, skip, blocks = False, False, None, "", 0, False, 0

    def is_library(number):
        return os.path.basename(os.path.realpath(objects[number])) == os.path.basename(library)

    for line in open(path, encoding="utf-8", errors="replace"):
        found = NAME.match(line)
        if found:
            kind, number, name = found.groups()
            table = objects if kind.endswith("ob") else names
            if name is not None:
                table[number] = name
            if kind == "ob":
                inside = callee_inside = is_library(number)
            elif kind == "cob":
                callee_inside = is_library(number)
            elif kind == "fn":
                function, callee_inside = names[number], inside
            else:
                callee = names[number]
        elif line.startswith("calls="):
            if not inside and callee_inside and ALLOCATES.search(callee):
                blocks += int(line.split()[0][len("calls=") :])
            callee_inside = inside
            skip = True  # the next line's cost is the callee's
        else:
            found = COST.match(line)
            if not found:
                continue
            where, count = found.groups()
            if where != "*":
                address = int(where, 16) if where.startswith("0x") else address + int(where)
            if not skip and inside:
                costs = functions.setdefault(function, {})
                costs[address] = costs.get(address, 0) + int(count)
            skip = False
    return functions, blocks


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def load_address(functions, library):
    """From a function whose first instruction was executed: any that is exported."""
    symbols = {}
    for line in output_of("nm", "-D", "--defined-only", library).splitlines():
        parts = line.split()
        if len(parts) == 3:
            symbols[parts[2].split("@")[0]] = int(parts[0], 16)
    for name, costs in functions.items():
        if name in symbols and (min(costs) - symbols[name]) % 4096 == 0:
            return min(costs) - symbols[name]
    sys.exit("locked.py: none of the exported functions of '%s' was executed" % library)


def locked_addresses(library):
    found = set()
    for line in output_of("objdump", "-d", "--no-show-raw-insn", library).splitlines():
        match = re.match(r"\s*([0-9a-f]+):\s+(lock\b.*|xchg\s.*\(.*)", line)
        if match:
            found.add(int(match.group(1), 16))
    return found


def main():
    arguments = sys.argv[1:]
    each = arguments[:1] == ["--each-block"]
    if len(arguments) != 2 + each:
        sys.exit("\n".join(line for line in __doc__.splitlines() if line.startswith("usage")))
    path, library = arguments[-2], os.path.realpath(arguments[-1])
    functions, blocks = executed(path, library)
    base = load_address(functions, library)
    locked = locked_addresses(library)
    count = sum(n for costs in functions.values() for at, n in costs.items() if at - base in locked)
    if not each:
        print(count)
    elif blocks > 0:
        print("%.3f" % (count / blocks))
    else:
        sys.exit("locked.py: nothing was allocated from '%s'" % library)


main()
