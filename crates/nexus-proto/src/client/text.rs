//! Texts of requests: quoted words, and keys that nobody has used before.

/// Percent-encoded for a path or a query (RFC 3986: all but the unreserved characters).
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            quoted.push_str(&format!("%{byte:02X}"));
        }
    }
    quoted
}

/// A new random `Idempotency-Key`: 128 bits in hexadecimal.
///
/// # Errors
/// When the machine has no `/dev/urandom`.
pub fn fresh_key() -> std::io::Result<String> {
    use std::io::Read;
    let mut bytes = [0_u8; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
