//! The table of settings: complete, consistent, and true to what is built.

#![allow(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::collections::HashSet;
use std::path::Path;

use nexus_spec::{Options, Scope, project, settings};

/// Every key of PM2's own schema, camelCase ones as they are written here.
const PM2: &str = "script name name_prefix namespace cwd args node_args exec_mode instances \
    execute_command force out_file error_file log_file disable_logs merge_logs log_type \
    log_date_format time pid_file env filter_env append_env_to_name port instance_var \
    increment_var autostart autorestart stop_exit_codes restart_delay \
    exp_backoff_restart_delay min_uptime max_restarts max_memory_restart kill_timeout \
    kill_retry_time treekill shutdown_with_message wait_ready listen_timeout cron_restart watch \
    ignore_watch watch_options watch_delay username source_map_support \
    disable_source_map_support vizion pmx automation trace disable_trace v8 \
    event_loop_inspector deep_monitoring io post_update write windows_hide install_url";

/// What was not carried out when the language was made whole. Nothing may be added: what is taken
/// out of the table of `settings/not_yet.rs` is taken out here.
const NOT_YET: &str = "daemon alerts deploy static shared_memory stdin health watchdog \
    drain_timeout memory cpu no_new_privs sandbox log \
    hooks canary soak protected log_file log_type log_date_format time pid_file \
    autostart max_memory_restart wait_ready \
    post_update exec_timeout container dist image_name node_version \
    fresh dockerdaemon";

#[test]
fn what_is_not_carried_out_yet_only_grows_less() {
    let at_most: HashSet<_> = NOT_YET.split_whitespace().collect();
    let app = |(scope, _): &(Scope, &_)| matches!(scope, Scope::File | Scope::App);
    for (_, row) in settings().filter(app).filter(|(scope, row)| !row.carried_out(*scope)) {
        assert!(at_most.contains(row.key), "{} was carried out before", row.key);
    }
}

/// Every key of ours, carried out or not.
const OURS: &str = "listen shared_memory stdin inherit_env build ready ready_timeout health \
    watchdog depends_on stop_signal drain_timeout backoff restart_window memory cpu nice rlimits \
    user group umask no_new_privs sandbox log schedule overlap timezone jitter missed instances \
    env_file secrets hooks canary soak rollback_on protected interpreter";

#[test]
fn every_key_has_one_row() {
    let mut seen = HashSet::new();
    for (scope, row) in settings() {
        assert!(seen.insert((scope, row.key)), "{} twice", row.key);
        assert!(row.doc.ends_with('.') && !row.takes.is_empty() && !row.default.is_empty());
    }
    for key in PM2.split_whitespace().chain(OURS.split_whitespace()) {
        assert!(seen.contains(&(Scope::App, key)), "{key} has no row");
    }
    for key in ["apps", "defaults", "daemon", "alerts", "deploy"] {
        assert!(seen.contains(&(Scope::File, key)), "{key} has no row");
    }
}

#[test]
fn no_spelling_leads_to_two_keys() {
    let mut seen = HashSet::new();
    for (scope, row) in settings() {
        for name in row.also.iter().chain([&row.key]) {
            assert!(seen.insert((scope, *name)), "{name} twice");
        }
    }
}

#[test]
fn what_is_not_carried_out_is_refused_by_name() {
    for (scope, row) in settings().filter(|(scope, row)| !row.carried_out(*scope)) {
        let text = match scope {
            Scope::File | Scope::Daemon => format!("{} = 1\n[[apps]]\nscript = 'a'", row.key),
            Scope::App => format!("[[apps]]\nscript = 'a'\n'{}' = 1", row.key),
            // Refused with its table.
            Scope::Backoff | Scope::Memory | Scope::Log | Scope::Rollback | Scope::Watch => {
                continue;
            }
        };
        let flaws = project(&text, Path::new("f"), Path::new("/"), &|_| false).unwrap_err();
        let [flaw] = flaws.flaws.as_slice() else { panic!("{flaws:?}") };
        assert_eq!(flaw.problem, format!("`{}` is not carried out yet", row.key));
        assert!(!flaw.remedy.is_empty());
    }
}

#[test]
fn a_default_that_is_written_changes_nothing() {
    let finish = |options: &Options| options.finish(Path::new("/srv"), &|_| false).unwrap();
    let mut plain = Options::new();
    plain.set("script", "app.js").unwrap();
    let mut literal = 0;
    for (scope, row) in settings().filter(|(scope, row)| row.carried_out(*scope)) {
        let key = match scope {
            Scope::File | Scope::Daemon => continue,
            Scope::App => row.key.to_owned(),
            Scope::Backoff | Scope::Memory | Scope::Log | Scope::Rollback | Scope::Watch => {
                format!("{}.{}", scope.table(), row.key)
            }
        };
        // A default of several words is prose; `none` stands for nothing written.
        if row.default.contains(' ') || row.default == "none" {
            continue;
        }
        let mut written = plain.clone();
        written.set(&key, row.default).unwrap();
        assert_eq!(finish(&written), finish(&plain), "{key} = {}", row.default);
        literal += 1;
    }
    assert!(literal >= 15, "only {literal} defaults are literals");
}

#[test]
fn the_daemons_settings_are_read_and_told_apart() {
    let read = |daemon: &str| {
        let text = format!("[daemon]\n{daemon}\n[[apps]]\nscript = 'a'");
        project(&text, Path::new("f"), Path::new("/"), &|_| false)
    };
    let some = read("group = 'ops'\nviewers = 1000\nadmins = ['carol', 'group:wheel']").unwrap();
    let daemon = some.daemon.unwrap();
    let stored = serde_json::to_string(&daemon).unwrap();
    assert_eq!(
        stored,
        r#"{"group":"ops","socket":null,"viewers":["1000"],"operators":[],"admins":["carol","group:wheel"]}"#
    );
    assert_eq!(serde_json::from_str::<nexus_spec::DaemonSpec>(&stored).unwrap(), daemon);
    let other = read("group = 'ops'\nadmins = ['carol']").unwrap().daemon.unwrap();
    let differences = daemon.differences(&other);
    let told: Vec<_> = differences.iter().map(|one| one.setting.as_str()).collect();
    assert_eq!(told, ["viewers", "admins"]);
    assert_eq!(differences[1].old.as_deref(), Some(r#"["carol", "group:wheel"]"#));
    // A table without anything lets nobody in; no table asks nothing.
    assert_eq!(read("").unwrap().daemon, Some(nexus_spec::DaemonSpec::default()));
    let none = project("[[apps]]\nscript = 'a'", Path::new("f"), Path::new("/"), &|_| false);
    assert_eq!(none.unwrap().daemon, None);
    let alone = read("operators = ['bob']").unwrap_err();
    assert!(alone.flaws[0].problem.contains("no `group`"), "{alone:?}");
}
