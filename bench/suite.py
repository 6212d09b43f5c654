"""The jobs of the suite: our workloads, and real programs.

A job says what has to be installed, what has to be made before it can run, and how one run of it is
started. What a run prints (or writes) becomes its checksum where it is the same in every run; it must
not depend on the allocator.
"""
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "programs"))
import fixtures  # noqa: E402

PROGRAMS = os.path.join(HERE, "programs")
NO_BUILTINS = ["-fno-builtin-malloc", "-fno-builtin-calloc", "-fno-builtin-realloc", "-fno-builtin-free"]


class Run:
    """One start of a job: a command, its surroundings and where its checksum comes from."""

    def __init__(self, argv, env=None, stdin=None, cwd=None, output="stdout", before=None):
        self.argv = argv
        self.env = env or {}
        self.stdin = stdin
        self.cwd = cwd
        self.output = output  # "stdout", a file's path, or None: nothing to compare
        self.before = before  # called before the run, outside the measurement


class Job:
    """Base: a name, a group (workload, program), Debian packages and the commands they bring."""

    group = "program"
    server = False

    def __init__(self, name, about, packages=(), commands=()):
        self.name = name
        self.about = about
        self.packages = list(packages)
        self.commands = list(commands)

    def missing(self):
        return [command for command in self.commands if shutil.which(command) is None]

    def glibc_preload(self):
        """What to preload for the column of glibc: '' except where a program links another allocator."""
        return ""

    def prepare(self, directory, scale, threads):
        """Makes what runs need, in a directory of the job's own."""
        raise NotImplementedError

    def run(self, scratch):
        """A Run; `scratch` is an empty directory of this run."""
        raise NotImplementedError


class Workload(Job):
    """A program of workloads/, called with a scale and a number of threads."""

    group = "workload"

    def __init__(self, name, about, source, threads=None, factor=1.0):
        super().__init__(name, about, ["gcc", "g++", "libc6-dev"])
        self.source = source
        self.threads = threads  # None: as many as the suite was asked for
        self.factor = factor
        self.argv = None

    def build_command(self, target):
        source = os.path.join(HERE, "workloads", self.source)
        if self.source.endswith(".cpp"):
            compiler = [os.environ.get("CXX", "g++"), "-std=c++17"]
        else:
            compiler = [os.environ.get("CC", "gcc"), "-std=gnu11"]
        return (
            compiler + ["-O2", "-Wall", "-Wextra"] + NO_BUILTINS + ["-o", target, source, "-lm", "-lpthread"]
        )

    def prepare(self, directory, scale, threads):
        count = threads if self.threads is None else self.threads
        program = os.path.join(HERE, "build", self.source.rsplit(".", 1)[0])
        self.argv = [program, "%g" % (scale * self.factor), str(count)]

    def run(self, scratch):
        return Run(self.argv)


class Script(Job):
    """An interpreter on a script of ours."""

    def __init__(self, name, about, packages, commands, script, arguments=(), env=None):
        super().__init__(name, about, packages, commands)
        self.script = script
        self.arguments = list(arguments)
        self.env = env or {}
        self.scale = 1.0

    def prepare(self, directory, scale, threads):
        self.scale = scale

    def run(self, scratch):
        argv = [self.commands[0]] + self.arguments + [os.path.join(PROGRAMS, self.script), "%g" % self.scale]
        return Run(argv, env=self.env)


class OnFile(Job):
    """A program on a generated file; `argv` may name {file} and {scratch}."""

    def __init__(self, name, about, packages, commands, make, argv, suffix, output="stdout", stdin=False):
        super().__init__(name, about, packages, commands)
        self.make = make
        self.argv = argv
        self.suffix = suffix
        self.output = output
        self.stdin = stdin
        self.file = None

    def prepare(self, directory, scale, threads):
        self.file = os.path.join(directory, "input" + self.suffix)
        self.make(self.file, scale)

    def run(self, scratch):
        def fill(text):
            return text.replace("{file}", self.file).replace("{scratch}", scratch)

        output = self.output if self.output is None else fill(self.output)
        return Run([fill(word) for word in self.argv], stdin=self.file if self.stdin else None, output=output)


