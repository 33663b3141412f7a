//! What each held descriptor is: the notes that travel with them, and an index of them.

use std::collections::HashMap;
use std::fmt;

use nexus_core::Exam;
use nexus_keeper::HoldId;
use nexus_spec::{Name, Socket};

/// One descriptor that the pair holds, by meaning.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Held {
    /// The listening control socket.
    Control,
    /// The socket on which workers say that they are ready; its abstract name.
    Notify(String),
    /// The socket that hears the channels of workers, which hold it as well; its abstract name.
    Hearer(String),
    /// The listening socket of `[daemon] group`, by its path.
    Door(std::path::PathBuf),
    /// One end of the pipe that is a worker's stdout or stderr.
    Pipe(Name, Line, Stream, End),
    /// One end of the pipe that is an instance's stdin.
    Stdin(Name, u16, End),
    /// A log file, open at its end.
    File(Name, Line, Stream),
    /// The memory file where a line's bytes are between its pipe and its file.
    Journal(Name, Line, Stream),
    /// One end of the pipe between a line's own and a slow disk.
    Stage(Name, Line, Stream, End),
    /// A listening socket of an app, by its address as written: one instance's own, or everybody's.
    Socket(Name, Option<u16>, String),
    /// The memfd of what is the same for all workers of one generation of an app (or its build).
    Template(Name, Line, u64),
}

/// Whose output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Line {
    /// One instance's, by a second pipe into the same file: that of a worker which a reload listens
    /// to, while another one writes to the first.
    Beside(u16),
    /// The build command's.
    Build,
    /// That of commands that check workers.
    Exam(Exam),
    /// One instance's.
    Instance(u16),
    /// All instances' together.
    Merged,
}

/// How the notes of second pipes differ.
const BESIDE: &str = "beside-";

/// Which output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// Which end of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    Read,
    Write,
}

impl Held {
    /// The socket that an instance is handed.
    pub(crate) fn socket(app: &Name, socket: &Socket, instance: u16) -> Held {
        let own = socket.reuse_port.then_some(instance);
        Held::Socket(app.clone(), own, socket.address.to_string())
    }

    /// The app that it belongs to.
    pub(crate) fn app(&self) -> Option<&Name> {
        match self {
            Held::Control | Held::Door(_) | Held::Hearer(_) | Held::Notify(_) => None,
            Held::Pipe(app, ..)
            | Held::Stdin(app, ..)
            | Held::File(app, ..)
            | Held::Journal(app, ..)
            | Held::Stage(app, ..)
            | Held::Socket(app, ..)
            | Held::Template(app, ..) => Some(app),
        }
    }

    /// Whether a service manager keeps it for us through the death of both: not what is made anew
    /// at every start (the control socket), nor what is found by its name (a log file).
    pub(crate) fn outlives_both(&self) -> bool {
        match self {
            Held::Hearer(_)
            | Held::Journal(..)
            | Held::Notify(_)
            | Held::Pipe(..)
            | Held::Socket(..)
            | Held::Stage(..)
            | Held::Stdin(..)
            | Held::Template(..) => true,
            Held::Control | Held::Door(_) | Held::File(..) => false,
        }
    }

    /// What `Display` wrote.
    pub(crate) fn parse(note: &[u8]) -> Option<Held> {
        let text = std::str::from_utf8(note).ok()?;
        let words: Vec<&str> = text.split(' ').collect();
        Some(match words[..] {
            ["control"] => Held::Control,
            // A path may have spaces.
            ["door", ..] => Held::Door(text.strip_prefix("door ")?.into()),
            ["notify", name] => Held::Notify(name.to_owned()),
            ["hearer", name] => Held::Hearer(name.to_owned()),
            [kind @ ("pipe" | "stage"), app, line, stream, end] => {
                let (app, line) = (Name::new(app).ok()?, Line::parse(line)?);
                let (stream, end) = (Stream::parse(stream)?, End::parse(end)?);
                match kind {
                    "pipe" => Held::Pipe(app, line, stream, end),
                    _ => Held::Stage(app, line, stream, end),
                }
            }
            ["stdin", app, instance, end] => {
                Held::Stdin(Name::new(app).ok()?, instance.parse().ok()?, End::parse(end)?)
            }
            ["file", app, line, stream] => {
                Held::File(Name::new(app).ok()?, Line::parse(line)?, Stream::parse(stream)?)
            }
            ["journal", app, line, stream] => {
                Held::Journal(Name::new(app).ok()?, Line::parse(line)?, Stream::parse(stream)?)
            }
            ["template", app, line, generation] => {
                Held::Template(Name::new(app).ok()?, Line::parse(line)?, generation.parse().ok()?)
            }
            // The address is last and may have spaces (a unix path may).
            ["socket", app, ..] => {
                let address = text.splitn(3, ' ').nth(2)?;
                Held::Socket(Name::new(app).ok()?, None, address.to_owned())
            }
            ["own-socket", app, instance, ..] => {
                let address = text.splitn(4, ' ').nth(3)?;
                let instance = instance.parse().ok()?;
                Held::Socket(Name::new(app).ok()?, Some(instance), address.to_owned())
            }
            _ => return None,
        })
    }
}

