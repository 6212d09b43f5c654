#!/usr/bin/env python3
"""Puts deliberate bugs into a copy of the sources, one by one, and sees whether the fuzzers' corpora find them.

usage: scripts/mutate.py [--only NUMBER,...] [--seeds N] [--build DIRECTORY] [--list | --check]

Each bug is a small replacement in one file of src/ or secure/. The copy lies in DIRECTORY (default: out/mutate) and is
built once, hardly optimised; for each bug one file is changed, the replay programs it concerns are built and run over
test/regress, N generated sequences (default: 60) and fuzz/corpus, until one fails, then the unit test of the file, if
there is one, and the file is put back. Prints a table; status 0: every bug was found. The tree itself is never changed.
--check only sees whether each bug's text is still where it is to be replaced.
"""
import argparse
import os
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# (file, what is there, what is put there, what that means)
BUGS = [
    ("src/hooks.h", "      memset((void*)ref, 0, page->block_size);", "      (void)page->block_size;",
     "plain: calloc does not clear used blocks"),
    ("src/hooks.h", "      *(link_t*)ref = 0;\n    } else {", "    } else {", "plain: calloc leaves the link in a fresh block"),
    ("src/hooks.h", "    memset((char*)p + old_size, 0, page->large_size - old_size);\n", "",
     "plain: rezalloc in place does not clear what is gained"),
    ("src/sizeclass.c", "if (size > mim_bins[bin].room) bin++;", "if (size > mim_bins[bin].room + 1) bin++;",
     "a bin is one byte too small for its request"),
    ("src/sizeclass.c", "size_t wanted = align_up(max_size(size, 1), align);", "size_t wanted = max_size(size, 16);",
     "aligned requests take a bin that is not aligned"),
    ("src/realloc.c", "memcpy(q, p, kept);", "memcpy(q, p, kept - (kept > 0));", "realloc loses the last byte"),
    ("src/realloc.c", "if (zero) memset((char*)q + kept, 0, mim_usable(q) - kept);", "", "rezalloc does not clear what is gained when it moves"),
    ("src/api.h", "  if (mim_unlikely(mul_overflows(count, size, &total))) return mim_fail(EOVERFLOW, SIZE_MAX);\n  return mim_heap_alloc(heap, total, FAMILY_C, zero);",
     "  total = count * size;\n  return mim_heap_alloc(heap, total, FAMILY_C, zero);", "calloc does not notice that its product overflows"),
    ("src/region.c", "  if (bits_any(segment->dirty, first, slices)) span->zero = false;\n", "", "used memory is taken for zero"),
    ("src/region.c", "  bits_change(segment->free, first, slices, false);\n  bits_change(segment->idle, first, slices, false);",
     "  bits_change(segment->free, first, slices - (slices > 1), false);\n  bits_change(segment->idle, first, slices, false);",
     "the last slice of a span stays free"),
    ("src/page.c", "return align_down(start + room - size + offset, align) - offset;", "return align_down(start + room - size + offset, 16) - offset;",
     "secure: large blocks are aligned to 16 only"),
    ("src/page.c", "page->reserved = (uint32_t)((usable - first_offset) / shape->stride);", "page->reserved = (uint32_t)((usable - first_offset) / shape->stride) + 1;",
     "the last block of a page lies half outside"),
    ("src/heap.c", "  for (page_t *page = heap->full.first, *next; page != NULL; page = next) {", "  for (page_t *page = heap->full.last, *next; page != NULL; page = NULL) {",
     "full pages are forgotten when a heap goes"),
    ("src/heap.c", "  mim_page_set_heap(page, to);\n", "", "mi_heap_delete leaves pages with the heap that is gone"),
    ("src/heap.c", "if (page->flags & PAGE_LISTED) abandoned_unlist(page);", "", "an adopted page stays in the list of abandoned ones"),
    ("src/internal.h", "  mim_stat_blocks(page, -1, 0);\n", "", "freed blocks are not counted off"),
    ("src/mail.c", "for (uint32_t i = 0; i < count; i++) {", "for (uint32_t i = 0; i + 1 < count; i++) {", "the last block of each letter is lost"),
    ("src/visit.c", "    if ((free_map[i / 64] >> (i % 64)) & 1) continue;\n", "", "a visit shows free blocks"),
    ("src/options.c", "return *value >= entry->min && *value <= entry->max;", "return *value >= entry->min;", "the environment may go above the maximum"),
    ("src/output.c", "if (text->length < text->room) text->start[text->length] = c;", "if (text->length <= text->room + 1) text->start[text->length] = c;",
     "formatted text runs over its buffer"),
    ("src/page.c", "if (clear) large_clear(page, start, used, p, page->large_size);",
     "if (clear) large_clear(page, start, used, p, page->large_size / 2);",
     "large calloc clears one half"),
    ("src/free.c", "  if (page->flags & PAGE_IN_FULL) mim_heap_page_unfull(page);\n  mim_free_checked(page, ref);\n}\n\nstatic void free_remote",
     "  mim_free_checked(page, ref);\n}\n\nstatic void free_remote", "a full page that gets a free block stays in the list of full ones"),
    ("secure/hooks_secure.h", "  if (mim_unlikely(slack > SLACK_MAX)) return 0;\n", "  slack &= SLACK_MAX;\n",
     "a double free passes"),
    ("secure/entry.h", "return (place_t){(uintptr_t)(product >> 64), (uint64_t)product < page->reciprocal};", "return (place_t){(uintptr_t)(product >> 64), (uint64_t)product < page->reciprocal * 17};",
     "addresses up to 16 bytes into a block are taken for its start"),
    ("secure/fence.h", "return same >= sec_fence_same[slack];", "return same >= (sec_fence_same[slack] & 0xFF00);",
     "half of the fence is not compared"),
    ("secure/hooks_secure.h", "if (mim_likely(place.index > 1)) {", "if (place.index > page->capacity) {",
     "the byte before a block is not looked at"),
    ("secure/hooks_secure.h", "    wipe_bytes(p, block_size, fence_tail(pattern));", "    wipe_bytes(p, block_size - 16 * (block_size > 32), fence_tail(pattern));", "the last 16 bytes of a freed block are not wiped"),
    ("secure/wipe.h", "seen |= (word[0] | word[1]) | (end[-3] | end[-2]);", "seen |= (word[0] | word[1]) | end[-3];", "the end of a block is not verified at reuse"),
    ("secure/wipe.h", "seen |= (word[1] | word[2]) | (word[3] | word[4]);", "seen |= (word[1] | word[2]) | word[3];", "a quarter of a block is not verified at reuse"),
    ("secure/invalid.c", "state_exchange(page, place.index, STATE_MAILED)", "state_exchange(page, place.index, STATE_FREE)", "a block in the mail is marked as free"),
    ("secure/entry.c", "      magazine[count++] = magazine[place];\n      magazine[place] = index;", "      magazine[count++] = index;\n      magazine[place] = index;",
     "the shuffle hands a block out twice"),
    ("secure/entry.c", "fill_states(page, first, count, state_get(page, first) & STATE_FRESH);",
     "fill_states(page, first, count - 1, state_get(page, first) & STATE_FRESH);", "the last block of each extension is lost"),
    ("secure/entry.c", "memset(p, 0, (size_t)count * page->stride);", "memset(p, 0, (size_t)(count - 1) * page->stride);",
     "used memory is not cleared under the last block of an extension"),
    ("secure/invalid.c", "if (size != SIZE_UNKNOWN && size != request_of(page, state))", "if (size != SIZE_UNKNOWN && size > request_of(page, state))",
     "a sized free may name less"),
    ("secure/invalid.c", "bool same = family == FAMILY_ANY || ((*state >> STATE_FAMILY_SHIFT) & 3u) == (unsigned)family;", "bool same = family != FAMILY_NEW_ARRAY || ((*state >> STATE_FAMILY_SHIFT) & 3u) == (unsigned)family;",
     "delete takes blocks of every family"),
    ("secure/guard.c", "sealed = install(start, slices * SLICE_SIZE, true);", "sealed = true;", "freed large blocks stay accessible"),
    ("secure/hold.c", "    memset(at, 0, os_page);\n", "", "a large block that is used again is not cleared"),
    ("secure/hold.c", "  if (*used < old) *used = old;\n", "", "what is behind a large block that is used again stays accessible"),
    ("src/page.c", "if (wanted + hook_large_extra() > page_bytes(page) ||", "if (wanted > page_bytes(page) ||",
     "secure: a large block grows over its guard"),
    ("secure/hold.c", "bool warm = may_warm && mim_os_close(mim_page_start(page), bytes_of(page));", "bool warm = may_warm;",
     "warm blocks stay accessible"),
    ("secure/quarantine.c", "    if (mim_unlikely(!wipe_holds(p, page->block_size, tail))) sec_wipe_broken(page, kept.index);\n", "    (void)p, (void)tail;\n",
     "a block that leaves the quarantine is not verified"),
    ("secure/quarantine.c", "  state_set(page, index, STATE_QUARANTINED);\n", "", "a block in quarantine counts as live"),
    ("secure/quarantine.c", "    kept_t kept = random_take(quarantine, place);\n    if (kept.page != NULL) leave(tld, kept);\n  }\n",
     "    (void)random_take(quarantine, place);\n  }\n", "blocks in random quarantine are lost when it is emptied"),
    ("secure/quarantine.c", "quarantine->front = (quarantine->front + 1) % QUEUE_PLACES;", "quarantine->front = quarantine->front % QUEUE_PLACES;",
     "the queue of the quarantine gives the same block again"),
    ("secure/isolate.c", "if (last == bin || (last == 0 && choice == OR_NEW)) chosen", "if (last != 0 || choice == OR_NEW) chosen",
     "isolated addresses are used for other sizes"),
    ("secure/memory.c", "return (uintptr_t)p < block.end ? block.end - (uintptr_t)p : 0;", "return (uintptr_t)p < block.end ? block.end - (uintptr_t)p + 1 : 0;",
     "a checked memory function may go a byte too far"),
    ("secure/memory.c", "  if (mim_unlikely(!state_is_live(state))) return (range_t){0, 0};\n", "", "checked memory functions use freed blocks"),
    ("secure/keys.c", "store_key(pool->key, generation->key, ++generation->count);", "store_key(pool->key, generation->key, generation->count);",
     "two threads draw the same random numbers"),
    ("secure/sample.c", "  page->kind |= KIND_SAMPLED;\n", "", "sampled blocks are not told from others"),
    ("secure/sample.c", "  if (rate == 1) return true;\n", "", "a rate of 1 does not mean every block"),
    ("secure/guard.c", "if (!(light ? mim_os_guard_remove(start, size) : mim_os_open(start, size))) return false;",
     "(void)(light ? mim_os_guard_remove(start, size) : mim_os_open(start, size));", "guards that cannot be removed are taken for removed"),
    ("src/region.c", "  if (ok && !usable) {", "  if (slices == 0) {", "secure: a span whose guards stay is handed out"),
    ("src/meta.c", "    if (commit(meta.heap + meta.heap_open, META_STEP)) meta.heap_open += META_STEP;",
     "    (void)commit(meta.heap + meta.heap_open, META_STEP);\n    meta.heap_open += META_STEP;", "metadata that cannot be opened is used"),
    ("src/region.c", "    if (!mim_os_open(from, (target - segment->open) * SLICE_SIZE)) return false;",
     "    (void)mim_os_open(from, (target - segment->open) * SLICE_SIZE);", "memory that cannot be opened is handed out"),
    ("src/spare.c", "if (spare.pages[i].page->bin == bin) page", "if (spare.pages[i].page->bin >= bin) page", "a spare page serves another size"),
    ("src/thread.c", "    mim_stats_merge(&tld->stats);  // what they allocated is still there\n", "", "a forked child forgets what other threads counted"),
    ("src/init.c", "  for (size_t i = 0; i < LOCK_COUNT; i++) lock_reset(locks[i]);\n", "", "locks stay held in a forked child"),
    ("src/region.c", "    if (gone) {\n      probe_purge", "    {\n      probe_purge", "what the kernel did not purge counts as zero"),
    ("secure/sample.c", "  if (p == NULL) {\n    mim_meta_free(sample", "  if (size == 0) {\n    mim_meta_free(sample", "no memory for a sampled block is not noticed"),
    ("secure/sample.c", "  page->hook.entries = sample->entries;\n", "", "a sampled block has not its own record"),
    ("secure/fault.c", "  if (is_function(wanted)) {\n    if (wanted->sa_flags & (int)SA_RESETHAND)", "  if (is_function(wanted) && signal != SIGSEGV) {\n    if (wanted->sa_flags & (int)SA_RESETHAND)",
     "the program's handler is not called after a fault"),
    ("src/region.c", "  if (arena != 0) return segment->arena == arena;", "  if (arena != 0) return segment->arena == arena || segment->arena == 0;",
     "a heap of an arena takes memory from elsewhere"),
    ("src/page.c", "  if (!may_purge || !mim_os_purge((void*)start, used)) memset((void*)p, 0, size);",
     "  if (may_purge) (void)mim_os_purge((void*)start, used);\n  else memset((void*)p, 0, size);",
     "large calloc trusts a purge that failed"),
    ("secure/row.c", "  return kept_get(&pair[1], row->words) == sum_of(pc, object, row);", "  return kept_get(&pair[1], row->words) != 0;",
     "a kept row of another place in the program is used for traces"),
    ("secure/invalid.c", "  for (; p < end; p++) other[0] |= *p ^ byte;\n", "", "the last bytes around a sampled block are not looked at"),
    ("secure/guard.c", "      if (!remove_guards(base + (i + 1) * SLICE_SIZE - os_page, os_page)) return false;\n", "",
     "the guard behind a span stays when the span grows into it"),
    ("secure/quarantine.c", "  size_t limit = mim_process.hook.quarantine / 2;\n  size_t next",
     "  size_t limit = mim_process.hook.quarantine * 4;\n  size_t next",
     "large blocks may fill all places of the quarantine"),
    ("secure/hooks_secure.h", "  if (mim_likely(quick)) wipe_but_last(p, block_size);\n  return true;\n", "  return true;\n",
     "what other threads free is not wiped"),
    ("secure/hooks_secure.h", "    if (place.index == 1 || mim_likely(__atomic_load_n(before, __ATOMIC_RELAXED) == fence_last(page, place.index - 1))) {",
     "    if (before != NULL) {", "the byte before a block that another thread freed is not looked at"),
    ("src/api.h", "mim_unlikely(heap->tld != mim_tls.tld)", "mim_unlikely(heap->tld == NULL)", "threads take blocks off the pages of others"),
    ("src/bits.h", "(~(uint64_t)0 << (at % 64))", "(~(uint64_t)0 << (at % 32))", "sets of slices are searched from too early"),
    ("src/free.c", "  if (adopted) mim_heap_page_full(page->heap, page);", "  (void)adopted;",
     "a thread that ends keeps the large block that it may not free"),
]


