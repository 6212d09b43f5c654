#!/usr/bin/env python3
"""The example daemon (docs/examples/echod): serves many connections; with its bug switched on, and a client that uses
it, it ends with a report, and syslog is told.

usage: echod.py DAEMON [--report]
"""

import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading

DAEMON = sys.argv[1]
CLIENTS, LINES = 20, 100
failures = 0
lock = threading.Lock()


def check(what, condition, *details):
    global failures
    if not condition:
        with lock:
            failures += 1
        print("FAILED:", what, *details)


numbers = itertools.count()


class Daemon:
    """A running daemon, and its syslog."""

    def __init__(self, work, *arguments, **environment):
        self.log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = os.path.join(work, f"log-{next(numbers)}")
        self.log.bind(path)
        self.log.settimeout(20)
        self.process = subprocess.Popen([DAEMON, "--port", "0", "--syslog", path, *arguments], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
        self.first = self.process.stdout.readline()
        self.port = int(self.first.split(":")[2].split(",")[0])

    def connect(self):
        client = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return client, client.makefile("rb")

    def is_sandboxed(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return "\nSeccomp:\t2\n" in file.read()

    def stop(self):
        self.process.kill()
        self.process.communicate()
        self.log.close()


def serve_many(daemon, what):
    def client(number):
        connection, lines = daemon.connect()
        with connection:
            for i in range(LINES):
                line = (f"{number} {i} " + "x" * ((number * i) % 50)).encode()[:63] + b"\n"
                connection.sendall(line)
                answer = lines.readline()
                if answer != line:
                    check(f"{what}: a line comes back", False, line, answer)
                    return

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(f"{what}: goes on", daemon.process.poll() is None, daemon.process.returncode)


with tempfile.TemporaryDirectory() as work:
    for profile in ("default", "strict", "fuzz"):
        daemon = Daemon(work, MIMALLOC_PROFILE=profile)
        check("has the profile", daemon.first.endswith(f", {profile}\n"), daemon.first)
        serve_many(daemon, profile)
        check("is in its sandbox", daemon.is_sandboxed())
        connection, lines = daemon.connect()
        connection.sendall(b"y" * 100 + b"\n")
        check("refuses a long line", lines.readline() == b"error: the line is too long\n")
        check("and goes on", daemon.process.poll() is None)
        daemon.stop()

        daemon = Daemon(work, "--bug", MIMALLOC_PROFILE=profile)
        serve_many(daemon, f"{profile}, with the bug")
        connection, lines = daemon.connect()
        connection.sendall(b"y" * 65 + b"\n")
        _, report = daemon.process.communicate(timeout=60)
        check("is ended", daemon.process.returncode in (-signal.SIGABRT, -signal.SIGSEGV), daemon.process.returncode, report)
        faults = ("overflow",)
        if profile == "fuzz":  # each block has a guard of its own: behind it, or before it
            faults = ("overflow", "access-outside")
        check("reports", report.startswith(tuple(f"mimalloc: violation: {fault}: 0x" for fault in faults)), report)
        check("the trace is of the daemon", "/echod+0x" in report, report)
        told = daemon.log.recv(1000).decode()
        check("syslog is told", told == f"<26>echod[{daemon.process.pid}]: {report.splitlines()[0]}", told)
        if "--report" in sys.argv:
            print(report)
        daemon.stop()

    refused = subprocess.run([DAEMON, "--port", "x"], capture_output=True, text=True, check=False)
    check("refuses a bad port", refused.returncode == 1 and "expected a number from 0 to 65535" in refused.stderr)

print("echod: as expected" if failures == 0 else f"{failures} failures")
sys.exit(failures > 0)
