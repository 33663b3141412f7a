//! Files and flags into values: what each option means when it is right.

#![allow(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::path::{Path, PathBuf};

use nexus_spec::{AppSpec, Instances, Listen, Name, Options, Ready, Signal, Span, project};

fn apps(text: &str) -> Vec<AppSpec> {
    let exists = |path: &Path| path == Path::new("/srv/shop/run-me");
    match project(text, Path::new("ecosystem.toml"), Path::new("/srv/shop"), &exists) {
        Ok(project) => project.apps,
        Err(flaws) => panic!("{flaws}"),
    }
}

fn app(lines: &str) -> AppSpec {
    apps(&format!("[[apps]]\n{lines}")).remove(0)
}

const WHOLE: &str = r#"
[defaults]
namespace = "shop"
kill_timeout = "5s"
env = { A = "1", B = 2 }
backoff = { min = 50, factor = 1.5 }

[[apps]]
name = "api"
script = "./src/server.py"
args = "--port 3001 '--title=a b' $HOME"
interpreter = "python3 -u"
cwd = "api"
instances = "max"
autorestart = false
restart_delay = 100
max_restarts = 5
restart_window = "1m"
min_uptime = "1.5s"
stop_exit_codes = [0, 143]
stop_signal = "int"
kill_timeout = "250ms"
listen = ["tcp://127.0.0.1:3001", "unix:/run/x.sock"]
ready = "delay:2s"
ready_timeout = "5s"
build = "make all"
user = "www"
group = 33
umask = "027"
out_file = "logs/out.log"
error_file = "NULL"
merge_logs = true
[apps.env]
B = true
C = 1.5
[apps.backoff]
max = "3s"
jitter = "25%"

[[apps]]
script = "worker.mjs"
"#;

#[test]
fn every_option_means_what_it_says() {
    let [api, worker] = &apps(WHOLE)[..] else { panic!("two apps") };
    let mut wanted = AppSpec::default_for(
        Name::new("api").unwrap(),
        Path::new("/srv/shop/api/src/server.py"),
        Path::new("/srv/shop/api"),
    );
    wanted.namespace = "shop".into();
    wanted.args = ["--port", "3001", "--title=a b", "$HOME"].map(String::from).into();
    wanted.interpreter = vec!["python3".into(), "-u".into()];
    wanted.env =
        [("A", "1"), ("B", "true"), ("C", "1.5")].map(|(k, v)| (k.into(), v.into())).into();
    wanted.instances = Instances::Max;
    wanted.restart.auto = false;
    wanted.restart.delay = Span(100);
    wanted.restart.max = 5;
    wanted.restart.window = Span(60_000);
    wanted.restart.min_uptime = Span(1_500);
    wanted.restart.stop_exit_codes = vec![0, 143];
    wanted.restart.backoff.min = Span(50);
    wanted.restart.backoff.max = Span(3_000);
    wanted.restart.backoff.factor_percent = 150;
    wanted.restart.backoff.jitter_percent = 25;
    wanted.stop.signal = Signal(2);
    wanted.stop.kill_timeout = Span(250);
    wanted.listen = vec![
        Listen::parse("tcp://127.0.0.1:3001").unwrap().into(),
        Listen::parse("unix:/run/x.sock").unwrap().into(),
    ];
    wanted.ready = Ready::Delay(Span(2_000));
    wanted.ready_timeout = Span(5_000);
    wanted.build = Some("make all".into());
    wanted.run_as.user = Some("www".into());
    wanted.run_as.group = Some("33".into());
    wanted.run_as.umask = Some(0o027);
    wanted.log.out_file = Some("/srv/shop/api/logs/out.log".into());
    wanted.log.error_file = Some("/dev/null".into());
    wanted.log.merge_logs = true;
    assert_eq!(api, &wanted);

    assert_eq!(worker.name.as_str(), "worker");
    assert_eq!(worker.script, PathBuf::from("/srv/shop/worker.mjs"));
    assert_eq!(worker.interpreter, ["node"]);
    assert_eq!(worker.stop.kill_timeout, Span(5_000));
    assert_eq!(worker.env["B"], "2");
}

