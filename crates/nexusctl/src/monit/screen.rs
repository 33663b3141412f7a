//! The terminal: taken over, drawn on, and put back whatever happens.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;

use crossterm::queue;
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::terminal::{Terminal, TerminalOptions, Viewport};
use ratatui_crossterm::CrosstermBackend;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// Other screen, no cursor, pasted text marked as such.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[2J";
/// An update that was begun is over; all of the above undone; no colours.
const LEAVE: &[u8] = b"\x1b[?2026l\x1b[0m\x1b[?2004l\x1b[?1049l\x1b[?25h";
/// More than a frame of a large terminal, so that one is one write.
const FRAME_MAX: usize = 64 * 1024;

/// The terminal's modes as they were, while they are not.
static BEFORE: Mutex<Option<(File, Termios)>> = Mutex::new(None);

/// The terminal, taken over.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<File>>>,
    tty: File,
    before: Termios,
}

impl Screen {
    /// Take it over. From now on it is put back before a panic is told.
    ///
    /// # Errors
    /// There is no terminal to read keys from, or it cannot be set.
    pub(super) fn open() -> io::Result<Screen> {
        let stdin = io::stdin();
        let tty = if rustix::termios::isatty(&stdin) {
            File::from(stdin.as_fd().try_clone_to_owned()?)
        } else {
            File::options().read(true).write(true).open("/dev/tty")?
        };
        let before = tcgetattr(&tty)?;
        let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let (width, height) = size();
        let area = Rect { x: 0, y: 0, width, height };
        let terminal = Terminal::with_options(
            CrosstermBackend::new(BufWriter::with_capacity(FRAME_MAX, out)),
            TerminalOptions { viewport: Viewport::Fixed(area) },
        )?;
        let mut screen = Screen { terminal, tty, before };
        screen.enter()?;
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore_at_once();
            tell(panic);
        }));
        Ok(screen)
    }

    /// Where keys come from.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(super) fn keys(&self) -> io::Result<File> {
        self.tty.try_clone()
    }

    /// Take it over (again); what is on it is not known.
    ///
    /// # Errors
    /// It cannot be set.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        let mut raw = self.before.clone();
        raw.make_raw();
        // Ctrl-C and Ctrl-Z stay signals: they reach all of a pipeline, as they should.
        raw.local_modes |= LocalModes::ISIG;
        if let Ok(mut before) = BEFORE.lock() {
            *before = Some((self.tty.try_clone()?, self.before.clone()));
        }
        tcsetattr(&self.tty, OptionalActions::Flush, &raw)?;
        write_all(ENTER)?;
        let (width, height) = size();
        self.resize(width, height)
    }

    /// Draw a frame: what has changed, in one write, shown at once where the terminal can.
    ///
    /// # Errors
    /// The terminal has gone.
    pub(super) fn draw(&mut self, view: impl FnOnce(&mut Buffer)) -> io::Result<()> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        self.terminal.draw(|frame| view(frame.buffer_mut()))?;
        queue!(self.terminal.backend_mut(), EndSynchronizedUpdate)?;
        Write::flush(self.terminal.backend_mut())
    }

    /// It has this size now: all is drawn anew.
    ///
    /// # Errors
    /// The terminal has gone.
    pub(super) fn resize(&mut self, width: u16, height: u16) -> io::Result<()> {
        self.terminal.resize(Rect { x: 0, y: 0, width, height })
    }

    /// Put it back.
    pub(super) fn leave(&mut self) {
        let _ = Write::flush(self.terminal.backend_mut());
        let _ = write_all(LEAVE);
        // Keys that nobody has taken are not for the shell.
        let _ = tcsetattr(&self.tty, OptionalActions::Flush, &self.before);
        if let Ok(mut before) = BEFORE.lock() {
            *before = None;
        }
    }
}

/// Columns and rows; 80x24 where the terminal does not say.
pub(super) fn size() -> (u16, u16) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
        Ok(_) | Err(_) => (80, 24),
    }
}

/// Put it back from wherever we are: a panic, or a signal while the terminal takes nothing.
pub(super) fn restore_at_once() {
    // Not `lock`: whoever has it may be the one that panics.
    let Ok(mut before) = BEFORE.try_lock() else { return };
    let Some((tty, modes)) = before.take() else { return };
    // Modes first: they are set even if the terminal takes no bytes.
    let _ = tcsetattr(&tty, OptionalActions::Now, &modes);
    let out = io::stdout();
    if takes_bytes(out.as_fd()) {
        let _ = rustix::io::write(&out, LEAVE);
    }
}

fn takes_bytes(fd: BorrowedFd<'_>) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// Past every buffer of ours.
fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    let out = io::stdout();
    while !bytes.is_empty() {
        match rustix::io::write(&out, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use nix::pty::openpty;
    use nix::sys::termios::tcgetattr;

    use super::*;

    /// Set for the program that runs as the child of this test.
    const CHILD: &str = "NEXUS_TEST_SCREEN_CHILD";
    const NAME: &str = "monit::screen::tests::a_panic_is_told_on_a_terminal_that_is_as_it_was";

    /// What a program that draws and then panics does to its terminal: this very test, run again.
    #[test]
    fn a_panic_is_told_on_a_terminal_that_is_as_it_was() {
        if std::env::var_os(CHILD).is_some() {
            let mut screen = Screen::open().unwrap();
            screen.draw(|_| ()).unwrap();
            panic!("the bug");
        }
        let pty = openpty(None, None).unwrap();
        let (mut master, slave) = (File::from(pty.master), File::from(pty.slave));
        let before = tcgetattr(&slave).unwrap();
        let twin = || Stdio::from(slave.try_clone().unwrap());
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(CHILD, "1")
            .stdin(twin())
            .stdout(twin())
            .stderr(twin())
            .spawn();
        assert!(!child.unwrap().wait().unwrap().success());
        assert_eq!(tcgetattr(&slave).unwrap(), before, "the modes");
        drop(slave);
        let mut said = Vec::new();
        // A terminal that nobody has open any more ends with an error.
        let _ = master.read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said);
        let place = |text: &[u8]| said.find(&*String::from_utf8_lossy(text));
        let (enter, leave, bug) = (place(ENTER), place(LEAVE), place(b"the bug"));
        assert!(enter.is_some() && enter < leave && leave < bug, "{said:?}");
        assert_eq!(place(LEAVE), said.rfind(&*String::from_utf8_lossy(LEAVE)), "left once");
    }
}
