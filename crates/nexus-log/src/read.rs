//! Read back: the last N lines, since a time, of several files merged by time, and follow.
//! (The signatures here are a proposal; the crate's author may better them.)
