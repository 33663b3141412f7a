//! Which files of an app count: what `watch` names, without what `ignore_watch` does and without
//! what we write ourselves.

use std::path::{Component, Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::Plan;

/// One thing that `watch` names.
#[derive(Debug)]
pub(super) struct Root {
    /// The directory that is watched.
    pub(super) base: PathBuf,
    only: Only,
}

/// What of a directory counts.
#[derive(Debug)]
enum Only {
    /// All that is in it, however deep.
    All,
    /// This file in it. A file itself cannot be watched: editors put another in its place.
    File(PathBuf),
    /// What is like this; with directories in it, or not.
    Like(Gitignore, bool),
}

/// Which files count.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) roots: Vec<Root>,
    /// For what is below each of these directories.
    ignored: Vec<(PathBuf, Gitignore)>,
    own: Vec<PathBuf>,
    logs: Vec<PathBuf>,
}

/// PM2's own pattern for what begins with a dot, which is no pattern of `.gitignore`'s.
const PM2_DOTS: &str = r"[\/\\]\.";

impl Scope {
    /// As the plan says and the files are at this moment; and what of it is not understood.
    pub(super) fn new(plan: &Plan) -> (Scope, Option<String>) {
        let mut problem = None;
        let mut roots = Vec::new();
        for path in &plan.watch.paths {
            match Root::new(path) {
                Ok(root) => roots.push(root),
                Err(error) => {
                    problem =
                        Some(format!("`watch`: {} is not understood: {error}", path.display()));
                }
            }
        }
        let outside =
            roots.iter().map(|root| &root.base).filter(|base| !base.starts_with(&plan.cwd));
        let mut ignored = Vec::new();
        for base in std::iter::once(&plan.cwd).chain(outside) {
            let mut builder = GitignoreBuilder::new(base);
            for pattern in &plan.watch.ignore {
                let pattern = relative(base, pattern);
                if let Err(error) = builder.add_line(None, &pattern) {
                    problem = Some(format!("`ignore_watch`: {error}"));
                }
            }
            match builder.build() {
                Ok(built) => ignored.push((base.clone(), built)),
                Err(error) => problem = Some(format!("`ignore_watch`: {error}")),
            }
        }
        let (own, logs) = (plan.own.clone(), plan.logs.clone());
        (Scope { roots, ignored, own, logs }, problem)
    }

    /// A change of this file is one of the app.
    pub(super) fn counts(&self, file: &Path) -> bool {
        self.roots.iter().any(|root| root.has(file)) && !self.is_ignored(file, false)
    }

    /// What counts may be in this directory.
    pub(super) fn enters(&self, dir: &Path) -> bool {
        self.roots.iter().any(|root| root.enters(dir)) && !self.is_ignored(dir, true)
    }

    fn is_ignored(&self, path: &Path, is_dir: bool) -> bool {
        if self.own.iter().any(|own| path.starts_with(own)) {
            return true;
        }
        if self.logs.iter().any(|log| is_of_log(log, path)) {
            return true;
        }
        let below = |(base, _): &&(PathBuf, Gitignore)| path != base && path.starts_with(base);
        self.ignored.iter().find(below).is_some_and(|(_, ignored)| {
            ignored.matched_path_or_any_parents(path, is_dir).is_ignore()
        })
    }
}

impl Root {
    fn new(path: &Path) -> Result<Root, ignore::Error> {
        if let Some((base, pattern)) = split(path) {
            let deep = pattern.contains('/') || pattern.contains("**");
            let mut builder = GitignoreBuilder::new(&base);
            builder.add_line(None, &format!("/{pattern}"))?;
            return Ok(Root { only: Only::Like(builder.build()?, deep), base });
        }
        if path.is_file()
            && let Some(parent) = path.parent()
        {
            return Ok(Root { base: parent.to_owned(), only: Only::File(path.to_owned()) });
        }
        Ok(Root { base: path.to_owned(), only: Only::All })
    }

    fn has(&self, file: &Path) -> bool {
        match &self.only {
            Only::All => file.starts_with(&self.base),
            Only::File(only) => file == only,
            Only::Like(like, _) => {
                file != self.base
                    && file.starts_with(&self.base)
                    && like.matched_path_or_any_parents(file, false).is_ignore()
            }
        }
    }

    fn enters(&self, dir: &Path) -> bool {
        let deep = match &self.only {
            Only::All => true,
            Only::File(_) => false,
            Only::Like(_, deep) => *deep,
        };
        dir == self.base || (deep && dir.starts_with(&self.base))
    }
}

/// The directory that a pattern begins in, and the rest of it; `None`: it is a path.
fn split(path: &Path) -> Option<(PathBuf, String)> {
    let special =
        |part: &Component<'_>| part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']);
    let parts: Vec<Component<'_>> = path.components().collect();
    let at = parts.iter().position(special)?;
    if path.exists() {
        return None;
    }
    let rest: PathBuf = parts.get(at..)?.iter().collect();
    Some((parts.get(..at)?.iter().collect(), rest.to_string_lossy().into_owned()))
}

