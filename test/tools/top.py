#!/usr/bin/env python3
"""scripts/mimalloc-top: what it says of a process at rest is what the library itself says; the process notices nothing;
what cannot be shown is refused with a reason.

usage: top.py SCRIPT LIBRARY plain|secure PROGRAM STATIC_PROGRAM|none OTHER_LAYOUT VERSION PROMETHEUS
"""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

from checks import check, end, run

SCRIPT, LIBRARY, FORM, PROGRAM, STATIC, OTHER, VERSION, PROMETHEUS = sys.argv[1:]
programs = []


def top(*arguments, **more):
    return run(SCRIPT, *arguments, **more)


def look(pid):
    done = top("--once", "--json", pid)
    check("looks", done.returncode == 0 and done.stderr == "" and done.stdout.count("\n") == 1, done)
    return json.loads(done.stdout)


class Program:
    """A program that waits for words."""

    def __init__(self, file=PROGRAM, library=LIBRARY, **environment):
        environment = {**os.environ, **environment}
        environment.pop("LD_PRELOAD", None)
        if library:
            environment["LD_PRELOAD"] = library
        self.process = subprocess.Popen([file], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        programs.append(self.process)
        self.pid = self.process.pid
        self.answer(b"\n")
        self.rest()

    def answer(self, end):
        text = b""
        while not text.endswith(end):
            ready, _, _ = select.select([self.process.stdout], [], [], 60)
            more = os.read(self.process.stdout.fileno(), 1 << 17) if ready else b""
            if not more:
                sys.exit(f"the program does not answer, after {text[-200:]}")
            text += more
        return text[:-len(end)].decode()

    def ask(self, word, end=b"\n"):
        os.write(self.process.stdin.fileno(), word.encode() + b"\n")
        text = self.answer(end)
        self.rest()
        return text

    def rest(self):
        """Until all its threads sleep."""
        for _ in range(3000):
            states = []
            for task in os.listdir(f"/proc/{self.pid}/task"):
                with open(f"/proc/{self.pid}/task/{task}/stat", encoding="ascii") as file:
                    states.append(file.read().rsplit(")", 1)[1].split()[0])
            if set(states) == {"S"}:
                return
            time.sleep(0.01)
        sys.exit(f"the program does not come to rest: {states}")

    def own(self):
        return json.loads(self.ask("stats", b"."))


def same(what, program):
    """Everything that mi_stats_get_json says, mimalloc-top says as well."""
    own, seen = program.own(), look(program.pid)
    process, seen_process = own.pop("process"), seen.pop("process")
    for key, value in own.items():
        other = seen.get(key)
        if isinstance(value, list) and isinstance(other, list) and len(value) == len(other):  # show what differs alone
            pairs = [pair for pair in enumerate(zip(other, value)) if pair[1][0] != pair[1][1]]
            other, value = dict(pairs), {}
        check(f"{what}: {key} is what the library says", other == value, other, value)
    for key in ("commit_current", "commit_peak"):
        check(f"{what}: {key}", process[key] == seen_process[key], process[key], seen_process[key])
    check(f"{what}: nothing else is named", set(seen) - set(own) == {"top"}, set(seen) ^ set(own))
    check(f"{what}: whole", seen["top"]["whole"])
    seen["process"] = seen_process
    return seen


def state_of(pid):
    """What would change if the process were disturbed: mappings, memory, faults, turns on a processor."""
    text = ""
    for name in ("maps", "statm", "status"):
        with open(f"/proc/{pid}/{name}", encoding="ascii", errors="replace") as file:
            text += file.read()
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        numbers = file.read().rsplit(")", 1)[1].split()[7:13]
    return [*(line for line in text.splitlines() if not line.startswith("SigQ")), *numbers]  # SigQ is the user's


def test_numbers(file, library, what):
    program = Program(file, library, MIMALLOC_ON_VIOLATION="report")
    seen = same(what, program)
    page = next(entry for entry in seen["top"]["bins"] if 700 <= entry["size"] <= 800)
    sampled = seen["guarded_blocks"]["current"]  # have large pages of their own
    check(f"{what}: blocks of 700 bytes", 1000 - sampled <= page["blocks"] <= 1000 and
          page["bytes"] == page["blocks"] * page["size"], page)
    small = next(entry for entry in seen["top"]["bins"] if 200 <= entry["size"] <= 240)
    check(f"{what}: the other thread's blocks", 500 - sampled <= small["blocks"] <= 510, small)
    large = seen["top"]["bins"][-1]
    check(f"{what}: large blocks", 3 <= large["blocks"] <= 3 + sampled and large["bin"] == seen["bin_count"] - 1, large)
    check(f"{what}: large blocks in use", seen["malloc_large"]["current"] == large["bytes"], large)
    held = seen["held"]["current"]
    check(f"{what}: the freed one is held", (held >= 1000000) == (FORM == "secure") and (held == 0) == (FORM == "plain") and
          held == seen["top"]["held_bytes"] and (held > 0) == (seen["top"]["held_blocks"] > 0), seen["top"])
    check(f"{what}: pages", sum(entry["pages"] for entry in seen["top"]["bins"]) == seen["pages"]["current"])
    threads = seen["top"]["threads"]
    check(f"{what}: threads", len(threads) == 2 and {program.pid} < {row["thread"] for row in threads}, threads)
    before = state_of(program.pid)
    look(program.pid)
    after = state_of(program.pid)
    check(f"{what}: is not disturbed", after == before, set(after) ^ set(before))
    program.ask("thread")
    more = same(f"{what}, after a thread", program)
    check(f"{what}: a thread came and went", more["threads"] == {"total": 3, "peak": 3, "current": 2}, more["threads"])
    if FORM == "secure":
        program.ask("twice")
        check(f"{what}: violations", same(f"{what}, after a violation", program)["violations"] == {"total": 1})
    return program


def test_texts(program):
    text = top("--once", program.pid).stdout
    name = os.path.basename(PROGRAM)[:15]
    check("text", re.match(rf"{re.escape(name)} \({program.pid}\): \S+ {re.escape(VERSION)}, ", text), text)
    check("text: bins", re.search(r"^ +7\d\d B +\d+ .* (1,000|99\d) ", text, re.M), text)
    check("text: threads", len(re.findall(rf"^ +\d+  {re.escape(name)} ", text, re.M)) == 2, text)
    check("by name", top("--once", name).stdout.split(":")[0] == text.split(":")[0])
    rows = [line.split() for line in top().stdout.splitlines()]
    check("listed", [row for row in rows if row[0] == str(program.pid)], rows)
    other = Program()
    both = " ".join(map(str, sorted((program.pid, other.pid))))
    said = top("--once", name).stderr
    check("two of a name", f"2 processes are named {name}; say which by its number: {both}\n" in said, said)
    found = subprocess.run([SCRIPT, "--once", "--json", str(program.pid)], capture_output=True, check=True).stdout
    found = subprocess.run([PROMETHEUS], input=found, capture_output=True, check=True).stdout.decode()
    check("for Prometheus", re.search(r"^mimalloc_pages [1-9]", found, re.M), found)


def completed(word):
    text = """source "$1"; COMP_WORDS=(mimalloc-top "$2"); COMP_CWORD=1; _mimalloc_top; echo "${COMPREPLY[*]}" """
    completion = os.path.join(os.path.dirname(SCRIPT), "completion", "mimalloc-top")
    return subprocess.run(["bash", "-c", text, "bash", completion, word], capture_output=True, text=True,
                          check=True).stdout.split()


def test_completion(program):
    check("completes options", completed("--") == ["--interval", "--once", "--json", "--help", "--version"])
    check("completes numbers", str(program.pid) in completed(str(program.pid)[0]))
    check("completes names", completed("tools-wat") == [os.path.basename(PROGRAM)], completed("tools-wat"))


def test_refusals(program):
    for arguments, text, status in (
            (["999999999"], "there is no process 999999999", 1), (["0"], "there is no process 0", 1),
            (["no-such-name"], "no process is named no-such-name", 1),
            (["--interval", "0", "1"], "expected seconds from 0.1 to 3600, not '0'", 2),
            (["--interval", "soon", "1"], "not 'soon'", 2), (["--json"], "--json wants a process", 2),
            (["--nonsense"], "unrecognized arguments: --nonsense", 2)):
        done = top(*arguments)
        check(f"refuses {arguments}", done.returncode == status and text in done.stderr and done.stdout == "", done)
    bare = Program(library="")
    done = top("--once", bare.pid)
    check("refuses what has no library", done.returncode == 1 and "has no allocator of ours in it" in done.stderr, done)
    done = top("--once", Program(library=OTHER).pid)
    check("refuses another layout", done.returncode == 1 and
          f"whose numbers have layout 4711; this is mimalloc-top {VERSION}, which reads layout 1" in done.stderr, done)
    for number in range(1, 6):
        done = top("--once", Program(library=OTHER.replace("other-layout", f"nonsense-{number}")).pid)
        check(f"refuses nonsense {number}", done.returncode == 1 and done.stderr.startswith("mimalloc-top: ") and
              done.stderr.count("\n") == 1 and "\x1b" not in done.stderr, done)
    if os.geteuid() == 0:
        done = top("--once", program.pid, user=65534, group=65534, extra_groups=[])
        check("refuses without rights", done.returncode == 1 and "may not be read" in done.stderr, done)


def test_end():
    program = Program()
    watch = subprocess.Popen([SCRIPT, "--json", "--interval", "0.1", str(program.pid)], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    lines = [json.loads(watch.stdout.readline()) for _ in range(3)]
    check("rates of an interval", lines[2]["top"]["rates"]["generic_calls"] == 0 and lines[2]["top"]["seconds"] >= 0.1,
          lines[2]["top"])
    program.process.kill()
    program.process.wait()
    _, said = watch.communicate(timeout=60)
    check("the process ends", watch.returncode == 0 and said == f"mimalloc-top: process {program.pid} has ended\n", said)
    program = Program()
    watch = subprocess.Popen([SCRIPT, "--json", "--interval", "0.1", str(program.pid)], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    watch.stdout.readline()
    os.write(program.process.stdin.fileno(), b"exec\n")
    _, said = watch.communicate(timeout=60)
    check("the process becomes another", watch.returncode == 1 and "has no allocator of ours in it" in said, said)


def test_terminal(program):
    child, screen = pty.fork()
    if child == 0:
        os.execv(SCRIPT, [SCRIPT, "--interval", "0.2", str(program.pid)])
    text = b""
    while text.count(b"\x1b[H") < 3:  # three frames
        text += os.read(screen, 4096)
    os.write(screen, b"q")
    try:
        while more := os.read(screen, 4096):
            text += more
    except OSError:
        pass
    _, status = os.waitpid(child, 0)
    check("ends at q", os.waitstatus_to_exitcode(status) == 0, status)
    check("leaves the screen as it was", text.startswith(b"\x1b[?1049h") and text.rstrip().endswith(b"\x1b[?1049l"), text)


try:
    first = test_numbers(PROGRAM, LIBRARY, "preloaded")
    test_texts(first)
    test_completion(first)
    test_refusals(first)
    test_terminal(first)
    test_end()
    if STATIC != "none":
        program = test_numbers(STATIC, "", "static")
        check("linked in", f": {VERSION}, linked in, " in top("--once", program.pid).stdout)
finally:
    for process in programs:
        process.send_signal(signal.SIGKILL)
        process.wait()
end()
