//! What every command has at hand: the home, a client, and how to say things.

use std::path::PathBuf;

use nexus_proto::Code;
use nexus_proto::client::{self, Client};

use crate::cli::{Format, Global};
use crate::dialect::Dialect;
use crate::ensure::ensure;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::home::Home;
use crate::look::{Look, Stream};
use crate::out;

/// Where the socket is of a daemon that is another user's.
const SOCKET: &str = "NEXUS_SOCKET";

/// What every command has at hand.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// Where the daemon is.
    pub(crate) home: Home,
    /// A client of it; nothing is connected.
    pub(crate) client: Client,
    /// The daemon is another user's, reached by the socket that NEXUS_SOCKET names: its home is not
    /// ours to look into, and it is not for us to start it.
    pub(crate) guest: bool,
    /// How the result looks.
    pub(crate) out: Look,
    /// How all else looks.
    pub(crate) err: Look,
    /// Form of the result.
    pub(crate) format: Format,
    /// Nothing beside the result but errors.
    pub(crate) quiet: bool,
}

impl Context {
    /// As the flags and the environment say.
    ///
    /// # Errors
    /// When there is no home.
    pub(crate) fn new(global: &Global, dialect: Dialect) -> Result<Context, Failure> {
        let home = Home::from_env(dialect).map_err(|error| {
            Failure::new(Exit::Usage, "no home for the daemon").cause(error.to_string())
        })?;
        if dialect == Dialect::Pm2
            && let Some(pid) = nexus_pm2::real_daemon(home.path())
        {
            let title = format!("PM2 itself runs with this home (pid {pid})");
            return Err(Failure::new(Exit::Refused, title)
                .help("PM2_HOME=DIR pm2 …           another home, for nexusd")
                .help("kill PM2 with its own `pm2 kill`, then start the apps here"));
        }
        let socket = std::env::var_os(SOCKET).filter(|socket| !socket.is_empty());
        let guest = socket.is_some();
        let mut context = Context {
            client: Client::new(socket.map_or_else(|| home.socket(), PathBuf::from)),
            guest,
            home,
            out: Look::of(Stream::Out, global.color, global.ascii),
            err: Look::of(Stream::Err, global.color, global.ascii),
            format: format(global),
            quiet: global.quiet,
        };
        if guest {
            return Ok(context);
        }
        let plain = context.clone();
        context.client = context.client.with_reviver(move || revive(&plain));
        Ok(context)
    }

    /// A failure, with what a guest can do about it.
    pub(crate) fn failure(&self, failure: client::Failure) -> Failure {
        let client::Failure::NoDaemon { socket, cause, .. } = &failure else {
            return failure.into();
        };
        if !self.guest {
            return failure.into();
        }
        let title = format!("cannot reach nexusd at {}", socket.display());
        Failure::new(Exit::NoDaemon, title)
            .code(Code::NoDaemon)
            .cause(cause)
            .cause(format!("{SOCKET} names this socket; only its owner can start a daemon"))
    }

    /// The same, for verbs that only ask whether a daemon is there.
    pub(crate) fn as_it_is(&self) -> Context {
        Context { client: self.client.clone().without_reviver(), ..self.clone() }
    }

    /// One line on stderr, unless `-q`.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            out::note(text);
        }
    }

    /// A daemon of another version was heard: what to do about that, on stderr, unless `-q`.
    pub(crate) fn note_skew(&self) {
        let heard = self.client.heard_version();
        if let Some(skew) = heard.and_then(|version| client::skew(&version)) {
            self.note(&crate::text::plain(&skew));
        }
    }

    /// What a project file was taken without, on stderr, unless `-q`.
    pub(crate) fn warn(&self, warnings: &nexus_spec::Flaws) {
        if self.is_json() {
            let told = serde_json::json!({"schema": "nexus.warnings/1", "warnings": warnings});
            self.note(&told.to_string());
        } else {
            let drawn = warnings.render(self.err.color, self.err.ascii);
            self.note(drawn.trim_end_matches('\n'));
        }
    }

    /// An error on stderr, for people or for programs.
    pub(crate) fn tell(&self, failure: &Failure) {
        if failure.is_silent() {
        } else if self.is_json() {
            out::note(&failure.json().to_string());
        } else {
            out::note(failure.render(&self.err).trim_end_matches('\n'));
        }
    }

    /// Whether the result is for programs.
    pub(crate) fn is_json(&self) -> bool {
        match self.format {
            Format::Json | Format::Jsonl => true,
            Format::Table | Format::Wide | Format::Name => false,
        }
    }

    /// A document, indented for a person.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub(crate) fn document<T: serde::Serialize>(&self, value: &T) -> Result<(), Failure> {
        out::json(value, self.format == Format::Json && self.out.terminal)
    }

    /// Say once which columns are missing.
    pub(crate) fn hidden(&self, columns: usize) {
        if columns > 0 {
            let columns = crate::human::count(columns as u64, "column");
            self.note(&format!("{columns} hidden; -o wide shows them"));
        }
    }
}

/// Both of the pair were killed: whoever comes next brings them back, and the apps with them.
fn revive(context: &Context) -> bool {
    match ensure(context, "nexusd and its keeper were killed; started them anew") {
        Ok(()) => true,
        Err(failure) => {
            context.tell(&failure);
            false
        }
    }
}

/// `-o`, `--json`, or a table.
pub(crate) fn format(global: &Global) -> Format {
    global.output.unwrap_or(if global.json { Format::Json } else { Format::Table })
}
