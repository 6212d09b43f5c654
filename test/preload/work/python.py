"""json, threads, subprocesses, forks and a database in memory, with output that is the same in every run.

Usage: python.py short|long. Every stage prints one line with a digest of what it computed.
"""
import concurrent.futures
import hashlib
import json
import os
import queue
import re
import sqlite3
import subprocess
import sys
import threading
import zlib

SCALE = {"short": 1, "long": 4}[sys.argv[1]]


def digest(data):
    return hashlib.sha256(data if isinstance(data, bytes) else data.encode()).hexdigest()[:24]


class Numbers:
    """A small generator of our own: the sequence is a promise, unlike that of the random module."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) & (2**64 - 1)
        return (self.state >> 33) % n


def document(numbers, depth):
    if depth == 0:
        kind = numbers.below(4)
        if kind == 0:
            return numbers.below(10**9)
        if kind == 1:
            return "text-" + "xyz"[numbers.below(3)] * numbers.below(200)
        if kind == 2:
            return numbers.below(10**6) / 1024
        return None
    if numbers.below(2):
        return [document(numbers, depth - 1) for _ in range(2 + numbers.below(6))]
    return {"key%d" % numbers.below(1000): document(numbers, depth - 1) for _ in range(2 + numbers.below(6))}


def stage_json():
    total = hashlib.sha256()
    for seed in range(6 * SCALE):
        value = document(Numbers(seed), 6)
        text = json.dumps(value, indent=1, sort_keys=True)
        if json.loads(text) != value:
            sys.exit("json: a document changed on its way through text")
        total.update(text.encode())
    return total.hexdigest()[:24]


def worker_task(seed):
    value = document(Numbers(1000 + seed), 5)
    text = json.dumps(value).encode() * 3
    packed = zlib.compress(text, 6)
    if zlib.decompress(packed) != text:
        sys.exit("threads: zlib changed its data")
    words = re.findall(r"key\d+", text.decode())
    return digest("%d %s" % (len(text), " ".join(sorted(set(words)))))


def stage_threads():
    with concurrent.futures.ThreadPoolExecutor(max_workers=6) as pool:
        return digest(" ".join(pool.map(worker_task, range(60 * SCALE))))


def stage_queue():
    """Objects made by one thread and freed by another."""
    line = queue.Queue(maxsize=50)
    got = []

    def produce():
        numbers = Numbers(77)
        for i in range(3000 * SCALE):
            line.put((i, "block" * numbers.below(300), bytearray(numbers.below(5000))))
        line.put(None)

    def consume():
        count = size = 0
        while (item := line.get()) is not None:
            count += item[0]
            size += len(item[1]) + len(item[2])
        got.append((count, size))

    threads = [threading.Thread(target=produce), threading.Thread(target=consume)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return str(got[0])


def stage_short_threads():
    sums = [0] * (40 * SCALE)

    def run(i):
        sums[i] = sum(len(str(n) * 10) for n in range(i, i + 200))

    for first in range(0, len(sums), 20):
        batch = [threading.Thread(target=run, args=(i,)) for i in range(first, first + 20)]
        for t in batch:
            t.start()
        for t in batch:
            t.join()
    return str(sum(sums))


def stage_subprocess():
    lines = []
    for i in range(4 * SCALE):
        text = "\n".join(str((n * 7919 + i) % 1000) for n in range(2000))
        done = subprocess.run(["sort", "-n"], input=text, capture_output=True, text=True, check=True)
        lines.append(digest(done.stdout))
    code = "import json; print(json.dumps({str(i): [i] * 5 for i in range(2000)}, sort_keys=True)[-40:])"
    for i in range(2 * SCALE):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        lines.append(done.stdout + done.stderr)
    return digest("".join(lines))


def stage_fork():
    """Children made while other threads allocate; each must be able to work on."""
    stop = threading.Event()

    def churn():
        kept = []
        while not stop.is_set():
            kept.append("x" * (len(kept) % 3000))
            if len(kept) > 500:
                kept.clear()

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for t in threads:
        t.start()
    answers = []
    for i in range(15 * SCALE):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            text = json.dumps(document(Numbers(i), 4))
            os.write(writer, digest(text).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as f:
            answers.append(f.read())
        _, status = os.waitpid(pid, 0)
        if status != 0:
            sys.exit("fork: child %d ended with status %d" % (i, status))
    stop.set()
    for t in threads:
        t.join()
    return digest(b" ".join(answers))


def stage_large():
    blocks = []
    for i in range(30 * SCALE):
        block = bytearray(100_000 + i * 37_003 % 3_000_000)
        block[::4096] = bytes([i % 256]) * len(block[::4096])
        blocks.append(block)
        if len(blocks) > 8:
            blocks.pop(i % 8)
    return digest(b"".join(hashlib.sha256(b).digest() for b in blocks))


def stage_database():
    db = sqlite3.connect(":memory:")
    db.execute("create table t(a integer, b text)")
    numbers = Numbers(5)
    db.executemany("insert into t values(?, ?)",
                   ((numbers.below(1000), "v%d" % numbers.below(10**6)) for _ in range(8000 * SCALE)))
    db.execute("create index i on t(b)")
    rows = db.execute("select a, count(*), min(b), max(b) from t group by a order by 2 desc, 1").fetchall()
    return digest(repr(rows))


def main():
    for stage in (stage_json, stage_threads, stage_queue, stage_short_threads, stage_subprocess,
                  stage_fork, stage_large, stage_database):
        print(stage.__name__[6:], stage(), flush=True)


main()