impl End {
    /// The two.
    pub(crate) const BOTH: [End; 2] = [End::Read, End::Write];

    fn parse(word: &str) -> Option<End> {
        End::BOTH.into_iter().find(|end| end.word() == word)
    }

    fn word(self) -> &'static str {
        match self {
            End::Read => "r",
            End::Write => "w",
        }
    }
}

impl Line {
    /// The pipe of one instance's worker.
    pub(crate) fn of(instance: u16, beside: bool) -> Line {
        if beside { Line::Beside(instance) } else { Line::Instance(instance) }
    }

    /// The line whose file is written to.
    pub(crate) fn first(self) -> Line {
        match self {
            Line::Beside(instance) => Line::Instance(instance),
            Line::Build | Line::Exam(_) | Line::Instance(_) | Line::Merged => self,
        }
    }

    /// All lines by which this one's worker may write.
    pub(crate) fn pipes(self) -> impl Iterator<Item = Line> {
        let second = match self {
            Line::Instance(instance) => Some(Line::Beside(instance)),
            Line::Beside(_) | Line::Build | Line::Exam(_) | Line::Merged => None,
        };
        std::iter::once(self).chain(second)
    }

    /// Its two streams are one pipe and one file: their lines stay in order.
    pub(crate) fn is_one(self) -> bool {
        matches!(self, Line::Build | Line::Exam(_))
    }

    fn parse(word: &str) -> Option<Line> {
        match word {
            "build" => Some(Line::Build),
            "health" => Some(Line::Exam(Exam::Health)),
            "ready" => Some(Line::Exam(Exam::Ready)),
            "merged" => Some(Line::Merged),
            other => match other.strip_prefix(BESIDE) {
                Some(number) => number.parse().ok().map(Line::Beside),
                None => other.parse().ok().map(Line::Instance),
            },
        }
    }
}

impl Stream {
    /// The two.
    pub(crate) const BOTH: [Stream; 2] = [Stream::Out, Stream::Err];

    fn parse(word: &str) -> Option<Stream> {
        Stream::BOTH.into_iter().find(|stream| stream.word() == word)
    }

    /// `out` or `err`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Stream::Out => "out",
            Stream::Err => "err",
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Beside(number) => write!(f, "{BESIDE}{number}"),
            Line::Build => f.write_str("build"),
            Line::Exam(Exam::Health) => f.write_str("health"),
            Line::Exam(Exam::Ready) => f.write_str("ready"),
            Line::Instance(number) => write!(f, "{number}"),
            Line::Merged => f.write_str("merged"),
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Held::Control => f.write_str("control"),
            Held::Door(path) => write!(f, "door {}", path.display()),
            Held::Notify(name) => write!(f, "notify {name}"),
            Held::Hearer(name) => write!(f, "hearer {name}"),
            Held::Pipe(app, line, stream, end) => {
                write!(f, "pipe {app} {line} {} {}", stream.word(), end.word())
            }
            Held::Stage(app, line, stream, end) => {
                write!(f, "stage {app} {line} {} {}", stream.word(), end.word())
            }
            Held::Stdin(app, instance, end) => write!(f, "stdin {app} {instance} {}", end.word()),
            Held::File(app, line, stream) => write!(f, "file {app} {line} {}", stream.word()),
            Held::Journal(app, line, stream) => {
                write!(f, "journal {app} {line} {}", stream.word())
            }
            Held::Socket(app, None, address) => write!(f, "socket {app} {address}"),
            Held::Socket(app, Some(instance), address) => {
                write!(f, "own-socket {app} {instance} {address}")
            }
            Held::Template(app, line, generation) => {
                write!(f, "template {app} {line} {generation}")
            }
        }
    }
}

