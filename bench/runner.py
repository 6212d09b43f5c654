"""Runs jobs under allocators, in interleaved rounds, and collects one row for each run."""
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(HERE, "build")
MEASURE = os.path.join(BUILD, "measure")
FIELDS = (
    "round",
    "job",
    "allocator",
    "outcome",
    "cpu",
    "wall",
    "user",
    "sys",
    "rss_kib",
    "faults",
    "mappings",
    "checksum",
)
SAMPLE_MS = 20


class BuildError(Exception):
    pass


def compile_one(command, target, sources):
    newest = max(os.path.getmtime(source) for source in sources)
    if os.path.exists(target) and os.path.getmtime(target) >= newest:
        return
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise BuildError("%s\n%s" % (" ".join(command), done.stderr))


def build(jobs):
    """Compiles the launcher and the workloads that are older than their sources."""
    os.makedirs(BUILD, exist_ok=True)
    source = os.path.join(HERE, "measure.c")
    compile_one(
        [
            os.environ.get("CC", "gcc"),
            "-O2",
            "-std=gnu11",
            "-Wall",
            "-Wextra",
            "-static",
            "-o",
            MEASURE,
            source,
        ],
        MEASURE,
        [source],
    )
    common = os.path.join(HERE, "workloads", "common.h")
    for job in jobs:
        if job.group != "workload":
            continue
        source = os.path.join(HERE, "workloads", job.source)
        target = os.path.join(BUILD, job.source.rsplit(".", 1)[0])
        compile_one(job.build_command(target), target, [source, common])


def scratch_root():
    """A private directory, in memory where there is plenty, so that no disk is measured."""
    base = None
    if os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK):
        space = os.statvfs("/dev/shm")
        if space.f_bavail * space.f_frsize > 2 << 30:
            base = "/dev/shm"
    return tempfile.mkdtemp(prefix="mim-bench.", dir=base)


def base_environment(scratch):
    """What every program sees: nothing of the caller's that changes what it does."""
    keep = ("PATH", "LD_LIBRARY_PATH")
    env = {key: os.environ[key] for key in keep if key in os.environ}
    env.update(LC_ALL="C", TZ="UTC", HOME=scratch, TMPDIR=scratch)
    return env


class Runner:
    """Holds what one invocation of the suite shares: directories, limits, checksums."""

    def __init__(self, scale, threads, timeout):
        self.scale = scale
        self.threads = threads
        self.timeout = timeout
        self.root = scratch_root()

    def close(self):
        shutil.rmtree(self.root, ignore_errors=True)

    def prepare(self, job):
        directory = os.path.join(self.root, "job-" + job.name)
        os.makedirs(directory)
        job.prepare(directory, self.scale, self.threads)

    def run(self, job, allocator, round_number, sample):
        """One run: a row. `sample` counts mappings, in a round whose times are not used."""
        scratch = tempfile.mkdtemp(prefix="run.", dir=self.root)
        try:
            run = job.run(scratch)
            if run.before:
                run.before()
            if job.server:
                row = self.run_server(job, run, allocator, scratch, sample)
            else:
                row = self.run_command(job, run, allocator, scratch, sample)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        row.update(round=round_number, job=job.name, allocator=allocator.name)
        return row

    def measured(self, job, run, allocator, scratch, sample):
        """The command line and environment that run a command under measure."""
        env = base_environment(scratch)
        env.update(run.env)
        env.update(allocator.extra)
        argv = [
            MEASURE,
            "-t",
            str(self.timeout),
            "-r",
            os.path.join(scratch, "report"),
            "-o",
            os.path.join(scratch, "stdout"),
            "-e",
            os.path.join(scratch, "stderr"),
            "-i",
            run.stdin or os.devnull,
        ]
        library = allocator.path or job.glibc_preload()
        if library:
            argv += ["-l", library]
        if sample:
            argv += ["-m", str(SAMPLE_MS)]
        return argv + ["--"] + run.argv, env

    def run_command(self, job, run, allocator, scratch, sample):
        argv, env = self.measured(job, run, allocator, scratch, sample)
        subprocess.run(argv, env=env, cwd=run.cwd or scratch, check=False)
        row = read_report(scratch)
        if run.output is not None and row["outcome"] == "ok":
            row["checksum"] = digest(
                os.path.join(scratch, "stdout") if run.output == "stdout" else run.output
            )
        return row

    def run_server(self, job, run, allocator, scratch, sample):
        """Starts the server under measure, puts load on it, stops it; its wall time is that of the load."""
        argv, env = self.measured(job, run, allocator, scratch, sample)
        server = subprocess.Popen(argv, env=env, cwd=scratch)
        plain_env = base_environment(scratch)
        wall, trouble, output = 0.0, None, ""
        try:
            if not wait_ready(run, server, plain_env):
                trouble = "no answer"
            begin = time.monotonic()
            for command in () if trouble else run.load:
                done = subprocess.run(
                    command,
                    env=plain_env,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    timeout=self.timeout,
                    check=False,
                )
                output += done.stdout
                if done.returncode != 0:
                    trouble = "load failed"
                    break
            wall = time.monotonic() - begin
        except subprocess.TimeoutExpired:
            trouble = "timeout"
        finally:
            stop_server(run, server, plain_env, scratch)
        row = read_report(scratch)
        row["wall"] = wall
        if trouble and row["outcome"] in ("ok", "stopped"):
            row["outcome"] = trouble
        elif row["outcome"] == "stopped":
            row["outcome"] = "ok"
        return per_operation(run, row, output)


