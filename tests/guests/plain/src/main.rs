//! The program that is run both by Latchkey and by plain `wasmtime run`, as the very same component: it has no door and
//! asks for nothing. Prints a word; with `idle` as its argument it then waits for its standard input to end.
#![forbid(unsafe_code)]

use std::io::Write;

fn main() {
    println!("hello");
    // nobody reads it any more: then nobody misses it
    let _ = std::io::stdout().flush();
    if std::env::args().nth(1).as_deref() == Some("idle") {
        std::io::stdin().lines().for_each(drop);
    }
}
