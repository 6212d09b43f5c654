/**
 * @file mimalloc/process.h
 * The library in the process: version, start and end, callbacks, collection, numbers to print.
 *
 * Included by mimalloc.h, whose rules hold here. Thread rule: all of it may be called from any thread at
 * any time. Callbacks are set for the whole process; they are called on whatever thread has something to
 * say, possibly on several at once. A callback that is replaced while others allocate may be called a last
 * time after that.
 */
#ifndef MIMALLOC_PROCESS_H
#define MIMALLOC_PROCESS_H

#include "attr.h"
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup process Process, threads and callbacks
 *  @{ */

/**
 * Called now and then so that the program can do work it has put off, such as freeing a long list a few
 * nodes at a time. @p force is true when all of that work should be done now: in mi_collect(true), in
 * mi_heap_collect() with force, and when a thread ends. @p heartbeat grows by one with each call of the
 * calling thread's generic path. It may allocate and free; while it runs it is not called again on that
 * thread. @p arg is that of mi_register_deferred_free().
 */
typedef void(mi_deferred_free_fun)(bool force, unsigned long long heartbeat, void* arg);

/**
 * Receives all text of the library, in pieces that are not always whole lines; @p msg ends with 0. It must
 * not allocate, free or print through this library. @p arg is that of mi_register_output() or of the call.
 */
typedef void(mi_output_fun)(const char* msg, void* arg);

/**
 * Told of each error: ENOMEM no memory, EOVERFLOW a size that overflows or cannot be met, EINVAL a bad
 * alignment, and a pointer or heap that is not one or is freed wrongly, EAGAIN a double free, EFAULT an
 * overwritten or wrongly accessed block. The last three are told by the secure build of every violation,
 * which then ends the process unless its options say otherwise: the call is a last notice, and must do only
 * what a mi_violation_fun may. The plain build notices foreign pointers and heaps (EINVAL) only. @p arg is
 * that of mi_register_error().
 */
typedef void(mi_error_fun)(int err, void* arg);

/**
 * Have @p deferred_free called, with @p arg, at a bounded interval of allocations by the threads that
 * allocate, and by mi_collect(). Allocation alone triggers it: an idle thread makes no calls. NULL ends it.
 * Set it before other threads allocate: the function and its argument are not replaced as one.
 */
MI_EXPORT void mi_register_deferred_free(mi_deferred_free_fun* deferred_free, void* arg) MI_NOEXCEPT;

/**
 * Send all text to @p out, with @p arg. Text from before the first registration went to stderr, and its
 * first 8 KiB are now delivered as well. NULL: stderr.
 */
MI_EXPORT void mi_register_output(mi_output_fun* out, void* arg) MI_NOEXCEPT;

/** Have @p fun told of errors, with @p arg. NULL ends it. */
MI_EXPORT void mi_register_error(mi_error_fun* fun, void* arg) MI_NOEXCEPT;

/**
 * Do the calling thread's deferred work now: run the deferred-free callback, take in blocks freed by other
 * threads, release empty pages. With @p force also give all free memory back to the OS, of the whole process.
 */
MI_EXPORT void mi_collect(bool force) MI_NOEXCEPT;

/** As mi_collect(true) if the calling thread's pages take more than @p target_thread_owned bytes. */
MI_EXPORT void mi_collect_reduce(size_t target_thread_owned) MI_NOEXCEPT;

/** The version of the library that is running, as MI_MALLOC_VERSION. */
MI_NODISCARD MI_EXPORT int mi_version(void) MI_NOEXCEPT;

/** Make the library ready. Needed by nobody: the first allocation does it. More calls have no effect. */
MI_EXPORT void mi_process_init(void) MI_NOEXCEPT;

/**
 * Do what is done at exit: collect, print statistics if they were asked for (debug builds also list what is
 * still in use), write the heap map if one was. More calls print nothing more. Allocation goes on working.
 */
MI_EXPORT void mi_process_done(void) MI_NOEXCEPT;

/** Make the calling thread ready. Needed by nobody: its first allocation does it. */
MI_EXPORT void mi_thread_init(void) MI_NOEXCEPT;

/**
 * Hand the calling thread's pages to the others and delete its heaps; it happens by itself when a thread
 * ends. It may allocate again.
 */
MI_EXPORT void mi_thread_done(void) MI_NOEXCEPT;

/** Say that the calling thread is one of a pool. No effect: whose a page is does not depend on it. */
MI_EXPORT void mi_thread_set_in_threadpool(void) MI_NOEXCEPT;

/**
 * True when the C library's malloc and free are this library: by preload, or by static or dynamic linking.
 */
MI_NODISCARD MI_EXPORT bool mi_is_redirected(void) MI_NOEXCEPT;

/** Print all options, their values and where those come from, to the registered output. */
MI_EXPORT void mi_options_print(void) MI_NOEXCEPT;

/** As mi_options_print(), to @p out with @p arg; NULL is the registered output. */
MI_EXPORT void mi_options_print_out(mi_output_fun* out, void* arg) MI_NOEXCEPT;

/** Print time and memory use of the process to the registered output. */
MI_EXPORT void mi_process_info_print(void) MI_NOEXCEPT;

/** As mi_process_info_print(), to @p out with @p arg; NULL is the registered output. */
MI_EXPORT void mi_process_info_print_out(mi_output_fun* out, void* arg) MI_NOEXCEPT;

/**
 * Time and memory of the process; each pointer may be NULL. In milliseconds: @p elapsed_msecs since the
 * start of the library, @p user_msecs and @p system_msecs of CPU time. In bytes: @p current_rss and @p
 * peak_rss resident, @p current_commit and @p peak_commit opened by this library. A number: @p page_faults
 * that read from a disk. See getrusage(2).
 */
MI_EXPORT void mi_process_info(size_t* elapsed_msecs, size_t* user_msecs, size_t* system_msecs,
    size_t* current_rss, size_t* peak_rss, size_t* current_commit, size_t* peak_commit, size_t* page_faults)
    MI_NOEXCEPT;

/** @} */

/** @defgroup statistics Statistics as text
 *  For the numbers themselves, and JSON, see mimalloc-stats.h.
 *  @{ */

/**
 * Set what ended threads and the calling thread have counted to 0; what is in use is counted from there, so
 * that `current` may become negative. Numbers of other running threads stay, and so do those that are facts
 * of the moment (reserved and committed memory, segments, threads, arenas).
 */
MI_EXPORT void mi_stats_reset(void) MI_NOEXCEPT;

/** Add the calling thread's statistics to those of the process; it happens by itself when a thread ends. */
MI_EXPORT void mi_stats_merge(void) MI_NOEXCEPT;

/** Print the statistics to the registered output. @p out is ignored; pass NULL. */
MI_EXPORT void mi_stats_print(void* out) MI_NOEXCEPT;

/** Print the statistics to @p out with @p arg; NULL is the registered output. */
MI_EXPORT void mi_stats_print_out(mi_output_fun* out, void* arg) MI_NOEXCEPT;

/** Print the calling thread's statistics since they were last merged to @p out with @p arg; NULL as above. */
MI_EXPORT void mi_thread_stats_print_out(mi_output_fun* out, void* arg) MI_NOEXCEPT;

/** @} */

#ifdef __cplusplus
}
#endif

#endif  // MIMALLOC_PROCESS_H
