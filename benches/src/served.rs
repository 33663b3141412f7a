//! Servers that take the socket that is kept for them, as apps under Nexus.

use std::path::PathBuf;

use nexus_tests::{Home, program_dir};

use crate::Fault;

/// A program that serves HTTP on descriptor 3.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    /// What to ask for. The answer tells the pid of the worker.
    pub(crate) path: &'static str,
    /// Its text; none: it is the program of this name, which is built beside us.
    text: Option<(&'static str, &'static str)>,
    /// Further lines of its section.
    more: &'static str,
}

pub(crate) const TRADING_API: Server = Server {
    name: "trading API (nexus-worker)",
    path: "/api/health",
    text: None,
    more: "ready = \"notify\"\nenv = { ACCESS_LOG = \"off\" }",
};

pub(crate) const PYTHON: Server = Server {
    name: "Python, asyncio",
    path: "/",
    text: Some(("server.py", include_str!("../servers/asyncio_server.py"))),
    more: "ready = \"fd\"",
};

pub(crate) const NODE: Server = Server {
    name: "Node, http",
    path: "/",
    text: Some(("server.js", include_str!("../servers/http_server.js"))),
    more: "ready = \"fd\"",
};

pub(crate) const SERVERS: [&Server; 3] = [&TRADING_API, &PYTHON, &NODE];

/// The name of the app.
pub(crate) const APP: &str = "served";

/// Start so many workers of it, on a port of 127.0.0.1.
pub(crate) fn serve(home: &Home, server: &Server, port: u16, instances: u16) -> Result<(), Fault> {
    let script = match server.text {
        Some((name, text)) => home.write(name, text),
        None => built("trading-api")?,
    };
    let file = home.write(
        "ecosystem.toml",
        &format!(
            "[[apps]]\nname = {APP:?}\nscript = {script:?}\ninstances = {instances}\n\
             listen = \"tcp://127.0.0.1:{port}\"\nready_timeout = \"20s\"\n\
             drain_timeout = \"10s\"\nmax_restarts = 1000000\n{}\n",
            server.more
        ),
    );
    let output = home.ctl(&["start", &file.to_string_lossy()]);
    if output.code == 0 { Ok(()) } else { Err(output.stderr.trim().to_owned()) }
}

fn built(name: &str) -> Result<PathBuf, Fault> {
    let program = program_dir().join(name);
    if program.is_file() {
        Ok(program)
    } else {
        Err(format!("{} is not built; run `cargo xtask bench`", program.display()))
    }
}
