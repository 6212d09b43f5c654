/**
 * @file mimalloc-secure.h
 * What this library adds to mimalloc's interface: which product is running, how hard it checks, what it
 * found, and allocation by family.
 *
 * Both products export all of it, so that one program runs with either: the plain build answers
 * MI_PROFILE_NONE and false, reports nothing, and treats families alike. Numbers of enumerators are part of
 * the binary interface and do not change; new ones are added before the last. Thread rule: may be called by
 * any thread. The questions (mi_profile(), mi_fault_name() and so on) and mi_malloc_object_size() may be
 * called in signal handlers.
 */
#ifndef MIMALLOC_SECURE_H
#define MIMALLOC_SECURE_H

#include "mimalloc.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup profiles Profiles and policies
 *  @{ */

/** How much is checked: values of mi_option_profile, `MIMALLOC_PROFILE=fast|default|strict|fuzz`. */
typedef enum mi_profile_e {
  MI_PROFILE_NONE = 0,     ///< The plain build.
  MI_PROFILE_FAST = 1,     ///< `fast`: guards, exact frees, random order, encrypted states.
  MI_PROFILE_DEFAULT = 2,  ///< `default`: also fences, sized and family checks, zeroing, guarded samples.
  MI_PROFILE_STRICT = 3,   ///< `strict`: whole blocks zeroed and verified, quarantine, checked memcpy.
  MI_PROFILE_FUZZ = 4      ///< `fuzz`: every block has a guard of its own. For finding bugs.
} mi_profile_t;

/**
 * What follows when a check fails, from weak to strong: values of mi_option_on_violation and of the options
 * of single checks, `MIMALLOC_ON_VIOLATION=report|abort`, `MIMALLOC_FENCE=inherit|off|report|abort`.
 */
typedef enum mi_severity_e {
  MI_SEVERITY_INHERIT = -1,  ///< What mi_option_on_violation says; only for single checks.
  MI_SEVERITY_OFF = 0,       ///< No check; only for single checks.
  MI_SEVERITY_REPORT = 1,    ///< Report and go on; see mi_register_violation().
  MI_SEVERITY_ABORT = 2      ///< Report and abort.
} mi_severity_t;

/**
 * What becomes of a pointer that is not ours: values of mi_option_foreign,
 * `MIMALLOC_FOREIGN=abort|libc|ignore`.
 */
typedef enum mi_foreign_e {
  MI_FOREIGN_ABORT = 0,  ///< A violation like any other.
  MI_FOREIGN_LIBC = 1,   ///< Passed to the C library's own function; a violation where there is none.
  MI_FOREIGN_IGNORE = 2  ///< Left alone silently.
} mi_foreign_t;

/** The form of reports: values of mi_option_report, `MIMALLOC_REPORT=text|json|/path/of/file`. */
typedef enum mi_report_form_e {
  MI_REPORT_TEXT = 0,  ///< Text, to standard error.
  MI_REPORT_JSON = 1,  ///< The text, and behind it one line of JSON, to standard error.
  MI_REPORT_FILE = 2   ///< The text; the line of JSON is appended to the file that the environment names.
} mi_report_form_t;

/** The profile in effect. */
MI_NODISCARD MI_EXPORT mi_profile_t mi_profile(void) MI_NOEXCEPT;

/** The name of the profile in effect: "none", "fast", "default", "strict" or "fuzz". A constant. */
MI_NODISCARD MI_EXPORT const char* mi_profile_name(void) MI_NOEXCEPT;

/** Is this the secure product? */
MI_NODISCARD MI_EXPORT bool mi_is_secure(void) MI_NOEXCEPT;

/**
 * An upper bound of the bytes that may be accessed from @p p on, where @p p may point into the middle of a
 * block: in the secure build exactly the bytes up to the end of what was asked for. 0 for a freed block and
 * for an address in the region that is in no block, in builds that know; SIZE_MAX when nothing is known, as
 * for addresses that are not ours and NULL. Never reads at @p p and never reports.
 */
MI_NODISCARD MI_EXPORT size_t mi_malloc_object_size(const void* p) MI_NOEXCEPT;

/** @} */

/** @defgroup violations Violations
 *  @{ */

/**
 * The kinds of misuse that are detected. The name in quotes is what mi_fault_name() returns. `_FREE` are
 * said of every function that takes a block: also of reallocation and of questions about a block.
 */
typedef enum mi_fault_e {
  MI_FAULT_NONE = 0,                 ///< "none"
  MI_FAULT_DOUBLE_FREE = 1,          ///< "double-free": the block is free already.
  MI_FAULT_INTERIOR_FREE = 2,        ///< "interior-free": a pointer into a block, not to its start.
  MI_FAULT_UNALIGNED_FREE = 3,       ///< "unaligned-free": no block starts at an address like this.
  MI_FAULT_FOREIGN_FREE = 4,         ///< "foreign-free": not our memory: stack, globals, mmap.
  MI_FAULT_INVALID_FREE = 5,         ///< "invalid-free": memory of ours where there is no block.
  MI_FAULT_OVERFLOW = 6,             ///< "overflow": bytes behind the block were written to.
  MI_FAULT_UNDERFLOW = 7,            ///< "underflow": bytes before the block were written to.
  MI_FAULT_WRITE_AFTER_FREE = 8,     ///< "write-after-free": a freed block changed.
  MI_FAULT_SIZE_MISMATCH = 9,        ///< "size-mismatch": freed with a size that was not asked for.
  MI_FAULT_ALIGNMENT_MISMATCH = 10,  ///< "alignment-mismatch": freed with an alignment it does not have.
  MI_FAULT_FAMILY_MISMATCH = 11,     ///< "family-mismatch": malloc, new and new[] freed as another.
  MI_FAULT_CORRUPT_LINK = 12,        ///< "corrupt-link": a record of ours makes no sense; always aborts.
  MI_FAULT_ACCESS_OUTSIDE = 13,      ///< "access-outside": a guard was read or written; the access faulted.
  MI_FAULT_USE_AFTER_FREE = 14,      ///< "use-after-free": a freed block was accessed; the access faulted.
  MI_FAULT_ACCESS_ZERO_SIZE = 15,    ///< "access-zero-size": a block of 0 bytes was read or written.
  MI_FAULT_ACCESS_NULL = 16,         ///< "access-null": the first pages of the address space were accessed.
  MI_FAULT_MEMORY_RANGE = 17,        ///< "memory-range": memcpy, memset, strcpy ... would leave a block.
  MI_FAULT_INVALID_HEAP = 18,        ///< "invalid-heap": a heap that is gone, or is another thread's.
  MI_FAULT_NO_ENTROPY = 19,          ///< "no-entropy": there are no random numbers to make keys from.
  MI_FAULT_COUNT                     ///< Number of kinds; no fault.
} mi_fault_t;

/** Who allocated a block, and whose free it needs. */
typedef enum mi_family_e {
  MI_FAMILY_MALLOC = 0,     ///< `malloc` and the like; also mi_malloc().
  MI_FAMILY_NEW = 1,        ///< `operator new`; also mi_new().
  MI_FAMILY_NEW_ARRAY = 2,  ///< `operator new[]`; also mi_new_array().
  MI_FAMILY_UNKNOWN = 3     ///< Not known, or of no matter: mi_free() frees every family.
} mi_family_t;

/** The version of mi_violation_t; grows when older programs can no longer read it. */
#define MI_VIOLATION_VERSION 1

/**
 * A violation, as the handler is told of it. Members of which nothing is known are NULL or 0. Later
 * releases add members at the end only; `size` tells which there are. Everything in it is valid only during
 * the call.
 */
typedef struct mi_violation_s {
  size_t size;                  ///< sizeof(mi_violation_t) in the library.
  size_t version;               ///< MI_VIOLATION_VERSION of the library.
  mi_fault_t fault;             ///< What happened.
  mi_severity_t severity;       ///< What follows: MI_SEVERITY_ABORT or MI_SEVERITY_REPORT.
  const char* operation;        ///< Who noticed: "free", "realloc", "memcpy", "fault" ...
  const char* text;             ///< The report as text, ended by 0.
  const void* address;          ///< The pointer that was passed, or the address of the first bad byte.
  const void* block;            ///< Start of the block it is about.
  size_t block_size;            ///< Bytes of the block, with the slack.
  size_t requested_size;        ///< Bytes that were asked for.
  ptrdiff_t offset;             ///< From the start of the block to `address`, in bytes.
  size_t access_size;           ///< Bytes of the access, if `operation` has a length.
  size_t claimed_size;          ///< The size that a sized free named.
  size_t claimed_alignment;     ///< The alignment that an aligned free named.
  mi_family_t family;           ///< Who allocated the block.
  mi_family_t claimed_family;   ///< Whose free was called.
  long thread_id;               ///< The kernel's number of the calling thread; gettid(2).
  void* const* trace;           ///< Return addresses of this call, innermost first.
  size_t trace_count;           ///< How many there are.
  void* const* alloc_trace;     ///< Return addresses of the allocation; guarded blocks only.
  size_t alloc_trace_count;     ///< How many there are.
  long alloc_thread_id;         ///< The thread that allocated the block; guarded blocks only.
  void* const* free_trace;      ///< Return addresses of the free; guarded blocks only.
  size_t free_trace_count;      ///< How many there are.
  long free_thread_id;          ///< The thread that freed the block; guarded blocks only.
} mi_violation_t;

/**
 * Told of a violation, after the report has been written and before its severity takes effect. It runs on
 * the thread at fault, possibly in a signal handler and on a small stack: it must do only what is safe
 * there (signal-safety(7)), and not allocate or free. When it returns, the process aborts or goes on, as
 * `severity` says; it may also _exit(2).
 */
typedef void(mi_violation_fun)(const mi_violation_t* violation, void* arg);

/**
 * Have @p fun told of violations, with @p arg, in place of the one before. NULL ends it. No effect in the
 * plain build. What goes on after MI_SEVERITY_REPORT: a free or reallocation of what is no live block does
 * nothing (and gives NULL with EINVAL); a live block with a broken fence, or freed with a wrong size or
 * family, is freed; a freed block that was written to is wiped again before it is used. An access that
 * faulted cannot be skipped: the process ends by its signal, unless it has a handler.
 */
MI_EXPORT void mi_register_violation(mi_violation_fun* fun, void* arg) MI_NOEXCEPT;

/** The short, stable name of @p fault, as in reports; "unknown" for a number that is no fault. A constant. */
MI_NODISCARD MI_EXPORT const char* mi_fault_name(mi_fault_t fault) MI_NOEXCEPT;

/** @} */

/** @defgroup families Allocation by family
 *  What `operator new[]` and the operators delete do, under names of our own; the operators of
 *  mimalloc-new-delete.h are these. `operator new` is mi_new() and its like. The secure build checks that a
 *  block goes back the way it came: mi_delete() for mi_new(), mi_delete_array() for mi_new_array(), with
 *  the size and alignment that were asked for (mi_option_family_check, mi_option_size_check). mi_free()
 *  takes all of them. NULL is ignored.
 *  @{ */

/** mi_new() for an array. `operator new[](size)`. */
MI_NODISCARD MI_EXPORT void* mi_new_array(size_t size) MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE(1)
    MI_ATTR_RETURNS_NONNULL;
/** mi_new_nothrow() for an array. `operator new[](size, std::nothrow)`. */
MI_NODISCARD MI_EXPORT void* mi_new_array_nothrow(size_t size) MI_NOEXCEPT MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE(1);
/** mi_new_aligned() for an array. `operator new[](size, std::align_val_t)`. */
MI_NODISCARD MI_EXPORT void* mi_new_array_aligned(size_t size, size_t alignment) MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE(1) MI_ATTR_ALLOC_ALIGN(2) MI_ATTR_RETURNS_NONNULL;
/** mi_new_aligned_nothrow() for an array. `operator new[](size, std::align_val_t, std::nothrow)`. */
MI_NODISCARD MI_EXPORT void* mi_new_array_aligned_nothrow(size_t size, size_t alignment) MI_NOEXCEPT
    MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE(1) MI_ATTR_ALLOC_ALIGN(2);

/** Free a block of mi_new(). `operator delete(p)`. */
MI_EXPORT void mi_delete(void* p) MI_NOEXCEPT;
/** Free a block of mi_new() of @p size bytes. `operator delete(p, size)`. */
MI_EXPORT void mi_delete_size(void* p, size_t size) MI_NOEXCEPT;
/** Free a block of mi_new_aligned(). `operator delete(p, std::align_val_t)`. */
MI_EXPORT void mi_delete_aligned(void* p, size_t alignment) MI_NOEXCEPT;
/** Free a block of mi_new_aligned() of @p size bytes. `operator delete(p, size, std::align_val_t)`. */
MI_EXPORT void mi_delete_size_aligned(void* p, size_t size, size_t alignment) MI_NOEXCEPT;

/** Free a block of mi_new_array(). `operator delete[](p)`. */
MI_EXPORT void mi_delete_array(void* p) MI_NOEXCEPT;
/** Free a block of mi_new_array() of @p size bytes. `operator delete[](p, size)`. */
MI_EXPORT void mi_delete_array_size(void* p, size_t size) MI_NOEXCEPT;
/** Free a block of mi_new_array_aligned(). `operator delete[](p, std::align_val_t)`. */
MI_EXPORT void mi_delete_array_aligned(void* p, size_t alignment) MI_NOEXCEPT;
/**
 * Free a block of mi_new_array_aligned() of @p size bytes. `operator delete[](p, size, std::align_val_t)`.
 */
MI_EXPORT void mi_delete_array_size_aligned(void* p, size_t size, size_t alignment) MI_NOEXCEPT;

/** @} */

#ifdef __cplusplus
}
#endif

#endif  // MIMALLOC_SECURE_H
