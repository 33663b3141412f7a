//! A deed, from its request to its end, on a thread of its own.

use nexus_proto::client::{Client, fresh_key};
use nexus_proto::{AppVerb, Operation};

use super::super::action::Deed;
use super::super::model::Msg;
use super::{Tell, tell};
use crate::context::Context;
use crate::ensure::{STARTED, ensure};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::look::Look;

/// Do it, and tell how it ended. `client` is a patient one: a daemon that is replaced meanwhile
/// answers with the true result.
pub(in crate::monit) fn act(client: Client, look: Look, deed: Deed, to: Tell) {
    std::thread::spawn(move || {
        let result = operate(&client, &deed).map_err(|failure| vec![failure]);
        let failures = match result {
            Ok(operation) => operation
                .results
                .iter()
                .filter_map(|result| Failure::of_result(result, false))
                .collect(),
            Err(failures) => failures,
        };
        let look = Look { color: false, ..look };
        let lines: Vec<String> = failures
            .iter()
            .flat_map(|failure| {
                failure.render(&look).lines().map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        let result = if lines.is_empty() { Ok(()) } else { Err(lines) };
        tell(&to, Msg::Done(deed, result));
    });
}

/// Start the pair anew, and tell when that fails; when it does not, that is seen.
pub(in crate::monit) fn revive(context: Context, to: Tell) {
    std::thread::spawn(move || {
        // What it says would be said over the screen.
        let quiet = Context { quiet: true, ..context };
        if let Err(failure) = ensure(&quiet, STARTED) {
            let look = Look { color: false, ..quiet.err };
            let lines = failure.render(&look).lines().map(str::to_owned).collect();
            tell(&to, Msg::NotRevived(lines));
        }
    });
}

fn operate(client: &Client, deed: &Deed) -> Result<Operation, Failure> {
    let key = fresh_key().map_err(|error| {
        Failure::new(Exit::Failed, "no random number for the request").cause(error.to_string())
    })?;
    let body = AppVerb { targets: vec![deed.key.target()], ..AppVerb::default() };
    client.verb(&key, deed.action.verb(), &body)?;
    Ok(client.settle(&key, None)?)
}
