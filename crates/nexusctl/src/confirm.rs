//! A question to a person, before what cannot be taken back.

use std::io::{BufRead, IsTerminal};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::out;

/// Ask `question` on a terminal; elsewhere nobody is asked: scripts mean what they say.
///
/// # Errors
/// Anything but yes.
pub(crate) fn confirm(question: &str, command: &str) -> Result<(), Failure> {
    let (input, error) = (std::io::stdin(), std::io::stderr());
    if !input.is_terminal() || !error.is_terminal() {
        return Ok(());
    }
    out::note(&format!("{question} [y/N]"));
    let mut answer = String::new();
    let read = input.lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Exit::Refused, "not confirmed; nothing was changed").help(command))
}