class GitGc(Job):
    """git gc on a copy of a repository of loose objects."""

    def __init__(self):
        super().__init__("git", "git gc of a generated repository", ["git"], ["git"])
        self.template = None
        self.threads = 2

    def prepare(self, directory, scale, threads):
        self.template = os.path.join(directory, "template.git")
        self.threads = threads
        fixtures.repository(self.template, scale)

    def run(self, scratch):
        copy = os.path.join(scratch, "copy.git")
        argv = ["git", "-c", "pack.threads=%d" % self.threads, "-C", copy, "gc", "--quiet", "--prune=now"]
        return Run(
            argv,
            env={"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"},
            output=None,
            before=lambda: shutil.copytree(self.template, copy),
        )


class RocksDb(Job):
    """db_bench on a small database in memory."""

    def __init__(self):
        super().__init__("rocksdb", "db_bench: fill, read, seek, overwrite", ["rocksdb-tools"], ["db_bench"])
        self.scale = 1.0

    def prepare(self, directory, scale, threads):
        self.scale = scale

    def run(self, scratch):
        number = fixtures.count(150000, self.scale)
        argv = [
            "db_bench",
            "--benchmarks=fillrandom,readrandom,seekrandom,overwrite",
            "--num=%d" % number,
            "--reads=%d" % (number // 2),
            "--db=%s" % os.path.join(scratch, "db"),
            "--value_size=100",
            "--compression_type=none",
            "--threads=1",
            "--seed=1",
        ]
        return Run(argv, output=None)


class Redis(Job):
    """redis-server, and redis-benchmark with a fixed number of requests; what counts is the server's CPU."""

    server = True

    def __init__(self):
        super().__init__(
            "redis",
            "redis-server under redis-benchmark",
            ["redis-server", "redis-tools"],
            ["redis-server", "redis-benchmark", "redis-cli"],
        )
        self.scale = 1.0

    def glibc_preload(self):
        return "libc.so.6"  # Debian's package is linked with jemalloc

    def prepare(self, directory, scale, threads):
        self.scale = scale

    def run(self, scratch):
        socket = os.path.join(scratch, "socket")
        argv = [
            "redis-server",
            "--port",
            "0",
            "--unixsocket",
            socket,
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            scratch,
            "--daemonize",
            "no",
        ]
        run = Run(argv, output=None)
        cli = ["redis-cli", "-s", socket]
        run.ready = cli + ["ping"]
        run.ready_answer = "PONG"
        common = ["redis-benchmark", "-s", socket, "-q", "-c", "16", "-P", "16", "-r", "60000"]
        requests = str(fixtures.count(160000, self.scale))
        run.load = [
            common + ["-n", requests, "-d", "180", "-t", "set,get,incr,lpush,rpop,sadd,hset,zadd,mset"],
            common + ["-n", requests, "-d", "24", "-t", "set,get"],
            common + ["-n", str(fixtures.count(20000, self.scale)), "-t", "lrange_100"],
        ]
        run.stop = cli + ["shutdown", "nosave"]
        return run


class Nginx(Job):
    """nginx in one process, and wrk for a fixed time; what counts is the server's CPU for a request."""

    server = True
    CONFIG = """daemon off; master_process off; pid {scratch}/pid; error_log {scratch}/error crit;
events {{ worker_connections 256; }}
http {{
  access_log off; default_type text/html; types {{ text/plain txt; }}
  client_body_temp_path {scratch}/a; proxy_temp_path {scratch}/b; fastcgi_temp_path {scratch}/c;
  uwsgi_temp_path {scratch}/d; scgi_temp_path {scratch}/e;
  gzip on; gzip_types text/plain; gzip_comp_level 1;
  server {{
    listen 127.0.0.1:{port}; root {root};
    location /many/ {{ autoindex on; }}
    location /hello {{ return 200 "hello $request_uri $args $host $http_x_some_header\\n"; }}
    location ~ shtml$ {{ ssi on; }}
  }}
}}
"""

    def __init__(self):
        super().__init__(
            "nginx", "nginx under wrk; seconds for 100,000 requests", ["nginx-light", "wrk"], ["nginx", "wrk"]
        )
        self.scale = 1.0
        self.directory = None

    def prepare(self, directory, scale, threads):
        self.scale = scale
        self.directory = directory
        fixtures.site(directory, scale)

    def run(self, scratch):
        port = free_port()
        config = os.path.join(scratch, "nginx.conf")
        fixtures.write(
            config, self.CONFIG.format(scratch=scratch, port=port, root=os.path.join(self.directory, "html"))
        )
        run = Run(["nginx", "-c", config, "-p", scratch, "-e", os.path.join(scratch, "error")], output=None)
        url = "http://127.0.0.1:%d" % port
        run.ready = None
        run.ready_port = port
        seconds = max(1, round(3 * self.scale))
        run.load = [["wrk", "-t1", "-c16", "-d%ds" % seconds, "-s", os.path.join(PROGRAMS, "wrk.lua"), url]]
        run.operations = (r"requests (\d+) errors 0\b", 100000)
        run.stop = None
        return run


def free_port():
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def node_command():
    return "node" if shutil.which("node") else "nodejs"


JOBS = [
    Workload("factor", "integer factorisation in the way of cfrac", "factor.c", threads=1),
    Workload("logic", "logic minimisation in the way of espresso", "logic.c", threads=1),
    Workload("barnes", "n-body simulation by the tree method", "barnes.c", threads=1),
    Workload("containers", "C++ maps, strings, vectors, shared pointers", "containers.cpp", threads=1),
    Workload("alloc-test-1", "random slots, Pareto-like, one thread", "alloc_test.c", threads=1),
    Workload("alloc-test-n", "the same in all threads", "alloc_test.c"),
    Workload("larson", "server whose objects outlive its threads", "larson.cpp"),
    Workload("sh6", "batches freed in, against and out of order", "sh6.c"),
    Workload("sh8", "batches that migrate between threads", "sh8.c"),
    Workload("xmalloc", "producers and consumers", "xmalloc.c"),
    Workload("cache-scratch", "passive false sharing", "cache_scratch.c"),
    Workload("cache-thrash", "active false sharing", "cache_thrash.c"),
    Workload("mstress", "server-like mix, migrating objects", "mstress.c"),
    Workload("glibc-simple", "runs of equal blocks", "simple.c", threads=1),
    Workload("glibc-thread", "random replacement in all threads", "thread.c"),
    Workload("frag", "changing ranges of sizes", "frag.c", threads=1),
    Workload("large", "blocks of 5 to 25 MiB", "large.c", threads=1),
    Workload("churn", "thousands of short threads", "churn.c"),
    Workload("grow", "arrays that grow by realloc", "grow.c", threads=1),
    Workload("calloc", "zeroed blocks of all sizes", "calloc.c", threads=1),
    Redis(),
    OnFile(
        "sqlite",
        "sqlite3 on a script, in memory",
        ["sqlite3"],
        ["sqlite3"],
        fixtures.sql,
        ["sqlite3", ":memory:"],
        ".sql",
        stdin=True,
    ),
    Script(
        "python",
        "python3 with PYTHONMALLOC=malloc",
        ["python3"],
        ["/usr/bin/python3"],
        "mix.py",
        ["-s"],
        {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"},
    ),
    OnFile(
        "gcc",
        "gcc -O2 on a generated file",
        ["gcc"],
        ["gcc"],
        fixtures.c_file,
        ["gcc", "-O2", "-S", "-o", "{scratch}/out.s", "{file}"],
        ".c",
        output="{scratch}/out.s",
    ),
    OnFile("z3", "z3 on hard formulas", ["z3"], ["z3"], fixtures.formula, ["z3", "-smt2", "{file}"], ".smt2"),
    OnFile(
        "ghostscript",
        "gs on a generated PDF",
        ["ghostscript"],
        ["gs"],
        fixtures.pdf,
        [
            "gs",
            "-q",
            "-dNOPAUSE",
            "-dBATCH",
            "-dSAFER",
            "-sDEVICE=pgmraw",
            "-r80",
            "-sOutputFile={scratch}/pages",
            "{file}",
        ],
        ".pdf",
        output="{scratch}/pages",
    ),
    Script("lua", "lua on tables, strings, coroutines", ["lua5.4"], ["lua5.4"], "mix.lua"),
    Script(
        "node",
        "node on buffers, zlib, JSON",
        [] if shutil.which("node") else ["nodejs"],
        [node_command()],
        "mix.js",
    ),
    GitGc(),
    Nginx(),
    RocksDb(),
]


def select(patterns):
    """Jobs by name, by the start of a name, or by group; ValueError names what matches nothing."""
    if not patterns:
        return list(JOBS)
    chosen = []
    for pattern in patterns:
        found = [job for job in JOBS if job.name == pattern] or [
            job for job in JOBS if job.name.startswith(pattern) or pattern in (job.group, job.group + "s")
        ]
        if not found:
            raise ValueError("--only %s: no job of that name; --list shows them" % pattern)
        chosen += [job for job in found if job not in chosen]
    return [job for job in JOBS if job in chosen]
