//! PM2's files: how they may be written, what they mean, and what is said of the rest.

#![allow(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::path::{Path, PathBuf};

use nexus_spec::{
    AppSpec, Door, Flaws, Format, Instances, Project, Reading, Signal, Span, project,
};

const CALLER: &str = "/home/ann";

fn read_with(file: &str, text: &str, profile: Option<&str>) -> Result<Project, Flaws> {
    let file = Path::new(file);
    let exists = |path: &Path| path == Path::new("/home/ann/my app.js");
    let format = Format::of(file).unwrap();
    Reading { file, format, base_dir: Path::new(CALLER), exists: &exists, profile }.project(text)
}

fn read(file: &str, text: &str) -> Project {
    match read_with(file, text, None) {
        Ok(project) => project,
        Err(flaws) => panic!("{flaws}"),
    }
}

/// The app of a JSON file with these lines.
fn app(lines: &str) -> AppSpec {
    let mut project = read("ecosystem.json", &format!("{{ apps: [{{ {lines} }}] }}"));
    assert_eq!(project.warnings.map(|warnings| warnings.to_string()), None);
    project.apps.remove(0)
}

/// What is said of an app with these lines, without its places.
fn warned(lines: &str) -> Vec<String> {
    let project = read("ecosystem.json", &format!("{{ apps: [{{ script: 'a.js', {lines} }}] }}"));
    let warnings = project.warnings.map(|warnings| warnings.flaws).unwrap_or_default();
    warnings.into_iter().map(|flaw| flaw.problem).collect()
}

const JSON: &str = r#"
// An ecosystem file as people write it.
{
  apps: [{
    name: 'api', /* the first */
    "script": "./server.js",
    args: "--port 3001 'a b'",
    instances: -1,
    exec_mode: "fork",
    node_args: ["--inspect", '--max-old-space-size=512'],
    env: { PORT: 3001, DEBUG: true, LIST: ["a", { b: null }], GONE: null, },
    env_production: { NODE_ENV: 'production' },
    killTimeout: "3000",
    exec_interpreter: 'node',
    err: 'logs/err.log',
    merge_logs: true,
    stop_exit_codes: ['0', 143],
  },],
}
"#;

const YAML: &str = r"
# The same.
apps:
  - name: api
    script: ./server.js
    args: --port 3001 'a b'
    instances: -1
    exec_mode: fork
    node_args: [--inspect, --max-old-space-size=512]
    env: &env
      PORT: 3001
      DEBUG: true
      LIST: [a, {b: ~}]
      GONE: ~
    env_production:
      NODE_ENV: production
    killTimeout: '3000'
    exec_interpreter: node
    err: logs/err.log
    merge_logs: true
    stop_exit_codes: ['0', 143]
";

