//! Manual pages: made of the command line and of the table of settings, so that they cannot differ.

mod roff;

use clap::{Command, CommandFactory};
use nexus_spec::{Scope, Setting, settings};

use crate::cli::Cli;
use crate::near::near;
use roff::{literal, text};

/// The page of project files.
const FILE_PAGE: &str = "ecosystem.toml";

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// `nexusctl-wait.1`.
    pub(crate) file: String,
    /// roff with the macros of man(7).
    pub(crate) roff: String,
}

/// All pages.
///
/// # Errors
/// Never, as pages are written into memory.
pub(crate) fn pages() -> std::io::Result<Vec<Page>> {
    let command = command();
    let mut pages = vec![of_command(&command, &[])?];
    for verb in command.get_subcommands().filter(|verb| is_shown(verb)) {
        pages.push(of_verb(verb)?);
    }
    pages.push(of_file());
    Ok(pages)
}

/// The page of a verb (an alias will do), of project files, or of all (`None`).
///
/// # Errors
/// The nearest names, when there is none.
pub(crate) fn page(name: Option<&str>) -> Result<std::io::Result<Page>, Vec<String>> {
    let command = command();
    let Some(name) = name else { return Ok(of_command(&command, &[])) };
    if name == FILE_PAGE {
        return Ok(Ok(of_file()));
    }
    match command.find_subcommand(name).filter(|verb| is_shown(verb)) {
        Some(verb) => Ok(of_verb(verb)),
        None => {
            let verbs = command.get_subcommands().filter(|verb| is_shown(verb));
            let names = verbs.map(Command::get_name).chain([FILE_PAGE]);
            Err(near(name, names).into_iter().map(str::to_owned).collect())
        }
    }
}

fn command() -> Command {
    let mut command = Cli::command();
    command.build();
    command
}

fn is_shown(verb: &Command) -> bool {
    !verb.is_hide_set() && verb.get_name() != "help"
}

fn of_verb(verb: &Command) -> std::io::Result<Page> {
    let inner: Vec<Command> = verb.get_subcommands().filter(|one| is_shown(one)).cloned().collect();
    of_command(verb, &inner)
}

/// Title to options by the crate; what stands below the options in `-h` is set as it is written.
fn of_command(command: &Command, inner: &[Command]) -> std::io::Result<Page> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let man = clap_mangen::Man::new(command.clone())
        .title(name.to_uppercase())
        .section("1")
        .source(format!("nexusctl {}", env!("CARGO_PKG_VERSION")))
        .manual("Nexus");
    let mut bytes = Vec::new();
    man.render_title(&mut bytes)?;
    man.render_name_section(&mut bytes)?;
    man.render_synopsis_section(&mut bytes)?;
    man.render_description_section(&mut bytes)?;
    man.render_options_section(&mut bytes)?;
    let mut roff = String::from_utf8_lossy(&bytes).into_owned();
    for one in inner {
        let mut synopsis = Vec::new();
        let man = clap_mangen::Man::new(one.clone());
        man.render_options_section(&mut synopsis)?;
        let title = format!("{} {}", command.get_name(), one.get_name()).to_uppercase();
        roff.push_str(&format!(".SH {}\n{}\n", quoted(&title), text(&about(one))));
        roff.push_str(&String::from_utf8_lossy(&synopsis).replacen(".SH OPTIONS\n", "", 1));
    }
    if let Some(after) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        roff.push_str(&format!(".SH NOTES\n{}", literal(&after.to_string())));
    }
    roff.push_str(SHARED);
    Ok(Page { file: format!("{name}.1"), roff })
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn quoted(word: &str) -> String {
    format!("\"{}\"", text(word))
}

