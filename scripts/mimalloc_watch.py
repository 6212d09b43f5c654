"""Reads what the allocator counts out of a running process: find_library(), then look() as often as you like.

The process need not do anything for it, and does not notice: its memory is read from outside, as a debugger reads it,
and so with the rights of one. What lies where, the library says in tables that a note in its file leads to
(src/watch.h). The process goes on while it is read. Each number is one that held at some moment; what does not fit
together is read again, and left out if it never does. mimalloc-top shows it in a terminal.
"""

import array
import ctypes
import errno
import os
import struct
import time

VERSION = "1.0.0"
LAYOUT = 1  # WATCH_LAYOUT of src/watch.h
IOV_MAX = 1024
TRIES = 4
SLICES_MAX = 1 << 18  # whose pages are looked at: 16 GiB
# What a process says is believed within bounds: it may be a stranger's.
TABLES_MAX, ENTRIES_MAX, SIZE_MAX, THREADS_MAX, SEGMENTS_MAX = 64, 1024, 1 << 16, 1 << 16, 1 << 20
GATHER_MAX = 1 << 28


class Refused(Exception):
    """What was asked cannot be shown; the text says why."""


class Gone(Exception):
    """The process has ended."""


class Torn(Exception):
    """What was read does not fit together: it changed meanwhile, or is no longer there."""


NONSENSE = (Torn, IndexError, OverflowError, ValueError, ZeroDivisionError, struct.error)


class NoLibrary(Exception):
    """The process has no allocator of ours."""


# ---- memory of the process ------------------------------------------------------------------------------------------

libc = ctypes.CDLL(None, use_errno=True)
libc.process_vm_readv.restype = ctypes.c_ssize_t
libc.process_vm_readv.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong,
                                  ctypes.c_ulong]


class Memory:
    """Reads, and cannot write. Unlike /proc/PID/mem, process_vm_readv reads nothing that the process itself may not."""

    def __init__(self, pid):
        self.pid = pid

    def gather(self, addresses, size):
        """`size` bytes from each of the addresses, one behind the other."""
        addresses = array.array("Q", addresses)
        if size * len(addresses) > GATHER_MAX:
            raise Torn
        whole = ctypes.create_string_buffer(max(size * len(addresses), 1))
        for first in range(0, len(addresses), IOV_MAX):
            part = addresses[first:first + IOV_MAX]
            remote = array.array("Q", bytes(16 * len(part)))
            remote[0::2], remote[1::2] = part, array.array("Q", [size]) * len(part)
            here = array.array("Q", [ctypes.addressof(whole) + first * size, size * len(part)])
            got = libc.process_vm_readv(self.pid, here.buffer_info()[0], 1, remote.buffer_info()[0], len(part), 0)
            if got != size * len(part):
                self.explain(ctypes.get_errno() if got < 0 else errno.EFAULT)
        return whole.raw[:size * len(addresses)]

    def read(self, address, size):
        return self.gather([address], size)

    def explain(self, error):
        if error == errno.ESRCH:
            raise Gone
        if error == errno.EPERM:
            raise Refused(f"the memory of process {self.pid} may not be read: that takes the rights of a debugger, as "
                          "root has them, or the same user where kernel.yama.ptrace_scope is 0")
        if error == errno.ENOSYS:
            raise Refused("this kernel has no process_vm_readv (CONFIG_CROSS_MEMORY_ATTACH)")
        raise Torn(os.strerror(error))


