#!/usr/bin/env python3
"""Writes docs/system-calls.md: the system calls that the libraries make, when and why.

    system-calls.py                     writes the page
    system-calls.py --check             ends with status 1, and the difference, unless the page is what would be written
    system-calls.py --check --library L ... and unless each function that L takes from the C library is known here
    system-calls.py --allow-list        prints the calls that a seccomp filter set after the start has to allow
    system-calls.py --header            the same as lines `ALLOW(name),` to be included in a filter of BPF

CALLS is the one table. It is held against the source: each call that src/ and secure/ make has a row, and each row is
made somewhere. test/docs/calls.py holds it against what strace sees.
"""

import argparse
import difflib
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
PAGE = os.path.join(TOP, "docs", "system-calls.md")

START, WORK, THREAD, REPORT, OPTION, ASKED, FALLBACK = (
    "start", "work", "thread", "report", "option", "asked", "fallback")

# name: (secure library only, when, why)
CALLS = {
    "mmap": (False, (START, WORK), "reserves address space, without memory; memory for the library's own tables"),
    "munmap": (False, (START, WORK), "gives back the ends of a reservation, and memory of tables no longer needed"),
    "mprotect": (False, (START, WORK), "opens reserved memory when it is first used, closes what is retired, makes what "
                                       "must not change read-only"),
    "madvise": (False, (START, WORK), "gives memory back (`MADV_DONTNEED`), puts guards in (`MADV_GUARD_INSTALL`), keeps "
                                      "keys out of child processes (`MADV_WIPEONFORK`), asks for huge pages or none"),
    "prctl": (False, (START,), "names memory, for `/proc/PID/maps` (`PR_SET_VMA_ANON_NAME`); in the secure library, asks "
                               "whether there is a seccomp filter (`PR_GET_SECCOMP`)"),
    "gettid": (False, (START, THREAD, REPORT), "the number of a thread, for start, locks and reports"),
    "futex": (False, (WORK,), "waits for another thread that holds a lock, and wakes who waits"),
    "sched_yield": (False, (WORK,), "lets a thread go on that is just ending, or that holds a lock for a few instructions"),
    "clock_gettime": (False, (START, WORK), "when memory is due to be given back; answered without the kernel where there "
                                            "is a vDSO"),
    "prlimit64": (False, (START,), "`RLIMIT_AS`, so that the reservation leaves room for the program"),
    "getrandom": (True, (START,), "the root key; once more later where the kernel had no random numbers yet (early boot)"),
    "rt_sigprocmask": (True, (START, REPORT), "at start, finds out whether guards take effect (it is a read of memory that "
                                              "answers and does not fault); holds signals back while a report is written"),
    "mseal": (True, (START,), "fixes options and hooks for the life of the process; left out where there is a "
                               "seccomp filter already, which may be older than this call and kill for it"),
    "openat": (False, (START, OPTION, ASKED, FALLBACK), "at start, `/proc/sys/vm/max_map_count` (the secure library); "
                                                        "statistics, `/proc/self/statm`; files named by options; "
                                                        "`/dev/urandom` where `getrandom` is refused"),
    "read": (False, (START, OPTION, ASKED, FALLBACK), "what was opened"),
    "close": (False, (START, OPTION, ASKED, FALLBACK), "what was opened"),
    "getpid": (True, (START, WORK, REPORT), "whether this process is a child of the one that drew the keys; reports"),
    "sigaltstack": (True, (OPTION, THREAD), "a stack for fault reports: profiles `strict` and `fuzz`, and "
                                            "`MIMALLOC_FAULT_REPORT=1`"),
    "rt_sigaction": (True, (OPTION, REPORT), "the handler of fault reports; `SIGABRT` as the kernel has it, at the end"),
    "write": (False, (REPORT, OPTION), "reports, messages and statistics, to standard error or to the file named"),
    "rt_sigpending": (True, (REPORT,), "whether writing the report raised `SIGPIPE`"),
    "rt_sigtimedwait": (True, (REPORT,), "takes that `SIGPIPE` away"),
    "ppoll": (False, (REPORT, FALLBACK), "a reader of reports that is slow, a second at a time; `/dev/random`"),
    "tgkill": (True, (REPORT,), "`SIGABRT`, the end of a process in which misuse was found"),
    "exit_group": (True, (REPORT,), "the same for process 1 of a container, which signals spare"),
    "poll": (True, (FALLBACK,), "libsodium waits for `/dev/random` where `getrandom` is refused"),
    "fcntl": (False, (OPTION,), "`MIMALLOC_SHOW_STATS=1` keeps standard error for the end"),
    "fstat": (False, (OPTION, FALLBACK), "whether that is still the same file; whether `/dev/urandom` is a device"),
    "dup2": (False, (OPTION,), "puts it back"),
    "getrusage": (False, (ASKED, OPTION), "`mi_process_info`, statistics"),
    "mremap": (False, (ASKED,), "`mi_reserve_huge_os_pages_at` puts pages of 1 GiB in place"),
    "mbind": (False, (ASKED,), "and asks for memory of the node named"),
}

