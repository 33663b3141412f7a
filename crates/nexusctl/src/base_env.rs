//! What of the caller's environment goes to the workers and to the build.

use nexus_spec::AppSpec;

/// Variables that every worker gets, besides `LC_*`.
const NAMES: [&str; 8] = ["HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "TZ", "TMPDIR"];
/// Variables that the build gets as well: where the caller's Rust is.
const BUILD_NAMES: [&str; 2] = ["CARGO_HOME", "RUSTUP_HOME"];

/// Of the caller, those that are set; what is not UTF-8 cannot be sent and is left out.
pub(crate) fn base_env() -> Vec<(String, String)> {
    select(
        std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }),
    )
}

fn select(all: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let wanted = |name: &str| {
        NAMES.contains(&name) || BUILD_NAMES.contains(&name) || name.starts_with("LC_")
    };
    let mut chosen: Vec<(String, String)> = all.filter(|(name, _)| wanted(name)).collect();
    chosen.sort();
    chosen
}

/// The request that starts these apps.
pub(crate) fn start(apps: Vec<AppSpec>, source: String) -> nexus_proto::Start {
    nexus_proto::Start { apps, source, base_env: base_env() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_the_shell_stay_in_the_shell() {
        let all = ["PATH", "AWS_SECRET_ACCESS_KEY", "LC_TIME", "CARGO_HOME", "LCX", "NEXUS_HOME"];
        let chosen = select(all.iter().map(|name| ((*name).to_owned(), "v".to_owned())));
        let names: Vec<&str> = chosen.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["CARGO_HOME", "LC_TIME", "PATH"]);
    }
}