def per_operation(run, row, output):
    """Where a load runs for a fixed time: its times for a fixed number of operations."""
    if row["outcome"] != "ok" or not hasattr(run, "operations"):
        return row
    pattern, number = run.operations
    found = re.search(pattern, output)
    if not found or int(found.group(1)) == 0:
        row["outcome"] = "load failed"
        return row
    for field in ("cpu", "user", "sys", "wall"):
        row[field] *= number / int(found.group(1))
    return row


def wait_ready(run, server, env):
    for _ in range(200):
        if server.poll() is not None:
            return False
        if run.ready is None:
            try:
                socket.create_connection(("127.0.0.1", run.ready_port), timeout=1).close()
                return True
            except OSError:
                pass
        else:
            done = subprocess.run(
                run.ready,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                timeout=10,
                check=False,
            )
            if run.ready_answer in done.stdout:
                return True
        time.sleep(0.02)
    return False


def child_of(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as f:
            return [int(x) for x in f.read().split()]
    except OSError:
        return []


def stop_server(run, server, env, scratch):
    """By its own command, else by SIGTERM to the server (not to measure, which would then not report)."""
    if run.stop is not None and server.poll() is None:
        try:
            subprocess.run(
                run.stop,
                env=env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=10,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pass
    else:
        for pid in child_of(server.pid):
            os.kill(pid, signal.SIGTERM)
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        for pid in child_of(server.pid):
            os.kill(pid, signal.SIGKILL)
        server.wait(timeout=10)


def read_report(scratch):
    row = dict.fromkeys(FIELDS, "")
    try:
        with open(os.path.join(scratch, "report"), encoding="ascii") as f:
            values = dict(word.split("=", 1) for word in f.read().split())
    except OSError:
        row["outcome"] = "not started"
        return row
    row.update(
        wall=float(values["wall"]),
        user=float(values["user"]),
        sys=float(values["sys"]),
        rss_kib=int(values["rss"]),
        faults=int(values["minor"]) + int(values["major"]),
        mappings=int(values["mappings"]),
    )
    row["cpu"] = row["user"] + row["sys"]
    row["outcome"] = outcome(values["end"], scratch)
    return row


def outcome(end, scratch):
    """In words: ok, timeout, the signal's name, or the exit code and the last line of what was said."""
    kind, _, number = end.partition(":")
    if kind == "timeout":
        return "timeout"
    if kind == "signal":
        return "stopped" if int(number) == signal.SIGTERM else "crash " + signal_name(int(number))
    if number == "0":
        return "ok"
    if int(number) > 128 and int(number) < 160:  # a shell's word for a signal in a child
        return "crash " + signal_name(int(number) - 128)
    try:
        with open(os.path.join(scratch, "stderr"), errors="replace", encoding="utf-8") as f:
            lines = f.read().strip().splitlines()
    except OSError:
        lines = []
    return "exit %s%s" % (number, ": " + lines[-1][:80] if lines else "")


def signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number


def digest(path):
    try:
        with open(path, "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()[:16]
    except OSError:
        return "none"


# ---- rounds ----


class Progress:
    """One line that says where the suite is; on a terminal it stays in place."""

    def __init__(self, total):
        self.total = total
        self.done = 0
        self.begin = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.last = 0.0

    def show(self, text):
        now = time.monotonic()
        left = (now - self.begin) / self.done * (self.total - self.done) if self.done else 0
        line = "[%d/%d] %s%s" % (
            self.done,
            self.total,
            text,
            ", %d:%02d left" % divmod(round(left), 60) if self.done else "",
        )
        if self.terminal:
            sys.stderr.write("\r\033[K" + line)
            sys.stderr.flush()
        elif now - self.last > 10:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
            self.last = now

    def note(self, text):
        sys.stderr.write(("\r\033[K" if self.terminal else "") + text + "\n")

    def finish(self):
        if self.terminal:
            sys.stderr.write("\r\033[K")


def check_sums(rows, job, base):
    """Marks runs whose output is not that of the base (or, without it, of most) as wrong."""
    sums = [
        row["checksum"]
        for row in rows
        if row["job"] == job.name and row["checksum"] and row["outcome"] == "ok"
    ]
    if not sums:
        return
    of_base = [
        row["checksum"]
        for row in rows
        if row["job"] == job.name and row["allocator"] == base and row["checksum"] and row["outcome"] == "ok"
    ]
    right = max(set(of_base or sums), key=(of_base or sums).count)
    for row in rows:
        if row["job"] == job.name and row["outcome"] == "ok" and row["checksum"] and row["checksum"] != right:
            row["outcome"] = "wrong output"


def run_all(runner, jobs, chosen, rounds, base, separate_sampling, budget, on_round):
    """Rows of all runs. Round 0 counts mappings and warms caches; without it, the first timed one does.

    With a budget in seconds no round is begun that would probably not end within it.
    """
    rows = []
    first = 0 if separate_sampling else 1
    progress = Progress((rounds + 1 - first) * len(jobs) * len(chosen))
    for round_number in range(first, rounds + 1):
        for position, job in enumerate(jobs):
            turn = (round_number + position) % len(chosen)
            for allocator in chosen[turn:] + chosen[:turn]:
                progress.show("round %d of %d: %s, %s" % (round_number, rounds, job.name, allocator.name))
                row = runner.run(job, allocator, round_number, sample=round_number == first)
                rows.append(row)
                progress.done += 1
                if row["outcome"] != "ok":
                    progress.note("%s under %s: %s" % (job.name, allocator.name, row["outcome"]))
            check_sums(rows, job, base)
        on_round(rows)
        elapsed = time.monotonic() - progress.begin
        complete = round_number - first + 1
        if budget and round_number < rounds and elapsed * (complete + 1) / complete > budget:
            progress.note(
                "stopping after round %d of %d to stay within %d s" % (round_number, rounds, budget)
            )
            break
    progress.finish()
    return rows
