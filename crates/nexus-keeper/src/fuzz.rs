//! What fuzzing reaches of this crate, and what it has found, kept as a test.

use crate::handoff::Table;
use crate::{codec, template};

/// Bytes that a peer of another version, or a broken one, may send or hand over.
pub fn wire(bytes: &[u8]) {
    // Whether they are taken is not the question: nothing may be read that is not there.
    let _order = codec::decode_order(bytes).is_ok();
    let _report = codec::decode_report(bytes).is_ok();
    let _template = template::decode(bytes).is_some();
    if let Some(table) = Table::decode(bytes) {
        let again = Table::decode(&table.encode());
        assert!(again.is_some(), "what was taken cannot be handed on");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_fuzzing_found_on_the_wire_stays_mended() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/wire");
        for entry in std::fs::read_dir(seeds).unwrap() {
            super::wire(&std::fs::read(entry.unwrap().path()).unwrap());
        }
    }
}