/// A pattern as it is meant below `base`.
fn relative(base: &Path, pattern: &str) -> String {
    if pattern.starts_with(PM2_DOTS) {
        return ".*".to_owned();
    }
    let base = base.to_string_lossy();
    let below = pattern.strip_prefix(&*base).filter(|rest| rest.starts_with('/'));
    match (below, pattern.strip_prefix("./")) {
        (Some(rest), _) => rest.to_owned(),
        (None, Some(rest)) => format!("/{rest}"),
        (None, None) => pattern.to_owned(),
    }
}

/// It is this log file, another instance's, or one that was made of them: `out.log`, `out-3.log`,
/// `out.log.idx`, `out-3.log.2026-01-01T00-00-00Z.gz`.
fn is_of_log(log: &Path, path: &Path) -> bool {
    if log.parent() != path.parent() {
        return false;
    }
    let text =
        |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let name = text(path.file_name());
    let Some(rest) = name.strip_prefix(&text(log.file_stem())) else { return false };
    let numbered =
        rest.strip_prefix('-').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let rest = numbered.unwrap_or(rest);
    let extension = log.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
    let rest = rest.strip_prefix(&extension.unwrap_or_default());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use nexus_spec::Watch;

    use super::*;

    fn scope(paths: &[&str], ignore: Option<&[&str]>) -> Scope {
        let default = Watch::default();
        let ignore = ignore.map(|ignore| ignore.iter().map(|&text| text.to_owned()).collect());
        let paths = paths.iter().map(PathBuf::from).collect();
        let watch = Watch { paths, ignore: ignore.unwrap_or(default.ignore.clone()), ..default };
        let own = vec!["/srv/app/home/logs".into()];
        let logs = vec!["/srv/app/out.log".into()];
        let (scope, problem) = Scope::new(&Plan { cwd: "/srv/app".into(), watch, own, logs });
        assert_eq!(problem, None);
        scope
    }

    fn told(scope: &Scope, paths: &[&str]) -> Vec<bool> {
        paths.iter().map(|path| scope.counts(Path::new(path))).collect()
    }

    #[test]
    fn a_directory_counts_but_for_what_is_ignored_by_default() {
        let all = scope(&["/srv/app"], None);
        let yes = ["/srv/app/a.js", "/srv/app/lib/x/b.js"];
        let no = [
            "/srv/app/.git/index",
            "/srv/app/.env",
            "/srv/app/node_modules/x/i.js",
            "/srv/app/lib/node_modules/i.js",
            "/srv/app/target/debug/x",
            "/srv/other/a.js",
        ];
        assert_eq!(told(&all, &yes), [true; 2]);
        assert_eq!(told(&all, &no), [false; 6]);
        let enters = |dir: &str| all.enters(Path::new(dir));
        assert!(enters("/srv/app") && enters("/srv/app/lib") && !enters("/srv/app/node_modules"));
    }

    #[test]
    fn patterns_are_those_of_gitignore() {
        let own = scope(&["/srv/app"], Some(&["*.log", "/tmp", "./gen", "data/", "!keep.log"]));
        let no = ["/srv/app/x.log", "/srv/app/tmp/a", "/srv/app/gen/b", "/srv/app/lib/data/c"];
        let yes = ["/srv/app/lib/tmp/a", "/srv/app/keep.log", "/srv/app/.env", "/srv/app/lib/data"];
        assert_eq!((told(&own, &no), told(&own, &yes)), (vec![false; 4], vec![true; 4]));
        let pm2 = scope(&["/srv/app"], Some(&["[\\/\\\\]\\./", "/srv/app/cache"]));
        assert_eq!(
            told(&pm2, &["/srv/app/.git/x", "/srv/app/cache/y", "/srv/app/x"]),
            [false, false, true]
        );
    }

    #[test]
    fn paths_may_be_patterns() {
        let like = scope(&["/srv/app/*.js", "/srv/app/lib/**/*.ts", "/etc/app"], None);
        let yes =
            ["/srv/app/a.js", "/srv/app/lib/b.ts", "/srv/app/lib/x/y/b.ts", "/etc/app/c.conf"];
        let no = ["/srv/app/x/a.js", "/srv/app/lib/b.js", "/srv/app/a.ts", "/etc/app/.c"];
        assert_eq!((told(&like, &yes), told(&like, &no)), (vec![true; 4], vec![false; 4]));
        let enters = |dir: &str| like.enters(Path::new(dir));
        assert!(enters("/srv/app") && !enters("/srv/app/x") && enters("/srv/app/lib/x"));
    }

    #[test]
    fn a_file_is_watched_in_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("server.js");
        std::fs::write(&file, "").unwrap();
        let one = scope(&[file.to_str().unwrap()], None);
        assert!(one.counts(&file) && !one.counts(&dir.path().join("other.js")));
        assert!(one.enters(dir.path()) && !one.enters(&dir.path().join("x")));
    }

    #[test]
    fn what_we_write_never_counts() {
        let all = scope(&["/srv/app"], Some(&[]));
        let no = [
            "/srv/app/home/logs/x-out.log",
            "/srv/app/out.log",
            "/srv/app/out-3.log",
            "/srv/app/out.log.idx",
            "/srv/app/out-12.log.2026-01-01T00-00-00Z.gz",
        ];
        assert_eq!(told(&all, &no), [false; 5]);
        assert_eq!(
            told(&all, &["/srv/app/outer.log", "/srv/app/out.js", "/srv/app/home/x"]),
            [true; 3]
        );
    }
}
