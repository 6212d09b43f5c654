//! Counts the words of standard input, with every allocation in the hardened heap.

use std::collections::HashMap;
use std::io::Read;

#[global_allocator]
static GLOBAL: mimalloc_hardened::MiMalloc = mimalloc_hardened::MiMalloc;

fn main() -> std::io::Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word).or_default() += 1;
    }
    let mut words: Vec<_> = counts.into_iter().collect();
    words.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    for (word, count) in words.iter().take(5) {
        println!("{count:6} {word}");
    }
    println!("profile {}", mimalloc_hardened::profile());
    Ok(())
}
