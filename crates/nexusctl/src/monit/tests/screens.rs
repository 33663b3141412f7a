//! Every state of the screen at the sizes that matter, against files.

use nexus_proto::Snapshot;

use super::super::action::{Action, Deed};
use super::super::fleet::Key;
use super::super::keys::BINDINGS;
use super::super::model::Msg;
use super::play::{Play, line};
use crate::look::Look;
use crate::view::fixture::{look, snapshot};

fn check(name: &str, text: &str) {
    let path = format!("{}/src/monit/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name} differs:\n{text}");
}

fn ascii() -> Look {
    Look { ascii: true, ..look(0) }
}

#[test]
fn the_overview_at_all_sizes() {
    for (columns, rows) in [(80, 24), (160, 45), (50, 12), (120, 30), (200, 10), (40, 8)] {
        check(&format!("live-{columns}x{rows}"), &Play::live(columns, rows).screen());
    }
}

#[test]
fn too_small_a_terminal_is_told_so_and_still_says_what_matters() {
    let mut play = Play::live(39, 8);
    check("small-39x8", &play.screen());
    play.take(Msg::Resize(12, 2));
    check("small-12x2", &play.screen());
    play.lose(3, 4_000);
    check("small-lost-12x2", &play.screen());
}

#[test]
fn without_colours_and_without_anything_but_ascii() {
    for (columns, rows) in [(80, 24), (160, 45), (50, 12)] {
        let text = Play::live_with(columns, rows, ascii()).screen();
        let own: Vec<&str> = text.lines().filter(|line| !line.contains('価')).collect();
        assert!(own.iter().all(|line| line.is_ascii()), "{text}");
        check(&format!("ascii-{columns}x{rows}"), &text);
    }
    check("ascii-help", &Play::live_with(80, 24, ascii()).keys("?").screen());
    check("ascii-lost", &Play::live_with(80, 24, ascii()).lose(4, 12_000).screen());
    check("ascii-stop", &Play::live_with(80, 24, ascii()).keys("at").screen());
}

#[test]
fn colours_mean_what_they_mean_elsewhere() {
    let colored = Look { color: true, ..look(0) };
    check("styles-live", &Play::live_with(80, 24, colored.clone()).styles());
    check("styles-lost", &Play::live_with(80, 24, colored).lose(4, 12_000).styles());
    let plain = Play::live(80, 24).styles();
    assert!(plain.chars().all(|c| " #!.\n".contains(c)), "{plain}");
    check("styles-none", &plain);
}

#[test]
fn nothing_there_yet() {
    check("connecting", &Play::new(80, 24, look(0)).screen());
    check("no-daemon-80x24", &Play::new(80, 24, look(0)).lose(4, 0).screen());
    check("no-daemon-50x12", &Play::new(50, 12, look(0)).lose(4, 0).screen());
    let empty = Snapshot { apps: Vec::new(), ..snapshot() };
    check("empty", &Play::new(80, 24, look(0)).hear(empty).screen());
}

#[test]
fn a_daemon_that_is_gone_and_back() {
    for (columns, rows) in [(80, 24), (160, 45), (50, 12)] {
        check(
            &format!("lost-{columns}x{rows}"),
            &Play::live(columns, rows).lose(1, 1_000).lose(4, 12_000).screen(),
        );
    }
    let mut play = Play::live(80, 24);
    play.lose(1, 1_000).lines(vec![line(900, "api", "api/0", false, "still here")]);
    assert!(play.screen().contains("still here"), "the log goes on:\n{}", play.screen());
    let mut back = snapshot();
    back.daemon.pid = 1290;
    back.apps[0].instances[3].child = Some(999);
    play.now += 12_200;
    check("back", &play.hear(back).screen());
    assert!(!play.wait(10_000).screen().contains("is back"), "said for a while only");
    // Replaced so fast that nobody saw it go.
    let mut quick = snapshot();
    quick.daemon.pid = 1300;
    assert!(play.hear(quick).screen().contains("nexusd is back (pid 1290 to 1300)"));
    // It does not answer, but the connection stands.
    play.now += 5_000;
    assert!(play.take(Msg::Tick).screen().lines().next().unwrap().ends_with("◐ slow 5s"));
}

