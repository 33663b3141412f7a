//! Every typed row reads what it writes, and refuses what cannot be.

use std::path::Path;

use super::*;

/// The app that these lines make, whether they are carried out yet or not.
fn app(lines: &str) -> Result<AppSpec, Vec<String>> {
    let read = crate::parse::parse(crate::parse::Format::Toml, lines).unwrap();
    let entries = read.entries().to_vec();
    let mut options = Options::new();
    options.set("script", "app.js").unwrap();
    let mut wrongs = Wrongs::default();
    walk(Scope::App, &mut options, &entries, &mut wrongs);
    let finished = options.assemble(Path::new("/srv"), None, &|_| false);
    let finished = wrongs.keep(finished);
    let wrongs = wrongs.unless(()).map_err(|wrongs| wrongs.0);
    match (wrongs, finished) {
        (Ok(()), Some(app)) => Ok(app),
        (wrongs, _) => Err(wrongs.err().unwrap().iter().map(Wrong::sentence).collect()),
    }
}

/// As [`set_all`], but for what is not carried out.
fn walk(scope: Scope, options: &mut Options, entries: &[(Key, Given)], wrongs: &mut Wrongs) {
    for (key, given) in entries {
        let inner = Scope::INNER.into_iter().find(|inner| inner.table() == key.text);
        if let (Some(inner), Scope::App) = (inner, scope) {
            walk(inner, options, given.entries(), wrongs);
            continue;
        }
        let Work::Done { set, .. } = find(Door::Ours, scope, &key.text).unwrap().work else {
            panic!()
        };
        let read = set(options, given)
            .map_err(|wrongs| wrongs.map(|wrong| wrong.of_key(&key.text).of_key(scope.table())));
        wrongs.keep(read);
    }
}

#[test]
fn what_is_carried_out_is_read() {
    for (_, row) in settings().filter(|(scope, row)| row.carried_out(*scope)) {
        assert!(!matches!(row.work, Work::Named), "{} is silently ignored", row.key);
    }
}

/// The app that these lines make, after it was written and read again; each of their keys is
/// written.
fn read_back(lines: &str) -> AppSpec {
    let read = app(lines).unwrap();
    let mut table = written(Scope::App, &read);
    table.remove("script");
    table.remove("name");
    assert_eq!(app(&table.to_string()), Ok(read.clone()), "{table}");
    let entries: toml::Table = toml::from_str(lines).unwrap();
    for key in entries.keys() {
        assert!(table.contains_key(key), "{key} is not written: {table}");
    }
    read
}

#[test]
fn what_is_typed_reads_what_it_writes() {
    let lines = r#"
        memory = { high = "400M", max = "1.5G", for = "5s" }
        log = { max_size = "10M", max_age = "1d", keep = 3, total = "none", compress = false, rate = "1000/s", format = "json" }
        log_date_format = "HH:mm"
        nice = -5
        oom_score_adj = 300
        rlimits = { nofile = 65536, core = "unlimited", stack = "8M", nproc = { soft = 1, hard = "unlimited" } }
        stdin = true
        schedule = "@daily"
        timezone = "Europe/Berlin"
        overlap = "queue"
        jitter = 500
        missed = "once"
        health = { http = "http://127.0.0.1:1/h", interval = "2s", failures = 5 }
        watchdog = "10s"
        depends_on = { db = "healthy", cache = "started" }
        drain_timeout = "3s"
        canary = "25%"
        soak = "1m"
        shared_memory = "64M"
        protected = true
        autostart = false
        pid_file = "/run/x.pid"
        no_new_privs = true
        cpu = 1.5
    "#;
    let read = read_back(lines);
    assert_eq!(read.memory.max, Some(Size(3 << 29)));
    assert_eq!(app("max_memory_restart = '2G'").unwrap().memory.max, Some(Size(2 << 30)));
    assert_eq!(app("time = true").unwrap().log.date_format.unwrap(), "YYYY-MM-DDTHH:mm:ss");
    assert_eq!(app("depends_on = 'db'").unwrap().depends_on.len(), 1);
    assert_eq!(app("canary = '2'").unwrap().rollout.canary, Some(crate::Canary::Count(2)));
    assert_eq!(app("cron_restart = 0").unwrap().cron_restart, None);

    let watched = read_back(
        r#"
        watch = ["src", "/etc/x"]
        ignore_watch = []
        watch_delay = "1s"
        watch_options = { follow_symlinks = false, use_polling = true, interval = "3s" }
        cron_restart = "0 3 * * *"
    "#,
    );
    assert_eq!(watched.watch.paths, [Path::new("/srv/src"), Path::new("/etc/x")]);
}

#[test]
fn what_is_typed_refuses_what_cannot_be() {
    for (lines, problem) in [
        ("memory.max = 0", "`memory.max` is zero"),
        ("memory = { high = 2, max = 1 }", "`memory` has a `high` of 2 above its `max` of 1"),
        ("max_memory_restart = '1X'", "`max_memory_restart` is not an amount of bytes"),
        ("log.rate = '5/m'", "`log.rate` is not a whole number"),
        ("log.format = 'xml'", "`log.format` is no form of a log file"),
        ("nice = 20", "`nice` is 20, out of range"),
        ("oom_score_adj = -1001", "`oom_score_adj` is -1001, out of range"),
        ("rlimits.nofiles = 1", "unknown key `rlimits.nofiles`"),
        ("rlimits.nofile = '1K'", "`rlimits.nofile` is neither a number nor \"unlimited\""),
        ("rlimits.nofile = { soft = 1 }", "`rlimits.nofile` has only one of `soft` and `hard`"),
        (
            "rlimits.nofile = { soft = 2, hard = 1 }",
            "`rlimits.nofile` has a `soft` above its `hard`",
        ),
        ("rlimits.cpu = -1", "`rlimits.cpu` is -1, out of range"),
        ("stdin = 'tty'", "`stdin` is no standard input"),
        ("watch = [1]", "`watch` holds an integer among its items"),
        ("ignore_watch = ['']", "`ignore_watch` has an empty pattern"),
        ("cron_restart = '61 * * * *'", "`cron_restart` has `61` as its minute"),
        ("schedule = 5", "`schedule` takes a string, not an integer"),
        ("timezone = '../x'", "`timezone` is no name of a time zone"),
        ("overlap = 'both'", "`overlap` is no rule for overlapping runs"),
        (
            "health = {}",
            "`health` asks not exactly one of `http`, `tcp`, `exec` and `event_loop_lag`",
        ),
        (
            "health = { tcp = '127.0.0.1:1', exec = 'x' }",
            "`health` asks not exactly one of `http`, `tcp`, `exec` and `event_loop_lag`",
        ),
        ("health = { tcp = '127.0.0.1:1', every = 1 }", "unknown key `health.every`"),
        ("health.event_loop_lag = 0", "`health.event_loop_lag` is zero"),
        (
            "health.event_loop_lag = '1s'\nready = 'fd'",
            "`health` is reported over Node's channel, and `ready = \"fd\"` is none",
        ),
        ("health.http = 'ftp://x'", "`health.http` is no address of HTTP"),
        ("depends_on = { db = 'up' }", "`depends_on.db` is nothing to wait for"),
        ("canary = '0%'", "`canary` is not between 1% and 100%"),
        ("cpu = 0", "`cpu` is not between 0.01 and 10000"),
        ("missed = 'all'", "`missed` is no rule for missed runs"),
    ] {
        assert_eq!(app(lines).unwrap_err(), [problem], "{lines}");
    }
}
