//! What a daemon that is being started tells the command that started it: one line on a pipe.

use std::fs::{File, OpenOptions};
use std::io::Write;

/// It answers now, or soon: the control socket is bound, and requests wait in its backlog.
pub(crate) const READY: &str = "ready";
/// Another one has this home: the command will find that one.
pub(crate) const TAKEN: &str = "taken";
/// Begins every other line: why there is no daemon.
pub(crate) const ERROR: &str = "error: ";

/// The daemon's end of the pipe; dropped without a word, it says that something went wrong.
#[derive(Debug)]
pub(crate) struct Report(Option<File>);

impl Report {
    /// Take over the descriptor of `--ready-fd`. From here on it is closed at the next exec, so
    /// that nobody else holds the pipe open.
    pub(crate) fn take(fd: Option<i32>) -> Report {
        let Some(fd) = fd.filter(|fd| *fd > 2) else { return Report(None) };
        let own = OpenOptions::new().write(true).open(format!("/proc/self/fd/{fd}")).ok();
        // Our own open of the same pipe stays; the inherited one must not.
        let _ = nix::unistd::close(fd);
        Report(own)
    }

    /// Say it; nobody listens when the command has gone.
    pub(crate) fn say(self, line: &str) {
        if let Some(mut pipe) = self.0 {
            let _ = pipe.write_all(format!("{}\n", line.replace('\n', " ")).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::IntoRawFd;

    use super::*;

    #[test]
    fn one_line_arrives_and_then_the_pipe_is_closed() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        Report::take(Some(writer.into_raw_fd())).say("error: a\nb");
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "error: a b\n");
        Report::take(None).say(READY);
    }
}