/// Which numbers the held descriptors have.
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_meaning: HashMap<Held, HoldId>,
    by_app: HashMap<Name, Vec<Held>>,
    last: u64,
}

impl Index {
    pub(crate) fn insert(&mut self, held: Held, id: HoldId) {
        self.last = self.last.max(id.0);
        if let Some(app) = held.app() {
            let of_app = self.by_app.entry(app.clone()).or_default();
            if !of_app.contains(&held) {
                of_app.push(held.clone());
            }
        }
        self.by_meaning.insert(held, id);
    }

    pub(crate) fn get(&self, held: &Held) -> Option<HoldId> {
        self.by_meaning.get(held).copied()
    }

    /// A number that was never used.
    pub(crate) fn fresh(&mut self) -> HoldId {
        self.last += 1;
        HoldId(self.last)
    }

    pub(crate) fn remove(&mut self, held: &Held) -> Option<HoldId> {
        if let Some(of_app) = held.app().and_then(|app| self.by_app.get_mut(app)) {
            of_app.retain(|other| other != held);
        }
        self.by_meaning.remove(held)
    }

    /// All that is held for an app.
    pub(crate) fn of_app(&self, app: &Name) -> Vec<Held> {
        self.by_app.get(app).cloned().unwrap_or_default()
    }

    /// The app whose socket has this address.
    pub(crate) fn app_on(&self, address: &str) -> Option<Name> {
        self.by_meaning.keys().find_map(|held| {
            let Held::Socket(app, _, of) = held else { return None };
            (of == address).then(|| app.clone())
        })
    }

    /// All apps of which something is held.
    pub(crate) fn apps(&self) -> Vec<Name> {
        self.by_app.keys().cloned().collect()
    }

    /// The notify socket's abstract name.
    pub(crate) fn notify(&self) -> Option<(String, HoldId)> {
        self.by_meaning.iter().find_map(|(held, id)| {
            let Held::Notify(name) = held else { return None };
            Some((name.clone(), *id))
        })
    }

    /// The same of the socket that hears channels.
    pub(crate) fn hearer(&self) -> Option<(String, HoldId)> {
        self.by_meaning.iter().find_map(|(held, id)| {
            let Held::Hearer(name) = held else { return None };
            Some((name.clone(), *id))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back_as_what_it_was_written_for() {
        let app = Name::new("api").unwrap();
        for held in [
            Held::Control,
            Held::Door("/run/a b/nexus.sock".into()),
            Held::Notify("nexus/ab12".into()),
            Held::Hearer("nexus-hearer/ab12".into()),
            Held::Pipe(app.clone(), Line::Instance(3), Stream::Err, End::Write),
            Held::Pipe(app.clone(), Line::Beside(3), Stream::Err, End::Read),
            Held::Stdin(app.clone(), 4, End::Write),
            Held::File(app.clone(), Line::Merged, Stream::Out),
            Held::Journal(app.clone(), Line::Instance(0), Stream::Out),
            Held::Stage(app.clone(), Line::Instance(0), Stream::Err, End::Read),
            Held::Socket(app.clone(), None, "unix:/run/with space.sock".into()),
            Held::Socket(app.clone(), Some(3), "tcp://127.0.0.1:80".into()),
            Held::Template(app.clone(), Line::Exam(Exam::Health), 7),
            Held::Template(app, Line::Build, 7),
        ] {
            assert_eq!(Held::parse(held.to_string().as_bytes()), Some(held));
        }
    }

    #[test]
    fn a_strange_note_is_nothing() {
        for note in [&b""[..], b"pipe", b"pipe a/b 0 out r", b"\xff", b"pipe a 0 out x"] {
            assert_eq!(Held::parse(note), None);
        }
    }
}
