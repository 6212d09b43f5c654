#!/usr/bin/env python3
"""Reads the library's statistics of this very process, by ctypes and without a module to compile.

  LD_PRELOAD=/usr/local/lib/libmimalloc-secure.so python3 read_statistics.py          a short table
  LD_PRELOAD=/usr/local/lib/libmimalloc-secure.so python3 read_statistics.py --json   all of it, as JSON

The interpreter asks malloc for little itself; with PYTHONMALLOC=malloc every object is a block of the library.
"""

import ctypes
import json
import sys


def load():
    """The library this process runs with; preloaded names are found in the program itself."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mi_stats_get_json"):
        sys.exit("read_statistics.py: the library is not there: start with LD_PRELOAD=.../libmimalloc-secure.so")
    library.mi_stats_get_json.argtypes = [ctypes.c_size_t, ctypes.c_void_p]
    library.mi_stats_get_json.restype = ctypes.c_void_p
    library.mi_free.argtypes = [ctypes.c_void_p]
    library.mi_free.restype = None
    return library


def statistics(library):
    """mi_stats_get_json() as Python objects."""
    text = library.mi_stats_get_json(0, None)
    if text is None:
        raise MemoryError("mi_stats_get_json")
    try:
        return json.loads(ctypes.string_at(text))
    finally:
        library.mi_free(text)


def main():
    library = load()
    ballast = [bytearray(5000) for _ in range(2000)]
    stats = statistics(library)
    if "--json" in sys.argv[1:]:
        json.dump(stats, sys.stdout, indent=1)
        print()
        return
    print(f"profile {stats['profile']}, {len(ballast)} blocks of 5,000 bytes among others")
    for name, factor, unit in (("committed", 2**20, "MiB"), ("pages", 1, ""), ("threads", 1, "")):
        count = stats[name]
        print(f"{name:12} now {count['current'] / factor:8.1f} {unit:4} at most {count['peak'] / factor:8.1f} {unit}")


if __name__ == "__main__":
    main()