def stop(message):
    sys.exit(f"mutate.py: {message}")


def numbers(text):
    try:
        chosen = [int(word) for word in text.split(",")]
    except ValueError:
        chosen = [0]
    for number in chosen:
        if not 1 <= number <= len(BUGS):
            stop(f"--only '{text}': expected numbers from 1 to {len(BUGS)}, separated by commas")
    return chosen


def check_texts():
    stale = []
    for number, (path, old, _, text) in enumerate(BUGS, 1):
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            count = file.read().count(old)
        if count != 1:
            stale.append(f"\n  {number}: {count} times in {path} ({text})")
    if stale:
        stop("texts that are not to be found exactly once; adapt them in scripts/mutate.py:" + "".join(stale))


def run(command, log, limit=None, env=None):
    """The status of a command: 124 when it takes too long."""
    with open(log, "wb") as out:
        try:
            return subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, timeout=limit, env=env).returncode
        except subprocess.TimeoutExpired:
            return 124


def copy_tree(build):
    source = os.path.join(build, "tree")
    shutil.rmtree(source, ignore_errors=True)
    names = ["CMakeLists.txt", "cmake", "include", "src", "secure", "fuzz", "test"]
    for name in names:
        old, new = os.path.join(ROOT, name), os.path.join(source, name)
        os.makedirs(os.path.dirname(new), exist_ok=True)
        shutil.copytree(old, new, copy_function=shutil.copy) if os.path.isdir(old) else shutil.copy(old, new)
    return source


