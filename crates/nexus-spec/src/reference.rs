//! The reference page of project files, as Markdown: written from the same rows that read them.

use std::fmt::Write;

use crate::app::AppSpec;
use crate::door::Door;
use crate::flaw::Code;
use crate::options::Options;
use crate::settings::{Scope, Setting, tables, written};

/// What stands before the tables.
const HEAD: &str = "\
# Configuration

Every setting of a project file. This page is written by `cargo xtask docs` from the tables that \
read the files (`crates/nexus-spec/src/settings`); `nexusctl man ecosystem.toml` has the same, and \
`nexusctl check FILE` shows everything that is wrong with a file at once, each with its place.

```toml
[defaults]                          # for every app that does not say otherwise
kill_timeout = \"15s\"

[[apps]]
name = \"api\"
script = \"./server\"
instances = \"max\"
listen = [\"tcp://127.0.0.1:3001\"]
ready = \"notify\"
env = { PORT = 3001 }
env_production = { LOG = \"warn\" }   # on top, with --env production
env_file = \".env\"                   # below, read again at each start
```

## Files

| file | written in | whose defaults |
| --- | --- | --- |
| `ecosystem.toml` | TOML | ours |
| `ecosystem.json` | JSON, with comments, unquoted keys, single quotes and trailing commas | PM2's |
| `ecosystem.yaml`, `.yml` | YAML, one document, with anchors and merge keys | PM2's |
| `package.json` | JSON, the apps under `pm2` | PM2's |
| `-` | JSON on standard input | PM2's |

`nexusctl start` takes the first of these that is in the current directory; any other name with \
one of the endings may be given. `.config.js` files are not evaluated yet: \
`node -p 'JSON.stringify(require(\"./ecosystem.config.js\"))' | nexusctl start -` reads one.

In `ecosystem.toml` an unknown key is an error (exit code 6, nothing is changed), and so is a \
setting that is not carried out yet. In PM2's files both are warnings; keys may be in camelCase \
there, strings may stand for numbers, relative paths are relative to the current directory and not \
to the file, `script` may be a line for a shell, and a name that PM2 allows and we do not is \
changed, which is said. Apps stand under `apps`, under `pm2`, in an array, or alone.

## Values

A *length of time* is a number of milliseconds, or `250ms`, `10s`, `1.5m`, `2h`, `1d`. An *amount \
of bytes* is a number, or `64K`, `512M`, `1.5G`, also written `KB` or `KiB`: all are powers of \
1,024. A *name of variables* may hold `*` for any characters; letters of either case are alike.
";

/// What stands between the tables of settings and the lists.
const SECRETS: &str = "
## Secrets

The value of a variable is secret when it comes from `env_file` or `secrets`, when it is an \
address with a password in it, or when its name matches `*KEY*`, `*TOKEN*`, `*SECRET*`, `*PASS*`, \
`*CREDENTIAL*`, `*_DSN` or `*DATABASE_URL` (`secret_names` adds, `not_secret` takes away). No list, \
event, log of ours or answer of the control API holds one. On disk is only where it comes from; \
one without a source is kept encrypted, with the key in `state/key` (0600), or with the credential \
`nexus-key` of the service manager. `nexusctl env APP --reveal` shows them on a terminal, and the \
events tell of it.

A source is `file:PATH`, `credential:NAME` (systemd's `LoadCredential=`), or `command:LINE`. A command \
is run by `/bin/sh` at each start of a worker, a build or a check, as part of it: with the app's user, \
directory and variables, before its own program is executed in the same process; so the answer is that \
of this start, and on no disk of ours. All commands of a worker run at once and have 30 seconds. \
Whatever `ready` says, a worker is not ready before its own program runs. One that cannot have its \
secrets has not started: the reason is in its log, which names the command (write no password into \
it), and it is tried again with longer and longer pauses; in a reload the old worker stays. Files are \
read when a version of the app is started, and at each restart that is asked for.

The pair has secrets in its memory, and leaves no core of it (`RLIMIT_CORE`; workers keep the caller's \
limit). Only a `core_pattern` that is a socket (`@…`, Linux 6.16) does not heed that.

A file of variables has `NAME=value` lines, `export` and `#` comments allowed; in double quotes \
`\\n`, `\\t`, `\\\"`, `\\\\` and `\\$` are escapes, in single quotes nothing is, and nothing is expanded. \
The order of precedence, lowest first: what is inherited, `env_file`, `env`, `env_<profile>`, \
`secrets`, and what we set ourselves (`name`, `namespace`, `pm_id`, `NEXUS_…`, `LISTEN_…`, \
`NOTIFY_SOCKET`, the number of the instance).
";

/// The page.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    for (scope, title, rows) in tables() {
        let told: Vec<_> = rows.iter().filter(|row| row.carried_out(scope)).collect();
        let heading = match (title, scope.table()) {
            ("", "") => continue,
            ("", table) => format!("### In `{table}`"),
            (title, _) => format!("## {title}"),
        };
        if told.is_empty() {
            continue;
        }
        let _ = write!(page, "\n{heading}\n\n");
        if told.iter().all(|row| row.without_effect().is_some()) {
            moot(&mut page, &told);
        } else {
            table(&mut page, &told);
        }
    }
    page.push_str(SECRETS);
    doors(&mut page);
    spellings(&mut page);
    later(&mut page);
    codes(&mut page);
    page
}

