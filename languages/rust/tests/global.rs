//! A program whose global allocator is the library: containers, threads, alignments, and a wrong layout.

use mimalloc_hardened::{profile, version, MiMalloc};
use std::alloc::{alloc, alloc_zeroed, dealloc, realloc, Layout};
use std::collections::BTreeMap;
use std::process::Command;

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

#[test]
fn says_what_it_is() {
    assert!(version() >= 100);
    let expected: &[&str] = if cfg!(feature = "plain") { &["none"] } else { &["default", "strict", "fuzz"] };
    assert!(expected.contains(&profile()), "profile {}", profile());
}

#[test]
fn containers_and_threads() {
    let threads: Vec<_> = (0..4)
        .map(|n| {
            std::thread::spawn(move || (0..5000).map(|i| (i, format!("{n} {i}"))).collect::<BTreeMap<u32, String>>())
        })
        .collect();
    for (n, thread) in threads.into_iter().enumerate() {
        let map = thread.join().unwrap(); // freed by another thread than allocated it
        assert_eq!(map[&4321], format!("{n} 4321"));
    }
}

#[test]
fn alignments_and_zeroes() {
    for shift in 0..=16 {
        for size in [1, 63, 4097, 100_000] {
            let layout = Layout::from_size_align(size, 1 << shift).unwrap();
            unsafe {
                let p = alloc_zeroed(layout);
                assert!(!p.is_null() && p as usize % layout.align() == 0);
                assert!((0..size).all(|i| *p.add(i) == 0));
                p.add(size - 1).write(7);
                let q = realloc(p, layout, size * 2);
                assert!(!q.is_null() && q as usize % layout.align() == 0 && *q.add(size - 1) == 7);
                dealloc(q, Layout::from_size_align(size * 2, 1 << shift).unwrap());
            }
        }
    }
}

/// Run by `a_wrong_layout_is_noticed` as a process of its own.
#[test]
#[ignore]
fn frees_with_a_wrong_layout() {
    unsafe {
        let p = alloc(Layout::from_size_align(100, 8).unwrap());
        dealloc(p, Layout::from_size_align(1000, 8).unwrap());
    }
}

#[test]
#[cfg(not(feature = "plain"))]
fn a_wrong_layout_is_noticed() {
    let me = std::env::current_exe().unwrap();
    let ran = Command::new(me).args(["--ignored", "--nocapture", "frees_with_a_wrong_layout"]).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && said.contains("mimalloc: violation: size-mismatch: 0x"), "{said}");
}
