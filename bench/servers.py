#!/usr/bin/env python3
"""What servers cost with a library preloaded: processor time a request, beside that without.

usage: servers.py NAME=PATH.so[,VARIABLE=VALUE...]... [--rounds N] [--only SERVER]... [--load PERCENT]

Each round starts every server once without a library and once with each, in an order drawn anew, has its own client warm
it up, and then ask; counted is what the server and all processes it starts take in user and system time, divided by the
requests. The table has the median over the rounds of the ratio to the run without in the same round, and the range.
The clients run without a library. Servers listen on the loopback device, and keep their files in a directory of their
own; as root, postgres runs as the user postgres.
"""

import argparse
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")
POSTGRES = "/usr/lib/postgresql/15/bin/"


def run(*command, **more):
    """Its output; ends the program with what it said if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        sys.exit(f"servers.py: {' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One server in a directory of its own: `command` starts it, `ask` returns how many requests it answered."""
    programs = ()
    unit = "request"

    def __init__(self, directory, load):
        self.directory, self.load, self.port = directory, load, free_port()
        self.prepare()

    def prepare(self):
        pass

    def times(self, number):
        return max(1, round(number * self.load / 100))

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as file:
            file.write(text)


class Nginx(Server):
    programs = ("nginx", "wrk")
    header = ()

    def prepare(self):
        self.write("index.html", "".join(f"<p>{number}</p>\n" for number in range(1000)))
        self.write("conf", f"""
worker_processes 1; daemon off; pid {self.path('pid')}; error_log {self.path('error')}; events {{ }}
{'user root;' if os.getuid() == 0 else ''}
http {{ access_log off; server {{ listen 127.0.0.1:{self.port}; root {self.directory}; gzip on; gzip_types *; }} }}""")
        self.command = ["nginx", "-p", self.directory, "-e", self.path("error"), "-c", self.path("conf")]

    def ask(self):
        said = run("wrk", "-t1", "-c8", f"-d{max(1, self.times(4))}s", *self.header, f"http://127.0.0.1:{self.port}/")
        if "Non-2xx" in said or "Socket errors" in said:
            sys.exit(f"servers.py: nginx: {said}")
        return int(re.search(r"(\d+) requests in", said).group(1))


class NginxGzip(Nginx):
    header = ("-H", "Accept-Encoding: gzip")


class Redis(Server):
    programs = ("redis-server", "redis-benchmark")

    def prepare(self):
        self.command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir",
                        self.directory]

    def ask(self):
        tests, number = "set,get,incr,lpush,rpop,sadd,hset,zadd,mset", self.times(40000)
        run("redis-benchmark", "-q", "-p", str(self.port), "-n", str(number), "-c", "16", "-d", "100", "-r", "100000",
            "-t", tests)
        return number * len(tests.split(","))


class Memcached(Server):
    programs = ("memcached", "memcslap")

    def prepare(self):
        self.command = ["memcached", "-u", "root" if os.getuid() == 0 else "", "-p", str(self.port), "-l", "127.0.0.1",
                        "-m", "256"]

    def ask(self):
        number = self.times(60000)
        for test in "set", "get":
            run("memcslap", f"--servers=127.0.0.1:{self.port}", "--concurrency=1", f"--execute-number={number}",
                f"--test={test}", "--initial-load=10000")
        return number * 2


