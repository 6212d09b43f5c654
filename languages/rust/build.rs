//! Says where the installed library is: MIMALLOC_LIB_DIR, or the places the linker looks in by itself. Links the
//! static library; MIMALLOC_LINK=dylib links the shared one.

use std::env;

fn main() {
    println!("cargo:rerun-if-env-changed=MIMALLOC_LIB_DIR");
    println!("cargo:rerun-if-env-changed=MIMALLOC_LINK");
    let kind = env::var("MIMALLOC_LINK").unwrap_or_else(|_| "static".to_string());
    if kind != "static" && kind != "dylib" {
        panic!("MIMALLOC_LINK={kind}: expected static or dylib");
    }
    let directory = env::var("MIMALLOC_LIB_DIR").unwrap_or_else(|_| "/usr/local/lib".to_string());
    println!("cargo:rustc-link-search=native={directory}");
    let plain = env::var_os("CARGO_FEATURE_PLAIN").is_some();
    println!("cargo:rustc-link-lib={kind}={}", if plain { "mimalloc" } else { "mimalloc-secure" });
}