#[test]
fn what_a_script_names() {
    for (lines, script, interpreter) in [
        ("script = 'server.py'", "/srv/shop/server.py", "python3"),
        ("script = './server'", "/srv/shop/server", ""),
        ("script = '/bin/sh'\nname = 'x'", "/bin/sh", ""),
        ("script = 'python3'", "python3", ""),
        ("script = 'run-me'", "/srv/shop/run-me", ""),
        ("script = 'x.sh'\ninterpreter = 'none'", "/srv/shop/x.sh", ""),
        ("script = 'x.sh'\ninterpreter = ['my sh', '-e']", "/srv/shop/x.sh", "my sh|-e"),
        ("script = 'npm start'\nname = 'x'\ninterpreter = 'bash -c'", "npm start", "bash|-c"),
        ("script = '../x.js'\ncwd = 'a/./b/'", "/srv/shop/a/b/../x.js", "node"),
        ("script = '/opt/my app/x.rb'", "/opt/my app/x.rb", "ruby"),
    ] {
        let app = app(lines);
        assert_eq!(app.script, PathBuf::from(script), "{lines}");
        assert_eq!(app.interpreter.join("|"), interpreter, "{lines}");
    }
}

#[test]
fn single_values_where_a_list_is_usual() {
    let app = app("script = 'a'\nstop_exit_codes = 3\nlisten = 'tcp://[::1]:1'\numask = 0o22\n");
    assert_eq!(app.restart.stop_exit_codes, [3]);
    assert_eq!(app.listen.len(), 1);
    assert_eq!(app.run_as.umask, Some(0o22));
}

#[test]
fn apps_may_be_an_array_of_inline_tables() {
    assert_eq!(apps("apps = [{ script = 'a' }, { script = 'b' }]").len(), 2);
}

