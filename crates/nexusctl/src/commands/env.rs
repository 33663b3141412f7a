//! `env`: what a worker was born with, secrets hidden.

use std::process::ExitCode;

use nexus_proto::Environment;
use serde_json::json;

use crate::cli::{Env, Format};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::count;
use crate::{out, text};

/// What stands for a hidden value.
const HIDDEN: &str = "********";

/// Do it.
pub(super) fn run(context: &Context, args: &Env) -> Result<ExitCode, Failure> {
    if args.reveal && !context.out.terminal {
        return Err(Failure::new(Exit::Refused, "secrets are shown on a terminal only")
            .cause("standard output is a pipe or a file, and would keep them")
            .help("nexusctl env TARGET           the same without them"));
    }
    let targets = context.client.targets(&args.targets)?.targets;
    let mut all = Vec::new();
    for target in targets {
        let app = target.app.as_str();
        all.push(context.client.env(app, target.instance, args.reveal)?);
    }
    match context.format {
        Format::Json => {
            context.document(&json!({"schema": "nexus.env/1", "environments": all}))?;
        }
        Format::Jsonl => all.iter().try_for_each(|one| out::json(one, false))?,
        Format::Name => {
            let names = all.iter().flat_map(|one| &one.variables);
            let names = names.map(|one| format!("{}\n", text::plain(&one.name)));
            out::result(&names.collect::<String>())?;
        }
        Format::Table | Format::Wide => {
            let titled = all.len() > 1;
            let pages: Vec<String> = all.iter().map(|one| page(one, titled)).collect();
            out::result(&pages.join("\n"))?;
            all.iter().for_each(|one| notes(context, one));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `NAME=value` a line; with a title when there are several.
fn page(environment: &Environment, titled: bool) -> String {
    let Environment { app, instance, pid, .. } = environment;
    let title = match pid {
        Some(pid) => format!("# {app}/{instance} (pid {pid})\n"),
        None => format!("# {app}/{instance}\n"),
    };
    let lines = environment.variables.iter().map(|one| {
        let value = one.value.as_deref().map_or(HIDDEN.to_owned(), text::plain);
        format!("{}={value}\n", text::plain(&one.name))
    });
    let lines: String = lines.collect();
    if titled { title + &lines } else { lines }
}

fn notes(context: &Context, environment: &Environment) {
    let Environment { app, instance, pid, variables, .. } = environment;
    if pid.is_none() {
        context.note(&format!("{app}/{instance} does not run: this is what its next start gets"));
    }
    let hidden = variables.iter().filter(|one| one.value.is_none()).count() as u64;
    if hidden > 0 {
        let values = count(hidden, "secret");
        context.note(&format!("{values} hidden; on a terminal, --reveal shows them"));
    }
}

#[cfg(test)]
mod tests {
    use nexus_proto::Variable;
    use nexus_spec::Name;

    use super::*;

    #[test]
    fn a_hidden_value_says_nothing_of_its_length_and_no_value_moves_the_cursor() {
        let variable = |name: &str, value: Option<&str>| Variable {
            name: name.into(),
            value: value.map(str::to_owned),
            secret: value.is_none(),
        };
        let environment = Environment {
            schema: "nexus.env/1".into(),
            app: Name::new("api").unwrap(),
            instance: 2,
            pid: Some(17),
            variables: vec![variable("A", Some("\x1b[2J")), variable("TOKEN", None)],
        };
        let text = page(&environment, true);
        assert_eq!(text, "# api/2 (pid 17)\nA=\\u{1b}[2J\nTOKEN=********\n");
    }
}
