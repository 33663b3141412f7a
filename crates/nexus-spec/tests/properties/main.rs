//! What holds for every app and every text: what is written reads back, and nothing panics.

#![allow(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod sockets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nexus_spec::{
    AppSpec, Autoscale, Backoff, Bound, Check, Door, Flaws, Format, Inherit, Instances, Limits,
    LogFiles, Name, Pattern, Project, Reading, Ready, Restart, Rlimit, RunAs, Signal, Source, Span,
    Stop, interpreter_of, project,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use sockets::listen;

fn read(text: &str) -> Result<Project, Flaws> {
    project(text, Path::new("ecosystem.toml"), Path::new("/srv/shop"), &|_| false)
}

/// Any text without a NUL, short.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,12}", "\\PC{0,6}", "[\u{1}-\u{9f}\"'\\\\]{0,6}"]
}

fn some_text() -> impl Strategy<Value = String> {
    text().prop_filter("not blank", |text| !text.trim().is_empty())
}

fn path() -> impl Strategy<Value = PathBuf> {
    // No part is `.`: it would not be written back.
    vec("[a-zA-Z0-9_ é'\"-]{1,8}|\\.\\.", 1..4)
        .prop_map(|parts| PathBuf::from(format!("/{}", parts.join("/"))))
}

fn script() -> impl Strategy<Value = PathBuf> {
    let file = (path(), "(\\.(js|py|sh|rb|bin))?")
        .prop_map(|(path, end)| PathBuf::from(format!("{}x{end}", path.display())));
    prop_oneof![file, "[a-z][a-z0-9_-]{0,8}".prop_map(PathBuf::from)]
}

fn span() -> impl Strategy<Value = Span> {
    prop_oneof![0..5_000_u64, (0..1_000_u64).prop_map(|n| n * 60_000), 0..=Span::MAX.0]
        .prop_map(Span)
}

fn some_span() -> impl Strategy<Value = Span> {
    span().prop_map(|span| Span(span.0.max(1)))
}

fn instances() -> impl Strategy<Value = Instances> {
    let count = 1..=Instances::LIMIT;
    prop_oneof![
        count.clone().prop_map(Instances::Count),
        Just(Instances::Max),
        count.clone().prop_map(Instances::AllBut),
        (count.clone(), count, 1..=10_000_u16, some_span(), some_span()).prop_map(
            |(one, other, target_cpu, up_after, down_after)| {
                let (min, max) = (one.min(other), one.max(other));
                Instances::Auto(Autoscale { min, max, target_cpu, up_after, down_after })
            }
        ),
    ]
}

fn backoff() -> impl Strategy<Value = Backoff> {
    (span(), span(), 100..=10_000_u32, 0..=100_u32, span()).prop_map(
        |(a, b, factor_percent, jitter_percent, reset_after)| Backoff {
            min: a.min(b),
            max: a.max(b),
            factor_percent,
            jitter_percent,
            reset_after,
        },
    )
}

fn restart() -> impl Strategy<Value = Restart> {
    let codes = vec(any::<u8>(), 0..4);
    (any::<bool>(), span(), backoff(), any::<u32>(), some_span(), span(), codes).prop_map(
        |(auto, delay, backoff, max, window, min_uptime, stop_exit_codes)| Restart {
            auto,
            delay,
            backoff,
            max,
            window,
            min_uptime,
            stop_exit_codes,
        },
    )
}

fn ready() -> impl Strategy<Value = Ready> {
    let command = "[a-z][a-z /-]{0,8}[a-z]".prop_map(|command| Ready::Probe(Check::Exec(command)));
    prop_oneof![
        Just(Ready::Default),
        Just(Ready::Notify),
        Just(Ready::Fd),
        span().prop_map(Ready::Delay),
        command
    ]
}

fn run_as() -> impl Strategy<Value = RunAs> {
    let account = || option::of("[a-z_][a-z0-9_.-]{0,8}|[0-9]{1,6}");
    (account(), account(), option::of(0..=0o777_u32)).prop_map(|(user, group, umask)| RunAs {
        user,
        group,
        umask,
    })
}

fn log() -> impl Strategy<Value = LogFiles> {
    (option::of(path()), option::of(path()), any::<bool>()).prop_map(
        |(out_file, error_file, merge_logs)| LogFiles {
            out_file,
            error_file,
            merge_logs,
            ..LogFiles::default()
        },
    )
}

fn name() -> impl Strategy<Value = Name> {
    "[A-Za-z0-9._@+][A-Za-z0-9._@+-]{0,20}"
        .prop_filter_map("a name", |text| Name::new(&text).ok().filter(|_| text != "all"))
}

fn interpreter() -> impl Strategy<Value = Option<Vec<String>>> {
    let words = (some_text(), vec(text(), 0..3)).prop_map(|(program, mut words)| {
        words.insert(0, program);
        words
    });
    let usable = |words: &Vec<String>| {
        !words.first().is_some_and(|word| word.starts_with("node@"))
            && words.last().is_none_or(|word| word != "-c")
    };
    option::of(prop_oneof![Just(Vec::new()), words.prop_filter("usable", usable)])
}