def make_inputs(build, source, seeds):
    """For each target the directories and files it replays, cheap ones first."""
    inputs = {}
    for target in ("api", "misuse", "threads", "corrupt", "process", "options"):
        paths = [os.path.join(source, "test/regress", target)]
        if target != "options":
            grown = os.path.join(build, "seeds", target)
            shutil.rmtree(grown, ignore_errors=True)
            subprocess.run([sys.executable, os.path.join(source, "fuzz/grow.py"), target, grown, str(seeds)], check=True)
            paths.append(grown)
        paths.append(os.path.join(source, "fuzz/corpus", target))
        inputs[target] = [path for path in paths if os.path.isdir(path)]
    return inputs


def products(path, text):
    """Which of the two libraries a bug is in."""
    if path.startswith("secure/") or text.startswith("secure:"):
        return ["secure"]
    return ["plain"] if text.startswith("plain:") else ["secure", "plain"]


def targets(path, product):
    both = ["options", "api"] if path in ("src/options.c", "src/output.c") else ["api", "threads"]
    if product == "plain":
        return both + ["process"]
    return (["misuse"] + both + ["corrupt"] if path.startswith("secure/") else both + ["misuse"]) + ["process"]


def thorough(names):
    """What finds less, or takes longer: the mechanisms of the profile strict, and walks after each operation."""
    strict = [(name, {"MIMALLOC_PROFILE": "strict"}) for name in names if name in ("fuzz_misuse-secure", "fuzz_api-secure")]
    return strict + [(name, {"FUZZ_SLOW": "1"}) for name in names]


