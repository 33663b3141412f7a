//! What of the caller's environment goes to the workers and to the build.

use nexus_spec::AppSpec;

/// Variables that the build gets as well: where the caller's Rust is.
const BUILD_NAMES: [&str; 2] = ["CARGO_HOME", "RUSTUP_HOME"];
/// Where our own programs are told what they are: never a worker's business.
const OURS: [&str; 3] = ["NEXUS_", "LISTEN_", "NOTIFY_SOCKET"];

/// The caller's variables that some of the apps inherits; what is not UTF-8 cannot be sent and is
/// left out.
pub(crate) fn base_env(apps: &[AppSpec]) -> Vec<(String, String)> {
    select(
        apps,
        std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }),
    )
}

fn select(apps: &[AppSpec], all: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let wanted = |name: &str| {
        let ours = OURS.iter().any(|ours| name.starts_with(ours));
        let inherited = apps.iter().any(|app| app.inherit.takes(name));
        (inherited && !ours) || BUILD_NAMES.contains(&name)
    };
    let mut chosen: Vec<(String, String)> = all.filter(|(name, _)| wanted(name)).collect();
    chosen.sort();
    chosen
}

/// The request that starts these apps.
pub(crate) fn start(apps: Vec<AppSpec>, source: String) -> nexus_proto::Start {
    let base_env = base_env(&apps);
    nexus_proto::Start { apps, source, base_env, daemon: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(apps: &[AppSpec]) -> Vec<String> {
        let all = ["PATH", "AWS_SECRET_ACCESS_KEY", "LC_TIME", "CARGO_HOME", "LCX", "NEXUS_HOME"];
        let chosen = select(apps, all.iter().map(|name| ((*name).to_owned(), "v".to_owned())));
        chosen.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn secrets_of_the_shell_stay_in_the_shell_unless_an_app_asks_for_them() {
        let name = nexus_spec::Name::new("api").unwrap();
        let root = std::path::Path::new("/");
        let mut app = AppSpec::default_for(name, root, root);
        assert_eq!(chosen(std::slice::from_ref(&app)), ["CARGO_HOME", "LC_TIME", "PATH"]);
        app.inherit = nexus_spec::Door::Pm2.inherit();
        let all = ["AWS_SECRET_ACCESS_KEY", "CARGO_HOME", "LCX", "LC_TIME", "PATH"];
        assert_eq!(chosen(&[app]), all);
    }
}