fn limits() -> impl Strategy<Value = Limits> {
    let amount = || option::of(0..=i64::MAX as u64);
    let bound = (amount(), amount()).prop_map(|(a, b)| {
        let above = |a: Option<u64>, b: Option<u64>| a.unwrap_or(u64::MAX) > b.unwrap_or(u64::MAX);
        if above(a, b) { Bound { soft: b, hard: a } } else { Bound { soft: a, hard: b } }
    });
    let which = prop::sample::select(Rlimit::ALL.to_vec());
    (
        option::of(-20..=19_i8),
        option::of(-1_000..=1_000_i16),
        btree_map(which, bound, 0..4),
        any::<bool>(),
    )
        .prop_map(|(nice, oom_score_adj, rlimits, no_new_privs)| Limits {
            nice,
            oom_score_adj,
            rlimits,
            no_new_privs,
            cpu_percent: None,
        })
}

fn patterns() -> impl Strategy<Value = Vec<Pattern>> {
    vec("[A-Za-z_*]{1,8}".prop_map(|text| Pattern::parse(&text).unwrap()), 0..3)
}

fn inherit() -> impl Strategy<Value = Inherit> {
    // In an array of `filter_env` a bare name is a part of names.
    let without = patterns().prop_map(|patterns| {
        let part = |pattern: &Pattern| Pattern::parse(&format!("{}*", pattern.as_str())).unwrap();
        patterns.iter().map(part).collect::<Vec<_>>()
    });
    (any::<bool>(), patterns(), without).prop_map(|(all, names, without)| Inherit {
        all,
        names: if all { Vec::new() } else { names },
        without,
    })
}

fn sources() -> impl Strategy<Value = BTreeMap<String, Source>> {
    let source = prop_oneof![
        path().prop_map(Source::File),
        "[a-z][a-z0-9.-]{0,8}".prop_map(Source::Credential),
        "[a-z][a-z0-9. -]{0,8}".prop_map(Source::Command),
    ];
    btree_map("[A-Z_]{1,8}", source, 0..3)
}

/// What is in the environment besides `env`.
fn surroundings(app: AppSpec) -> impl Strategy<Value = AppSpec> {
    let variable = || "[A-Z_]{1,8}";
    (
        inherit(),
        vec(path(), 0..3),
        sources(),
        patterns(),
        patterns(),
        variable(),
        option::of(variable()),
    )
        .prop_map(
            move |(
                inherit,
                env_file,
                secrets,
                secret_names,
                not_secret,
                instance_var,
                increment_var,
            )| {
                let mut app = app.clone();
                (app.inherit, app.env_file, app.secrets) = (inherit, env_file, secrets);
                (app.secret_names, app.not_secret) = (secret_names, not_secret);
                (app.instance_var, app.increment_var) = (instance_var, increment_var);
                app
            },
        )
}

fn app() -> impl Strategy<Value = AppSpec> {
    bare_app().prop_flat_map(surroundings)
}

fn bare_app() -> impl Strategy<Value = AppSpec> {
    let env: BoxedStrategy<BTreeMap<_, _>> = btree_map("[A-Z_é.\" -]{1,8}", text(), 0..4).boxed();
    let program = (name(), name(), script(), vec(text(), 0..4), interpreter(), path(), env);
    let life = (instances(), restart(), 1..=64_i32, span(), listen(), ready(), some_span());
    (program, life, option::of(some_text()), run_as(), log(), limits(), any::<bool>()).prop_map(
        |(program, life, build, run_as, log, limits, tree)| {
            let (name, namespace, script, args, interpreter, cwd, env) = program;
            let (instances, restart, signal, kill_timeout, listen, ready, ready_timeout) = life;
            let (message, disconnect) = (!tree && ready != Ready::Fd, !tree && ready == Ready::Ipc);
            AppSpec {
                name: name.clone(),
                namespace: namespace.as_str().to_owned(),
                interpreter: interpreter.unwrap_or_else(|| interpreter_of(&script)),
                args,
                env,
                instances,
                restart,
                stop: Stop { signal: Signal(signal), tree, message, disconnect, kill_timeout },
                listen,
                ready,
                ready_timeout,
                build,
                run_as,
                log,
                limits,
                ..AppSpec::default_for(name, &script, &cwd)
            }
        },
    )
}