def find(build, made, inputs, log, path, text):
    """Builds and runs what the bug concerns. What finds it: a program and how it ended; None: nothing does."""
    for product in products(path, text):
        names = [f"fuzz_{target}-{product}" for target in targets(path, product)]
        if run(["cmake", "--build", made, "--target"] + names, log) != 0:
            stop(f"'{text}' does not compile; see {log}")
        for name, mode in [(name, {}) for name in names] + thorough(names):
            program = os.path.join(made, "fuzz", name)
            status = run([program, "-q"] + inputs[name.split("_")[1].split("-")[0]], log, 120, dict(os.environ, **mode))
            if status != 0:
                lines = [line for line in open(log, errors="replace") if line.startswith(("fuzz", "mimalloc: assertion"))]
                ended = {124: "hangs", -11: "crashes", -6: "aborts"}.get(status, f"status {status}")
                return " ".join([name] + [f"{k}={v}" for k, v in mode.items()]), lines[-1].strip() if lines else ended
    return find_by_unit_test(made, log, path)


def find_by_unit_test(made, log, path):
    """What is there only when it is switched on, or shows in odds alone, has unit tests."""
    stem = os.path.splitext(os.path.basename(path))[0]
    stem = {"row": "trace", "invalid": "sample", "api": "report_ways", "hooks_secure": "report_ways"}.get(stem, stem)
    test = f"unit-{stem}-secure"
    if not os.path.exists(os.path.join(ROOT, "test/unit", f"{stem}_test.c")):
        return None
    if run(["cmake", "--build", made, "--target", test], log) != 0:
        stop(f"{test} does not compile; see {log}")
    if run([os.path.join(made, "test/unit", test)], log, 120) == 0:
        return None
    lines = [line for line in open(log, errors="replace") if "Error" in line or "error" in line or "!=" in line]
    return test, lines[0].strip() if lines else "fails"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only")
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--build", default=os.path.join(ROOT, "out/mutate"))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    chosen = numbers(args.only) if args.only else range(1, len(BUGS) + 1)
    if args.list:
        for number in chosen:
            print(f"{number:3} {BUGS[number - 1][0]}: {BUGS[number - 1][3]}")
        return
    check_texts()
    if args.check:
        return
    build = os.path.abspath(args.build)
    os.makedirs(build, exist_ok=True)
    source = copy_tree(build)
    log = os.path.join(build, "log")
    made = os.path.join(build, "made")
    configure = ["cmake", "-S", source, "-B", made, "-DCMAKE_BUILD_TYPE=None", "-DMI_DEBUG_LEVEL=1", "-DMI_FUZZ_LEVEL=-O1"]
    if shutil.which("ninja"):
        configure += ["-G", "Ninja"]
    if run(configure, log) != 0:
        stop(f"the copy cannot be configured; see {log}")
    inputs = make_inputs(build, source, args.seeds)
    for path in ("src/free.c", "secure/invalid.c", "src/options.c"):
        if find(build, made, inputs, log, path, "no bug") is not None:
            stop(f"the corpora fail without any bug; see {log}")
    missed = []
    print("| bug | file | what it does | found by | how | s |\n|---|---|---|---|---|---|")
    for number in chosen:
        path, old, new, text = BUGS[number - 1]
        name = os.path.join(source, path)
        before = open(name).read()
        begin = time.monotonic()
        try:
            open(name, "w").write(before.replace(old, new))
            found = find(build, made, inputs, log, path, text)
        finally:
            open(name, "w").write(before)
        if found is None:
            missed.append(number)
        by, how = found or ("**nothing**", "")
        how = how.replace("|", "/")[:100]
        print(f"| {number} | {path} | {text} | {by} | {how} | {time.monotonic() - begin:.0f} |", flush=True)
    if missed:
        sys.exit(f"not found: {', '.join(map(str, missed))}")


main()