def printable(text):
    """Names are chosen by whoever is looked at, and a terminal obeys some characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def proc_text(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        raise Gone from None
    except PermissionError:
        raise Refused(f"/proc/{pid}/{name} may not be read: process {pid} is another user's, or does not let itself be "
                      "looked at") from None


def stat_of(pid):
    """Name, and the numbers of /proc/PID/stat from the third on."""
    text = proc_text(pid, "stat")
    end = text.rindex(")")
    fields = text[end + 2:].split()
    if fields[0] in "ZX":
        raise Gone
    return printable(text[text.index("(") + 1:end]), fields


# ---- the library ----------------------------------------------------------------------------------------------------


def notes_of(memory, base):
    """Owner, type, address and contents of the notes of the ELF file that is mapped at `base`."""
    head = memory.read(base, 64)
    if head[:6] != b"\x7fELF\x02\x01":
        return
    table, = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    if size != 56 or count > 256:
        return
    headers = list(struct.iter_unpack("<IIQQQQQQ", memory.read(base + table, size * count)))
    starts = [vaddr for kind, _, offset, vaddr, *_ in headers if kind == 1 and offset == 0]
    for kind, _, _, vaddr, _, length, _, align in headers:
        if kind != 4 or not starts or length > 1 << 20:
            continue
        at = base - starts[0] + vaddr
        text, place, align = memory.read(at, length), 0, 8 if align == 8 else 4
        while place + 12 <= length:
            name_size, size, number = struct.unpack_from("<III", text, place)
            begin = place + 12 + (name_size + align - 1) // align * align
            yield text[place + 12:place + 12 + name_size], number, at + begin, text[begin:begin + size]
            place = begin + (size + align - 1) // align * align


class Library:
    """Where the numbers lie in one process: `numbers`, `places` (address and size), `members` (offset and size)."""

    def __init__(self, memory, path, root):
        self.memory, self.path = memory, printable(path)
        self.numbers, self.places, self.members = {}, {}, {}
        version, self.entry_bytes, core, layer = struct.unpack("<IIQQ", memory.read(root, 24))
        self.version = f"{version // 100}.{version // 10 % 10}.{version % 10}"
        for tables in (core, layer):
            for _ in range(TABLES_MAX):
                table, = struct.unpack("<Q", memory.read(tables, 8))
                if table == 0:
                    break
                self.read_table(table)
                tables += 8
        if not self.numbers or self.entry_bytes < 32:
            raise Torn

    def read_table(self, table):
        base, entries, count = struct.unpack("<QQQ", self.memory.read(table, 24))
        if count > ENTRIES_MAX or not 32 <= self.entry_bytes <= 256:
            raise Torn
        text = self.memory.read(entries, self.entry_bytes * count)
        for at in range(0, len(text), self.entry_bytes):
            name, where, size = struct.unpack_from("<24sII", text, at)
            name = printable(name.rstrip(b"\0").decode("ascii", "replace"))
            if size > SIZE_MAX:
                raise Torn
            if size == 0:
                self.numbers[name] = where
            elif base == 0:
                self.members[name] = (where, size)
            else:
                self.places[name] = (base + where, size)

    def known(self, kind, name):
        if name not in kind:
            raise Refused(f"{self.path}, version {self.version}, does not say where '{name}' is; this is mimalloc-top "
                          f"{VERSION}")
        return kind[name]

    def number(self, name):
        return self.known(self.numbers, name)

    def offset(self, name):
        return self.known(self.members, name)[0]

    def bytes(self, name):
        address, size = self.known(self.places, name)
        return self.memory.read(address, size)

    def value(self, name):
        return int.from_bytes(self.bytes(name), "little")

    @property
    def secure(self):
        return "profile" in self.places

    @property
    def profile(self):
        value = self.value("profile") if self.secure else None
        return next((name[8:] for name, number in self.numbers.items() if number == value and name[:8] == "profile."),
                    "none")


def find_library(pid):
    """The allocator of a process: of several (one preloaded, another loaded later) the one in use."""
    memory, found = Memory(pid), []
    for line in proc_text(pid, "maps").splitlines():
        fields = line.split(None, 5)
        if len(fields) < 6 or fields[1][0] != "r" or int(fields[2], 16) != 0 or fields[5][0] != "/":
            continue
        base, path = int(fields[0].split("-")[0], 16), fields[5]
        try:
            for owner, kind, at, text in notes_of(memory, base):
                if owner == b"mimalloc\0" and kind == 1 and len(text) >= 8:
                    layout, distance = struct.unpack_from("<Ii", text)
                    if layout != LAYOUT:
                        raise Refused(f"process {pid} runs {path}, whose numbers have layout {layout}; this is "
                                      f"mimalloc-top {VERSION}, which reads layout {LAYOUT}")
                    found.append(Library(memory, path, at + 4 + distance))
        except NONSENSE:
            continue
    used = [library for library in found if library.value("process.slots") != 0]
    if not used:
        raise NoLibrary
    return max(used, key=lambda library: library.value("region.committed"))


# ---- what is counted ------------------------------------------------------------------------------------------------


def count_of(current, peak, total):
    return {"total": total, "peak": peak, "current": current}


class Counts:
    """What the library calls stats_t, added up: a list of [current, peak, total] or a number for each name."""

    def __init__(self, library):
        self.fields = [(name[6:], *where) for name, where in library.members.items() if name.startswith("stats.")]
        self.sums = {name: [[0, 0, 0] for _ in range(size // 24)] if size >= 24 else 0 for name, _, size in self.fields}

    def add(self, text):
        """As the library adds: the peak of a sum is no less than what one has had besides what the others have."""
        for name, at, size in self.fields:
            if size < 24:
                self.sums[name] += struct.unpack_from("<q", text, at)[0]
                continue
            if not any(text[at:at + size]):
                continue
            for to, (current, peak, total) in zip(self.sums[name], struct.iter_unpack("<qqq", text[at:at + size])):
                peak += to[0]
                to[0] += current
                to[2] += total
                to[1] = max(to[1], peak, to[0])

    def one(self, name):
        value = self.sums[name]
        return value if isinstance(value, int) else value[0][0]


def read_threads(library):
    """The numbers of threads that ended, and of each that runs: (address, kernel's number, counts). The last: whether
    no thread ended meanwhile."""
    meta, size = library.value("process.meta"), library.value("process.meta_size")
    stats_at, stats_size = library.known(library.members, "thread.stats")
    for _ in range(TRIES):
        before = library.bytes("ended") + library.bytes("threads.count")
        running = struct.unpack_from("<q", before, len(before) - 24)[0]
        threads, at = [], library.value("threads.all")
        seen = set()
        while at != 0 and len(threads) < THREADS_MAX:
            if not meta <= at <= meta + size - library.number("thread.bytes") or at in seen:
                break
            seen.add(at)
            number, = struct.unpack("<I", library.memory.read(at + library.offset("thread.number"), 4))
            if number != 0:  # ended just now, otherwise
                threads.append((at, number, library.memory.read(at + stats_at, stats_size)))
            at, = struct.unpack("<Q", library.memory.read(at + library.offset("thread.next"), 8))
        whole = library.bytes("ended") + library.bytes("threads.count") == before and len(threads) == running
        if whole:
            break
    return before[:-24], struct.unpack_from("<qqq", before, len(before) - 24), threads, whole


# ---- pages ----------------------------------------------------------------------------------------------------------


class Pages:
    """The heap as it is: by bin, and how much each thread's pages hold. Of a page only what is counted is read, and not
    its keys, which lie beside it."""

    def __init__(self, library):
        self.library, self.memory = library, library.memory
        self.slice = library.number("slice.bytes")
        self.bins, self.by_owner = {}, {}
        self.resident_free = self.looked_at = self.slices = 0
        self.held_blocks = self.held_bytes = 0
        taken = self.read_segments()
        self.looked_at = len(taken)
        self.read_pages(taken)

    def read_segments(self):
        """The slices that are not free, as numbers of slots."""
        library, per = self.library, 8 * self.library.known(self.library.members, "segment.free")[1]
        base, stride = library.value("region.segments_base"), library.number("segment.bytes")
        count, limit, extra = (library.value("region." + name) for name in ("count", "limit", "extra"))
        if count > limit or count + extra > SEGMENTS_MAX:
            raise Torn
        indices = [*range(count), *range(limit, limit + extra)]
        columns = []
        for name in ("free", "resident", "open"):
            at, size = library.known(library.members, "segment." + name)
            text = self.memory.gather([base + index * stride + at for index in indices], size)
            columns.append([int.from_bytes(text[i * size:(i + 1) * size], "little") for i in range(len(indices))])
        taken = []
        for index, free, resident, opened in zip(indices, *columns):
            self.resident_free += bin(free & resident).count("1") * self.slice
            bits = bin(1 << per | free)[:2:-1][:opened]  # of slice 0 first
            self.slices += bits.count("0")
            if self.slices <= SLICES_MAX:
                taken += [index * per + i for i, bit in enumerate(bits) if bit == "0"]
        return taken

    def fields(self, heads, *names):
        """From the first of these members of a page to the end of the last, for each page."""
        members = [self.library.known(self.library.members, "page." + name) for name in names]
        start = min(at for at, _ in members)
        size = max(at + length for at, length in members) - start
        text = self.memory.gather([head + start for head in heads], size)
        return ([int.from_bytes(text[i + at - start:i + at - start + length], "little") for at, length in members]
                for i in range(0, len(text), size))

    def read_pages(self, taken):
        slots, slot = self.library.value("process.slots"), self.library.number("page.bytes")
        addresses = [slots + i * slot for i in taken]
        tags = self.library.number("page.owner_tags")
        owners = {address: owner & ~tags for address, (back, owner) in
                  zip(addresses, self.fields(addresses, "back", "owner")) if back == 0}
        heads = list(owners)
        sizes, kinds = self.fields(heads, "size"), self.fields(heads, "kind")
        rest = self.fields(heads, "capacity", "reserved", "large_size", "used", "slices", "bin", "flags")
        is_large, is_sealed = self.library.number("page.is_large"), self.library.number("page.is_sealed")
        for head, (size,), (kind,), numbers in zip(heads, sizes, kinds, rest):
            capacity, reserved, large_size, used, slices, number, flags = numbers
            if slices == 0 or number > self.library.number("bin.large"):
                continue  # no page, or not any more
            if flags & is_sealed:
                self.held_blocks += 1
                self.held_bytes += large_size
            elif kind & is_large:
                self.add(number, owners[head], slices, 1, 1, large_size)
            elif used <= capacity <= reserved:
                self.add(number, owners[head], slices, used, reserved, used * size)

    def add(self, number, owner, slices, used, room, size):
        entry = self.bins.setdefault(number, {"pages": 0, "page_bytes": 0, "blocks": 0, "room": 0, "bytes": 0})
        for key, value in (("pages", 1), ("page_bytes", slices * self.slice), ("blocks", used), ("room", room),
                           ("bytes", size)):
            entry[key] += value
        self.by_owner[owner] = self.by_owner.get(owner, 0) + size

    def total(self, key):
        return sum(entry[key] for entry in self.bins.values())


# ---- one look -------------------------------------------------------------------------------------------------------


def bin_sizes(library):
    text, stride = library.bytes("bins"), library.number("bin.bytes")
    sizes = [struct.unpack_from("<I", text, at + library.offset("bin.size"))[0] for at in range(0, len(text), stride)]
    sizes[library.number("bin.odd")] = 0
    return sizes + [0]  # large ones have no one size


def process_facts(library, pid):
    _, fields = stat_of(pid)
    tick, page = 1000 // os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    start = library.value("since.start_ns")
    meta = library.value("meta.committed")
    peak = next((int(line.split()[1]) * 1024 for line in proc_text(pid, "status").splitlines()
                 if line.startswith("VmHWM:")), 0)
    return {"elapsed_msecs": max(time.clock_gettime_ns(time.CLOCK_MONOTONIC) - start, 0) // 1000000 if start else 0,
            "user_msecs": int(fields[11]) * tick, "system_msecs": int(fields[12]) * tick,
            "page_faults": int(fields[9]), "rss_current": int(proc_text(pid, "statm").split()[1]) * page,
            "rss_peak": peak, "commit_current": library.value("region.committed") + meta,
            "commit_peak": library.value("region.committed_peak") + meta}


def abandoned_pages(library):
    places = [place for place, in struct.iter_unpack("<Q", library.bytes("subprocesses")) if place != 0]
    counts = library.memory.gather([place + library.offset("subprocess.abandoned") for place in places], 8)
    return sum(count for count, in struct.iter_unpack("<Q", counts))


def shared_counts(library, counts, threads):
    """What is counted for the process as a whole, under the names of MI_STAT_TABLE."""
    region = {name: library.value("region." + name) for name in ("reserved", "committed", "committed_peak", "opened",
                                                                 "count", "purged_total", "purge_calls", "open_calls")}
    meta, arenas = library.value("meta.committed"), library.value("arenas.count")
    normal = [sum(count[i] * size for count, size in zip(counts.sums["malloc_bins"], bin_sizes(library)))
              for i in range(3)]
    found = {
        "malloc_normal": count_of(*normal),
        "reserved": count_of(*[region["reserved"]] * 3),
        "committed": count_of(region["committed"] + meta, region["committed_peak"] + meta, region["opened"] + meta),
        "segments": count_of(*[region["count"]] * 3),
        "threads": count_of(*threads),
        "arenas": count_of(*[arenas] * 3),
        "pages_abandoned": {**count_of(*counts.sums["pages_abandoned"][0]), "current": abandoned_pages(library)},
        "guards": count_of(0, 0, 0),
        "guarded_blocks": count_of(0, 0, 0),
        "reset": {"total": 0},
        "purged": {"total": region["purged_total"] - library.value("since.purged")},
        "purge_calls": {"total": region["purge_calls"] - library.value("since.purges")},
        "commit_calls": {"total": region["open_calls"] - library.value("since.opens")},
        "mmap_calls": {"total": 2 if region["reserved"] else 0},
        "violations": {"total": 0},
    }
    if library.secure:
        installed, removed, peak = (library.value("guards." + name) for name in ("installed", "removed", "peak"))
        found["guards"] = count_of(max(installed - removed, 0), peak, installed)
        found["guarded_blocks"] = count_of(*(library.value("samples." + name) for name in ("live", "peak", "total")))
        found["violations"] = {"total": library.value("violations")}
    return found


def thread_row(library, pid, thread, pages):
    at, number, text = thread
    counts = Counts(library)
    counts.add(text)
    try:
        name = printable(proc_text(pid, f"task/{number}/comm").rstrip("\n"))
    except (Gone, Refused):
        name = ""  # numbered otherwise in its container
    row = {"thread": number, "name": name, "bytes_in_pages": pages.by_owner.get(at, 0)}
    for key in ("generic_calls", "mailed", "delivered", "pages_adopted", "pages_retired"):
        row[key] = counts.one(key)
    return row


def look(library, pid):
    for tries in range(TRIES):
        try:
            return look_once(library, pid)
        except NONSENSE as error:
            if tries + 1 == TRIES:
                raise Torn from error


def look_once(library, pid):
    """Everything there is to say at one moment: what mi_stats_get_json() says, under its names, and `top`."""
    started, taken = stat_of(pid)[1][19], time.monotonic()
    ended, totals, threads, whole = read_threads(library)
    counts = Counts(library)
    for text in (ended, *(text for *_, text in threads)):
        counts.add(text)
    sizes = bin_sizes(library)
    found = {"version": library.number("version.stats"), "mimalloc_version": int(library.version.replace(".", "")),
             "profile": library.profile, "bin_count": len(sizes), "process": process_facts(library, pid)}
    for name, value in counts.sums.items():
        if isinstance(value, int):
            found[name] = {"total": value}
        elif len(value) == 1:
            found[name] = count_of(*value[0])
        else:
            found[name] = [{"size": size, **count_of(*count)} for size, count in zip(sizes, value)]
    found.update(shared_counts(library, counts, totals))
    pages = Pages(library)
    bins = [{"bin": number, "size": sizes[number], **entry} for number, entry in sorted(pages.bins.items())]
    found["top"] = {
        "pid": pid, "command": stat_of(pid)[0], "library": library.path, "library_version": library.version,
        "started": started, "taken": taken, "whole": whole, "all_threads": int(stat_of(pid)[1][17]),
        "in_use": pages.total("bytes"), "blocks": pages.total("blocks"), "page_bytes": pages.total("page_bytes"),
        "held_blocks": pages.held_blocks, "held_bytes": pages.held_bytes, "free_resident": pages.resident_free,
        "slices": pages.slices, "slices_looked_at": pages.looked_at, "bins": bins,
        "threads": [thread_row(library, pid, thread, pages) for thread in threads],
    }
    return found


RATES = ("generic_calls", "pages", "guarded_blocks", "pages_extended", "pages_retired", "pages_adopted",
         "pages_reclaimed", "mailed", "delivered", "purged", "purge_calls", "commit_calls", "violations")


def add_rates(found, before):
    """How much was added in each second since the look before; since the start, where there was none."""
    seconds = found["process"]["elapsed_msecs"] / 1000
    if before is not None:
        seconds = found["top"]["taken"] - before["top"]["taken"]
    seconds = max(seconds, 0.001)

    def rate(now, then):
        return round(max(now - then, 0) / seconds, 1)  # while a thread ends, its numbers are in neither sum

    then = before or {}
    found["top"]["seconds"] = round(seconds, 3)
    rates = {name: rate(found[name]["total"], then.get(name, {"total": 0})["total"]) for name in RATES}
    cpu = [one["process"]["user_msecs"] + one["process"]["system_msecs"] if one else 0 for one in (found, before)]
    rates["cpu_percent"] = rate(cpu[0] / 10, cpu[1] / 10)
    found["top"]["rates"] = rates
    old = {row["thread"]: row for row in before["top"]["threads"]} if before else {}
    for row in found["top"]["threads"]:
        row["rates"] = {key: rate(row[key], old.get(row["thread"], {}).get(key, 0))
                        for key in ("generic_calls", "mailed", "delivered")}
