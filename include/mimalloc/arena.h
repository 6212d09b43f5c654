/**
 * @file mimalloc/arena.h
 * Arenas: memory reserved in advance or handed in by the program; and subprocesses.
 *
 * Included by mimalloc.h, whose rules hold here; do not include it on its own. Thread rule: may be called
 * by any thread. An arena lasts until the process ends. Its memory is used for every heap, unless it is
 * exclusive: then only for heaps bound to it (mi_heap_new_in_arena()). There can be 128 arenas; one more is
 * ENOMEM, or false. Parameters that recur: `commit`, open the memory at once; `allow_large`, ask the OS for
 * large pages (2 MiB, transparent); `numa_node`, where the memory is to lie, -1 for anywhere; `arena_id`,
 * where the number of the new arena (from 1), or 0 after a failure, is stored unless it is NULL.
 */
#ifndef MIMALLOC_ARENA_H
#define MIMALLOC_ARENA_H

#ifndef MIMALLOC_H
#error "include <mimalloc.h> instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup arenas Arenas
 *  @{ */

/** Reserve @p size bytes of OS memory, rounded up to 32 MiB. 0, or ENOMEM; also for 0 bytes. */
MI_EXPORT int mi_reserve_os_memory(size_t size, bool commit, bool allow_large) MI_NOEXCEPT;

/** As mi_reserve_os_memory(), for an arena of its own number that may be @p exclusive. */
MI_EXPORT int mi_reserve_os_memory_ex(size_t size, bool commit, bool allow_large, bool exclusive,
    mi_arena_id_t* arena_id) MI_NOEXCEPT;

/**
 * Let the library allocate from @p size bytes at @p start, which must stay mapped, readable and writable
 * until the process ends and belong to nobody else. Both should be multiples of mi_arena_min_alignment();
 * what is left over is not used. @p is_committed: it is accessible now; @p is_pinned: it must not be given
 * back to the OS (large or locked OS pages); @p is_zero: it is all zero. @p numa_node has no effect: the
 * memory lies where it lies. False, and the memory is left alone, when it is too small or cannot be used.
 */
MI_EXPORT bool mi_manage_os_memory(void* start, size_t size, bool is_committed, bool is_pinned, bool is_zero,
    int numa_node) MI_NOEXCEPT;

/** As mi_manage_os_memory(), for an arena of its own number that may be @p exclusive. */
MI_EXPORT bool mi_manage_os_memory_ex(void* start, size_t size, bool is_committed, bool is_pinned,
    bool is_zero, int numa_node, bool exclusive, mi_arena_id_t* arena_id) MI_NOEXCEPT;

/**
 * Reserve @p pages huge OS pages of 1 GiB, spread over @p numa_nodes nodes (0: those there are), within @p
 * timeout_msecs milliseconds (0: no limit). 0, ENOMEM when the OS has none, ETIMEDOUT; what was reserved
 * until then stays.
 */
MI_EXPORT int mi_reserve_huge_os_pages_interleave(size_t pages, size_t numa_nodes, size_t timeout_msecs)
    MI_NOEXCEPT;

/** As mi_reserve_huge_os_pages_interleave(), all of them on node @p numa_node. */
MI_EXPORT int mi_reserve_huge_os_pages_at(size_t pages, int numa_node, size_t timeout_msecs) MI_NOEXCEPT;

/** As mi_reserve_huge_os_pages_at(), for an arena of its own number that may be @p exclusive. */
MI_EXPORT int mi_reserve_huge_os_pages_at_ex(size_t pages, int numa_node, size_t timeout_msecs,
    bool exclusive, mi_arena_id_t* arena_id) MI_NOEXCEPT;

/**
 * Older form of mi_reserve_huge_os_pages_interleave(), with a limit in seconds; @p pages_reserved, unless
 * NULL, gets @p pages, or 0 after an error.
 */
MI_EXPORT int mi_reserve_huge_os_pages(size_t pages, double max_secs, size_t* pages_reserved) MI_NOEXCEPT;

/**
 * The start of arena @p arena_id, and its size in bytes in @p size unless NULL; NULL and 0 when there is
 * none.
 */
MI_NODISCARD MI_EXPORT void* mi_arena_area(mi_arena_id_t arena_id, size_t* size) MI_NOEXCEPT;

/** Does @p p, any address, lie in arena @p arena_id? */
MI_NODISCARD MI_EXPORT bool mi_arena_contains(mi_arena_id_t arena_id, const void* p) MI_NOEXCEPT;

/** The alignment, in bytes, that memory handed to mi_manage_os_memory() should have. */
MI_NODISCARD MI_EXPORT size_t mi_arena_min_alignment(void) MI_NOEXCEPT;

/** The least size, in bytes, of memory handed to mi_manage_os_memory(). */
MI_NODISCARD MI_EXPORT size_t mi_arena_min_size(void) MI_NOEXCEPT;

/** Print number, start and size of each arena to the registered output, and whether it is exclusive. */
MI_EXPORT void mi_arenas_print(void) MI_NOEXCEPT;

/** Older name of mi_arenas_print(). */
MI_EXPORT void mi_debug_show_arenas(void) MI_NOEXCEPT;

/** @} */

/** @defgroup subprocesses Subprocesses
 *  Threads of a subprocess take over abandoned pages only from each other. Every thread starts in the main
 *  one.
 *  @{ */

/** The subprocess all threads start in. */
MI_NODISCARD MI_EXPORT mi_subproc_id_t mi_subproc_main(void) MI_NOEXCEPT;

/** A new, empty subprocess; NULL with ENOMEM when out of memory, or when there are 63 of them. */
MI_NODISCARD MI_EXPORT mi_subproc_id_t mi_subproc_new(void) MI_NOEXCEPT;

/**
 * Delete @p subproc; to be called when its threads have ended. Their pages go to the main one. Ignored for
 * the main one and NULL.
 */
MI_EXPORT void mi_subproc_delete(mi_subproc_id_t subproc) MI_NOEXCEPT;

/**
 * Move the calling thread to @p subproc. To be called before the thread allocates; ignored, with a warning,
 * later.
 */
MI_EXPORT void mi_subproc_add_current_thread(mi_subproc_id_t subproc) MI_NOEXCEPT;

/** @} */

#ifdef __cplusplus
}
#endif

#endif  // MIMALLOC_ARENA_H