#[test]
fn help_and_actions() {
    check("help-80x24", &Play::live(80, 24).keys("?").screen());
    check("help-50x12", &Play::live(50, 12).keys("?").screen());
    check("help-50x12-scrolled", &Play::live(50, 12).keys("?jjjjjjjjjjjjjjjjjjjjjjjjjj").screen());
    check("help-160x45", &Play::live(160, 45).keys("?").screen());
    check("menu", &Play::live(80, 24).keys("a").screen());
    check("stop", &Play::live(80, 24).keys("at").screen());
    check("restart-one", &Play::live(80, 24).keys("<Right>jjar<Tab>").screen());
    check("start-50x12", &Play::live(50, 12).keys("jas").screen());
    check("reload", &Play::live(80, 24).keys("al").screen());
    check("restarting", &Play::live(80, 24).keys("ary").screen());
    let mut play = Play::live(80, 24);
    let key = Key { app: play.model.fleet.selected().unwrap().app.clone(), instance: None };
    let deed = Deed { action: Action::Restart, key };
    let said = ["error[NX0301]: `api` did not start", "  output: Error: port is taken\x1b[2J"];
    let said = said.map(str::to_owned).to_vec();
    check("report", &play.take(Msg::Done(deed.clone(), Err(said))).screen());
    check("done", &play.keys("<Esc>").take(Msg::Done(deed, Ok(()))).screen());
}

#[test]
fn filters_of_table_and_log() {
    check("filter-typing", &Play::live(80, 24).keys("/!api on").screen());
    check("filter-kept", &Play::live(80, 24).keys("/!api on<Enter>").screen());
    check("filter-nothing", &Play::live(80, 24).keys("/xyz<Enter>").screen());
    check("filter-log", &Play::live(80, 24).keys("<Tab>/orders !get<Enter>").screen());
    check("filter-50x12", &Play::live(50, 12).keys("/settlement").screen());
    let long = format!("/{}<Enter>", "long ".repeat(30));
    check("filter-long", &Play::live(80, 24).keys(&long).keys("/").screen());
}

#[test]
fn rows_opened_sorted_and_alone() {
    check("opened-80x24", &Play::live(80, 24).keys("<Right>jj").screen());
    check("opened-160x45", &Play::live(160, 45).keys("<Right>jj").screen());
    check("opened-50x12", &Play::live(50, 12).keys("<Right>jj").screen());
    check("sorted-by-memory", &Play::live(80, 24).keys("ss").screen());
    check("only-80x24", &Play::live(80, 24).keys("<Enter>").screen());
    check("only-160x45", &Play::live(160, 45).keys("<Enter>j").screen());
    check("problem", &Play::live(80, 24).keys("e").screen());
}

#[test]
fn the_log_alone_wrapped_and_scrolled() {
    check("log-whole", &Play::live(80, 24).keys("<Tab><Enter>w").screen());
    check("log-scrolled", &Play::live(80, 16).keys("<Tab>kk").screen());
    check("log-stderr", &Play::live(80, 24).keys("oo").screen());
    check("log-wrapped-50x12", &Play::live(50, 12).keys("w").screen());
    let mut play = Play::live(80, 24);
    play.take(Msg::Lines { reading: 1, begins: true, lines: Vec::new() });
    assert!(play.screen().contains("  no lines yet\n"), "{}", play.screen());
    play.take(Msg::Unreadable("a.log: Permission denied\x1b[2J".into()));
    assert!(play.screen().contains("cannot be read: a.log: Permission denied\\u{1b}[2J"));
}

#[test]
fn the_manual_shows_these_screens_and_names_every_key() {
    let page = format!("{}/../../docs/MONIT.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(page).unwrap();
    for screen in
        [Play::live(80, 24).screen(), Play::live(80, 24).lose(1, 1_000).lose(4, 12_000).screen()]
    {
        assert!(page.contains(&screen), "docs/MONIT.md does not show:\n{screen}");
    }
    for one in BINDINGS.iter().filter(|one| one.group.is_some()) {
        let row = format!("| `{}` | {} |", one.shown.replace(" text", ""), one.help);
        assert!(page.contains(&row), "docs/MONIT.md does not have the row:\n{row}");
    }
    for (letter, action) in Action::ALL {
        let row = format!("| `a` `{letter}` | {}: {} |", action.verb(), action.summary());
        assert!(page.contains(&row), "docs/MONIT.md does not have the row:\n{row}");
    }
}