# What strace calls them where that differs: an old libc's fstat, and a call that an old strace has no name for.
ALIASES = {"fstat": ("newfstatat",), "mseal": ("syscall_0x1ce",)}

# Functions of libc in our source, or in the parts of libsodium that are linked in, that end in a system call.
LIBC = {
    "clock_gettime": "clock_gettime", "getrlimit": "prlimit64", "getrusage": "getrusage", "fstat": "fstat",
    "fcntl": "fcntl", "dup2": "dup2", "sigaltstack": "sigaltstack", "__sigaction": "rt_sigaction", "ssignal": "rt_sigaction",
    "sysv_signal": "rt_sigaction", "getrandom": "getrandom", "open": "openat", "read": "read", "close": "close",
    "poll": "poll", "mmap": "mmap", "munmap": "munmap", "mprotect": "mprotect", "madvise": "madvise",
}
# Functions taken from libc and libstdc++ that make none by themselves, or that are not called in what we do: libsodium's
# sodium_malloc (mlock, munlock, raise, sysconf) comes with the file of its memzero; abort and assert are its last
# resort; realpath, fputs and fwrite are the program's own requests.
QUIET = set("""_ITM_deregisterTMCloneTable _ITM_registerTMCloneTable _ZSt15get_new_handlerv _ZSt17__throw_bad_allocv
    __assert_fail __chk_fail __cxa_finalize __environ __errno_location __explicit_bzero_chk __gmon_start__
    __libc_stack_end __register_atfork __stack_chk_fail _dl_find_object abort dlsym environ fputs fwrite getauxval memchr
    memcpy memmove memset memcmp mlock munlock raise realpath pthread_key_create pthread_setspecific strchr strcmp strcpy
    strcspn strlen strncmp strnlen wcslen syscall sysconf __tls_get_addr explicit_bzero""".split())

WHEN = {
    START: "the library starts", WORK: "in operation", THREAD: "a thread begins or ends", REPORT: "a report",
    OPTION: "an option asks for it", ASKED: "the program asks for it", FALLBACK: "the kernel refuses something",
}

HEAD = """# System calls

<!-- Written by scripts/system-calls.py; do not edit. -->

What libmimalloc and libmimalloc-secure ask of the kernel, when and why: for seccomp filters, sandboxes and the curious.
The list is held against the source when it is written, and against what `strace` sees by the test `docs.calls`. In
operation, an allocation makes none: a call is made per page or per segment of memory, not per block; guards and large
blocks are what makes the secure library's number larger ([performance](performance.md)).

| call | library | when | why |
|---|---|---|---|
"""