fn table(page: &mut String, rows: &[&Setting]) {
    page.push_str("| key | takes | default | meaning |\n| --- | --- | --- | --- |\n");
    for row in rows {
        let own = if row.own { " Not in `[defaults]`." } else { "" };
        let (takes, default, doc) = (cell(row.takes), cell(row.default), cell(row.doc));
        let _ = writeln!(page, "| `{}` | {takes} | {default} | {doc}{own} |", row.key);
    }
}

fn moot(page: &mut String, rows: &[&Setting]) {
    page.push_str("Taken, so that a file of PM2's can stay as it is.\n\n");
    page.push_str("| key | of PM2's | why |\n| --- | --- | --- |\n");
    for row in rows {
        let why = row.without_effect().unwrap_or_default();
        let _ = writeln!(page, "| `{}` | {} | {} |", row.key, cell(row.doc), cell(why));
    }
}

/// Text within a table: a bar would end the cell; outside of code an angle bracket would begin a
/// tag, and a star a stress.
fn cell(text: &str) -> String {
    let part = |(place, part): (usize, &str)| match place % 2 {
        0 => part.replace('<', "&lt;").replace('*', "\\*"),
        _ => part.to_owned(),
    };
    let parts: Vec<_> = text.split('`').enumerate().map(part).collect();
    parts.join("`").replace('|', "\\|")
}

/// What an app of PM2's has where nothing is written, in the words of ours.
fn doors(page: &mut String) {
    page.push_str(
        "\n## Whose defaults\n\nAn app keeps the defaults of the file that it came from, also when \
         it is restarted by its name; `nexusctl describe` says whose they are. Where nothing is \
         written, PM2's files mean:\n\n| setting | ours | PM2's |\n| --- | --- | --- |\n",
    );
    let (ours, pm2) = (bare(Door::Ours), bare(Door::Pm2));
    for (scope, _, rows) in tables() {
        let (ours, pm2) = (written(scope, &ours), written(scope, &pm2));
        for row in rows.iter().filter(|row| ours.get(row.key) != pm2.get(row.key)) {
            let Some(value) = pm2.get(row.key).filter(|value| !value.is_table()) else { continue };
            let key = match scope.table() {
                "" => row.key.to_owned(),
                table => format!("{table}.{}", row.key),
            };
            let _ = writeln!(page, "| `{key}` | {} | `{value}` |", cell(row.default));
        }
    }
}

/// An app with nothing but a script.
fn bare(door: Door) -> AppSpec {
    let mut options = Options::through(door);
    options.script = Some("/x".to_owned());
    let none = std::path::Path::new("/");
    match options.assemble(none, None, &|_| false) {
        Ok(app) => app,
        Err(wrongs) => unreachable!("a script alone is an app: {wrongs:?}"),
    }
}

fn spellings(page: &mut String) {
    page.push_str(
        "\n## Other spellings\n\nIn PM2's files each of these is the key beside it; in \
         `ecosystem.toml` it is an error that names the key. The camelCase of every key is one as \
         well.\n\n| key | also |\n| --- | --- |\n",
    );
    for (_, _, rows) in tables() {
        for row in rows.iter().filter(|row| !row.also.is_empty()) {
            let also: Vec<_> = row.also.iter().map(|also| format!("`{also}`")).collect();
            let _ = writeln!(page, "| `{}` | {} |", row.key, also.join(", "));
        }
    }
}

fn later(page: &mut String) {
    page.push_str(
        "\n## Not carried out yet\n\nKnown, and refused by name in `ecosystem.toml` so that nobody \
         relies on it; a warning in PM2's files.\n\n| key | takes | meaning |\n| --- | --- | --- |\n",
    );
    for (scope, _, rows) in tables() {
        if !matches!(scope, Scope::File | Scope::App) {
            continue;
        }
        for row in rows.iter().filter(|row| !row.carried_out(scope)) {
            let (takes, doc) = (cell(row.takes), cell(row.doc));
            let _ = writeln!(page, "| `{}` | {takes} | {doc} |", row.key);
        }
    }
}

fn codes(page: &mut String) {
    page.push_str("\n## Codes of flaws\n\n| code | what |\n| --- | --- |\n");
    for (code, what) in Code::ALL {
        let _ = writeln!(page, "| {} | {what} |", code.as_str());
    }
}