class Postgres(Server):
    programs = (POSTGRES + "postgres", POSTGRES + "pgbench")
    unit = "transaction"
    kind = ("-S",)
    number = 40000

    def prepare(self):
        self.who = []
        if os.getuid() == 0:
            self.who = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
            shutil.chown(self.directory, "postgres")
        run(*self.who, POSTGRES + "initdb", "-A", "trust", "-U", "postgres", "-D", self.path("data"))
        self.command = [*self.who, POSTGRES + "postgres", "-D", self.path("data"), "-p", str(self.port), "-k",
                        self.directory, "-c", "fsync=off", "-c", "autovacuum=off"]
        self.filled = False

    def bench(self, *words):
        return run(POSTGRES + "pgbench", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", *words, "postgres")

    def ask(self):
        if not self.filled:
            for _ in range(300):  # it listens before it is ready
                if subprocess.run([POSTGRES + "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)],
                                  check=False).returncode == 0:
                    break
                time.sleep(0.1)
            self.bench("-i", "-q")
            self.filled = True
        number = self.times(self.number)
        said = self.bench(*self.kind, "-n", "-c", "1", "-t", str(number))
        return int(re.search(r"actually processed: (\d+)", said).group(1))


class PostgresWrites(Postgres):
    kind = ()
    number = 6000


class Sshd(Server):
    programs = ("/usr/sbin/sshd", "ssh", "ssh-keygen")
    unit = "login"

    def prepare(self):
        for name in "host", "user":
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.path(name))
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        self.command = ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-p", str(self.port), "-h", self.path("host"),
                        "-o", "ListenAddress=127.0.0.1", "-o", "StrictModes=no", "-o", "PidFile=none", "-o",
                        f"AuthorizedKeysFile={self.path('user.pub')}"]

    def ask(self):
        number = self.times(30)
        for _ in range(number):
            run("ssh", "-F", "/dev/null", "-p", str(self.port), "-i", self.path("user"), "-o", "BatchMode=yes", "-o",
                "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "127.0.0.1", "true")
        return number


SERVERS = {
    "nginx": (Nginx, "a file of 13 KiB"),
    "nginx, gzip": (NginxGzip, "the same, compressed"),
    "redis": (Redis, "redis-benchmark: set, get, incr, lpush, rpop, sadd, hset, zadd, mset"),
    "memcached": (Memcached, "memcslap: set, get"),
    "postgres": (Postgres, "pgbench -S: a row by its key"),
    "postgres, writes": (PostgresWrites, "pgbench: five statements, without fsync"),
    "sshd": (Sshd, "a login by key, `true`"),
}


def processor_time(top):
    """Seconds that the process, its living descendants, and those they waited for have taken."""
    parents, used = {}, {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(name)], used[int(name)] = int(fields[1]), sum(map(int, fields[11:15]))
    total, level = 0, [top]
    while level:
        total += sum(used.get(pid, 0) for pid in level)
        level = [pid for pid, parent in parents.items() if parent in level]
    return total / TICK


def wait_for(server, process):
    for _ in range(600):
        if process.poll() is not None:
            sys.exit(f"servers.py: {server.command[0]} ended with status {process.returncode}; {server.path('said')}:\n"
                     + open(server.path("said"), encoding="utf-8").read())
        try:
            socket.create_connection(("127.0.0.1", server.port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"servers.py: {server.command[0]} does not listen")


def measure(kind, variables, load):
    """Milliseconds of the processor a request."""
    with tempfile.TemporaryDirectory(prefix="mim-servers.") as directory:
        os.chmod(directory, 0o755)
        server = kind(directory, load)
        with open(server.path("said"), "wb") as said:
            process = subprocess.Popen(server.command, env={**os.environ, **variables}, stdin=subprocess.DEVNULL,
                                       stdout=said, stderr=said)
        try:
            wait_for(server, process)
            if "LD_PRELOAD" in variables:
                with open(f"/proc/{process.pid}/maps", encoding="utf-8") as maps:
                    if os.path.realpath(variables["LD_PRELOAD"]) not in maps.read():
                        sys.exit(f"servers.py: {server.command[0]} runs without {variables['LD_PRELOAD']}")
            server.load = load / 4
            server.ask()
            server.load = load
            before = processor_time(process.pid)
            requests = server.ask()
            return (processor_time(process.pid) - before) * 1000 / requests
        finally:
            process.send_signal(signal.SIGINT if kind in (Postgres, PostgresWrites) else signal.SIGTERM)
            process.wait()


def library(text):
    name, equals, rest = text.partition("=")
    path, *variables = rest.split(",")
    if not equals or not os.access(path, os.R_OK) or not all("=" in word for word in variables):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=PATH[,VARIABLE=VALUE...] of a library that is there")
    return name, {"LD_PRELOAD": path, **dict(word.split("=", 1) for word in variables)}


def count(text):
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
        raise argparse.ArgumentTypeError(f"wants a whole number of 1 or more, not '{text}'")
    return int(text)


def server_name(text):
    if text not in SERVERS:
        raise argparse.ArgumentTypeError(f"there is no server '{text}'; there are: {'; '.join(SERVERS)}")
    return text


def main():
    parser = argparse.ArgumentParser(prog="servers.sh", description="What servers cost with a library preloaded.")
    parser.add_argument("library", nargs="+", type=library, metavar="NAME=PATH.so[,VARIABLE=VALUE...]")
    parser.add_argument("--rounds", type=count, default=5, help="how often each is measured (5)")
    parser.add_argument("--only", action="append", type=server_name, help="this server only; more than once: these")
    parser.add_argument("--load", type=count, default=100, help="requests, in percent of the usual number")
    options = parser.parse_args()
    libraries = dict(options.library)
    names = ["", *libraries]
    print(f"| server | asked | ms a request | {' | '.join(libraries)} |")
    print("|---|---|---" + "|---" * len(libraries) + "|", flush=True)
    for title in options.only or SERVERS:
        kind, asked = SERVERS[title]
        missing = [program for program in kind.programs if not shutil.which(program)]
        if missing:
            print(f"| {title} | not there: {', '.join(missing)} |" + " |" * (1 + len(libraries)))
            continue
        times = {name: [] for name in names}
        for _ in range(options.rounds):
            for name in random.sample(names, len(names)):
                times[name].append(measure(kind, libraries.get(name, {}), options.load))
        cells = []
        for name in libraries:
            ratios = sorted(one / other for one, other in zip(times[name], times[""]))
            cells.append(f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
        print(f"| {title} | {asked} | {statistics.median(times['']):.3g} | {' | '.join(cells)} |", flush=True)


main()