#[test]
fn flags_mean_what_the_file_says() {
    let mut options = Options::new();
    for (key, text) in [
        ("script", "server.py"),
        ("name", "x"),
        ("instances", "4"),
        ("interpreter", "none"),
        ("cwd", "sub"),
        ("env", "K=V=W"),
        ("env", "L="),
        ("listen", "tcp://127.0.0.1:3001"),
        ("ready", "notify"),
        ("kill-timeout", "5s"),
        ("restart_delay", "250"),
        ("autorestart", "false"),
        ("max-restarts", "3"),
        ("stop-exit-codes", "0,143"),
        ("backoff.factor", "1.5"),
        ("backoff.jitter", "5%"),
        ("umask", "022"),
        ("user", "1000"),
    ] {
        options.set(key, text).unwrap();
    }
    options.set_list("args", &["--a b".into(), "'".into()]).unwrap();
    let by_flags = options.finish(Path::new("/srv/shop"), &|_| false).unwrap();
    let by_file = app(r#"
        script = "server.py"
        name = "x"
        instances = 4
        interpreter = "none"
        cwd = "sub"
        env = { K = "V=W", L = "" }
        listen = "tcp://127.0.0.1:3001"
        ready = "notify"
        kill_timeout = "5s"
        restart_delay = 250
        autorestart = false
        max_restarts = 3
        stop_exit_codes = [0, 143]
        backoff = { factor = 1.5, jitter = 0.05 }
        umask = "022"
        user = 1000
        args = ["--a b", "'"]
    "#);
    assert_eq!(by_flags, by_file);
}

#[test]
fn a_flag_that_is_refused_changes_nothing_and_says_why() {
    for (key, text, said) in [
        ("kill-timeout", "soon", "`kill_timeout` is not a length of time; write a number"),
        ("autorestart", "yes", "`autorestart` is neither true nor false"),
        ("max-restarts", "x", "`max_restarts` is not a whole number"),
        ("env", "K", "`env` has no `=`; write NAME=VALUE"),
        ("protected", "true", "`protected` is not carried out yet; leave it out"),
        ("kil-timeout", "1", "unknown key `kil_timeout`; write `kill_timeout`"),
        ("backoff.maxx", "1", "unknown key `backoff.maxx`; write `max`"),
        ("env_x", "1", "`env_x` has no `=`; write NAME=VALUE"),
        ("name", "all", "`name` is `all`, the word"),
        ("backoff", "x", "`backoff` takes a table"),
    ] {
        let mut options = Options::new();
        let flaw = options.set(key, text).unwrap_err().to_string();
        assert!(flaw.starts_with(said), "{flaw}");
        options.set("script", "a.js").unwrap();
        let app = options.finish(Path::new("/"), &|_| false).unwrap();
        assert_eq!(app.to_toml(), "[[apps]]\nname = \"a\"\nscript = \"/a.js\"\ncwd = \"/\"\n");
    }
}

#[test]
fn what_is_wrong_with_the_options_together() {
    let said = |options: &Options, base: &str| {
        let flaws = options.finish(Path::new(base), &|_| false).unwrap_err();
        flaws.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert!(said(&Options::new(), "/").starts_with("`script` is missing"));
    let mut options = Options::new();
    options.set("script", "é.js").unwrap();
    assert!(said(&options, "/").contains("`name` is missing"));
    assert!(said(&options, "srv").contains("`cwd` is relative"));
}

#[test]
fn one_mistake_is_one_flaw() {
    for (text, said) in [
        ("", "the file asks for no app"),
        ("[[app]]\nscript = 'a'", "unknown key `app`"),
        ("[apps]\nscript = 'a'", "`apps` takes tables, each under `[[apps]]`, not a table"),
        ("apps = [3]", "`apps` takes tables, each under `[[apps]]`, not an integer"),
        ("[[apps]]\nscrpt = 'a'", "unknown key `scrpt`"),
        ("[[apps]]\nscript = 3", "`script` takes a string, not an integer"),
        ("[[apps]]\nscript = 'a b'\ncwd = 1", "`cwd` takes a string, not an integer"),
        ("[[apps]]\nscript = 'é.js'", "`name` is missing, and the script's name, taken for it,"),
        ("[[apps]]\nscript = 'a'\n[[apps]]\nscript = 'a'\nname = 'x y'", "`name` has a character"),
        ("[defaults]\nnme = 'x'\n[[apps]]\nscript = 'a'", "unknown key `nme`"),
        ("defaults = 1\n[[apps]]\nscript = 'a'", "`defaults` takes a table, not an integer"),
        ("[[apps]]\nscript = 'a'\nargs = [\"\\u0000\"]", "`args` has a NUL character"),
    ] {
        let flaws = project(text, Path::new("f"), Path::new("/srv"), &|_| false).unwrap_err();
        let [flaw] = flaws.flaws.as_slice() else { panic!("{flaws}") };
        assert!(flaw.problem.starts_with(said), "{flaws}");
    }
}

#[test]
fn an_app_that_the_first_version_stored_is_read_with_the_defaults_of_what_it_did_not_know() {
    let stored: AppSpec = serde_json::from_str(include_str!("golden/stored-1.json")).unwrap();
    let mut same = AppSpec::default_for(
        Name::new("api").unwrap(),
        Path::new("/srv/api.js"),
        Path::new("/srv"),
    );
    same.env.insert("PORT".into(), "3001".into());
    same.listen.push(Listen::parse("tcp://127.0.0.1:3001").unwrap().into());
    assert_eq!(stored, same);
    let again = serde_json::to_string(&stored).unwrap();
    assert_eq!(serde_json::from_str::<AppSpec>(&again).unwrap(), stored);
}
