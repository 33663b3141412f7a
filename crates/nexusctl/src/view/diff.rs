//! `diff`: what differs for each app, and what is done about it.

use nexus_proto::{AppDiff, Change, Diff, Remedy, SettingDiff};

use crate::human::count;
use crate::look::{Look, Role};
use crate::text::{pad, plain, width};

/// What stands for a setting that is not written.
const NOT_WRITTEN: &str = "(default)";

/// The page; the last line counts.
pub(crate) fn diff(diff: &Diff, look: &Look) -> String {
    let differing: Vec<&AppDiff> =
        diff.apps.iter().filter(|app| app.change != Change::Same).collect();
    let names = differing.iter().map(|app| width(app.app.as_str())).max().unwrap_or(0);
    let mut text = of_daemon(diff, look);
    text.extend(differing.iter().map(|app| of_app(app, names, look)));
    if !text.is_empty() {
        text.push('\n');
    }
    let source = plain(&diff.source);
    if diff.same {
        let apps = count(diff.apps.len() as u64, "app");
        return format!("what runs is what {source} says ({apps})\n");
    }
    let counted = [
        (Change::Added, "added"),
        (Change::Changed, "changed"),
        (Change::Removed, "removed"),
        (Change::Down, "down"),
        (Change::Same, "the same"),
    ];
    let counted = counted.into_iter().filter_map(|(change, word)| {
        let number = diff.apps.iter().filter(|app| app.change == change).count();
        (number > 0).then(|| format!("{number} {word}"))
    });
    let daemon = (!diff.daemon.is_empty()).then(|| "[daemon] changed".to_owned());
    let counted = daemon.into_iter().chain(counted);
    text.push_str(&format!("{}: {}\n", source, counted.collect::<Vec<_>>().join(", ")));
    text
}

/// `~ api  reload`, and a line for each setting.
fn of_app(app: &AppDiff, names: usize, look: &Look) -> String {
    let (sign, role) = match app.change {
        Change::Added => ("+", Role::Good),
        Change::Changed => ("~", Role::Busy),
        Change::Removed => ("-", Role::Bad),
        Change::Down => ("!", Role::Busy),
        Change::Same => (" ", Role::Off),
    };
    let remedy = match (app.action, app.change) {
        (Remedy::Start, Change::Down) => "start, as it is down",
        (Remedy::Start, _) => "start",
        (Remedy::Reload, _) => "reload",
        (Remedy::Delete, _) => "delete",
        (Remedy::Nothing, Change::Removed) => "left alone; --prune deletes it",
        (Remedy::Nothing, _) => "nothing",
    };
    let sign = look.paint(role, sign);
    let mut text = format!("{sign} {}  {remedy}\n", pad(app.app.as_str(), names, false));
    text.push_str(&settings(&app.settings, look));
    text
}

/// `~ [daemon]`, and a line for each setting.
fn of_daemon(diff: &Diff, look: &Look) -> String {
    match diff.daemon.as_slice() {
        [] => String::new(),
        some => format!("{} [daemon]\n{}", look.paint(Role::Busy, "~"), settings(some, look)),
    }
}

fn settings(settings: &[SettingDiff], look: &Look) -> String {
    let widest = settings.iter().map(|one| width(&one.setting)).max().unwrap_or(0);
    let mut text = String::new();
    for one in settings {
        let word =
            |value: &Option<String>| value.as_deref().map_or_else(|| NOT_WRITTEN.to_owned(), plain);
        let name = pad(&plain(&one.setting), widest, false);
        let arrow = if look.ascii { "->" } else { "→" };
        text.push_str(&format!("    {name}  {} {arrow} {}\n", word(&one.old), word(&one.new)));
    }
    text
}

#[cfg(test)]
mod tests {
    use nexus_spec::Name;

    use super::*;
    use crate::view::fixture;

    #[test]
    fn each_difference_is_a_line_with_both_values() {
        let app = |name: &str, change, action, settings| AppDiff {
            app: Name::new(name).unwrap(),
            change,
            action,
            settings,
        };
        let setting = |setting: &str, old: Option<&str>, new: Option<&str>| SettingDiff {
            setting: setting.into(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        };
        let settings = vec![
            setting("env.PORT", Some("\"1\""), Some("\"\x1b[2J\"")),
            setting("instances", None, Some("4")),
        ];
        let apps = vec![
            app("new-one", Change::Added, Remedy::Start, Vec::new()),
            app("api", Change::Changed, Remedy::Reload, settings),
            app("calm", Change::Same, Remedy::Nothing, Vec::new()),
            app("idle", Change::Down, Remedy::Start, Vec::new()),
            app("old", Change::Removed, Remedy::Nothing, Vec::new()),
        ];
        let source = "/p/ecosystem.toml".to_owned();
        let daemon = vec![setting("group", None, Some("\"ops\""))];
        let all = Diff { schema: "nexus.diff/1".into(), source, same: false, daemon, apps };
        let expected = "\
~ [daemon]
    group  (default) → \"ops\"
+ new-one  start
~ api      reload
    env.PORT   \"1\" → \"\\u{1b}[2J\"
    instances  (default) → 4
! idle     start, as it is down
- old      left alone; --prune deletes it

/p/ecosystem.toml: [daemon] changed, 1 added, 1 changed, 1 removed, 1 down, 1 the same
";
        assert_eq!(diff(&all, &fixture::look(80)), expected);
        let apps = vec![app("calm", Change::Same, Remedy::Nothing, Vec::new())];
        let same = Diff { same: true, daemon: Vec::new(), apps, ..all };
        let said = "what runs is what /p/ecosystem.toml says (1 app)\n";
        assert_eq!(diff(&same, &fixture::look(80)), said);
    }
}
