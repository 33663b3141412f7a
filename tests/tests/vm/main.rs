//! What is tested inside a machine of its own, which `cargo xtask vm` boots: it sets the clock, and
//! lets its power be cut. Run anywhere else it does nothing.

#![allow(clippy::unwrap_used, reason = "a test, though without the harness")]

mod clock;
mod saves;

use std::process::ExitCode;

/// What the first program of such a machine has put there.
const MARK: &str = "/run/vm/step";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if !std::path::Path::new(MARK).exists() {
        if !words.contains(&"--list") {
            println!("left out: this needs a machine of its own; run `cargo xtask vm`");
        }
        return ExitCode::SUCCESS;
    }
    match words.as_slice() {
        ["clock"] => say(&format!("ok: {}", clock::run())),
        ["saves", acknowledged] => saves::go_on(acknowledged.parse().unwrap()),
        _ => panic!("{words:?}: there is `clock` and `saves N`"),
    }
    ExitCode::SUCCESS
}

/// A line for who watches the machine from outside; it has left the machine when this returns.
fn say(line: &str) {
    println!("vm: {line}");
    // A file takes it at once.
    let _ = nix::sys::termios::tcdrain(std::io::stdout());
}
