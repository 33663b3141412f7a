//! A first project file: what is found in a directory, as a commented `ecosystem.toml`.

use std::path::Path;

use nexus_spec::Name;

/// The longest file that is read for a hint.
const READ_MAX: u64 = 1024 * 1024;
/// Programs that people call so, with what else may be in their directory.
const USUAL: [&str; 8] =
    ["server.js", "app.js", "index.js", "main.js", "main.py", "app.py", "server.py", "main.rb"];
/// Apps that are taken from a Procfile.
const PROCFILE_MAX: usize = 8;

/// An app that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    name: String,
    script: String,
    args: Vec<String>,
    build: Option<String>,
    /// Where the script is written: `package.json "start"`.
    from: String,
}

/// What can be run in a directory; the most explicit place says it.
pub(crate) fn look(dir: &Path) -> Vec<Found> {
    let procfile = read(dir, "Procfile").map(|text| procfile(&text)).unwrap_or_default();
    if !procfile.is_empty() {
        return procfile;
    }
    let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let package = read(dir, "package.json").and_then(|text| package(&text, &name));
    let cargo = || {
        let manifest = read(dir, "Cargo.toml").filter(|_| dir.join("src/main.rs").is_file())?;
        cargo(&manifest)
    };
    let usual = || {
        let script = USUAL.into_iter().find(|script| dir.join(script).is_file())?;
        Some(Found::new(&name, script, Vec::new(), script))
    };
    package.or_else(cargo).or_else(usual).into_iter().collect()
}

/// The file. `cpus` = how many workers `"max"` would be.
pub(crate) fn text(found: &[Found], cpus: usize) -> String {
    let mut text = String::from(
        "# Apps of this project: `nexusctl start` runs them, `nexusctl check` finds mistakes.\n\
         # Every setting: `nexusctl man ecosystem.toml`.\n",
    );
    let template = Found::new("app", "./server", Vec::new(), "");
    let apps = if found.is_empty() { std::slice::from_ref(&template) } else { found };
    for (number, app) in apps.iter().enumerate() {
        text.push_str(&app.text());
        if number == 0 {
            text.push_str(&settings(cpus));
        }
    }
    text
}

/// What most people set next, each with what holds without it.
fn settings(cpus: usize) -> String {
    format!(
        "# instances = 1                         # or \"max\": one for each CPU, {cpus} here\n\
         # listen = [\"tcp://127.0.0.1:3000\"]     # bound once, handed to every worker (LISTEN_FDS)\n\
         # ready = \"notify\"                      # READY=1; else: it listens, or is alive for 1s\n\
         # env = {{ NODE_ENV = \"production\" }}\n\
         # kill_timeout = \"10s\"                  # from SIGTERM to SIGKILL\n\
         # max_restarts = 16                     # unstable exits until it is given up\n"
    )
}

impl Found {
    fn new(name: &str, script: &str, args: Vec<String>, from: &str) -> Found {
        let (script, from) = (script.to_owned(), from.to_owned());
        Found { name: named(name), script, args, build: None, from }
    }

    fn text(&self) -> String {
        let from = match self.from.as_str() {
            "" => "the program, or the file that node, python3 … is to run".to_owned(),
            from => format!("from {from}"),
        };
        let script = format!("script = {}", quoted(&self.script));
        let mut text = format!("\n[[apps]]\nname = {}\n{script:<40}# {from}\n", quoted(&self.name));
        if !self.args.is_empty() {
            let args: Vec<String> = self.args.iter().map(|arg| quoted(arg)).collect();
            text.push_str(&format!("args = [{}]\n", args.join(", ")));
        }
        if let Some(build) = &self.build {
            let build = format!("build = {}", quoted(build));
            text.push_str(&format!("{build:<40}# run once, before the first start\n"));
        }
        text
    }
}

/// `name: command` a line.
fn procfile(text: &str) -> Vec<Found> {
    let app = |line: &str| {
        let (name, command) = line.split_once(':')?;
        let (name, command) = (name.trim(), command.trim());
        if name.starts_with('#') || Name::new(name).is_err() || command.is_empty() {
            return None;
        }
        let args = vec!["-c".to_owned(), format!("exec {command}")];
        let simple = !command.contains([';', '&', '|']);
        let args = if simple { args } else { vec!["-c".to_owned(), command.to_owned()] };
        Some(Found::new(name, "/bin/sh", args, "Procfile"))
    };
    text.lines().filter_map(app).take(PROCFILE_MAX).collect()
}