#[test]
fn json_and_yaml_say_the_same() {
    let json = read("ecosystem.json", JSON);
    assert_eq!(json.warnings, None);
    assert_eq!(json.profiles, ["production"]);
    assert_eq!(read("ecosystem.yml", YAML), json);
    assert_eq!(read("ecosystem.config.yaml", YAML), json);
    assert_eq!(read("-", JSON), json);
    let [app] = json.apps.as_slice() else { panic!("{json:?}") };
    assert_eq!(app.script, Path::new("/home/ann/server.js"));
    assert_eq!(app.interpreter, ["node", "--inspect", "--max-old-space-size=512"]);
    assert_eq!(app.args, ["--port", "3001", "a b"]);
    assert_eq!(app.instances, Instances::AllBut(1));
    assert_eq!(app.log.error_file, Some(PathBuf::from("/home/ann/logs/err.log")));
    assert_eq!(app.restart.stop_exit_codes, [0, 143]);
    assert_eq!(app.stop.kill_timeout, Span(3_000));
    let env: Vec<_> = app.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    // As PM2 does, null within an array is the text, and as a value of a key it is no key.
    assert_eq!(env, ["DEBUG=true", r#"LIST=["a",{}]"#, "PORT=3001"]);
}

#[test]
fn what_a_door_gives_is_kept_with_the_app() {
    let app = app("script: 'a.js'");
    assert_eq!(app.door, Door::Pm2);
    assert_eq!((app.stop.signal, app.stop.tree), (Signal::INT, true));
    assert_eq!(app.stop.kill_timeout, Span(1_600));
    assert!(app.inherit.all && app.inherit.takes("AWS_SECRET_ACCESS_KEY"));
    assert_eq!((app.restart.max, app.restart.backoff.max), (15, Span(0)));
    let ours =
        project("[[apps]]\nscript = 'a.js'", Path::new("x.toml"), Path::new("/"), &|_| false);
    let ours = ours.unwrap().apps.remove(0);
    assert_eq!(ours.door, Door::Ours);
    assert_eq!((ours.stop.signal, ours.stop.tree), (Signal::TERM, false));
    assert_eq!(ours.stop.kill_timeout, Span(10_000));
    assert!(!ours.inherit.takes("AWS_SECRET_ACCESS_KEY") && ours.inherit.takes("LC_ALL"));
}

#[test]
fn the_apps_stand_where_pm2_looks_for_them() {
    for text in [
        "{ apps: [{ script: 'a.js' }] }",
        "{ apps: { script: 'a.js' } }",
        "{ pm2: [{ script: 'a.js' }] }",
        "[{ script: 'a.js' }]",
        "{ script: 'a.js' }",
        "{ script: 'a.js' };",
    ] {
        assert_eq!(read("x.json", text).apps[0].name.as_str(), "a", "{text}");
    }
    for pm2 in ["[{ script: 'a.js' }]", "{ apps: [{ script: 'a.js' }] }", "{ script: 'a.js' }"] {
        let text = format!("{{ \"name\": \"shop\", \"scripts\": {{}}, \"pm2\": {pm2} }}");
        let read = read("package.json", &text);
        assert_eq!((read.apps[0].name.as_str(), read.warnings), ("a", None), "{text}");
    }
    let flaws = read_with("package.json", "{ \"name\": \"shop\" }", None).unwrap_err();
    assert_eq!(flaws.flaws[0].problem, "the file asks for no app");
    assert_eq!(flaws.flaws[0].remedy, "write a list of apps under `pm2`");
}

#[test]
fn every_spelling_of_pm2s_leads_to_its_key() {
    for (lines, key) in [
        ("cmd: 'a.js'", "script"),
        ("command: 'a.js'", "script"),
        ("exec: 'a.js'", "script"),
        ("script: 'a.js', maxRestarts: 3", "max_restarts"),
        ("script: 'a.js', execInterpreter: 'bun'", "interpreter"),
        ("script: 'a.js', interpreterArgs: '-v'", "interpreter"),
        ("script: 'a.js', output: 'o'", "out_file"),
        ("script: 'a.js', outLog: 'o'", "out_file"),
        ("script: 'a.js', combine_logs: true", "merge_logs"),
        ("script: 'a.js', uid: 33, gid: 'www'", "user"),
        ("script: 'a.js', expBackoffRestartDelay: 100", "backoff"),
        ("script: 'a.js', minUptime: '5s'", "min_uptime"),
        ("script: 'a.js', windowsHide: true, vizion: false, pmx: false", ""),
        ("script: 'a.js', restartDelay: 5, autorestart: false", "restart_delay"),
    ] {
        let text = app(lines).to_toml();
        assert!(text.contains(key), "{lines}: {text}");
    }
}

#[test]
fn what_is_not_taken_as_written_is_said_and_the_rest_is_taken() {
    assert_eq!(warned("zzz: 1"), ["unknown key `zzz`"]);
    assert_eq!(warned("watch_options: { usePolling: true, persistent: true }"), [""; 0]);
    assert_eq!(
        warned("watch_options: { depth: 2 }"),
        ["`watch_options.depth` is without effect: all depths are watched"]
    );
    assert_eq!(warned("exec_mode: 'cluster'"), ["`exec_mode` \"cluster\" is not carried out yet"]);
    assert_eq!(
        warned("name: 'my api!'"),
        ["`name` has a character that a name may not have: ` `: it is called `my-api` here"]
    );
    assert_eq!(
        warned("deep_monitoring: true, pmx: true, trace: false"),
        ["`deep_monitoring` is without effect: nothing is loaded into the workers"]
    );
    let both = "{ apps: [{ script: 'a.js' }], deploy: { production: {} } }";
    let warnings = read("x.json", both).warnings.unwrap();
    assert_eq!(warnings.summary(), "1 warning in x.json");
    assert!(warnings.render(false, true).starts_with("warning[NX0604]: `deploy` is not"));
}

#[test]
fn what_cannot_be_is_an_error_in_any_file() {
    let flaws = |lines: &str| {
        let text = format!("{{ apps: [{{ {lines} }}] }}");
        let flaws = read_with("x.json", &text, None).unwrap_err();
        flaws.flaws.into_iter().map(|flaw| flaw.problem).collect::<Vec<_>>()
    };
    assert_eq!(flaws("name: 'x'"), ["`script` is missing"]);
    assert_eq!(
        flaws("script: 1, kill_timeout: 'soon', instances: 'many'"),
        [
            "`script` takes a string, not an integer",
            "`kill_timeout` is not a length of time",
            "`instances` is not a number of workers",
        ]
    );
    // Warnings would hide what has to be mended.
    assert_eq!(flaws("zzz: 1"), ["`script` is missing"]);
    assert_eq!(flaws("script: 'a.js' }, { script: 'a.js'"), ["two apps are called `a`"]);
}

#[test]
fn the_rest_of_pm2s_rules() {
    // A line with spaces goes to a shell, unless it is a file.
    let line = app("script: 'npm run start', name: 'web'");
    assert_eq!((line.script.to_str(), line.interpreter.len()), (Some("npm run start"), 2));
    assert_eq!(app("script: 'npm run start'").name.as_str(), "npm-run-start");
    assert_eq!(app("script: 'my app.js'").script, Path::new("/home/ann/my app.js"));
    assert_eq!(app("script: 'a', instances: 0").instances, Instances::Max);
    assert_eq!(app("script: 'a', instances: '4'").instances, Instances::Count(4));
    // PM2 gives up with the sixteenth unstable exit, and with the third where 3 is written.
    assert_eq!(app("script: 'a', max_restarts: 3").restart.max, 2);
    assert_eq!(app("script: 'a', port: 80").env["PORT"], "80");
    assert_eq!(app("script: 'a', port: 80, env: { PORT: 81 }").env["PORT"], "81");
    assert_eq!(app("script: 'a', name: 'x', name_prefix: 'team'").name.as_str(), "team-x");
    let nowhere = app("script: 'a', disable_logs: true").log;
    assert_eq!(nowhere.out_file, Some(PathBuf::from("/dev/null")));
    let inherit = app("script: 'a', filter_env: ['SECRET', 'AWS_']").inherit;
    assert!(
        !inherit.takes("MY_SECRET_X") && !inherit.takes("AWS_REGION") && inherit.takes("PAGER")
    );
    assert!(app("script: 'a', filter_env: 'AWS'").inherit.takes("AWS_REGION"));
    assert!(!app("script: 'a', filter_env: true").inherit.takes("PAGER"));
    let text = "{ apps: [{ script: 'a.js' }, { script: 'a.js', namespace: 'b' }] }";
    let names: Vec<_> = read("x.json", text).apps.iter().map(|app| app.name.to_string()).collect();
    assert_eq!(names, ["a", "b.a"]);
}

#[test]
fn a_profile_puts_its_variables_on_top() {
    let text = "{ script: 'a.js', append_env_to_name: true, env: { A: 1, B: 1 }, env_x: { B: 2 } }";
    let env = |profile| {
        let mut project = read_with("x.json", text, profile).unwrap();
        assert_eq!(project.profiles, ["x"]);
        let app = project.apps.remove(0);
        format!("{} {:?}", app.name, app.env)
    };
    assert_eq!(env(None), r#"a {"A": "1", "B": "1"}"#);
    assert_eq!(env(Some("x")), r#"a-x {"A": "1", "B": "2"}"#);
    let toml = "[defaults]\nenv_x = { C = 3 }\n[[apps]]\nscript = 'a.js'\nenv_x = { B = 2 }";
    let read = read_with("x.toml", toml, Some("x")).unwrap();
    assert_eq!(format!("{:?}", read.apps[0].env), r#"{"B": "2", "C": "3"}"#);
}

/// What is wrong with the syntax of a text, with the line and the column.
fn broken(file: &str, text: &str) -> String {
    let flaws = read_with(file, text, None).unwrap_err();
    let [flaw] = flaws.flaws.as_slice() else { panic!("{flaws}") };
    format!("{}:{} {}; {}", flaw.place.line, flaw.place.column, flaw.problem, flaw.remedy)
}

#[test]
fn instances_that_follow_their_load_are_written_alike_everywhere() {
    let toml = "[[apps]]\nname = 'a'\nscript = 'a'\n\
                instances = { min = 2, max = 8, target_cpu = 70, down_after = '5m' }";
    let json = "{ apps: [{ name: 'a', script: 'a', instances: { min: 2, max: 8, target_cpu: 70, \
                down_after: '5m' } }] }";
    let yaml = "apps:\n  - name: a\n    script: a\n    instances: {min: 2, max: 8, \
                target_cpu: 70, down_after: 5m}";
    let rule = nexus_spec::Autoscale {
        min: 2,
        max: 8,
        target_cpu: 70,
        up_after: nexus_spec::Autoscale::UP_AFTER,
        down_after: nexus_spec::Span(300_000),
    };
    for (file, text) in [("ecosystem.toml", toml), ("ecosystem.json", json), ("x.yml", yaml)] {
        assert_eq!(read(file, text).apps[0].instances, Instances::Auto(rule), "{file}");
    }
}

#[test]
fn broken_json_is_told_by_its_place() {
    for (text, told) in [
        ("{}", "1:1 the file asks for no app; write a list of apps under `apps`"),
        ("", "1:1 the text ends; a value is expected; "),
        ("{\n  apps: [", "2:10 the text ends; a value is expected; "),
        ("{ apps: [{ script: 'a' } }", "1:26 `}` stands where `,` or `]` is expected; "),
        ("{ apps 1 }", "1:8 `1` stands where `:` is expected; "),
        ("{} x", "1:4 `x` stands where nothing more is expected; "),
        ("{ a: 'x\n' }", "1:6 the string that begins here has no end; "),
        ("{ /* a", "1:3 the comment that begins here has no end; "),
        ("{ a: 1x }", "1:6 this is no number; "),
        ("{ a: '\\ud83d' }", "1:7 this is no escape; "),
        (
            "{ a: process.env.HOME }",
            "1:6 this is JavaScript, which is not evaluated here; write the value itself",
        ),
        (
            "{ a: ['.', '/'].join('') }",
            "1:6 this is JavaScript, which is not evaluated here; write the value itself",
        ),
        (
            "{ a: `x${1}` }",
            "1:8 this is JavaScript, which is not evaluated here; write the value itself",
        ),
        (
            "{ a: 1 + 2 }",
            "1:6 this is JavaScript, which is not evaluated here; write the value itself",
        ),
    ] {
        assert_eq!(broken("x.json", text), told, "{text}");
    }
    let deep = "[".repeat(200_000);
    assert_eq!(broken("x.json", &deep), "1:65 values nest deeper than 64; ");
}

#[test]
fn broken_yaml_is_told_by_its_place() {
    for (text, told) in [
        ("apps:\n  - script: a\n    script: b", "3:5 this key stands here a second time; "),
        ("apps: []\n---\napps: []", "3:1 a second document begins here; one is read; "),
        ("? [a]\n: b", "1:3 a key is a string; "),
    ] {
        assert_eq!(broken("x.yml", text), told, "{text}");
    }
    assert!(broken("x.yml", "apps: [a").starts_with("1:"));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]";
    assert!(broken("x.yml", bomb).contains("more than 200000 values"), "{}", broken("x.yml", bomb));
    let merged = "x: &x { script: a.js, env: { A: 1 } }\napps:\n  - <<: *x\n    name: one\n  - { <<: *x, name: two, script: b.js }";
    let apps = read("x.yml", merged).apps;
    let shown: Vec<_> = apps
        .iter()
        .map(|app| format!("{} {} {}", app.name, app.script.display(), app.env["A"]))
        .collect();
    assert_eq!(shown, ["one /home/ann/a.js 1", "two /home/ann/b.js 1"]);
}

#[test]
fn a_secret_is_not_drawn_in_any_format() {
    for (file, text) in [
        ("x.json", "{ script: 1, env: { API_KEY: 'hunter2', \"TOKEN\": \"hunter2\" } }"),
        ("x.yml", "{script: 1, env: {API_KEY: hunter2, B: 1}}"),
        ("x.yml", "script: a.js\nenv:\n  DB_PASS: hunter2, hunter2\n  DB_PASS: hunter2"),
        ("x.json", "{ env: { API_KEY: 'hunter2' 5 } }"),
        ("x.toml", "[[apps]]\nscript = 'a'\nsecrets = { DB_PASS = 'hunter2' }"),
    ] {
        let flaws = read_with(file, text, None).unwrap_err();
        assert!(!flaws.render(false, false).contains("hunter2"), "{flaws}");
        assert!(!serde_json::to_string(&flaws).unwrap().contains("hunter2"), "{flaws}");
    }
}
