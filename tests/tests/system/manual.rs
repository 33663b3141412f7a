//! `docs/COMMANDS.md`, played: what it says that a command prints is what the command prints.

use nexus_tests::{Home, console, repository};

#[test]
fn every_block_of_the_manual_does_what_it_says() {
    let page = repository().join("docs/COMMANDS.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let project = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let home = Home::new();
    home.write("ecosystem.toml", project.expect("the page's project file"));
    let commands = console::play(&page, &home, &home.project());
    assert!(commands.unwrap_or_else(|flaw| panic!("{flaw}")) > 20);
}
