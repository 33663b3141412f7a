//! A daemon that is not root's, and the page for users.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use nexus_tests::run;
use nix::unistd::Uid;

use super::{ADMIN, COMMAND, GROUP, MEMBER, OPERATOR, Shared, VIEWER};
use crate::{AT_ONCE, shell};

/// For others than root the socket is in the runtime directory.
#[test]
fn a_daemon_of_a_plain_user_has_its_groups_socket_in_the_runtime_directory() {
    let Some(shared) = Shared::new() else { return };
    let (home, run_dir) = (&shared.home, shared.home.project().join("run"));
    std::fs::create_dir(&run_dir).unwrap();
    let whole = home.project().parent().unwrap().to_owned();
    for path in [&run_dir, &whole] {
        nix::unistd::chown(path, Some(Uid::from_raw(ADMIN)), None).unwrap();
    }
    let text = format!("[daemon]\ngroup = {GROUP}\n");
    home.write("ecosystem.toml", &(text + &shell("talk", "sleep 1000", AT_ONCE)));
    let own = |args: &[&str]| {
        let mut command = shared.as_user(ADMIN, &shared.ctl);
        command.env_remove("NEXUS_SOCKET").env("NEXUS_HOME", home.path());
        run(command.env("XDG_RUNTIME_DIR", &run_dir).args(args), COMMAND)
    };
    own(&["start"]).ok();
    let socket = run_dir.join("nexus/nexus.sock");
    assert_eq!(socket.metadata().unwrap().gid(), GROUP);
    let status = own(&["daemon", "status"]).ok().stdout;
    assert!(status.contains(&socket.display().to_string()), "{status}");
    let other = |args: &[&str]| {
        let mut command = shared.as_user(MEMBER, &shared.ctl);
        run(command.env("NEXUS_SOCKET", &socket).args(args), COMMAND)
    };
    assert!(other(&["list"]).ok().stdout.contains("talk"));
    other(&["stop", "talk"]).expect_code(8);
    own(&["kill", "--yes"]).ok();
    assert!(!socket.parent().unwrap().exists());
}

/// `docs/SECURITY.md`, played: its users are numbers here, as nobody has to be made for a test.
#[test]
fn the_page_about_security_does_what_it_says() {
    let Some(shared) = Shared::new() else { return };
    let page = nexus_tests::repository().join("docs/SECURITY.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let project = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let project = project.expect("the page's project file");
    let socket = shared.socket.display().to_string();
    shared.home.write("ecosystem.toml", &project.replace("/run/nexus/nexus.sock", &socket));
    let played = shared.home.project().join("page.md");
    let text = text.replace("NEXUS_SOCKET=/run/nexus/nexus.sock nexusctl", "./nexusctl");
    let text = text.replace("sudo -u alice", "./alice").replace("sudo -u bob", "./bob");
    std::fs::write(&played, text).unwrap();
    for (name, uid) in [("alice", VIEWER), ("bob", OPERATOR)] {
        let line = format!(
            "#!/bin/sh\nexport NEXUS_SOCKET={socket}\n\
             exec setpriv --reuid {uid} --regid {uid} --groups {GROUP} \"$@\"\n"
        );
        let script = shared.home.write(name, &line);
        std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let commands = nexus_tests::console::play(&played, &shared.home, &shared.home.project());
    assert!(commands.unwrap_or_else(|flaw| panic!("{flaw}")) >= 7);
}
