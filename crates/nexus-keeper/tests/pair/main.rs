//! The pair.
fn main() {}