TAIL = """
## A filter

A seccomp filter that is set after the first allocation has to allow, for the library:

```
{after}
```

One that is set before, also:

```
{before}
```

Refused calls are not fatal by themselves: with `EPERM` or `ENOSYS` for `prctl` or `getrandom` the library goes on, without
names, with `/dev/urandom`. `mmap`, `mprotect`, `munmap` and `madvise` it cannot do without. Files named by options
(`MIMALLOC_REPORT`, `MIMALLOC_HEAP_MAP`) are opened when they are written: with these options allow `openat` and `close`,
too. `scripts/system-calls.py --header` prints the first list as lines `ALLOW(name),` for a filter in C; the test
`docs.calls` runs a program with threads, and a double free, inside such a filter. What the program and the C library
need comes on top ([linking](linking.md) has an example).
"""


def source():
    text = []
    for folder in ("src", "secure"):
        for where, _, names in os.walk(os.path.join(TOP, folder)):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    with open(os.path.join(where, name), encoding="utf-8") as file:
                        text.append(file.read())
    return re.sub(r"//[^\n]*", "", "\n".join(text))


def check_source():
    text = source()
    made = set(re.findall(r"\bsyscall\(SYS_([a-z0-9_]+)", text))
    for function, call in LIBC.items():
        if re.search(r"(?<![\w.>])%s\(" % function, text):
            made.add(call)
    made |= {"poll", "openat", "read", "close", "getrandom", "fstat"}  # libsodium's sysrandom
    missing, idle = made - set(CALLS), set(CALLS) - made
    if missing:
        sys.exit("system-calls.py: made in src/ or secure/ and not in the table: " + " ".join(sorted(missing)))
    if idle:
        sys.exit("system-calls.py: in the table and made nowhere in src/ or secure/: " + " ".join(sorted(idle)))


def check_library(library):
    listing = subprocess.run(["nm", "-D", "--undefined-only", library], check=True, capture_output=True, text=True)
    taken = {line.split()[-1].split("@")[0] for line in listing.stdout.splitlines()}
    unknown = taken - QUIET - set(LIBC)
    if not taken:
        sys.exit(f"system-calls.py: {library} takes nothing from any library: is it the shared object?")
    if unknown:
        sys.exit(f"system-calls.py: {library} takes these, of which the table does not know whether they make system "
                 f"calls (LIBC, QUIET): " + " ".join(sorted(unknown)))


def after_start():
    chosen = [name for name, (_, when, _) in CALLS.items() if {WORK, THREAD, REPORT} & set(when)]
    return sorted(chosen)


def page():
    rows = []
    for name, (secure, when, why) in CALLS.items():
        rows.append(f"| `{name}` | {'secure' if secure else 'both'} | {', '.join(WHEN[word] for word in when)} | {why} |\n")
    before = sorted(name for name, (_, when, _) in CALLS.items() if START in when and name not in after_start())
    return HEAD + "".join(rows) + TAIL.format(after=wrapped(after_start()), before=wrapped(before))


def wrapped(names):
    lines, line = [], ""
    for name in names:
        if line and len(line) + 1 + len(name) > 100:
            lines.append(line)
            line = ""
        line += (" " if line else "") + name
    return "\n".join(lines + [line])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail unless the page is current")
    parser.add_argument("--library", action="append", default=[], help="a shared object to hold the table against")
    parser.add_argument("--allow-list", action="store_true", help="print the calls a filter has to allow")
    parser.add_argument("--header", action="store_true", help="the same as lines ALLOW(name),")
    options = parser.parse_args()
    if options.allow_list or options.header:
        print("\n".join(f"ALLOW({name})," if options.header else name for name in after_start()))
        return
    check_source()
    for library in options.library:
        check_library(library)
    text = page()
    if not options.check:
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(text)
        return
    present = ""
    if os.path.exists(PAGE):
        with open(PAGE, encoding="utf-8") as file:
            present = file.read()
    if present != text:
        sys.stdout.writelines(difflib.unified_diff(present.splitlines(True), text.splitlines(True), "docs/system-calls.md",
                                                   "as it would be written"))
        sys.exit("docs/system-calls.md is not current; run scripts/system-calls.py")


if __name__ == "__main__":
    main()
