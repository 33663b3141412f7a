//! The README's console blocks, played with this build's programs.

use nexus_tests::{Home, console, free_port, program, repository};

/// The project file of the repository, without what the first reader's machine needs and this one
/// has done: the build.
fn project(port: &str) -> String {
    let file = std::fs::read_to_string(repository().join("ecosystem.toml")).unwrap();
    let lines: Vec<&str> = file.lines().filter(|line| !line.starts_with("build = ")).collect();
    let built = program("trading-api").display().to_string();
    let text = lines.join("\n").replace("target/release/trading-api", &built);
    assert!(text.contains(&built), "{text}");
    text.replace("3001", port)
}

#[test]
fn every_block_of_the_readme_does_what_it_says() {
    let page = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let port = free_port().to_string();
    let home = Home::new();
    home.write("ecosystem.toml", &project(&port));
    let page = page.replace("3001", &port);
    let page = page.replace("cargo run --release --", "nexusctl");
    let file = home.write("README.md", &page);
    let commands = console::play(&file, &home, &home.project());
    assert!(commands.unwrap_or_else(|flaw| panic!("{flaw}")) >= 9);
}