/// What every page ends with.
const SHARED: &str = "\
.SH EXIT STATUS
0 done, 1 failed, 2 usage, 3 not running, 4 unknown name, 5 refused, 6 bad configuration,
7 no daemon, 8 not permitted, 10 some of several failed, 70 internal error,
124 waited too long, 130 interrupted, 141 closed pipe.
.SH ENVIRONMENT
.TP
.B NEXUS_HOME
The daemon's home; ~/.nexus by default. One daemon serves a home.
.TP
.BR NO_COLOR \", \" CLICOLOR_FORCE \", \" COLUMNS
How output looks, as everywhere.
.SH FILES
.TP
.I $NEXUS_HOME/nexus.sock
The control socket: HTTP with JSON, for our own user and root.
.TP
.I $NEXUS_HOME/logs
What the apps write.
.TP
.I ecosystem.toml
The project file; see
.BR ecosystem.toml (5).
.SH SEE ALSO
.BR nexusctl (1),
.BR ecosystem.toml (5)
";

/// Every setting of a project file.
fn of_file() -> Page {
    let version = env!("CARGO_PKG_VERSION");
    let mut roff = format!(
        ".TH ecosystem.toml 5 \"\" \"nexusctl {version}\" Nexus\n.SH NAME\n\
         ecosystem.toml \\- the apps of a project, for nexusctl\n.SH DESCRIPTION\n\
         TOML. A length of time is a number of milliseconds or \"250ms\", \"10s\", \"5m\"; a size is\n\
         a number of bytes or \"64K\", \"300M\", \"1.5G\". Unknown keys are errors:\n\
         .B nexusctl check\nshows all of them with their places.\n"
    );
    let mut titled = None;
    for (scope, setting) in settings().filter(|(scope, setting)| setting.carried_out(*scope)) {
        if titled != Some(scope) {
            titled = Some(scope);
            roff.push_str(&format!(".SH \"{}\"\n", title(scope)));
        }
        roff.push_str(&of_setting(setting));
    }
    roff.push_str(".SH SEE ALSO\n.BR nexusctl (1)\n");
    Page { file: format!("{FILE_PAGE}.5"), roff }
}

/// Where the settings that follow are written.
fn title(scope: Scope) -> String {
    match (scope, scope.table()) {
        (Scope::File, _) => "AT THE TOP OF THE FILE".to_owned(),
        (Scope::Daemon, _) => "IN [daemon]".to_owned(),
        (_, "") => "IN AN APP ([[apps]])".to_owned(),
        (_, table) => format!("IN `{table}` OF AN APP").to_uppercase(),
    }
}

fn of_setting(setting: &Setting) -> String {
    let Setting { key, takes, default, doc, .. } = setting;
    format!(
        ".TP\n\\fB{}\\fR = {}\n{}\n.br\nDefault: {}.\n",
        text(key),
        text(takes),
        text(doc),
        text(default)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_a_page_with_every_flag() {
        let pages = pages().unwrap();
        for verb in command().get_subcommands().filter(|verb| is_shown(verb)) {
            let file = format!("nexusctl-{}.1", verb.get_name());
            let page = pages.iter().find(|page| page.file == file).unwrap();
            for flag in verb.get_arguments().filter(|arg| !arg.is_hide_set()) {
                let Some(long) = flag.get_long() else { continue };
                let long = long.replace('-', "\\-");
                assert!(page.roff.contains(&format!("\\-\\-{long}")), "--{long} is not in {file}");
            }
            assert!(page.roff.contains(".SH EXIT STATUS"), "{file}");
        }
    }

    #[test]
    fn every_setting_is_in_the_page_of_the_file() {
        let page = of_file();
        for (scope, setting) in settings() {
            let key = format!("\\fB{}\\fR = ", text(setting.key));
            assert!(page.roff.contains(&key) || !setting.carried_out(scope), "{key}");
        }
    }

    #[test]
    fn a_page_is_found_by_its_verb_or_an_alias_and_a_slip_gets_the_nearest() {
        assert_eq!(page(None).unwrap().unwrap().file, "nexusctl.1");
        assert_eq!(page(Some("ls")).unwrap().unwrap().file, "nexusctl-list.1");
        assert_eq!(page(Some("ecosystem.toml")).unwrap().unwrap().file, "ecosystem.toml.5");
        assert_eq!(page(Some("ecosystm.toml")).unwrap_err(), ["ecosystem.toml"]);
    }
}
