// Static probes (USDT) for tracers: `perf`, `bpftrace` and SystemTap attach to them by name, in a running process and
// without a restart. Provider `mimalloc`; arguments as they stand at the macros below.
//
// A probe is one `nop` and a note in the file until a tracer attaches. None lies on a fast path: they mark what happens
// once a page, once a purge, once a thread, once a report. Built in when <sys/sdt.h> (systemtap-sdt-dev) is there and
// MI_PROBES is not OFF (cmake/Probes.cmake); otherwise they are nothing, and their arguments are not evaluated.
#ifndef MIM_PROBES_H
#define MIM_PROBES_H

#if MIM_PROBES
#include <sys/sdt.h>
#define PROBE1(name, a) DTRACE_PROBE1(mimalloc, name, a)
#define PROBE2(name, a, b) DTRACE_PROBE2(mimalloc, name, a, b)
#define PROBE3(name, a, b, c) DTRACE_PROBE3(mimalloc, name, a, b, c)
#else
#define PROBE1(name, a) ((void)sizeof(a))
#define PROBE2(name, a, b) ((void)sizeof(a), (void)sizeof(b))
#define PROBE3(name, a, b, c) ((void)sizeof(a), (void)sizeof(b), (void)sizeof(c))
#endif

// A page was made: where it starts, its bytes, and the bytes of its blocks (0: one large block).
#define probe_page_fresh(start, bytes, block_size) PROBE3(page_fresh, start, bytes, block_size)
// A page was given up: where it started, and its bytes.
#define probe_page_retire(start, bytes) PROBE2(page_retire, start, bytes)
// Free memory went back to the OS: from where, and how many bytes.
#define probe_purge(start, bytes) PROBE2(purge, start, bytes)
// A thread allocates for the first time; it has let go of everything. The kernel's number of the thread.
#define probe_thread_start(thread) PROBE1(thread_start, thread)
#define probe_thread_end(thread) PROBE1(thread_end, thread)
// A misuse was found: number of the fault (mi_fault_t), address, and what follows (1: go on, 2: abort). Secure product.
#define probe_violation(fault, address, severity) PROBE3(violation, fault, address, severity)

#endif
