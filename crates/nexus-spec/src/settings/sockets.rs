//! Listening sockets, as an address or as a table.

use toml::Value;

use crate::flaw::Code;
use crate::given::{Given, Key, What};
use crate::listen::Listen;
use crate::read;
use crate::socket::Socket;
use crate::wrong::{Wrong, Wrongs};

/// The most addresses of one app: each is a descriptor in every one of its workers.
const LISTEN_MAX: usize = 64;
/// How an address is written.
const REMEDY: &str = "write \"tcp://127.0.0.1:3001\", \"tcp://[::1]:3001\" or \"unix:/run/x.sock\"";
/// The longest name of a descriptor (sd_listen_fds(3)).
const NAME_MAX: usize = 255;
/// The most that listen(2) takes.
const BACKLOG_MAX: i64 = i32::MAX as i64;
const KEYS: &str = "write `address`, `name`, `backlog`, `mode`, `user`, `group` and `reuse_port`";

/// All of an app's.
pub(super) fn sockets(given: &Given) -> Result<Vec<Socket>, Wrongs> {
    let count = read::items(given).len();
    if count > LISTEN_MAX {
        let problem = format!("has {count} addresses; an app has at most {LISTEN_MAX}");
        return Err(Wrong::value(given, problem, "leave some of them out").into());
    }
    let mut wrongs = Wrongs::default();
    let mut sockets: Vec<Socket> = Vec::new();
    for item in read::items(given) {
        let Some(socket) = wrongs.keep(socket(given, item)) else { continue };
        let name = socket.fd_name();
        if socket.name.is_some() && sockets.iter().any(|other| other.fd_name() == name) {
            let problem = format!("has the name `{name}`, as another one has");
            wrongs.0.push(Wrong::value(item, problem, "give it a name of its own"));
        }
        sockets.push(socket);
    }
    wrongs.unless(sockets)
}

fn socket(all: &Given, item: &Given) -> Result<Socket, Wrongs> {
    if !matches!(item.what, What::Table(_)) {
        let address = read::text(item)
            .map_err(|wrong| read::in_array(all, item, wrong))
            .and_then(|text| address(item, text));
        return Ok(address?.into());
    }
    let mut wrongs = Wrongs::default();
    let mut found = None;
    let mut socket = Socket::from(Listen::Unix("/".into()));
    for (key, value) in item.entries() {
        wrongs.keep(field(&mut socket, &mut found, key, value));
    }
    let Some(address) = found else {
        if wrongs.0.is_empty() {
            wrongs.0.push(Wrong::value(item, "has no `address`", REMEDY));
        }
        return Err(wrongs);
    };
    let of_a_file = socket.mode.is_some() || socket.user.is_some() || socket.group.is_some();
    if of_a_file && matches!(address, Listen::Tcp(_)) {
        let problem = "has a `mode`, `user` or `group`, which only a Unix socket has";
        wrongs.0.push(Wrong::value(item, problem, "leave it out"));
    }
    if socket.reuse_port && matches!(address, Listen::Unix(_)) {
        let problem = "has `reuse_port`, which only a TCP socket has";
        wrongs.0.push(Wrong::value(item, problem, "leave it out"));
    }
    wrongs.unless(Socket { address, ..socket })
}

fn field(
    socket: &mut Socket,
    found: &mut Option<Listen>,
    key: &Key,
    value: &Given,
) -> Result<(), Wrong> {
    let mut set = || -> Result<bool, Wrong> {
        match key.text.as_str() {
            "address" => *found = Some(address(value, read::text(value)?)?),
            "name" => socket.name = Some(name(value)?),
            "backlog" => {
                socket.backlog = u32::try_from(read::integer(value, 1, BACKLOG_MAX)?).ok();
            }
            "mode" => socket.mode = Some(read::mode(value)?),
            "user" => socket.user = Some(read::account(value)?),
            "group" => socket.group = Some(read::account(value)?),
            "reuse_port" => socket.reuse_port = read::boolean(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    };
    match set().map_err(|wrong| wrong.of_key(&key.text))? {
        true => Ok(()),
        false => {
            let wrong = Wrong::of(&key.text, Code::UnknownKey, "unknown key", KEYS);
            Err(Wrong { at: Some(key.at.clone()), ..wrong })
        }
    }
}

fn address(given: &Given, text: &str) -> Result<Listen, Wrong> {
    Listen::parse(text).map_err(|clause| Wrong::value(given, clause, REMEDY))
}

fn name(given: &Given) -> Result<String, Wrong> {
    let text = read::some_text(given)?;
    let fits = |c: char| c.is_ascii_graphic() && c != ':';
    if text.len() > NAME_MAX || !text.chars().all(fits) {
        let problem = "is no name of a descriptor";
        let remedy = "write at most 255 letters, digits or signs, without blanks and colons";
        return Err(Wrong::value(given, problem, remedy));
    }
    Ok(text.to_owned())
}

/// As [`sockets`] reads it.
pub(super) fn value(socket: &Socket) -> Value {
    let address = Value::from(socket.address.to_string());
    let text = |text: &Option<String>| text.clone().map(Value::from);
    let entries = [
        ("name", text(&socket.name)),
        ("backlog", socket.backlog.map(|backlog| i64::from(backlog).into())),
        ("mode", socket.mode.map(|mode| format!("{mode:03o}").into())),
        ("user", text(&socket.user)),
        ("group", text(&socket.group)),
        ("reuse_port", socket.reuse_port.then(|| true.into())),
    ];
    let more: Vec<(String, Value)> = entries
        .into_iter()
        .filter_map(|(key, value)| value.map(|value| (key.to_owned(), value)))
        .collect();
    if more.is_empty() {
        return address;
    }
    Value::Table(std::iter::once(("address".to_owned(), address)).chain(more).collect())
}
