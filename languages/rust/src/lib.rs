//! The hardened allocator `libmimalloc-secure` as the global allocator of a Rust program.
//!
//! ```no_run
//! #[global_allocator]
//! static GLOBAL: mimalloc_hardened::MiMalloc = mimalloc_hardened::MiMalloc;
//! ```
//!
//! Every deallocation names its size and alignment, which the library compares with what was asked for: unsafe code
//! that frees with another layout ends the process with a report, and so does C code behind a foreign function
//! interface that misuses the heap. Safe Rust makes no such errors; programs are seldom all safe Rust.
#![no_std]

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::{c_char, c_int, c_void, CStr};

extern "C" {
    fn mi_malloc_aligned(size: usize, alignment: usize) -> *mut c_void;
    fn mi_zalloc_aligned(size: usize, alignment: usize) -> *mut c_void;
    fn mi_realloc_aligned(p: *mut c_void, size: usize, alignment: usize) -> *mut c_void;
    fn mi_free_size_aligned(p: *mut c_void, size: usize, alignment: usize);
    fn mi_version() -> c_int;
    fn mi_profile_name() -> *const c_char;
}

/// The allocator; it has no state of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct MiMalloc;

// SAFETY: the library's functions are thread-safe, meet every alignment that is a power of two, and return NULL, and
// never unwind, where there is no memory.
unsafe impl GlobalAlloc for MiMalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        mi_malloc_aligned(layout.size(), layout.align()).cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        mi_zalloc_aligned(layout.size(), layout.align()).cast()
    }

    #[inline]
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        mi_realloc_aligned(p.cast(), size, layout.align()).cast()
    }

    #[inline]
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        mi_free_size_aligned(p.cast(), layout.size(), layout.align());
    }
}

/// The version of the library that is running: 100 for 1.0.
pub fn version() -> i32 {
    // SAFETY: reads a constant.
    unsafe { mi_version() }
}

/// How hard the heap is checked: "none", "fast", "default", "strict" or "fuzz".
pub fn profile() -> &'static str {
    // SAFETY: a constant string of ASCII.
    unsafe { CStr::from_ptr(mi_profile_name()) }.to_str().unwrap_or("")
}
