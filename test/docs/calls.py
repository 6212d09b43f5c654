#!/usr/bin/env python3
"""The system calls that the libraries make are those of scripts/system-calls.py, and a filter that allows just these works.

    calls.py TOP_OF_TREE STRACE PROGRAM PLAIN_LIBRARY SECURE_LIBRARY     status 77: nothing can be traced here

strace says for each call who made it (-k): it is the library's when the first frame that is not libc's is the library's.
A filter kills for what it does not list, so the list can neither be too short nor, by the first part, be made up.
"""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile

BASE = {"PATH": "/usr/bin:/bin"}
SCENES = (  # program's argument, environment, calls that must be seen of the plain, and of the secure library, status
    # What is free goes back to the OS at once, however short the program runs.
    ("work", {"MIMALLOC_PURGE_DELAY": "0"}, {"mmap", "mprotect", "madvise", "gettid", "prlimit64"},
     {"mmap", "mprotect", "madvise", "gettid", "prlimit64", "getrandom", "openat", "read", "close"}, 0),
    ("work", {"MIMALLOC_SHOW_STATS": "1"}, {"write", "fcntl", "fstat", "getrusage"}, {"write", "fcntl", "fstat"}, 0),
    ("report", {}, None, {"write", "tgkill", "rt_sigaction", "rt_sigprocmask", "rt_sigpending"}, -signal.SIGABRT),
    ("report", {"MIMALLOC_PROFILE": "strict"}, None, {"sigaltstack", "write", "tgkill"}, -signal.SIGABRT),
)
SANDBOXES = (
    ("sandbox", {}, 0), ("sandbox", {"MIMALLOC_PROFILE": "strict"}, 0),
    ("sandbox-report", {}, -signal.SIGABRT), ("sandbox-report", {"MIMALLOC_PROFILE": "strict"}, -signal.SIGABRT),
)


def load_table(top):
    spec = importlib.util.spec_from_file_location("system_calls", os.path.join(top, "scripts", "system-calls.py"))
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    return module


def library_calls(trace, library):
    """The calls of which the first frame outside of libc lies in `library`."""
    seen, call = set(), None
    base = os.path.basename(library)
    for line in trace:
        started = re.match(r"(?:\d+ +)?(?:<\.\.\. )?([a-z0-9_]+)(?:\(| resumed>)", line)
        if started:
            call = started.group(1)
        elif line.startswith(" > ") and call is not None:
            module = line[3:].split("(")[0]
            if re.search(r"/(libc\.so|libc-|libpthread|ld-linux)", module):
                continue
            if os.path.basename(module).startswith(base):
                seen.add(call)
            call = None
    return seen


def run(arguments, environment):
    return subprocess.run(arguments, env=dict(BASE, **environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False, timeout=500)


def main():
    top, strace, program, plain, secure = sys.argv[1:]
    table = load_table(top)
    names = {}
    for name in table.CALLS:
        for form in (name,) + table.ALIASES.get(name, ()):
            names[form] = name
    failures = []
    with tempfile.TemporaryDirectory() as temp:
        probe = run([strace, "-k", "-o", os.path.join(temp, "probe"), "true"], {})
        if probe.returncode != 0:
            print("cannot trace here:", probe.stderr.strip())
            sys.exit(77)
        for scene, environment, *needs, status in SCENES:
            for library, needed in zip((plain, secure), needs):
                if needed is None:
                    continue
                out = os.path.join(temp, "trace")
                preload = ["-E", "LD_PRELOAD=" + library]
                result = run([strace, "-f", "-k", "-o", out] + preload + [program, scene], environment)
                said = f"{scene} {environment} {os.path.basename(library)}"
                if result.returncode != status:
                    failures.append(f"{said}: ended with {result.returncode}, not {status}: {result.stderr[-500:]}")
                    continue
                with open(out, encoding="utf-8", errors="replace") as trace:
                    seen = library_calls(trace, os.path.realpath(library))
                known = {names[call] for call in seen if call in names}
                for call in sorted(seen - set(names)):
                    failures.append(f"{said}: makes {call}, which the table does not have")
                for call in sorted(needed - known):
                    failures.append(f"{said}: should make {call} and was not seen to")
                if library == plain:
                    for call in sorted(call for call in known if table.CALLS[call][0]):
                        failures.append(f"{said}: makes {call}, which the table has for the secure library only")
                print(f"{said}: {' '.join(sorted(known))}")
    for scene, environment, status in SANDBOXES:
        for library in (plain, secure):
            if library == plain and (status != 0 or environment):
                continue
            result = run([program, scene], dict(environment, LD_PRELOAD=library))
            if result.returncode != status:
                failures.append(f"{scene} {environment} {os.path.basename(library)}: ended with {result.returncode}, "
                                f"not {status} (-{int(signal.SIGSYS)}: a call that the list lacks)")
            if status != 0 and "double free" not in result.stderr and "double-free" not in result.stderr:
                failures.append(f"{scene} {environment}: no report of a double free: {result.stderr[-500:]}")
    print("\n".join(failures))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
