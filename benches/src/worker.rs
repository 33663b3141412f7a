//! What both sides run: a worker that stamps and stays, and one that writes lines.

use std::io::Write;
use std::path::Path;

use crate::Fault;
use crate::stamps::stamp;

/// Bytes of a line, its end included.
pub(crate) const LINE: usize = 200;
/// Lines in one `write(2)`: 4,000 bytes, which a pipe takes whole (PIPE_BUF).
const BATCH: usize = 20;

/// Stamp, then stay until a signal comes.
pub(crate) fn stay(stamps: &str) -> Result<(), Fault> {
    stamp(Path::new(stamps))?;
    loop {
        std::thread::park();
    }
}

/// Stamp, write so many lines as fast as they are taken, then stay.
pub(crate) fn write_and_stay(stamps: &str, lines: &str) -> Result<(), Fault> {
    write(stamps, lines)?;
    loop {
        std::thread::park();
    }
}

/// Stamp, then write so many lines as fast as they are taken.
pub(crate) fn write(stamps: &str, lines: &str) -> Result<(), Fault> {
    let lines: usize = lines.parse().map_err(|_| format!("{lines} is not a number of lines"))?;
    stamp(Path::new(stamps))?;
    let mut line = vec![b'x'; LINE - 1];
    line.push(b'\n');
    let batch = line.repeat(BATCH);
    let mut stdout = std::io::stdout().lock();
    let mut left = lines;
    while left > 0 {
        let now = left.min(BATCH);
        stdout.write_all(&batch[..now * LINE]).map_err(|error| error.to_string())?;
        left -= now;
    }
    Ok(())
}