/// Pieces of which files are made, right and wrong, to be put together in any order.
fn fragment() -> impl Strategy<Value = String> {
    let known = prop_oneof![
        Just("[[apps]]"),
        Just("[apps]"),
        Just("[defaults]"),
        Just("[apps.env]"),
        Just("apps = []"),
        Just("script = \"a.js\""),
        Just("name = "),
        Just("listen = ["),
        Just("\"tcp://:1\","),
        Just("]"),
        Just("}"),
        Just("{"),
        Just("\n"),
        Just("="),
        Just("\"\"\""),
        Just("'"),
        Just("backoff.min = 3"),
        Just("instances = 99999999999999999999"),
        Just("\r\n"),
        Just("jitter = nan"),
        Just("factor = -inf"),
        Just("API_KEY = \"é"),
        Just("umask = 0xff"),
        Just("kill_timeout = 1979-05-27"),
        Just("\u{1b}[0m"),
        Just("\u{feff}"),
        Just("apps:"),
        Just("  - script: a.js"),
        Just("    env: &a {X: 1}"),
        Just("    <<: *a"),
        Just("apps: [{"),
        Just("\"script\": 'a b',"),
        Just("name: 'ü x',"),
        Just("/* "),
        Just("// x"),
        Just("`${"),
        Just("'\\u{1f600}\\ud83d\\ude00\\x4"),
        Just("exec_mode: 'cluster',"),
        Just("watch: true, max_memory_restart: '1G',"),
        Just("env_x: { A: [1, null, {b: 'c'}] },"),
        Just("pm2"),
        Just("TOKEN: |"),
        Just("? [a, b] : c"),
        Just("!!str 1"),
        Just("---"),
        Just("#"),
    ]
    .prop_map(String::from);
    prop_oneof![4 => known, 1 => text()]
}

const FORMATS: [Format; 4] = [Format::Toml, Format::Json, Format::Yaml, Format::Package];

fn read_as(format: Format, text: &str) -> Result<Project, Flaws> {
    let (file, base_dir) = (Path::new("ecosystem.x"), Path::new("/srv/shop"));
    Reading { file, format, base_dir, exists: &|_| false, profile: Some("x") }.project(text)
}

/// Everything that can be done with flaws is done, in every format.
fn tell(text: &str) -> Result<(), TestCaseError> {
    for format in FORMATS {
        match read_as(format, text) {
            Ok(project) => {
                project.warnings.map_or(Ok(()), |warnings| tell_flaws(text, &warnings))?;
            }
            Err(flaws) => tell_flaws(text, &flaws)?,
        }
    }
    Ok(())
}

fn tell_flaws(text: &str, flaws: &Flaws) -> Result<(), TestCaseError> {
    prop_assert!(flaws.count() > 0 && flaws.flaws.is_sorted_by_key(|flaw| &flaw.place));
    let ascii = flaws.render(false, true);
    prop_assert!(ascii.is_ascii() && !ascii.contains(|c: char| c.is_control() && c != '\n'));
    let control = flaws.render(false, false).contains(|c: char| c.is_control() && c != '\n');
    prop_assert!(!control);
    for flaw in &flaws.flaws {
        prop_assert!(text.get(flaw.place.span.start..flaw.place.span.end).is_some());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back(app in app()) {
        let text = app.to_toml();
        match read(&text) {
            Ok(project) => prop_assert_eq!(project.apps, vec![app], "{}", text),
            Err(flaws) => prop_assert!(false, "{}\n{}", text, flaws),
        }
    }

    #[test]
    fn an_app_of_pm2s_is_written_with_all_that_its_door_gives(app in app()) {
        let table: toml::Table = toml::from_str(&app.to_toml()).unwrap();
        let json = serde_json::to_string_pretty(&table).unwrap();
        let pm2 = match read_as(Format::Json, &json) {
            Ok(project) => project.apps,
            Err(flaws) => return Err(TestCaseError::fail(format!("{json}\n{flaws}"))),
        };
        prop_assert_eq!(pm2[0].door, Door::Pm2);
        // JSON is YAML as well.
        prop_assert_eq!(&read_as(Format::Yaml, &json).unwrap().apps, &pm2, "{}", json);
        let package = format!("{{ name: 'x', pm2: {json} }}");
        prop_assert_eq!(&read_as(Format::Package, &package).unwrap().apps, &pm2);
        let ours = read(&pm2[0].to_toml()).unwrap().apps.remove(0);
        prop_assert_eq!(AppSpec { door: Door::Pm2, ..ours }, pm2[0].clone(), "{}", json);
    }

    #[test]
    fn a_shown_span_reads_back(span in span()) {
        prop_assert_eq!(Span::parse(&span.to_string()), Ok(span));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}|(?s).{0,60}") {
        tell(&text)?;
    }

    #[test]
    fn no_file_of_odd_pieces_panics(pieces in vec(fragment(), 0..24), between in "[ \n]") {
        tell(&pieces.join(&between))?;
    }

    #[test]
    fn no_damaged_file_panics(app in app(), cut in any::<prop::sample::Index>(), size in 0..9_usize, put in fragment()) {
        let mut text = app.to_toml();
        let from = text.floor_char_boundary(cut.index(text.len() + 1));
        let to = text.ceil_char_boundary((from + size).min(text.len()));
        text.replace_range(from..to, &put);
        tell(&text)?;
    }
}
