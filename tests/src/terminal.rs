//! A terminal with a program in it: keys in, the screen as a person sees it out.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::num::NonZeroU16;
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;
use nix::sys::termios::{Termios, tcgetattr};

use crate::process::Process;
use crate::wait::{PROMPT, wait_for};

/// A terminal whose controlling process is the program. Dropping it kills the program.
pub struct Terminal {
    /// Our end.
    master: File,
    /// Its end, held open so that its modes can be read when the program has gone.
    slave: File,
    child: Child,
    screen: vt100::Parser,
    before: Termios,
}

/// What a program leaves behind on a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The modes are as they were.
    pub modes: bool,
    /// The screen is the one from before.
    pub screen: bool,
    /// The cursor is seen.
    pub cursor: bool,
    /// Pasted text comes as it is.
    pub paste: bool,
}

impl Left {
    /// As it was.
    pub const NOTHING: Left = Left { modes: true, screen: true, cursor: true, paste: true };
}

impl Terminal {
    /// Run a command on a terminal of this size, in a session of its own.
    ///
    /// # Panics
    /// When there is no terminal, or no `setsid`.
    #[track_caller]
    pub fn run(command: &Command, columns: u16, rows: u16) -> Terminal {
        let pty = openpty(&size(columns, rows), None).unwrap_or_else(|e| panic!("no pty: {e}"));
        let (master, slave) = (File::from(pty.master), File::from(pty.slave));
        // Whoever else had our end would keep the terminal from ever hanging up.
        for (end, flags) in [
            (&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)),
            (&master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)),
            (&slave, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)),
        ] {
            fcntl(end.as_fd(), flags).unwrap_or_else(|errno| panic!("a terminal's flags: {errno}"));
        }
        let before = tcgetattr(&slave).unwrap_or_else(|errno| panic!("no modes: {errno}"));
        let twin = || Stdio::from(slave.try_clone().unwrap_or_else(|error| panic!("{error}")));
        // A session of its own, with this terminal: `setsid` executes the program in its own pid.
        let mut own = Command::new("setsid");
        own.env("TERM", "xterm-256color");
        own.arg("--ctty").arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => own.env(key, value),
                None => own.env_remove(key),
            };
        }
        own.stdin(twin()).stdout(twin()).stderr(twin());
        if let Some(dir) = command.get_current_dir() {
            own.current_dir(dir);
        }
        let child = own.spawn().unwrap_or_else(|error| panic!("can not run setsid: {error}"));
        let screen = vt100::Parser::new(at_least_one(rows), at_least_one(columns), 0);
        Terminal { master, slave, child, screen, before }
    }

    /// The program's process.
    pub fn process(&self) -> Process {
        Process(i32::try_from(self.child.id()).unwrap_or(0))
    }

    /// Press keys: the bytes that a terminal sends.
    ///
    /// # Panics
    /// When nobody takes them.
    #[track_caller]
    pub fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap_or_else(|error| panic!("{keys:?}: {error}"));
    }

    /// Give it another size.
    ///
    /// # Panics
    /// When `stty` is not there.
    #[track_caller]
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.take();
        self.screen.screen_mut().set_size(at_least_one(rows), at_least_one(columns));
        let slave = self.slave.try_clone().unwrap_or_else(|error| panic!("{error}"));
        let stty = Command::new("stty")
            .args(["cols", &columns.to_string(), "rows", &rows.to_string()])
            .stdin(Stdio::from(slave))
            .status();
        assert!(stty.is_ok_and(|status| status.success()), "stty");
    }

    /// What is on the screen now.
    pub fn text(&mut self) -> String {
        self.take();
        self.screen.screen().contents()
    }

    /// Wait until the screen says this.
    ///
    /// # Panics
    /// When it does not; shows the screen.
    #[track_caller]
    pub fn until(&mut self, what: &str, says: impl Fn(&str) -> bool) -> String {
        let begin = Instant::now();
        wait_for(PROMPT * 2, what, || {
            let text = self.text();
            let late = begin.elapsed() > PROMPT;
            assert!(!late, "waited for {what}, in vain; the screen:\n{text}");
            says(&text).then_some(text)
        })
    }

    /// Whether any cell of the screen has a colour.
    pub fn colored(&mut self) -> bool {
        self.take();
        let screen = self.screen.screen();
        let (rows, columns) = screen.size();
        let cells =
            (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |column| (row, column)));
        cells.filter_map(|(row, column)| screen.cell(row, column)).any(|cell| {
            cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default
        })
    }

    /// Wait for the program's end.
    ///
    /// # Panics
    /// When it does not end; shows the screen.
    #[track_caller]
    pub fn end(&mut self) -> ExitStatus {
        let begin = Instant::now();
        wait_for(PROMPT * 2, "the end of the program", || {
            let text = self.text();
            assert!(begin.elapsed() < PROMPT, "it does not end; the screen:\n{text}");
            self.child.try_wait().ok().flatten()
        })
    }

    /// In what state the terminal is.
    pub fn left(&mut self) -> Left {
        self.take();
        let screen = self.screen.screen();
        Left {
            modes: tcgetattr(&self.slave).is_ok_and(|now| now == self.before),
            screen: !screen.alternate_screen(),
            cursor: !screen.hide_cursor(),
            paste: !screen.bracketed_paste(),
        }
    }

    /// Close the terminal, as a window is closed, and wait for the program's end.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn hang_up(mut self) -> ExitStatus {
        let null = || File::open("/dev/null").unwrap_or_else(|error| panic!("{error}"));
        self.master = null();
        self.slave = null();
        wait_for(PROMPT, "the end of a program without a terminal", || {
            self.child.try_wait().ok().flatten()
        })
    }

    /// Take in what the program has written.
    fn take(&mut self) {
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.master.read(&mut bytes) {
                Ok(0) => return,
                Ok(count) => self.screen.process(bytes.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Nothing there, or nobody.
                Err(_) => return,
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.process().signal(Signal::SIGKILL);
        let _reaped = self.child.wait();
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn at_least_one(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap_or(NonZeroU16::MIN)
}