/// `scripts.start`, else `main`. A start script of `node FILE …` is run without npm between, which
/// would hand no signal on.
fn package(text: &str, directory: &str) -> Option<Found> {
    let package: serde_json::Value = serde_json::from_str(text).ok()?;
    let name = package["name"].as_str().unwrap_or(directory);
    let name = name.rsplit('/').next().unwrap_or(name);
    let start = package["scripts"]["start"].as_str();
    if let Some(start) = start {
        let from = "package.json \"start\"";
        let words: Vec<&str> = start.split_whitespace().collect();
        let shell = start.contains(['$', '"', '\'', '&', '|', ';', '=']);
        return Some(match words.as_slice() {
            ["node", script, args @ ..] if !script.starts_with('-') && !shell => {
                let args = args.iter().map(|word| (*word).to_owned()).collect();
                Found::new(name, script, args, from)
            }
            _ => Found::new(name, "npm", vec!["start".to_owned()], from),
        });
    }
    let main = package["main"].as_str()?;
    Some(Found::new(name, main, Vec::new(), "package.json \"main\""))
}

/// The package's program, built in release.
fn cargo(manifest: &str) -> Option<Found> {
    let (_, package) = manifest.split_once("[package]")?;
    let package = package.split("\n[").next()?;
    let line = package.lines().find(|line| line.trim_start().starts_with("name"))?;
    let name = line.split('"').nth(1)?;
    let script = format!("target/release/{name}");
    let build = Some("cargo build --release".to_owned());
    Some(Found { build, ..Found::new(name, &script, Vec::new(), "Cargo.toml") })
}

fn read(dir: &Path, file: &str) -> Option<String> {
    let path = dir.join(file);
    let meta = path.metadata().ok()?;
    if !meta.is_file() || meta.len() > READ_MAX {
        return None;
    }
    std::fs::read_to_string(path).ok()
}

/// A name that an app may have.
fn named(text: &str) -> String {
    let fitting = text.chars().filter(|&c| c.is_ascii_alphanumeric() || "._@+-".contains(c));
    let name: String = fitting.take(Name::MAX).collect();
    if Name::new(&name).is_ok() && name != "all" { name } else { "app".to_owned() }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::Builder::new().prefix("shop").tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    /// Name, script and arguments of each app, as the project file is read back.
    fn drafted(files: &[(&str, &str)]) -> Vec<String> {
        let dir = dir(files);
        let text = text(&look(dir.path()), 4);
        assert!(text.lines().count() <= 40, "{text}");
        let path = dir.path().join("ecosystem.toml");
        let project = nexus_spec::project(&text, &path, dir.path(), &|_| true);
        let project =
            project.unwrap_or_else(|flaws| panic!("{}\n{text}", flaws.render(false, true)));
        // What is commented out must be right as well.
        let all = text.replace("\n# ", "\n").replacen("# Apps", "", 1);
        let all = all.split_once("\n\n").map(|(_, rest)| rest.to_owned()).unwrap();
        let all = nexus_spec::project(&all, &path, dir.path(), &|_| true);
        assert!(all.is_ok(), "{}", all.unwrap_err().render(false, true));
        let line = |app: &nexus_spec::AppSpec| {
            let script = app.script.strip_prefix(dir.path()).unwrap_or(&app.script);
            let name =
                if app.name.as_str().starts_with("shop") { "shop" } else { app.name.as_str() };
            format!("{name}: {} {}", script.display(), app.args.join(" ")).trim().to_owned()
        };
        project.apps.iter().map(line).collect()
    }

    #[test]
    fn the_most_explicit_place_says_what_is_run() {
        let js = ("server.js", "");
        let package = r#"{"name": "@me/shop", "scripts": {"start": "node server.js --port 3"}}"#;
        assert_eq!(drafted(&[js, ("package.json", package)]), ["shop: server.js --port 3"]);
        let package = r#"{"name": "s", "main": "index.js"}"#;
        assert_eq!(drafted(&[js, ("package.json", package)]), ["s: index.js"]);
        let package = r#"{"name": "s", "scripts": {"start": "NODE_ENV=x node server.js"}}"#;
        assert_eq!(drafted(&[("package.json", package)]), ["s: npm start"]);
        let manifest = "[package]\nname = \"shop-api\"\n\n[dependencies]\nname = \"no\"\n";
        let rust = [("Cargo.toml", manifest), ("src/main.rs", "")];
        assert_eq!(drafted(&rust), ["shop: target/release/shop-api"]);
        assert_eq!(drafted(&[("main.py", "")]), ["shop: main.py"]);
        let procfile = "web: bin/web -p 3\nworker: a | b\n# no: x\n";
        let all = ["web: /bin/sh -c exec bin/web -p 3", "worker: /bin/sh -c a | b"];
        assert_eq!(drafted(&[("Procfile", procfile), js]), all);
    }

    #[test]
    fn where_nothing_is_found_there_is_a_template() {
        assert_eq!(drafted(&[]), ["app: server"]);
        assert_eq!(
            drafted(&[("package.json", "{"), ("Cargo.toml", "[workspace]")]),
            ["app: server"]
        );
    }

    #[test]
    fn strange_names_and_texts_stay_strings() {
        assert_eq!(named("a b/c"), "abc");
        assert_eq!(named("価格"), "app");
        assert_eq!(named("all"), "app");
        assert_eq!(quoted("a\"\\\n"), "\"a\\\"\\\\\\u000A\"");
    }
}
